//! How times, identifiers and states are said to a person. Refuses to be read by machines: JSON has numbers.

use base::{Count, DeviceId, Timestamp};

/// A point in time in UTC, to the minute: `2026-11-24 17:30Z`, so that nobody takes it for their own clock. Never
/// fails: a time that no calendar has is said so.
pub(super) fn time(at: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(at.as_ms()) {
        Ok(at) => at.strftime("%Y-%m-%d %H:%MZ").to_string(),
        Err(_) => "out of range".to_owned(),
    }
}

/// The same, or a dash. Never fails.
pub(super) fn time_maybe(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "-".to_owned(), time)
}

/// Until when something is good that ends by itself, or that it has ended. Never fails.
pub(super) fn good_until(ends: Option<Timestamp>, now: Timestamp) -> String {
    match ends {
        Some(at) if at <= now => "ended".to_owned(),
        Some(at) => format!("good until {}", time(at)),
        None => "good".to_owned(),
    }
}

/// How long ago: `5 min`, `3 days`; a dash for never. Never fails.
pub(super) fn ago(at: Option<Timestamp>, now: Timestamp) -> String {
    let Some(at) = at else { return "-".to_owned() };
    match now.since(at).as_ms() / 1_000 {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3_600 => format!("{} min", seconds / 60),
        seconds @ 3_600..86_400 => format!("{} h", seconds / 3_600),
        seconds => Count(seconds / 86_400).counted("day"),
    }
}

/// The beginning of an identifier, which commands take as long as only one device has it. Never fails.
pub(super) fn short(id: DeviceId) -> String {
    id.to_string().chars().take(DeviceId::PREFIX.len() + 1 + 8).collect()
}

/// Why a link or a code was not mailed, as a sentence with a space after it; nothing where the admin has asked for it.
/// Never fails.
pub(super) fn unmailed(why: Option<&str>) -> &'static str {
    match why {
        Some("mail_off") => "It was not mailed: no mail server is set. ",
        Some("no_address") => "It was not mailed: `server.public_url` is not set. ",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Span;

    #[test]
    fn times_read_well() {
        assert_eq!(time(Timestamp::from_ms(1_764_005_400_000)), "2025-11-24 17:30Z");
        assert_eq!(time(Timestamp::from_ms(i64::MAX)), "out of range");
        let now = Timestamp::from_ms(1_000_000_000);
        let said = |ms: i64| ago(Some(Timestamp::from_ms(1_000_000_000 - ms)), now);
        assert_eq!([said(900), said(61_000), said(7_200_000), said(400_000_000)], ["0 s", "1 min", "2 h", "4 days"]);
        assert_eq!(said(90_000_000), "1 day");
        assert_eq!(ago(None, now), "-");
        let good = [good_until(Some(now), now), good_until(Some(now + Span::minutes(1)), now), good_until(None, now)];
        assert_eq!(good, ["ended", "good until 1970-01-12 13:47Z", "good"]);
    }
}
