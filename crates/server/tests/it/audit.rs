//! Credentials, the audit log and scrub over the admin API, and what each leaves in the log.

use crate::repository::Backup;
use crate::world::{Answer, Device, World, full};
use control::{Permit, Permits};
use protocol::admin::Page;
use protocol::admin::audit::{AuditRow, AuditVerified};
use protocol::admin::credential::{Credential, CredentialMade};
use protocol::admin::scrub::ScrubLine;
use serde_json::json;

async fn audited(world: &World, credential: &str, query: &str) -> Vec<AuditRow> {
    let page: Page<AuditRow> = world.api(credential, "GET", &format!("/api/v1/audit{query}"), "").await.json();
    page.items
}

#[tokio::test]
async fn a_credential_is_made_once_shown_once_used_and_revoked() {
    let world = World::start().await;
    let admin = world.credential(Permits::all()).await;
    let body = json!({ "name": "report", "permits": ["user_read"] }).to_string();
    let bearer = format!("Bearer {admin}");
    let make = async || {
        let headers = [("authorization", bearer.as_str()), ("idempotency-key", "k1")];
        world.send("POST", "/api/v1/credentials", &headers, full(body.clone())).await
    };
    let made: CredentialMade = make().await.json();
    let again: CredentialMade = make().await.json();
    assert_eq!(made, again, "a lost answer is given again, with the text");
    let (id, text) = (made.credential.credential.0, made.text);
    assert_eq!(world.api(&text, "GET", "/api/v1/users", "").await.status, 200);
    assert_eq!(world.api(&text, "GET", "/api/v1/credentials", "").await.refused().1, "not_permitted");
    let listed = world.api(&admin, "GET", "/api/v1/credentials", "").await;
    assert!(!String::from_utf8_lossy(&listed.body).contains(&text[12..]), "the text is not shown again");
    let found: Page<Credential> = listed.json();
    assert_eq!(found.items.len(), 2);
    let own = found.items.iter().find(|credential| credential.credential.0 == id).expect("listed");
    assert_eq!((own.last_source.as_deref(), own.last_used_at_ms.is_some()), (Some("127.0.0.1"), true));
    let path = format!("/api/v1/credentials/{id}/revoke");
    world.api(&admin, "POST", &path, "").await.json::<Credential>();
    assert_eq!(world.api(&text, "GET", "/api/v1/users", "").await.refused(), (401, "credential_revoked".to_owned()));
    let rows = audited(&world, &admin, &format!("?subject={id}")).await;
    let said: Vec<_> = rows.iter().map(|row| (row.action.as_str(), row.source.as_str())).collect();
    assert_eq!(said, [("credential_revoke", "127.0.0.1"), ("credential_make", "127.0.0.1")]);
    for body in [
        json!({ "name": "a", "permits": ["everything"] }),
        json!({ "name": "a", "permits": [], "colour": 1 }),
        json!({ "permits": [] }),
        json!({ "name": "a\u{0}", "permits": ["user_read"] }),
    ] {
        let refused = world.api(&admin, "POST", "/api/v1/credentials", body.to_string()).await.refused();
        assert_eq!(refused, (400, "request_malformed".to_owned()), "{body}");
    }
}

#[tokio::test]
async fn the_log_is_verified_and_taken_out_and_no_cell_of_it_is_computed() {
    let world = World::start().await;
    let admin = world.credential(Permits::all()).await;
    let body = json!({ "name": "=HYPERLINK(1)", "permits": ["user_read"] }).to_string();
    world.api(&admin, "POST", "/api/v1/credentials", body).await.json::<CredentialMade>();
    let verified: AuditVerified = world.api(&admin, "GET", "/api/v1/audit/verify", "").await.json();
    assert!(verified.holds && verified.broken.is_none() && verified.rows >= 4, "{verified:?}");
    let wrong = format!("/api/v1/audit/verify?number=1&hash={}", "00".repeat(32));
    let wrong: AuditVerified = world.api(&admin, "GET", &wrong, "").await.json();
    assert_eq!(wrong.broken.map(|broken| (broken.number, broken.fault)), Some((1, "not_as_noted".to_owned())));
    assert_eq!(world.api(&admin, "GET", "/api/v1/audit/verify?number=1", "").await.refused().0, 400);

    let text = |answer: Answer| String::from_utf8(answer.body.to_vec()).expect("text");
    let lines = text(world.api(&admin, "GET", "/api/v1/audit/export", "").await);
    let rows: Vec<AuditRow> = lines.lines().map(|line| serde_json::from_str(line).expect("a row")).collect();
    assert_eq!(rows.iter().map(|row| row.number).collect::<Vec<_>>(), (1..=verified.rows).collect::<Vec<_>>());
    assert_eq!(rows.last().map(|row| row.hash), Some(verified.head));
    let table = text(world.api(&admin, "GET", "/api/v1/audit/export?form=csv", "").await);
    assert_eq!(table.lines().next(), Some("number,at,actor,action,subject,detail,source,proof,version,hash"));
    assert!(!table.contains(",=") && table.ends_with("\r\n"), "{table}");
    let rest =
        text(world.api(&admin, "GET", &format!("/api/v1/audit/export?after_number={}", rows.len() - 1), "").await);
    assert_eq!(rest.lines().count(), 1);
    let reader = world.credential(Permits::NONE.with(Permit::AuditRead)).await;
    assert_eq!(world.api(&reader, "GET", "/api/v1/audit/export", "").await.refused().1, "not_permitted");
}

#[tokio::test]
async fn every_change_says_who_from_where_and_by_which_proof() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    let admin = world.credential(Permits::all()).await;
    for event in ["hold", "reactivate"] {
        let path = format!("/api/v1/devices/{}/{event}", device.id);
        let body = if event == "hold" { "{}" } else { "" };
        assert_eq!(world.api(&admin, "POST", &path, body).await.status, 200, "{event}");
    }
    let rows = audited(&world, &admin, &format!("?subject={}", device.id)).await;
    let said: Vec<_> = rows.iter().map(|row| (row.action.as_str(), row.source.as_str(), row.proof.as_str())).collect();
    let shown = format!("credential {}", &admin[..rows[1].proof.len() - "credential ".len()]);
    assert!(shown.len() > "credential hfa1_".len() && shown.len() < admin.len() / 2, "a beginning, and not all of it");
    let hold = ("device_hold", "127.0.0.1", shown.as_str());
    assert_eq!(said[..2], [("device_reactivate", "127.0.0.1", "admin"), hold]);
    assert_eq!((said[2].0, said[2].2), ("device_activate", "password"));
    assert!(rows[0].actor.starts_with("credential crd_") && rows[2].actor.starts_with("user usr_"), "{rows:?}");
    let users = audited(&world, &admin, "?action=user_add").await;
    let local = app::AdminActor::Command.to_string();
    let user = (users[0].actor.as_str(), users[0].source.as_str(), users[0].proof.as_str());
    assert_eq!(user, (local.as_str(), "command line", "data_directory"));
}

#[tokio::test]
async fn what_a_device_does_itself_says_from_where_and_that_its_session_proved_it() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    let admin = world.credential(Permits::all()).await;
    let path = format!("/api/v1/devices/{}", device.id);
    let done = async |method: &str, path: &str, body: String| {
        let answer = device.ask(&world, method, path, body).await;
        assert!(answer.status.is_success(), "{method} {path}: {}", answer.status);
    };
    done("PATCH", "/v1/policy/values", json!({ "values": { "interval": "2h" } }).to_string()).await;
    let folder = json!({ "path": "/srv/data", "include": [], "exclude": [] }).to_string();
    done("POST", "/v1/policy/folders", folder).await;
    assert_eq!(world.api(&admin, "POST", &format!("{path}/support-bundle"), "").await.status, 200);
    done("PUT", "/v1/device/support-bundle", "{}".to_owned()).await;
    assert_eq!(world.api(&admin, "POST", &format!("{path}/decommission"), "").await.status, 200);
    done("POST", "/v1/device/wiped", String::new()).await;
    let by_device = format!("?actor={}", format!("device {}", device.id).replace(' ', "%20"));
    let rows = audited(&world, &admin, &by_device).await;
    let done: Vec<_> = rows.iter().map(|row| row.action.as_str()).collect();
    assert_eq!(done, ["device_confirm_wipe", "device_support_send", "folder_add", "policy_set"]);
    let from: Vec<_> = rows.iter().map(|row| (row.source.as_str(), row.proof.as_str())).collect();
    assert_eq!(from, [("127.0.0.1", "session"); 4], "{rows:?}");
}

#[tokio::test]
async fn a_scrub_answers_line_by_line_and_ends_with_its_report() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    Backup::begin(&world, &device).await.commit_small(&world, &device).await;
    let admin = world.credential(Permits::all()).await;
    let answer = world.api(&admin, "POST", "/api/v1/scrub", "{}").await;
    assert_eq!(answer.headers["content-type"], "application/x-ndjson");
    let text = String::from_utf8(answer.body.to_vec()).expect("text");
    let lines: Vec<ScrubLine> = text.lines().map(|line| serde_json::from_str(line).expect("a line")).collect();
    let Some(ScrubLine::Report(report)) = lines.last() else { panic!("{text}") };
    assert!(report.clean && report.packs == 1 && report.snapshots == 1 && report.bytes_read > 0, "{report:?}");
    assert!(lines.len() > 1, "steps were said: {text}");
}
