//! What takes room and what quota believes, at the command line and by the API: once for people, once for machines.

use crate::cli_desk::has;
use crate::repository::Backup;
use crate::world::{Device, EMAIL, World};
use base::SnapshotId;
use control::Permits;
use format::Totals;
use protocol::admin::Page;
use protocol::admin::storage::{StorageLine, StorageReports, StorageShare};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_report_is_made_kept_and_shown_whole() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    Backup::begin(&world, &device).await.commit_content(&world, &device, &[7; 5_000]).await;
    has(&world.text(&["report", "storage"]), &["No report was made yet: `report storage --fresh`"]);
    assert_eq!(world.json(&["report", "storage"]), json!({ "next_at_ms": null, "report": null, "shares": [] }));

    let text = world.text(&["report", "storage", "--fresh"]);
    has(&text, &["as of", "1, ", "not needed  0 B", "USER", EMAIL, "5.0 kB", "all together"]);
    assert_eq!(world.text(&["report", "storage"]), text, "it is kept");
    let shown = world.json(&["report", "storage", "--by", "device"]);
    let (report, share) = (&shown["report"], &shown["shares"][0]);
    assert_eq!((&share["name"], &share["email"]), (&json!("laptop"), &json!(EMAIL)));
    assert_eq!(share["figures"], report["whole"], "there is nobody else");
    assert_eq!(share["figures"]["logical_bytes"], json!(5_000));
    let number = |field: &str| report[field].as_u64().expect("a number");
    let stored = report["whole"]["stored_bytes"].as_u64().expect("a number");
    assert_eq!(number("bytes"), stored + number("unneeded_bytes") + number("framing_bytes"));
    assert!(report["whole"]["compression_permille"].as_u64() > Some(2_000), "{report}");
    let profiles = world.json(&["report", "storage", "--by", "profile"])["shares"].clone();
    assert_eq!(profiles[0]["figures"], report["whole"]);

    let asked = world.json(&["report", "storage", "--start"]);
    assert!(asked["next_at_ms"].is_i64(), "{asked}");
    has(&world.text(&["audit", "list"]), &["storage_report_start"]);
    assert_eq!(world.run(&["report", "storage", "--start", "--fresh"]).status.code(), Some(2));
}

#[tokio::test]
async fn a_report_answers_line_by_line_and_its_shares_are_pages() {
    let world = World::start().await;
    for name in ["laptop", "desktop"] {
        let device = Device::activated(&world, name).await;
        Backup::begin(&world, &device).await.commit_small(&world, &device).await;
    }
    let admin = world.credential(Permits::all()).await;
    let answer = world.api(&admin, "POST", "/api/v1/reports/storage/fresh", "").await;
    assert_eq!(answer.headers["content-type"], "application/x-ndjson");
    let text = String::from_utf8(answer.body.to_vec()).expect("text");
    let lines: Vec<StorageLine> = text.lines().map(|line| serde_json::from_str(line).expect("a line")).collect();
    let Some(StorageLine::Report(made)) = lines.last() else { panic!("{text}") };
    assert!(matches!(lines[0], StorageLine::Follows { snapshots: 2 }), "{text}");
    let kept: StorageReports = world.api(&admin, "GET", "/api/v1/reports/storage", "").await.json();
    assert_eq!(kept, *made);
    let page = async |more: &str| {
        let path = format!("/api/v1/reports/storage/shares?by=device&limit=1{more}");
        world.api(&admin, "GET", &path, "").await.json::<Page<StorageShare>>()
    };
    let first = page("").await;
    let second = page(&format!("&after={}", first.next.expect("there is another"))).await;
    let names = [first.items[0].name.as_str(), second.items[0].name.as_str()];
    assert!(names.contains(&"laptop") && names.contains(&"desktop") && second.next.is_none(), "{names:?}");
    let refused = world.api(&admin, "GET", "/api/v1/reports/storage/shares?by=everybody", "").await.refused();
    assert_eq!(refused, (400, "request_malformed".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_quota_believes_is_compared_and_mended() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    let snapshot = Backup::begin(&world, &device).await.commit_small(&world, &device).await;
    has(&world.text(&["quota", "check"]), &["1 device looked at, 0 differ"]);
    wrong(&world, snapshot).await;
    let looked = world.run(&["quota", "check", "--json"]);
    assert_eq!(looked.status.code(), Some(1));
    let looked: Value = serde_json::from_slice(&looked.stdout).expect("JSON");
    let difference = &looked["differences"][0];
    assert_eq!((&difference["believed_bytes"], &difference["found_bytes"]), (&json!(9), &json!(32)));
    assert_eq!((&difference["mended"], &looked["clean"]), (&json!(false), &json!(false)));
    let text = String::from_utf8(world.run(&["quota", "check"]).stdout).expect("text");
    has(&text, &["1 differ", "BELIEVED", "9 B", "32 B", "`quota check --apply` mends"]);
    has(&world.text(&["quota", "check", "--apply"]), &["1 differ", "MENDED", "yes"]);
    assert_eq!(world.json(&["quota", "check"])["clean"], json!(true));
    has(&world.text(&["quota", "show"]), &[EMAIL, "32 B"]);
}

async fn wrong(world: &World, snapshot: SnapshotId) {
    let mut tx = world.app.db.write().await.expect("nobody else writes");
    let totals = Totals { bytes: base::Bytes(9), ..Totals::default() };
    db::snapshot_totals_update(&mut tx, snapshot, totals).await.expect("there");
    tx.commit().await.expect("nothing stands against it");
}
