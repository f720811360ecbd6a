//! `KEY=VALUE` on the command line: set, take back and show the values of one level. Refuses a word without `=`.

use crate::client::{Client, Said};
use crate::out::{Answer, Failure, table};
use protocol::admin::policy::{LevelValues, ValuesSet};
use std::collections::BTreeMap;

/// Changes of values as they are given: `interval=2h`.
///
/// # Errors
/// `value_not_given`: there is no `=`.
pub(super) fn changes(set: &[String], unset: &[String]) -> Result<ValuesSet, Failure> {
    let mut values = BTreeMap::new();
    for text in set {
        let (key, value) = text.split_once('=').ok_or_else(|| {
            Failure::new("value_not_given", format!("\"{}\" has no value: write KEY=VALUE.", text.escape_debug()))
        })?;
        values.insert(key.to_owned(), Some(value.to_owned()));
    }
    values.extend(unset.iter().map(|key| (key.clone(), None)));
    Ok(ValuesSet { values })
}

/// Sets values at the level whose path this is, and shows what it has then.
///
/// # Errors
/// The server's refusal; `value_not_given`.
pub(super) async fn change(client: &Client, path: &str, set: &[String], unset: &[String]) -> Result<Answer, Failure> {
    let body = changes(set, unset)?;
    let said: Said<LevelValues> = client.post(&format!("{path}/values"), &body).await?;
    Ok(Answer::good(shown(&said.value), said.json))
}

/// Shows what the level has whose path this is.
///
/// # Errors
/// The server's refusal.
pub(super) async fn show(client: &Client, path: &str) -> Result<Answer, Failure> {
    let said: Said<LevelValues> = client.get(&format!("{path}/values"), &()).await?;
    Ok(Answer::good(shown(&said.value), said.json))
}

/// The values of a level as a table. Never fails.
pub(super) fn shown(values: &LevelValues) -> String {
    if values.items.is_empty() {
        return "nothing is set here\n".to_owned();
    }
    let who = |by_user: bool| if by_user { "the user" } else { "an admin" };
    let row = |value: &protocol::admin::policy::LevelValue| {
        vec![value.key.clone(), value.value.escape_debug().to_string(), who(value.by_user).to_owned()]
    };
    let rows: Vec<Vec<String>> = values.items.iter().map(row).collect();
    table(&["POLICY", "VALUE", "SET BY"], &rows)
}
