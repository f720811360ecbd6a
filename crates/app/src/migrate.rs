//! Migrate: takes an installation from one database and store to others, from one machine to many or back. Objects are
//! copied while the servers run, as often as one likes; the last pass, with the servers stopped, copies what is left
//! and the database, compares, and has the installation be there and no longer here.
//! Refuses to remove or change anything at the source but the word that says where the installation is, a target that
//! holds anything else, and to have two places that both serve. May be killed at any point and begun again.
//! What is durable before what: docs/ordering.md, 10; why so: docs/adr/0017-one-place-serves.md.

mod claim;
mod ends;
mod files;
mod flight;
mod objects;
mod pages;
mod tables;
mod take_back;
mod turn;

pub use ends::{Ends, Moves, Side};
pub use objects::Objects;
pub use tables::{NOT_MOVED, TableMoved};
pub use take_back::{take_back, take_back_alone};

use crate::{AppError, age, standing};
use base::{Bytes, Clock, Count, Entropy, Span};
use db::Standing;

/// What is done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Whether this is the last pass: the servers are stopped, and the installation is at the target afterwards.
    pub switch: bool,
    /// Whether every object at the target is read back and compared.
    pub verify: bool,
    /// How much is read and written in a second, at most.
    pub rate: Option<Bytes>,
}

/// How far a migrate is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is watched whether a server runs at the source, for so long still at most.
    Watches {
        /// How long.
        left: Span,
    },
    /// So many objects.
    Objects {
        /// Looked at.
        looked: Count,
        /// Bytes that were copied.
        copied: Bytes,
        /// Bytes that were read back.
        verified: Bytes,
    },
    /// So many rows of a table are at the target.
    Table {
        /// The table.
        name: String,
        /// Its rows.
        rows: Count,
    },
    /// So many rows of a table were compared.
    Compared {
        /// The table.
        name: String,
        /// Its rows.
        rows: Count,
    },
}

/// Who hears how far it is.
pub type Listener<'a> = dyn FnMut(Progress) + Send + 'a;

/// What was found and done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What there was to move.
    pub moves: Moves,
    /// From where, for a person: the database, the store.
    pub from: (String, String),
    /// And where to.
    pub to: (String, String),
    /// What became of the objects.
    pub objects: Objects,
    /// Every table that was moved; empty before the last pass, and where the database stays.
    pub tables: Vec<TableMoved>,
    /// Whether the installation is at the target now.
    pub switched: bool,
}

/// Takes what there is to take to the target.
///
/// # Errors
/// `target_taken`, `target_same`, `target_newer`, `servers_running`, `source_changed`, `target_differs`,
/// `migrate_overtaken`, `installation_moved`, `migrate_unfinished`; as `age::compare`; `store_full`,
/// `database_disk_full`; a database or a store that does not answer. After any of them the same migrate may be begun
/// again, and goes on.
pub async fn migrate(
    ends: &Ends,
    options: Options,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
    progress: &mut Listener<'_>,
) -> Result<Report, AppError> {
    let (source, target) = (&ends.source, &ends.target);
    let mut report = Report { moves: ends.moves, from: source.places(), to: target.places(), ..Report::default() };
    let row = source.row().await?;
    if row.moved.standing != Standing::Here {
        // All was compared before the source was left; what may be missing is the end.
        if !options.switch {
            return Err(standing::here_or_refuse(&row).expect_err("it is not here"));
        }
        turn::go_on(ends, &row, clock).await?;
        return Ok(Report { switched: true, ..report });
    }
    age::compare(&source.db, source.store.as_ref()).await?;
    if options.switch {
        turn::stopped_or_refuse(&source.db, clock, progress).await?;
    }
    let seen = turn::Seen::of(&source.db).await?;
    let claim = claim::make(ends, entropy).await?;
    files::carry(ends)?;
    if ends.moves.store {
        report.objects = objects::copy(ends, options, clock, progress).await?;
    }
    if !options.switch {
        return Ok(report);
    }
    if ends.moves.database {
        report.tables = tables::copy(ends, &claim, progress).await?;
    }
    turn::over(ends, &claim, &seen, clock).await?;
    Ok(Report { switched: true, ..report })
}
