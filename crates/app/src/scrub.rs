//! Scrub: walks the whole repository and compares every byte with what it must be.
//! Refuses to mend: it marks damaged packs, so that devices send their chunks again, and names the snapshots that
//! are hurt. Runs beside backups; what they add meanwhile is looked at next time.

mod named;
mod objects;
mod packs;
pub(crate) mod sample;
mod trees;

pub(crate) use named::{strays, unnamed};
pub(crate) use packs::{is_going, rows_differ, run_key, table, table_of};

use crate::{AdminActor, App, AppError};
use base::{Bytes, Count, SnapshotId};
use control::Permit;
use format::StoredPath;
use std::collections::HashSet;

/// The most problems, and the most orphans, that a report lists; all are counted.
pub const LISTED_MAX: usize = 10_000;

/// How deep to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Read every object whole. Without it, only sizes, tables of packs, manifests and trees are looked at.
    pub read_data: bool,
}

/// How far a scrub is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many packs of about so many.
    Packs {
        /// Looked at.
        done: Count,
        /// Known when the scrub began.
        total: Count,
        /// What was read of them.
        bytes: Bytes,
    },
    /// So many snapshots.
    Snapshots {
        /// Looked at.
        done: Count,
    },
    /// So many objects of the store.
    Objects {
        /// Looked at.
        done: Count,
    },
}

/// What a scrub found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Packs looked at.
    pub packs: Count,
    /// Chunks in them.
    pub chunks: Count,
    /// Bytes of them that were read.
    pub bytes: Bytes,
    /// Snapshots looked at.
    pub snapshots: Count,
    /// How many problems there are.
    pub problems_total: Count,
    /// The problems, at most `LISTED_MAX`.
    pub problems: Vec<Problem>,
    /// Snapshots of which something cannot be restored, newest first.
    pub snapshots_hurt: Vec<SnapshotId>,
    /// Files and folders of these of which something is lost, at most `LISTED_MAX`.
    pub files_hurt: Vec<(SnapshotId, StoredPath)>,
    /// There are more than are listed.
    pub files_hurt_more: bool,
    /// How many objects nothing names. They take up room and do no harm.
    pub orphans_total: Count,
    /// Their names, at most `LISTED_MAX`.
    pub orphans: Vec<String>,
}

/// One thing that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What kind of thing.
    pub code: ProblemCode,
    /// The object or snapshot.
    pub subject: String,
    /// What is wrong with it, as a sentence.
    pub sentence: String,
}

/// The kinds of problems. The words are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProblemCode {
    /// An object that a row names is not in the store.
    ObjectMissing,
    /// A pack is not the bytes that it was.
    PackDamaged,
    /// The index does not say of a pack what the pack says of itself.
    IndexDiffers,
    /// The manifest of a snapshot is not there, or not the bytes that it was.
    ManifestDamaged,
    /// Something that a snapshot needs is missing or damaged.
    SnapshotHurt,
}

impl ProblemCode {
    /// The stable word, snake_case. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            ProblemCode::ObjectMissing => "object_missing",
            ProblemCode::PackDamaged => "pack_damaged",
            ProblemCode::IndexDiffers => "index_differs",
            ProblemCode::ManifestDamaged => "manifest_damaged",
            ProblemCode::SnapshotHurt => "snapshot_hurt",
        }
    }
}

/// Looks at everything. Problems are no errors: they are in the report.
///
/// # Errors
/// `not_permitted`; a database or a store that does not answer.
pub async fn scrub(
    app: &App,
    actor: &AdminActor,
    options: Options,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Report, AppError> {
    actor.need(Permit::RepositoryScrub)?;
    app.plane.frames.clear();
    let mut report = Report::default();
    let mut bad: BadFrames = HashSet::new();
    packs::scrub(app, options, progress, &mut report, &mut bad).await?;
    trees::scrub(app, progress, &mut report, &bad).await?;
    objects::scrub(app, progress, &mut report).await?;
    tracing::info!(
        pack.count = report.packs.0,
        snapshot.count = report.snapshots.0,
        problem.count = report.problems_total.0,
        "scrub looked at {} packs and {} snapshots and found {} problems",
        report.packs,
        report.snapshots,
        report.problems_total
    );
    Ok(report)
}

/// Reads the next `percent` (1 to 100) of all packs whole, and looks at nothing else: so many samples as that goes into
/// 100 have read everything. What they find is marked as `scrub` marks it.
///
/// # Errors
/// As `scrub`; `sample_invalid`.
pub async fn sample(
    app: &App,
    actor: &AdminActor,
    percent: u8,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Report, AppError> {
    actor.need(Permit::RepositoryScrub)?;
    if !(1..=100).contains(&percent) {
        return Err(AppError::invalid("sample_invalid", "A sample is from 1 to 100 percent of the packs."));
    }
    let mut report = Report::default();
    sample::scrub(app, percent, progress, &mut report).await?;
    Ok(report)
}

/// Frames that do not open, by pack and number.
type BadFrames = HashSet<(i64, u32)>;

impl Report {
    /// Whether everything is as it must be. Never fails.
    pub fn is_clean(&self) -> bool {
        self.problems_total == Count(0)
    }

    fn add(&mut self, problem: Problem) {
        self.problems_total += Count(1);
        if self.problems.len() < LISTED_MAX {
            self.problems.push(problem);
        }
    }

    fn add_orphan(&mut self, name: String) {
        self.orphans_total += Count(1);
        if self.orphans.len() < LISTED_MAX {
            self.orphans.push(name);
        }
    }
}
