//! What `show` says of one user and one device: all that the server knows, and what an admin can do about it.

use crate::cli_desk::has;
use crate::world::{Device, EMAIL, World, password};
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
