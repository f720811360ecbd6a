//! The audit log: whoever changes, removes, swaps or cuts off rows is found, and the number of the row is named.

use super::world::World;
use app::AdminActor;
use app::audit::{self, Broken, Deed, Fault, Verified};
use app::page::PageAsk;
use base::{Clock as _, Timestamp};
use db::AuditRow;
use db::testing::execute;

async fn world_with_rows() -> World {
    let world = World::new().await;
    // The first row is of the profile that every organisation begins with.
    for n in 2..=5 {
        let mut tx = world.app.db.write().await.expect("nobody else writes");
        let subject = format!("thing {n}");
        let deed = Deed { action: "thing_do", subject, proof: "old_key".to_owned(), ..Deed::by(&AdminActor::Command) };
        audit::write(&mut tx, world.clock.now(), deed).await.expect("writable");
        tx.commit().await.expect("nothing stands against it");
    }
    world
}

async fn verified(world: &World, noted: Option<(u64, [u8; 32])>) -> Verified {
    audit::verify(&world.app, &AdminActor::Command, noted).await.expect("readable")
}

async fn rows(world: &World) -> Vec<AuditRow> {
    let mut tx = world.app.db.read().await.expect("readable");
    audit::list(&mut tx, 0).await.expect("readable")
}

#[tokio::test]
async fn a_chain_that_nobody_touched_holds_and_its_head_can_be_noted() {
    let world = world_with_rows().await;
    let all = rows(&world).await;
    assert!(all[1..].iter().all(|row| row.version == 2 && row.source == "command line" && row.proof == "old_key"));
    let whole = verified(&world, None).await;
    assert_eq!((whole.rows, whole.broken, whole.head), (5, None, all[4].hash));
    assert_eq!(verified(&world, Some((3, all[2].hash))).await.broken, None);
    let other = verified(&world, Some((3, [0; 32]))).await;
    assert_eq!(other.broken, Some(Broken { seq: 3, fault: Fault::NotAsNoted }));
    let longer = verified(&world, Some((9, [0; 32]))).await;
    assert_eq!(longer.broken, Some(Broken { seq: 6, fault: Fault::CutOff }));
}

#[tokio::test]
async fn every_way_to_change_the_log_is_found_at_its_row() {
    let cases: [(&[&str], u64, Fault); 10] = [
        (&["update audit set detail = 'another' where seq = 3"], 3, Fault::Changed),
        (&["update audit set actor = 'nobody' where seq = 1"], 1, Fault::Changed),
        (&["update audit set source = '192.0.2.1' where seq = 4"], 4, Fault::Changed),
        (&["update audit set proof = 'password' where seq = 5"], 5, Fault::Changed),
        (&["update audit set version = 1, source = '', proof = '' where seq = 2"], 2, Fault::Changed),
        (&["update audit set at = at + 1 where seq = 2"], 2, Fault::Changed),
        (&["delete from audit where seq = 3"], 3, Fault::Missing),
        (
            &[
                "update audit set seq = 99 where seq = 2",
                "update audit set seq = 2 where seq = 3",
                "update audit set seq = 3 where seq = 99",
            ],
            2,
            Fault::Changed,
        ),
        (&["delete from audit where seq > 3"], 4, Fault::CutOff),
        (&["delete from audit where seq > 3", "delete from audit_head"], 3, Fault::NotAsNoted),
    ];
    for (statements, seq, fault) in cases {
        let world = world_with_rows().await;
        let mut tx = world.app.db.write().await.expect("nobody else writes");
        for statement in statements {
            assert!(execute(&mut tx, statement).await > 0, "{statement}");
        }
        tx.commit().await.expect("nothing stands against it");
        let found = verified(&world, None).await;
        assert_eq!(found.broken, Some(Broken { seq, fault }), "{statements:?}");
        assert!(found.rows < 5 || fault == Fault::NotAsNoted, "{statements:?}");
    }
}

#[tokio::test]
async fn rows_of_an_older_release_still_follow_each_other() {
    let world = World::new().await;
    let mut before = [0; 32];
    let mut tx = world.app.db.write().await.expect("nobody else writes");
    for statement in ["delete from audit", "delete from audit_head"] {
        assert!(execute(&mut tx, statement).await > 0, "{statement}");
    }
    for seq in 1..=2_u64 {
        let mut row = AuditRow {
            seq,
            at: Timestamp::from_ms(5),
            actor: "admin command".to_owned(),
            action: "user_add".to_owned(),
            subject: "a@b".to_owned(),
            detail: String::new(),
            source: String::new(),
            proof: String::new(),
            version: 1,
            hash: [0; 32],
        };
        let mut hasher = blake3::Hasher::new_derive_key("holdfast 2026 v1 audit row");
        hasher.update(&before).update(&seq.to_le_bytes()).update(&5_i64.to_le_bytes());
        for text in [&row.actor, &row.action, &row.subject, &row.detail] {
            hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
        }
        row.hash = *hasher.finalize().as_bytes();
        before = row.hash;
        db::audit_insert(&mut tx, &row).await.expect("new");
    }
    // Rows of version 1 were written without that.
    db::testing::execute(&mut tx, "delete from audit_head").await;
    tx.commit().await.expect("nothing stands against it");
    assert_eq!(verified(&world, None).await.broken, None);
    let mut tx = world.app.db.write().await.expect("nobody else writes");
    let deed = Deed { action: "thing_do", subject: "thing".to_owned(), ..Deed::by(&AdminActor::Command) };
    audit::write(&mut tx, world.clock.now(), deed).await.expect("writable");
    tx.commit().await.expect("nothing stands against it");
    let whole = verified(&world, None).await;
    assert_eq!((whole.rows, whole.broken), (3, None), "the new row goes on from the old ones");
}

#[tokio::test]
async fn rows_are_listed_newest_first_page_by_page_and_filtered() {
    let world = world_with_rows().await;
    let page = async |filter: audit::AuditFilter<'_>, after: Option<String>| {
        let ask = PageAsk::new(after, Some(2)).expect("a good page");
        let page = audit::page(&world.app, &AdminActor::Command, &filter, &ask).await.expect("readable");
        (page.items.into_iter().map(|row| row.seq).collect::<Vec<_>>(), page.next)
    };
    let (first, next) = page(audit::AuditFilter::default(), None).await;
    let (second, next) = page(audit::AuditFilter::default(), next).await;
    let (third, end) = page(audit::AuditFilter::default(), next).await;
    assert_eq!((first, second, third, end), (vec![5, 4], vec![3, 2], vec![1], None));
    let one = audit::AuditFilter { subject: Some("thing 2"), ..Default::default() };
    assert_eq!(page(one, None).await, (vec![2], None));
}
