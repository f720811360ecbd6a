//! The device map: what a CSV leaves behind, and what a row is worth to a token.

use super::machine::{ADMIN, Machine};
use super::world::{World, body, code};
use app::device_map::{Imported, RowText, import_csv, import_rows, page, remove};
use app::page::PageAsk;
use app::tokens::{Wish, make};
use app::{AdminActor, CredentialActor, SecretText};
use base::{Count, CredentialId, DeviceId};
use bytes::Bytes;
use control::activation::Restore;
use control::{Permits, Rights};
use futures::{StreamExt as _, stream};
use std::fmt::Write as _;
use std::io;

const ANNA: &str = "anna@example.org";
const GOOD: &str = "correct horse battery";
const HEAD: &str = "email,device_id,device_id_type,device_name,replace_device,restore_data\n";

async fn csv(world: &World, rows: &str) -> Imported {
    import_csv(&world.app, &ADMIN, body(format!("{HEAD}{rows}").into_bytes())).await.expect("a good file")
}

/// What the audit log has of this subject: who, what, and the rest.
async fn written(world: &World, subject: impl ToString) -> Vec<String> {
    let mut tx = world.app.db.read().await.expect("readable");
    let (subject, rows) = (subject.to_string(), app::audit::list(&mut tx, 0).await.expect("readable"));
    let of_subject = rows.into_iter().filter(|row| row.subject == subject);
    of_subject.map(|row| format!("{} {}: {}", row.actor, row.action, row.detail)).collect()
}

async fn count(world: &World) -> usize {
    let (mut count, mut ask) = (0, world.all());
    loop {
        let page = page(&world.app, &ADMIN, &ask).await.expect("readable");
        count += page.items.len();
        match page.next {
            Some(next) => ask = PageAsk::new(Some(next), Some(1_000)).expect("our own cursor"),
            None => return count,
        }
    }
}

async fn installer(world: &World) -> SecretText {
    let wish = Wish { name: "installer".to_owned(), ..Wish::default() };
    make(&world.app, &ADMIN, &wish).await.expect("a good wish").text
}

async fn world() -> World {
    let world = World::quick().await;
    world.person(ANNA, Some(GOOD)).await;
    world
}

#[tokio::test]
async fn a_row_names_the_user_the_record_and_what_comes_back_and_is_used_once() {
    let world = world().await;
    let old = Machine::new(&world, "old").by_password(&world, ANNA, GOOD).bound().await;
    let rows =
        format!("Anna@example.org,sn-NEW,serial,,{},data\n{ANNA},SN-fresh,serial,Anna's new one,,\n", old.device);
    let imported = csv(&world, &rows).await;
    assert_eq!((imported.stored, imported.rejected.as_slice()), (Count(2), [].as_slice()));
    let text = installer(&world).await;
    let machine = Machine::new(&world, "new");
    let bound = machine.by_token(&world, &text).bound().await;
    assert_eq!((bound.device, bound.rights, bound.restore), (old.device, Rights::AppendOnly, Restore::Data));
    assert_eq!(machine.again(&world).by_token(&world, &text).refused().await, "user_unknown_to_token", "used up");
    let fresh = Machine::new(&world, "fresh").by_token(&world, &text).bound().await;
    assert_eq!(world.record(fresh.device).await.name, "Anna's new one");
    let again = csv(&world, &rows).await;
    assert_eq!((again.stored, again.unchanged), (Count(0), Count(2)), "what was used is not asked for twice");
}

#[tokio::test]
async fn the_audit_log_says_what_a_row_holds_what_it_held_and_what_it_was_used_for() {
    let world = world().await;
    let old = Machine::new(&world, "old").by_password(&world, ANNA, GOOD).bound().await.device;
    let user = world.record(old).await.user;
    csv(&world, &format!("{ANNA},SN-new,serial,,,\n")).await;
    let first = page(&world.app, &ADMIN, &world.all()).await.expect("readable").items.remove(0).0;
    let (id, permits) = (CredentialId::from_bytes([1; 16]), Permits::all());
    let other = CredentialActor {
        id,
        name: "import".to_owned(),
        prefix: "hfa1_ab".to_owned(),
        permits,
        source: None,
        mark: None,
    };
    let other = AdminActor::Credential(Box::new(other));
    let text = str::to_owned;
    let changed = RowText {
        email: text(ANNA),
        device_id: text("SN-new"),
        device_id_type: text("serial"),
        replace_device: old.to_string(),
        restore_data: text("data"),
        ..RowText::default()
    };
    import_rows(&world.app, &other, vec![changed.clone()]).await.expect("a good row");
    assert_eq!(import_rows(&world.app, &other, vec![changed]).await.expect("the same").unchanged, Count(1));
    let row = page(&world.app, &ADMIN, &world.all()).await.expect("readable").items.remove(0).0;
    assert_eq!((row.id, row.created_at), (first.id, first.created_at), "it is the same row");
    assert_eq!((first.created_by, row.created_by), (ADMIN.to_string(), other.to_string()), "who says what it says");
    let bound = Machine::new(&world, "new").by_token(&world, &installer(&world).await).bound().await;
    assert_eq!(bound.device, old);
    let activated = written(&world, old).await.pop().expect("an activation is written down");
    assert!(activated.contains(&format!("replaced by token_and_map, {}, epoch 2", row.id)), "{activated}");
    remove(&world.app, &ADMIN, row.id).await.expect("there");
    let value = row.value;
    let (before, after) =
        (format!("for {user}, as it is found, restore none"), format!("for {user}, as {old}, restore data"));
    assert_eq!(
        written(&world, row.id).await,
        [
            format!("{ADMIN} device_map_set: serial {value} {before}"),
            format!("{other} device_map_set: serial {value} {after}; before: serial {value} {before}"),
            format!("{ADMIN} device_map_remove: serial {value} {after}"),
        ]
    );
}

#[tokio::test]
async fn a_machine_is_found_by_serial_before_uuid_before_name() {
    let world = world().await;
    for user in ["uuid", "name", "serial"] {
        world.person(&format!("{user}@example.org"), None).await;
    }
    let machine = Machine::new(&world, "laptop");
    let uuid = &machine.about.hardware_uuid;
    let rows = format!(
        "name@example.org,LAPTOP.example.org,host_name,,,\nuuid@example.org,{{{uuid}}},uuid,,,\n\
         serial@example.org,sn-laptop,serial,,,\n"
    );
    assert_eq!(csv(&world, &rows).await.stored, Count(3));
    let text = installer(&world).await;
    for expected in ["serial@example.org", "uuid@example.org", "name@example.org"] {
        assert_eq!(machine.again(&world).by_token(&world, &text).bound().await.user, expected);
    }
}

#[tokio::test]
async fn bad_rows_come_back_with_their_reason_and_good_ones_stay() {
    let world = world().await;
    let laptop = Machine::new(&world, "twin").by_password(&world, ANNA, GOOD).bound().await;
    let second = Machine::new(&world, "twin");
    let adds = second.by_password(&world, ANNA, GOOD).choice(&second, control::activation::Choice::AddNew);
    adds.bound().await;
    let long = "x".repeat(513);
    let rows = format!(
        "nobody@example.org,S1,serial,,,\n{ANNA},,serial,,,\n{ANNA},None,serial,,,\n{ANNA},S2,mac,,,\n\
         {ANNA},S3,serial,,twin,\n{ANNA},S4,serial,,nothing,\n{ANNA},S5,serial,,,everything\n{ANNA},{long},serial,,,\n\
         =HYPERLINK(\"x\"),S6,serial,@name,,\n{ANNA},S7,serial,,{},all\n",
        laptop.device
    );
    let imported = csv(&world, &rows).await;
    assert_eq!(imported.stored, Count(1));
    let errors: Vec<(u64, &str)> = imported.rejected.iter().map(|row| (row.number, row.error.as_str())).collect();
    assert_eq!(errors.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert!(errors.iter().all(|(_, error)| error.ends_with('.')), "{errors:?}");
    let text = String::from_utf8(imported.rejected_csv()).expect("text");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 10);
    assert!(lines[9].starts_with("\"'=HYPERLINK(\"\"x\"\")\",S6,serial,'@name,,,There is no user"), "{}", lines[9]);
}

#[tokio::test]
async fn a_half_file_leaves_nothing_and_the_whole_one_twice_is_as_good_as_once() {
    let world = world().await;
    let mut text = HEAD.to_owned();
    for n in 0..1_300 {
        writeln!(text, "{ANNA},S{n:04},serial,,,").expect("memory takes it");
    }
    let half = Bytes::copy_from_slice(&text.as_bytes()[..text.len() - 200]);
    let broken = stream::iter([Ok(half)]).chain(stream::iter([Err(io::Error::other("the line is gone"))]));
    assert_eq!(code(import_csv(&world.app, &ADMIN, broken).await), "request_malformed");
    assert_eq!(count(&world).await, 0);
    for (stored, unchanged) in [(1_300, 0), (0, 1_300)] {
        let imported = import_csv(&world.app, &ADMIN, body(text.clone().into_bytes())).await.expect("whole");
        assert_eq!((imported.stored, imported.unchanged), (Count(stored), Count(unchanged)));
        assert_eq!(count(&world).await, 1_300);
    }
}

#[tokio::test]
async fn a_file_beyond_ten_mebibytes_is_refused_and_a_field_of_that_size_too() {
    let world = world().await;
    let piece = Bytes::from(vec![b'x'; 1 << 20]);
    let head = Bytes::from_static(HEAD.as_bytes());
    let whole = stream::iter([Ok(head.clone())]).chain(stream::repeat_with(move || Ok(piece.clone())).take(11));
    assert_eq!(code(import_csv(&world.app, &ADMIN, whole).await), "request_too_large");
    let piece = Bytes::from(vec![b'x'; 1 << 20]);
    let field = stream::iter([Ok(head)]).chain(stream::repeat_with(move || Ok(piece.clone())).take(9));
    let imported = import_csv(&world.app, &ADMIN, field).await.expect("a row that is rejected");
    assert_eq!((imported.rejected.len(), count(&world).await), (1, 0));
}

#[tokio::test]
async fn a_row_is_changed_by_a_later_one_and_removed_by_an_admin() {
    let world = world().await;
    world.person("ben@example.org", None).await;
    let row = |email: &str| RowText {
        email: email.to_owned(),
        device_id: "S1".to_owned(),
        device_id_type: "serial".to_owned(),
        ..RowText::default()
    };
    for email in [ANNA, "ben@example.org"] {
        let imported = import_rows(&world.app, &ADMIN, vec![row(email)]).await.expect("few");
        assert_eq!(imported.stored, Count(1));
    }
    let listed = page(&world.app, &ADMIN, &world.all()).await.expect("readable").items;
    let [(only, email)] = listed.as_slice() else { panic!("{listed:?}") };
    assert_eq!(email, "ben@example.org");
    remove(&world.app, &ADMIN, only.id).await.expect("it is there");
    assert_eq!(code(remove(&world.app, &ADMIN, only.id).await), "map_row_unknown");
    assert_eq!(count(&world).await, 0);
}

#[tokio::test]
async fn a_leaked_token_that_claims_a_mapped_serial_gets_append_only_and_the_owner_gets_it_back() {
    let world = world().await;
    let laptop = Machine::new(&world, "laptop");
    let real = laptop.by_password(&world, ANNA, GOOD).bound().await;
    csv(&world, &format!("{ANNA},SN-laptop,serial,,{},all\n", real.device)).await;
    let text = installer(&world).await;
    let thief = laptop.again(&world).by_token(&world, &text).bound().await;
    assert_eq!((thief.device, thief.rights, thief.snapshot), (real.device, Rights::AppendOnly, None));
    let back = laptop.again(&world).by_password(&world, ANNA, GOOD).bound().await;
    assert_eq!((back.device, back.rights, back.epoch), (real.device, Rights::Full, 3));
    assert_ne!(real.device, DeviceId::from_bytes([0; 16]));
}
