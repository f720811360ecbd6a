//! Every state of a device has words for whoever uses the computer. Refuses a state that says nothing.

use super::*;
use base::{DeviceId, Kind};
use control::State as Standing;
use engine::RemoteError;
use protocol::Text;

fn device(said: Result<DeviceReply, AgentError>) -> Device {
    Device { state: State::sample(), said, policy: None }
}

fn said(state: &str, rights: &str) -> Device {
    device(Ok(DeviceReply {
        device: Text(DeviceId::from_bytes([0x22; 16])),
        name: "laptop".to_owned(),
        user: "anna@example.com".to_owned(),
        state: state.to_owned(),
        rights: rights.to_owned(),
        snapshot: None,
        unreadable: Some(Text(base::SnapshotId::from_bytes([1; 16]))),
        snapshots: 1,
        now_ms: 0,
        orders: vec![],
        catch_up_at_ms: None,
        policy_revision: 1,
        support: None,
    }))
}

#[test]
fn every_state_but_active_says_what_has_happened_and_what_to_do_whether_the_server_refuses_or_tells() {
    for word in Standing::WORDS {
        let told = said(word, "full");
        if word == "active" {
            assert_eq!((told.why(), told.to_do()), (None, None));
            continue;
        }
        let refusal = refusal_in(word).unwrap_or_else(|| panic!("{word} has no words"));
        assert_eq!(refusal.code(), format!("device_{word}"));
        assert_eq!(told.why(), Some(refusal.sentence()), "{word}");
        let to_do = told.to_do().unwrap_or_else(|| panic!("nothing is to be done about {word}"));
        let error = RemoteError { retry: refusal.retry(), ..RemoteError::new(refusal.code(), "so", Kind::Refused) };
        let refused = device(Err(AgentError::Remote(error)));
        assert_eq!((refused.why().as_deref(), refused.to_do()), (Some("so"), Some(to_do)), "{word}");
    }
    assert_eq!((said("of_tomorrow", "full").why(), said("of_tomorrow", "full").to_do()), (None, None));
}

#[test]
fn rights_that_are_not_full_and_a_first_backup_say_what_to_do() {
    let append_only = said("active", APPEND_ONLY);
    assert!(append_only.why().is_none() && append_only.to_do().is_some_and(|what| what.contains("sign in")));
    let mut new = said("active", "full");
    new.said.as_mut().expect("said").unreadable = None;
    assert_eq!(new.to_do(), Some("run `holdfast backup`: there is no snapshot yet"));
}

#[test]
fn who_was_replaced_is_not_simply_told_to_take_the_record_back() {
    let error = RemoteError::new("signature_invalid", "so", Kind::Refused);
    let to_do = device(Err(AgentError::Remote(error))).to_do().expect("something is to be done");
    let (first, second) = (to_do.find("--choice add"), to_do.find("tell your admin"));
    assert!(first < second && first.is_some(), "{to_do}");
}
