//! `config`: every key, its default, its meaning, and what a data directory's file says.

use super::Desk;
use crate::out::{Answer, Failure, wrapped};
use app::config::{Config, KEYS};
use serde_json::json;

pub(super) fn answer(desk: &Desk) -> Result<Answer, Failure> {
    let defaults = Config::default();
    let chosen = match &desk.data {
        Some(data) => Config::load(data)?,
        None => defaults.clone(),
    };
    let mut text = String::new();
    let mut keys = Vec::with_capacity(KEYS.len());
    for key in KEYS {
        let (default, value) = (defaults.shown(key), chosen.shown(key));
        let meaning =
            if value == default { key.meaning.to_owned() } else { format!("{} Default: {default}.", key.meaning) };
        text.push_str(&wrapped(&meaning, "# "));
        text.push_str(&format!("{} = {value}\n\n", key.name));
        keys.push(json!({ "name": key.name, "default": default, "value": value, "meaning": key.meaning }));
    }
    text.truncate(text.trim_end().len() + 1);
    Ok(Answer::good(text, json!({ "keys": keys })))
}
