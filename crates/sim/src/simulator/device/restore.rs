//! A simulated device restores, and what comes back is compared with what was there. Refuses to take an error of the
//! day for damage: nobody gets wrong bytes, and once the days are quiet everybody gets all of them.

use super::super::target::Place;
use super::super::world::World;
use super::{Device, Line, plain};
use app::runs::Purpose;
use app::snapshots::SnapshotView;
use base::SnapshotId;
use control::access::Verb;
use engine::RemoteError;
use engine::restore::{Plan, Selection};
use format::NamingKey;
use std::sync::Arc;

impl Device {
    /// Restores one of the snapshots that it sees, if it sees any. Never fails: what it may not, it may not.
    pub(super) async fn restore_any(&self, world: &Arc<World>) {
        let Ok(line) = Line::open(world, self).await else { return };
        let Ok(snapshots) = line.snapshots().await else { return };
        let Some(snapshot) = world.dice.pick(&snapshots) else { return };
        if let Err(error) = self.restore(world, &line, snapshot).await {
            self.judge(world, &error);
        }
    }

    /// Restores every snapshot that it sees, and gives their names.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub(in super::super) async fn restore_all(&self, world: &Arc<World>) -> Result<Vec<SnapshotId>, RemoteError> {
        let line = Line::open(world, self).await?;
        let snapshots = line.snapshots().await?;
        for snapshot in &snapshots {
            self.restore(world, &line, snapshot).await?;
        }
        Ok(snapshots.iter().map(|snapshot| snapshot.id).collect())
    }

    async fn restore(&self, world: &Arc<World>, line: &Line, view: &SnapshotView) -> Result<(), RemoteError> {
        let Some(root) = view.root else { return Ok(()) };
        let Some(made) = world.oracle.made(view.id) else {
            world.broken(format_args!("nobody has made {}", view.id));
            return Ok(());
        };
        let begun = line.begin(self.bytes(), Purpose::Restore { snapshot: view.id }, Verb::ReadAppended).await?;
        let plan = Plan {
            root,
            naming: NamingKey::new(&begun.naming_key),
            selection: Selection::Everything,
            refs_max: begun.limits.refs.0 as usize,
        };
        let (place, cache) = (Place::default(), Arc::new(super::Cache::default()));
        let remote = Arc::new(line.remote(begun.run, view.id, made.folder.clone()));
        let target = Arc::new(place.clone());
        let run = engine::restore::run(&self.ctx(), &plan, Arc::clone(&remote) as _, cache, target).await;
        remote.abort().await;
        let outcome = run.map_err(plain)?;
        if let Some(problem) = outcome.problems.first() {
            world.broken(format_args!("{} lacks {}: {}", view.id, problem.path, problem.code));
        } else if let Some(how) = place.differs(&made.folder) {
            world.broken(format_args!("{} is not what was backed up: {how}", view.id));
        } else {
            world.oracle.count(|figures| figures.restored += 1);
            world.say(format_args!("device {} has restored {}", self.number, view.id));
        }
        Ok(())
    }
}
