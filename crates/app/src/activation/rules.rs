//! What a user's profile says about activation. Refuses to know where it is set: the effective policy does.

use crate::AppError;
use base::{Count, UserId};
use control::activation::Rules;
use db::Tx;

/// What holds for this user now: the organisation's settings, each with its default.
///
/// # Errors
/// The database does not answer.
pub async fn activation_rules(tx: &mut Tx, _user: UserId) -> Result<Rules, AppError> {
    let rows = db::setting_list(tx).await.map_err(AppError::db("reading settings"))?;
    let mut rules = Rules::default();
    for row in &rows {
        match row.key.as_str() {
            "activation.may_add" => rules.may_add = row.value == "yes",
            "activation.device_limit" => rules.device_limit = row.value.parse().ok().map(Count),
            "activation.first_device_only" => rules.first_device_only = row.value == "yes",
            "activation.automatic" => rules.automatic = row.value == "yes",
            "activation.token_waits" => rules.token_waits = row.value == "yes",
            _ => {}
        }
    }
    Ok(rules)
}
