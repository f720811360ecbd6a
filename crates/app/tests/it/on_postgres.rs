//! The same tests once more, on PostgreSQL: the same files, which find this constant and this world above them.

#[path = "backup.rs"]
mod backup;
#[path = "hostile.rs"]
mod hostile;
#[path = "restore.rs"]
mod restore;
#[path = "scrub.rs"]
mod scrub;
#[path = "world.rs"]
mod world;

const POSTGRES: bool = true;
