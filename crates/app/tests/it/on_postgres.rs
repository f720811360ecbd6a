//! The same tests once more, on PostgreSQL: the same files, which find this constant and this world above them.
//! Refuses a file that names a world by its full path, which is the one on SQLite.

#[path = "audit.rs"]
mod audit;
#[path = "backup.rs"]
mod backup;
#[path = "bucket.rs"]
mod bucket;
#[path = "campaign_end.rs"]
mod campaign_end;
#[path = "collect.rs"]
mod collect;
#[path = "copies.rs"]
mod copies;
#[path = "credentials.rs"]
mod credentials;
#[path = "decisions.rs"]
mod decisions;
#[path = "desk.rs"]
mod desk;
#[path = "device_map.rs"]
mod device_map;
#[allow(dead_code, reason = "not every test runs here")]
#[path = "fake_mailer.rs"]
mod fake_mailer;
#[path = "fleet.rs"]
mod fleet;
#[path = "hostile.rs"]
mod hostile;
#[path = "idempotency.rs"]
mod idempotency;
#[path = "identity.rs"]
mod identity;
#[allow(dead_code, reason = "not every test runs here")]
#[path = "machine.rs"]
mod machine;
#[path = "mail.rs"]
mod mail;
#[path = "merged.rs"]
mod merged;
#[path = "model/mod.rs"]
mod model;
#[path = "password.rs"]
mod password;
#[path = "policy.rs"]
mod policy;
#[path = "purge.rs"]
mod purge;
#[path = "quota.rs"]
mod quota;
#[path = "recovery.rs"]
mod recovery;
#[path = "restore.rs"]
mod restore;
#[path = "retention.rs"]
mod retention;
#[path = "scrub.rs"]
mod scrub;
#[path = "storage.rs"]
mod storage;
#[path = "storage_model.rs"]
mod storage_model;
#[path = "support.rs"]
mod support;
#[path = "ticket.rs"]
mod ticket;
#[path = "token.rs"]
mod token;
#[path = "told.rs"]
mod told;
#[path = "told_campaign.rs"]
mod told_campaign;
#[path = "twice.rs"]
mod twice;
#[allow(dead_code, reason = "not every test runs here")]
#[path = "world.rs"]
mod world;

const POSTGRES: bool = true;

#[test]
fn every_file_finds_its_world_above_it_and_none_goes_back_to_the_other_database() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let named = include_str!("on_postgres.rs").lines().filter_map(|line| line.strip_prefix("#[path = \""));
    let names: Vec<&str> = named.filter_map(|rest| rest.strip_suffix("\"]")).collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        let text = std::fs::read_to_string(folder.join(name)).expect("it is compiled above");
        assert!(!text.contains("crate::"), "{name} names something from the root, where everything is on SQLite");
    }
}
