//! What `show` says of one user and one device: all that the server knows, and what an admin can do about it.

use crate::cli::said;
use crate::cli_desk::{asks, copied, has};
use crate::world::{Device, EMAIL, World, password};
use control::Permits;
use protocol::agent::activation::ActivationAnswer;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_out_is_shown_with_what_ends_it_and_is_ended_by_that() {
    let world = World::start().await;
    has(&world.text(&["user", "show", EMAIL]), &["passwords locked  -\n"]);
    let stranger = Device::new("stranger");
    for _ in 0..10 {
        let wrong = stranger.activation(EMAIL, password("not the password"));
        assert_eq!(world.post("/v1/activations", &stranger.signed(wrong)).await.refused().1, "wrong_credentials");
    }
    let ends = format!("`user unlock {EMAIL}`, a new password, or a link");
    has(&world.text(&["user", "show", EMAIL]), &["from 127.0.0.1 until ", "after 10 wrong ones", &ends]);
    let lockouts = world.json(&["user", "show", EMAIL])["lockouts"].clone();
    assert_eq!((&lockouts[0]["source"], &lockouts[0]["wrong"]), (&json!("127.0.0.1"), &json!(10)));
    assert!(world.run(&["user", "unlock", EMAIL]).status.success());
    has(&world.text(&["user", "show", EMAIL]), &["passwords locked  -\n"]);
    assert_eq!(world.json(&["user", "show", EMAIL])["lockouts"], json!([]));
    let audited = world.json(&["audit", "list", "--action", "user_unlock"]);
    assert_eq!(audited["items"].as_array().map(Vec::len), Some(1), "{audited}");
    // An admin's lock says too what ends it.
    assert!(world.run(&["user", "lock", EMAIL]).status.success());
    has(&world.text(&["user", "show", EMAIL]), &["locked\n", &format!("`user unlock {EMAIL}`\n")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_and_its_user_are_shown_with_all_that_is_known_and_waits() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    let shown = world.text(&["device", "show", "laptop"]);
    has(&shown, &["rights", "full", "epoch", "host name", "proof", "password", "asked from", "127.0.0.1"]);
    assert!(!shown.contains("open conflict") && !shown.contains("campaign"), "{shown}");
    copied(&world, &device).await;
    let plan =
        ["campaign", "make", "spring", "--level", "rotate", "--everyone", "--reason", "x", "--wave-minutes", "0"];
    for arguments in [&plan[..], &["campaign", "start", "spring"]] {
        assert!(world.run(arguments).status.success(), "{arguments:?}");
    }
    let conflict = world.json(&["conflict", "list"])["items"][0]["conflict"].clone();
    let more = world.json(&["device", "show", "laptop"])["more"].clone();
    assert_eq!(
        (&more["conflicts"], &more["proof"], &more["source"]),
        (&json!([conflict]), &json!("password"), &json!("127.0.0.1"))
    );
    let campaign = &more["campaigns"][0];
    assert_eq!(
        (&campaign["name"], &campaign["status"], &campaign["place"]),
        (&json!("spring"), &json!("running"), &json!("conflict"))
    );
    has(&world.text(&["device", "show", "laptop"]), &["open conflict", "spring (running): conflict, two_machines"]);
    has(&world.text(&["user", "show", EMAIL]), &["DEVICE", "laptop", "quarantined", "SEEN"]);
    // In a list it is left out: it costs a look at several tables for each.
    assert_eq!(world.json(&["device", "list"])["items"][0].get("more"), None);
    // By a token, and waiting for an admin.
    let token = world.installer().await;
    assert!(world.run(&["organisation", "set", "token_waits=yes"]).status.success());
    let other = Device::new("desktop");
    let answer: ActivationAnswer = asks(&world, &other, "SN-9", Some(&token)).await.json();
    assert!(matches!(answer, ActivationAnswer::Waiting(_)), "{answer:?}");
    has(&world.text(&["device", "show", "desktop"]), &["pending", "waits since", "desk pending", "installer (tok_"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_word_is_wrong_the_right_ones_are_said() {
    let world = World::start().await;
    for (arguments, words) in [
        (&["user", "list", "--state", "lokced"][..], "active, locked, preserved, deleted, purged"),
        (&["device", "list", "--state", "lokced"], "pending, active, held, deactivated, suspended"),
        (&["mail", "list", "--status", "lost"], "queued, sending, sent, failed, unclear, dropped"),
        (&["password-policy", "set", "password.min", "9"], "password.length_min, password.length_max"),
    ] {
        let output = world.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        has(&said(&output), &[words]);
    }
    let admin = world.credential(Permits::all()).await;
    let device = Device::activated(&world, "laptop").await;
    let path = format!("/api/v1/devices/{}/deactivate", device.id);
    let answer = world.api(&admin, "POST", &path, r#"{"level": "secret"}"#).await.problem();
    has(&answer.detail, &["`rotate`", "`revoke`", "`distrust`"]);
    assert!(!answer.detail.contains("secret"), "what was given is not repeated: {}", answer.detail);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_excuses_the_last_device_is_told_that_the_campaign_is_closed() {
    let world = World::start().await;
    for name in ["laptop", "desktop"] {
        Device::activated(&world, name).await;
    }
    let plan = ["campaign", "make", "spring", "--level", "revoke", "--everyone", "--reason", "x"];
    for arguments in [&plan[..], &["campaign", "start", "spring"]] {
        assert!(world.run(arguments).status.success(), "{arguments:?}");
    }
    let excuse = |device| world.text(&["campaign", "excuse", "spring", device, "--reason", "on leave"]);
    assert_eq!(excuse("laptop"), "laptop is excused\n");
    has(&excuse("desktop"), &["desktop is excused\n", "the campaign is closed\n"]);
    has(&world.text(&["campaign", "board", "spring"]), &["0 of 2 are back (0 %)", "closed"]);
}
