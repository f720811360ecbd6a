//! The hours at which a token may be used, in a time zone that its maker names. Refuses hours and zones that it does
//! not understand: when a token is made with a sentence, and where one is used by admitting nobody.

use base::Timestamp;
use control::Refusal;
use control::policy::Hours;
use control::token::{HOURS_POLL, HoursNow};
use db::TokenRow;
use jiff::tz::TimeZone;

/// The time zone of hours of which none is named.
const ZONE: &str = "UTC";

/// The hours and the zone of a new token as they are kept, both empty where it has none; else one sentence of what is
/// wrong.
pub(super) fn wished(hours: &str, zone: &str) -> Result<(String, String), String> {
    let (hours, zone) = (hours.trim(), zone.trim());
    if hours.is_empty() {
        let none = || "A time zone says in which one hours are meant: give the hours too.".to_owned();
        return if zone.is_empty() { Ok(Default::default()) } else { Err(none()) };
    }
    let Some(parsed) = Hours::parse(hours).filter(|hours| !hours.is_empty()) else {
        let like = "mon-fri 08:00-18:00, sat 09:00-12:00";
        return Err(format!("\"{}\" are no hours of a week; they look like \"{like}\".", hours.escape_debug()));
    };
    let zone = if zone.is_empty() { ZONE } else { zone };
    let Ok(known) = TimeZone::get(zone) else {
        let zone = zone.escape_debug();
        return Err(format!("This server knows no time zone \"{zone}\"; they are named like \"Europe/Berlin\"."));
    };
    Ok((parsed.to_string(), known.iana_name().unwrap_or(ZONE).to_owned()))
}

/// The token's hours, and the minute of the week where they are meant; `None` where it has none.
pub(super) fn now(token: &TokenRow, now: Timestamp) -> Result<Option<HoursNow>, Refusal> {
    if token.hours.is_empty() {
        return Ok(None);
    }
    let unknown = || Refusal::TokenHours { left: HOURS_POLL };
    let hours = Hours::parse(&token.hours).ok_or_else(unknown)?;
    let zone = TimeZone::get(&token.hours_zone).map_err(|_| unknown())?;
    let there = jiff::Timestamp::from_millisecond(now.as_ms()).map_err(|_| unknown())?.to_zoned(zone);
    let whole = |value: i8| value.unsigned_abs();
    let minute = u16::from(whole(there.hour())) * 60 + u16::from(whole(there.minute()));
    Ok(Some(HoursNow { hours, day: whole(there.weekday().to_monday_zero_offset()), minute }))
}
