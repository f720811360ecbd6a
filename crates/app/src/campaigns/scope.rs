//! A scope as it is stored: a word and a value on each line. Refuses a line that it has not written.

use crate::AppError;
use base::Timestamp;
use control::campaign::{Release, Scope};
use std::fmt::{Display, Write as _};

/// The text of a scope; `from_text` reads it back. Never fails.
pub(super) fn to_text(scope: &Scope) -> String {
    let mut text = String::new();
    let mut line = |word: &str, value: &dyn Display| {
        if !text.is_empty() {
            text.push('\n');
        }
        write!(text, "{word} {value}").expect("a String takes every text");
    };
    if scope.everyone {
        line("everyone", &"yes");
    }
    scope.profiles.iter().for_each(|id| line("profile", id));
    scope.users.iter().for_each(|id| line("user", id));
    scope.devices.iter().for_each(|id| line("device", id));
    scope.activated_before.iter().for_each(|at| line("activated_before", &at.as_ms()));
    scope.token.iter().for_each(|id| line("token", id));
    scope.agent_below.iter().for_each(|release| line("agent_below", release));
    scope.without_profiles.iter().for_each(|id| line("without_profile", id));
    scope.without_users.iter().for_each(|id| line("without_user", id));
    scope.without_devices.iter().for_each(|id| line("without_device", id));
    text
}

/// The scope of a text.
///
/// # Errors
/// `row_damaged`: the stored text is none of `to_text`.
pub(super) fn from_text(text: &str) -> Result<Scope, AppError> {
    let mut scope = Scope::default();
    for line in text.lines() {
        take(&mut scope, line).ok_or_else(|| {
            AppError::damaged("row_damaged", format!("A campaign's scope has the line \"{}\".", line.escape_debug()))
        })?;
    }
    Ok(scope)
}

fn take(scope: &mut Scope, line: &str) -> Option<()> {
    let (word, value) = line.split_once(' ')?;
    match word {
        "everyone" => scope.everyone = value == "yes",
        "profile" => scope.profiles.push(value.parse().ok()?),
        "user" => scope.users.push(value.parse().ok()?),
        "device" => scope.devices.push(value.parse().ok()?),
        "activated_before" => scope.activated_before = Some(Timestamp::from_ms(value.parse().ok()?)),
        "token" => scope.token = Some(value.parse().ok()?),
        "agent_below" => scope.agent_below = Some(Release::read(value)?),
        "without_profile" => scope.without_profiles.push(value.parse().ok()?),
        "without_user" => scope.without_users.push(value.parse().ok()?),
        "without_device" => scope.without_devices.push(value.parse().ok()?),
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::{DeviceId, ProfileId, TokenId, UserId};

    #[test]
    fn a_scope_reads_back_as_it_was_written_and_other_lines_are_damage() {
        let scopes = [
            Scope { everyone: true, ..Scope::default() },
            Scope {
                everyone: false,
                profiles: vec![ProfileId::from_bytes([1; 16])],
                users: vec![UserId::from_bytes([2; 16]), UserId::from_bytes([3; 16])],
                devices: vec![DeviceId::from_bytes([4; 16])],
                activated_before: Some(Timestamp::from_ms(-5)),
                token: Some(TokenId::from_bytes([5; 16])),
                agent_below: Release::read("1.2.3-rc1"),
                without_profiles: vec![ProfileId::from_bytes([6; 16])],
                without_users: vec![UserId::from_bytes([7; 16])],
                without_devices: vec![DeviceId::from_bytes([8; 16])],
            },
        ];
        for scope in scopes {
            assert_eq!(from_text(&to_text(&scope)).expect("it was just written"), scope);
        }
        for text in ["everyone", "user usr_", "planet earth", "activated_before x"] {
            assert_eq!(from_text(text).expect_err("nobody wrote it").code(), "row_damaged");
        }
    }
}
