//! The same tests once more, on PostgreSQL: the same files, which find this constant and this world above them.

#[path = "audit.rs"]
mod audit;
#[path = "backup.rs"]
mod backup;
#[path = "campaign_end.rs"]
mod campaign_end;
#[path = "credentials.rs"]
mod credentials;
#[allow(dead_code, reason = "not every test runs here")]
#[path = "fake_mailer.rs"]
mod fake_mailer;
#[path = "hostile.rs"]
mod hostile;
#[path = "idempotency.rs"]
mod idempotency;
#[path = "merged.rs"]
mod merged;
#[path = "model/mod.rs"]
mod model;
#[path = "policy.rs"]
mod policy;
#[path = "purge.rs"]
mod purge;
#[path = "quota.rs"]
mod quota;
#[path = "restore.rs"]
mod restore;
#[path = "scrub.rs"]
mod scrub;
#[path = "support.rs"]
mod support;
#[path = "told.rs"]
mod told;
#[path = "told_campaign.rs"]
mod told_campaign;
#[allow(dead_code, reason = "not every test runs here")]
#[path = "world.rs"]
mod world;

const POSTGRES: bool = true;
