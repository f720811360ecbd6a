//! Every proof over the wire, and what append-only rights are worth on every route of a device.

use crate::repository::{Backup, begin_request};
use crate::world::{Answer, Device, EMAIL, PASSWORD, World, password};
use app::AdminActor;
use app::tokens::{Wish, make};
use base::{SnapshotId, Span};
use control::{Event, Level, Permits};
use protocol::Text;
use protocol::admin::Page;
use protocol::admin::desk::{AppendOnly, RefusedActivation};
use protocol::admin::device::Device as WireDevice;
use protocol::admin::device_map::{MapImported, MapRow};
use protocol::admin::password::LinkMade;
use protocol::admin::ticket::TicketMade;
use protocol::admin::token::{Token, TokenMade};
use protocol::admin::user::User;
use protocol::agent::activation::{ActivationAnswer, ActivationReply, Choice, Proof, Restore};
use protocol::agent::password::{PasswordLinkReply, PasswordLinkRequest};
use protocol::agent::run::{BeginReply, Purpose};
use protocol::agent::session::SessionReply;
use protocol::agent::status::DeviceReply;
use serde_json::json;
use server::routes::{Audience, Route, list};

const ROUTE: &str = "/v1/activations";

async fn token(world: &World) -> String {
    let domains = vec!["example.org".to_owned()];
    let wish = Wish { name: "installer".to_owned(), domains, ..Wish::default() };
    make(&world.app, &AdminActor::Command, &wish).await.expect("a good wish").text.expose().to_owned()
}

/// The request of an installer at the account of the user whom every world has.
fn by_token(device: &Device, token: &str) -> protocol::agent::activation::ActivationRequest {
    let mut asked = device.activation("", Proof::Token { token: token.to_owned() });
    asked.evidence.os_user = EMAIL.split('@').next().expect("an address").to_owned();
    device.signed(asked)
}

#[tokio::test]
async fn append_only_rights_hold_on_every_route() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    let mut before = Backup::begin(&world, &device).await;
    before.folders = vec![format::StoredPath::from_bytes(b"home/mergers-and-layoffs".to_vec()).expect("a path")];
    before.host_name = "the-boss-at-home".to_owned();
    let content = b"what nobody may read".repeat(4_321);
    let secret = before.chunk(format::ChunkKind::Content, content.clone()).1;
    let made = before.commit_content(&world, &device, &content).await.snapshot;
    let snapshot = made.snapshot.0;
    // As a number stands in JSON, so that no identifier has it by chance.
    let told = ["mergers-and-layoffs", "the-boss-at-home", ":86420", "86 kb", ":1000,", ":2000,"].map(str::to_owned);
    let told = [told.to_vec(), vec![format!(":{}", made.committed_at_ms)]].concat();
    let own = lower(&device.ask(&world, "GET", "/v1/device", "").await.body);
    assert!(told.iter().all(|told| told == "86 kb" || own.contains(told)), "who may read is told all of it: {own}");
    world.clock.advance(Span::minutes(7));
    let open = begin_request(Purpose::Restore { snapshot: Text(snapshot) });
    let restore: BeginReply = device.post(&world, "/v1/runs", &open).await.json();
    let root = restore.snapshot.and_then(|snapshot| snapshot.root).expect("full rights show it");
    world.admin(device.id, Event::Deactivate { level: Level::Revoke }).await;
    let mut thief = Device::new("laptop");
    let hidden = [told, vec![hex(&root.0), hex(secret.as_bytes()), "what nobody may read".to_owned()]].concat();
    let shows = |answer: &Answer, at: &str| {
        let text = lower(&answer.body);
        let shown: Vec<&String> = hidden.iter().filter(|hidden| text.contains(*hidden)).collect();
        assert!(shown.is_empty(), "{at} shows {shown:?}: {text}");
        assert!(!contains(&answer.body, &root.0) && !contains(&answer.body, secret.as_bytes()), "{at}");
    };
    let answer = world.post(ROUTE, &by_token(&thief, &token(&world).await)).await;
    shows(&answer, ROUTE);
    let reply: ActivationReply = answer.json();
    assert_eq!((reply.device, reply.rights.as_str()), (Text(device.id), "append_only"));
    assert_eq!((&reply.snapshot, reply.unreadable), (&None, Some(Text(snapshot))));
    thief.bound(&reply);
    thief.token = thief.open(&world).await.json::<SessionReply>().token;
    let answer = thief.post(&world, "/v1/runs", &begin_request(Purpose::Backup)).await;
    shows(&answer, "the beginning of a backup");
    let begun: BeginReply = answer.json();
    assert_eq!((&begun.snapshot, begun.unreadable), (&None, Some(Text(snapshot))));
    let backup = Backup::of(begun);
    let (mut walked, mut wrong) = (0, Vec::new());
    let mut routes: Vec<Route> =
        list().into_iter().filter(|route| matches!(route.audience, Audience::Device(_))).collect();
    // The run is to be open for all the others.
    routes.sort_by_key(|route| route.path.ends_with("/abort"));
    for route in routes {
        let name = format!("{} {}", route.method, route.path);
        for run in [backup.run, restore.run.0] {
            let path = path(route.path, run, snapshot);
            let body = match route.path {
                "/v1/runs" => serde_json::to_vec(&open).expect("plain values"),
                "/v1/device/support-bundle" => b"{}".to_vec(),
                _ if route.body_max.0 == 0 => Vec::new(),
                _ => [secret.as_bytes().as_slice(), root.0.as_slice()].concat(),
            };
            let answer = thief.ask(&world, route.method.as_str(), &path, body).await;
            if !expected(&name).contains(&said(&answer).as_str()) {
                wrong.push(format!("{name}: {}", said(&answer)));
            }
            shows(&answer, &name);
        }
        walked += 1;
    }
    assert!(walked >= 12 && wrong.is_empty(), "{walked} routes: {wrong:?}");
    let status: DeviceReply = thief.ask(&world, "GET", "/v1/device", "").await.json();
    assert_eq!((status.snapshot, status.unreadable, status.snapshots), (None, Some(Text(snapshot)), 0));
    // Of what it has appended itself it is told everything.
    let own = Backup::begin(&world, &thief).await.commit_small(&world, &thief).await;
    let status: DeviceReply = thief.ask(&world, "GET", "/v1/device", "").await.json();
    assert_eq!((status.unreadable, status.snapshots), (None, 1));
    assert!(status.snapshot.is_some_and(|newest| newest.snapshot.0 == own && newest.root.is_some()));
}

fn lower(body: &[u8]) -> String {
    String::from_utf8_lossy(body).to_lowercase()
}

/// What each route may answer to who may append and not read. A new route is a decision, made here.
fn expected(route: &str) -> &'static [&'static str] {
    match route {
        "GET /v1/device" | "GET /v1/snapshots" | "GET /v1/policy" => &["200"],
        "POST /v1/device/wiped" => &["wrong_state"],
        // What it says of itself, where an admin has asked for that.
        "PUT /v1/device/support-bundle" => &["bundle_not_asked"],
        "PATCH /v1/policy/values"
        | "POST /v1/policy/folders"
        | "DELETE /v1/policy/folders/{folder}"
        | "POST /v1/policy/folders/{folder}/unlink"
        | "POST /v1/policy/folders/{folder}/link" => &["rights_append_only"],
        "POST /v1/runs" => &["rights_append_only", "snapshot_not_yours"],
        // One bit for each name: whether it has to be sent. Who knows a name has its content.
        "POST /v1/runs/{run}/dedupe" => &["200", "run_closed", "run_not_yours", "run_wrong_kind"],
        "POST /v1/runs/{run}/verify" => &["200", "run_closed", "run_not_yours", "run_wrong_kind"],
        "PUT /v1/runs/{run}/packs/{pack}" | "POST /v1/runs/{run}/commit" => {
            &["run_closed", "run_not_yours", "run_wrong_kind", "pack_name_mismatch", "pack_damaged", "manifest_damaged"]
        }
        "POST /v1/runs/{run}/locate" | "POST /v1/runs/{run}/fetch" => {
            &["rights_append_only", "run_closed", "run_not_yours", "request_malformed"]
        }
        "POST /v1/runs/{run}/abort" => &["200", "run_closed", "run_not_yours"],
        "GET /v1/snapshots/{snapshot}" | "GET /v1/snapshots/{snapshot}/problems" => {
            &["rights_append_only", "snapshot_not_yours"]
        }
        route => panic!("{route}: what may an append-only device do there?"),
    }
}

fn said(answer: &Answer) -> String {
    if answer.status == 200 { "200".to_owned() } else { answer.refused().1 }
}

fn path(route: &str, run: base::RunId, snapshot: SnapshotId) -> String {
    let path = route.replace("{run}", &run.to_string()).replace("{snapshot}", &snapshot.to_string());
    let folder = base::FolderId::from_bytes([1; 16]).to_string();
    path.replace("{pack}", &"ab".repeat(32)).replace("{folder}", &folder)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn a_ticket_made_over_the_api_activates_once_and_brings_back_what_it_says() {
    let world = World::start().await;
    let admin = world.credential(Permits::all()).await;
    let body = json!({ "email": EMAIL, "restore": "all" }).to_string();
    let made: TicketMade = world.api(&admin, "POST", "/api/v1/tickets", body).await.json();
    let code = made.code.expect("it is shown, because there is no mail server");
    let device = Device::new("laptop");
    let request = device.activation("", Proof::Ticket { code: code.to_lowercase() });
    let reply: ActivationReply = world.post(ROUTE, &request).await.json();
    assert_eq!((reply.user.as_str(), reply.rights.as_str(), reply.restore), (EMAIL, "full", Restore::All));
    let again = Device::new("other").activation("", Proof::Ticket { code: code.clone() });
    assert_eq!(world.post(ROUTE, &again).await.refused(), (403, "ticket_invalid".to_owned()));
    let listed = world.api(&admin, "GET", "/api/v1/tickets", "").await;
    assert!(!String::from_utf8_lossy(&listed.body).contains(&code[8..]), "the code is shown once");
    let bad = json!({ "email": EMAIL, "choice": "replace" }).to_string();
    assert_eq!(world.api(&admin, "POST", "/api/v1/tickets", bad).await.refused().1, "request_malformed");
}

#[tokio::test]
async fn a_token_made_over_the_api_is_shown_once_and_the_desk_gives_its_device_full_rights() {
    let world = World::start().await;
    let admin = world.credential(Permits::all()).await;
    let body = json!({ "name": "installer", "domains": ["example.org"], "networks": ["127.0.0.0/8"] }).to_string();
    let made: TokenMade = world.api(&admin, "POST", "/api/v1/tokens", body).await.json();
    let device = Device::new("laptop");
    let reply: ActivationReply = world.post(ROUTE, &by_token(&device, &made.text)).await.json();
    assert_eq!(reply.rights, "append_only");
    let listed = world.api(&admin, "GET", "/api/v1/tokens", "").await;
    let tokens: Page<Token> = listed.json();
    assert_eq!((tokens.items[0].uses, tokens.items[0].prefix.as_str()), (1, &made.text[..11]));
    assert!(!String::from_utf8_lossy(&listed.body).contains(&made.text), "the text is shown once");
    let waiting: Page<AppendOnly> = world.api(&admin, "GET", "/api/v1/desk/append-only", "").await.json();
    assert_eq!(waiting.items.iter().map(|row| row.device.device).collect::<Vec<_>>(), [reply.device]);
    let path = format!("/api/v1/desk/{}/approve", reply.device.0);
    let approved: WireDevice = world.api(&admin, "POST", &path, "").await.json();
    assert_eq!(approved.rights.as_deref(), Some("full"));
    let revoke = format!("/api/v1/tokens/{}/revoke", made.token.token.0);
    assert_eq!(world.api(&admin, "POST", &revoke, "").await.status, 200);
    let next = by_token(&Device::new("other"), &made.text);
    assert_eq!(world.post(ROUTE, &next).await.refused(), (403, "token_revoked".to_owned()));
    let refused: Page<RefusedActivation> = world.api(&admin, "GET", "/api/v1/desk/refused", "").await.json();
    assert_eq!((refused.items[0].code.as_str(), refused.items[0].source.as_str()), ("token_revoked", "127.0.0.1"));
}

#[tokio::test]
async fn a_question_travels_with_what_a_person_needs_to_choose() {
    let world = World::start().await;
    let old = Device::activated(&world, "old").await;
    Backup::begin(&world, &old).await.commit_small(&world, &old).await;
    let device = Device::new("new");
    let mut asked = device.activation(EMAIL, password(PASSWORD));
    asked.can_ask = true;
    let asked = device.signed(asked);
    let ActivationAnswer::Question(question) = world.post(ROUTE, &asked).await.json() else { panic!("bound") };
    let [only] = question.replaceable.as_slice() else { panic!("{question:?}") };
    assert_eq!((only.device, only.host_name.as_str(), only.snapshots), (Text(old.id), "old", 1));
    assert!(only.last_backup_at_ms.is_some() && question.suggestion == Choice::Add);
    let chosen = device.activation_as(EMAIL, password(PASSWORD), Choice::Replace { device: Text(old.id) });
    let reply: ActivationReply = world.post(ROUTE, &chosen).await.json();
    assert_eq!((reply.device, reply.outcome.as_str()), (Text(old.id), "replaced"));
}

#[tokio::test]
async fn a_user_who_is_added_without_a_password_sets_one_by_a_link() {
    let world = World::start().await;
    let admin = world.credential(Permits::all()).await;
    let added: User = world.api(&admin, "POST", "/api/v1/users", r#"{"email":"new@example.org"}"#).await.json();
    let path = format!("/api/v1/users/{}/links", added.user.0);
    let link: LinkMade = world.api(&admin, "POST", &path, r#"{"purpose":"set"}"#).await.json();
    let request =
        PasswordLinkRequest { link: link.link.expect("it is shown"), password: "a password of my own".to_owned() };
    let reply: PasswordLinkReply = world.post("/v1/password-links", &request).await.json();
    assert_eq!(reply.email, "new@example.org");
    assert_eq!(world.post("/v1/password-links", &request).await.refused(), (403, "link_invalid".to_owned()));
    let device = Device::new("laptop");
    let asked = device.activation("new@example.org", password("a password of my own"));
    assert_eq!(world.post(ROUTE, &asked).await.json::<ActivationReply>().rights, "full");
}

#[tokio::test]
async fn a_device_map_is_imported_as_csv_and_row_by_row_and_listed() {
    let world = World::start().await;
    let admin = world.credential(Permits::all()).await;
    let csv = format!("email,device_id,device_id_type\n{EMAIL},S1,serial\n=1+1,S2,serial\n");
    let imported: MapImported = world.api(&admin, "POST", "/api/v1/device-map/csv", csv).await.json();
    assert_eq!((imported.stored, imported.rejected.len()), (1, 1));
    assert!(imported.rejected_csv.contains("'=1+1,S2,serial"), "{}", imported.rejected_csv);
    let rows = json!({ "rows": [{ "email": EMAIL, "device_id": "S1", "device_id_type": "serial" }] }).to_string();
    let again: MapImported = world.api(&admin, "POST", "/api/v1/device-map", rows).await.json();
    assert_eq!((again.stored, again.unchanged), (0, 1));
    let listed: Page<MapRow> = world.api(&admin, "GET", "/api/v1/device-map", "").await.json();
    let path = format!("/api/v1/device-map/{}", listed.items[0].row.0);
    assert_eq!(world.api(&admin, "DELETE", &path, "").await.status, 200);
    assert_eq!(world.api(&admin, "DELETE", &path, "").await.refused(), (404, "map_row_unknown".to_owned()));
}
