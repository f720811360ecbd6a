//! When to ask again: waits that double up to an hour, with jitter, and which refusals may pass by themselves.
//! Refuses to give up on anything that an admin, the network or time can change.

use base::{Entropy, Kind, Span};
use control::{Refusal, Retry};

/// The first wait, before jitter.
const WAIT_MIN: Span = Span::seconds(10);
/// The longest wait.
pub const WAIT_MAX: Span = Span::hours(1);

/// Reasons of this computer and of the way to the server that pass: an update, a proxy that goes away, another command
/// that ends.
const OURS: [&str; 4] = ["protocol_mismatch", "certificate_mismatch", "answer_damaged", "already_running"];

/// Whether asking for the same again may help. `wait` is what the server has asked for; with that, and after silence,
/// it always does. Never fails.
pub fn may_pass(kind: Kind, code: &str, wait: Option<Span>) -> bool {
    wait.is_some()
        || kind == Kind::Unavailable
        || OURS.contains(&code)
        || refusal(code).is_some_and(|refusal| passes(&refusal))
}

/// Whether a device that is here already, and is refused so, may come back with what an installer has left, or with
/// the key that it has. Never fails.
pub fn comes_back_from(code: &str) -> bool {
    let ends_here = |refusal: &Refusal| {
        matches!(
            refusal,
            Refusal::DeviceDeactivated
                | Refusal::DeviceHeld
                | Refusal::DeviceDecommissioned
                | Refusal::DeviceDeleted
                | Refusal::DevicePurged
                | Refusal::SignatureInvalid
        )
    };
    refusal(code).as_ref().is_some_and(ends_here)
}

/// Time lifts what the table of refusals says that time lifts; of the rest, what an admin can change without anything
/// being changed on this computer.
fn passes(refusal: &Refusal) -> bool {
    match refusal.retry() {
        Retry::After(_) => true,
        Retry::Never => false,
        Retry::WhenChanged => matches!(
            refusal,
            Refusal::UserNotActive
                | Refusal::DeviceSuspended
                | Refusal::DeviceQuarantined
                | Refusal::SignInNeeded
                | Refusal::ActivationOff
                | Refusal::DeviceLimit { .. }
                | Refusal::FirstDeviceOnly
        ),
    }
}

fn refusal(code: &str) -> Option<Refusal> {
    Refusal::samples().into_iter().find(|refusal| refusal.code() == code)
}

/// The wait after so many attempts (from 1): doubling with jitter, never shorter than what the server asks for, never
/// longer than an hour. Never fails.
pub fn wait_after(attempts: u32, asked: Option<Span>, entropy: &dyn Entropy) -> Span {
    let doublings = attempts.saturating_sub(1).min(16);
    let span = (WAIT_MIN.as_ms() << doublings).min(WAIT_MAX.as_ms());
    let least = asked.map_or(0, Span::as_ms).min(WAIT_MAX.as_ms());
    // Half of it and a random part of the other half: a thousand computers that were imaged in one night do not ask
    // in one moment. What the server asks for is spread likewise, upwards.
    let spread = |half: u64| half + half * random(entropy) / u64::from(u16::MAX);
    let wait = spread(span / 2).max(least + least / 10 * random(entropy) / u64::from(u16::MAX));
    Span::ms(wait.min(WAIT_MAX.as_ms()))
}

fn random(entropy: &dyn Entropy) -> u64 {
    let mut bytes = [0; 2];
    entropy.fill(&mut bytes);
    u64::from(u16::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::SeededEntropy;

    #[test]
    fn waits_double_up_to_an_hour_and_heed_the_server() {
        let entropy = SeededEntropy::new(1);
        let bounds = [(5, 10), (10, 20), (20, 40), (40, 80), (80, 160), (160, 320), (320, 640), (640, 1_280)];
        for (attempt, (min, max)) in (1..).zip(bounds) {
            let wait = wait_after(attempt, None, &entropy);
            assert!((Span::seconds(min)..=Span::seconds(max)).contains(&wait), "{attempt}: {wait}");
        }
        for attempt in [10, 100, u32::MAX] {
            let wait = wait_after(attempt, None, &entropy);
            assert!((Span::minutes(30)..=WAIT_MAX).contains(&wait), "{attempt}: {wait}");
        }
        let asked = wait_after(1, Some(Span::minutes(10)), &entropy);
        assert!((Span::minutes(10)..=Span::minutes(11)).contains(&asked), "{asked}");
        assert_eq!(wait_after(1, Some(Span::days(3)), &entropy), WAIT_MAX);
    }

    #[test]
    fn two_computers_do_not_wait_alike() {
        let wait = |seed: u64, attempt| wait_after(attempt, None, &SeededEntropy::new(seed + u64::from(attempt)));
        let waits = |seed| (1..9).map(|attempt| wait(seed, attempt)).collect::<Vec<_>>();
        assert_ne!(waits(1), waits(100));
    }

    #[test]
    fn what_time_or_an_admin_can_change_may_pass() {
        let cases = [
            (Kind::Refused, "user_unknown_to_token", None, true),
            (Kind::Unavailable, "server_unreachable", None, true),
            (Kind::Unavailable, "server_busy", Some(Span::seconds(1)), true),
            (Kind::Refused, "something_new", Some(Span::seconds(1)), true),
            (Kind::Refused, "token_network", None, true),
            (Kind::Refused, "device_limit", None, true),
            (Kind::Damaged, "answer_damaged", None, true),
            (Kind::Refused, "something_new", None, false),
            (Kind::Refused, "device_not_yours", None, false),
            (Kind::Refused, "token_revoked", None, false),
            (Kind::Refused, "token_expired", None, false),
            (Kind::Refused, "wrong_credentials", None, false),
            (Kind::Conflict, "key_in_use", None, false),
        ];
        for (kind, code, wait, expected) in cases {
            assert_eq!(may_pass(kind, code, wait), expected, "{code}");
        }
    }

    #[test]
    fn what_the_table_of_refusals_says_passes_by_time_is_asked_again() {
        for refusal in Refusal::samples() {
            let expected = match refusal.retry() {
                Retry::After(_) => true,
                Retry::Never => false,
                Retry::WhenChanged => continue,
            };
            assert_eq!(may_pass(Kind::Refused, refusal.code(), None), expected, "{}", refusal.code());
        }
    }

    #[test]
    fn a_reset_is_come_back_from_and_an_admins_no_is_not() {
        for code in ["device_deactivated", "device_held", "device_purged", "signature_invalid"] {
            assert!(comes_back_from(code), "{code}");
        }
        for code in ["device_suspended", "device_quarantined", "device_decommissioning", "server_busy", "something_new"]
        {
            assert!(!comes_back_from(code), "{code}");
        }
    }
}
