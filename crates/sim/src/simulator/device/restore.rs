//! A simulated device restores, and what comes back is compared with what was there. Refuses to take an error of the
//! day for damage: nobody gets wrong bytes, and once the days are quiet everybody gets all of them.

use super::super::admin;
use super::super::target::Place;
use super::super::world::World;
use super::{Device, Kept, Line, plain};
use app::runs::Purpose;
use base::SnapshotId;
use control::access::Verb;
use engine::RemoteError;
use engine::restore::{Plan, Selection};
use format::{ChunkRef, NamingKey};
use std::sync::Arc;

impl Device {
    /// Restores a snapshot that it sees, if it sees any; or, with what is left of former days, one that it might not be
    /// shown. Never fails: what it may not, it may not.
    pub(super) async fn restore_any(&self, world: &Arc<World>) {
        let Ok(line) = Line::open(world, self).await else { return };
        let former = self.disk().former.filter(|_| world.dice.once_in(2));
        let chosen = match former {
            Some(Kept { snapshot, root, .. }) => Some((snapshot, root)),
            None => {
                let Ok(snapshots) = line.snapshots().await else { return };
                world.dice.pick(&snapshots).and_then(|view| Some((view.id, view.root?)))
            }
        };
        let Some((snapshot, root)) = chosen else { return };
        if let Err(error) = self.restore(world, &line, snapshot, root).await {
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
            match snapshot.root {
                Some(root) => self.restore(world, &line, snapshot.id, root).await?,
                None => world.broken(format_args!("{} is not shown to its own device", snapshot.id)),
            }
        }
        Ok(snapshots.iter().map(|snapshot| snapshot.id).collect())
    }

    async fn restore(
        &self,
        world: &Arc<World>,
        line: &Line,
        snapshot: SnapshotId,
        root: ChunkRef,
    ) -> Result<(), RemoteError> {
        let Some(made) = world.oracle.made(snapshot) else {
            world.broken(format_args!("nobody has made {snapshot}"));
            return Ok(());
        };
        let is_closed = world.oracle.is_closed_to(line.bound.device, line.bound.epoch, &made);
        let begun = line.begin(self.bytes(), Purpose::Restore { snapshot }, Verb::ReadAppended).await?;
        let plan = Plan {
            root,
            naming: NamingKey::new(&begun.naming_key),
            selection: Selection::Everything,
            refs_max: begun.limits.refs.0 as usize,
        };
        let (place, cache) = (Place::default(), Arc::new(super::Cache::default()));
        let remote = Arc::new(line.remote(begun.run, snapshot, made.folder.clone()));
        let (ctx, target) = (self.ctx(), Arc::new(place.clone()));
        let run = engine::restore::run(&ctx, &plan, Arc::clone(&remote) as _, cache, target).await;
        remote.abort().await;
        let outcome = run.map_err(plain)?;
        if is_closed && world.oracle.is_closed_to(line.bound.device, line.bound.epoch, &made) {
            admin::say_why(world, line.bound.device).await;
            world.broken(format_args!("{} has read {snapshot}, which it may not", line.bound.device));
        } else if let Some(problem) = outcome.problems.first() {
            world.broken(format_args!("{snapshot} lacks {}: {}", problem.path, problem.code));
        } else if let Some(how) = place.differs(&made.folder) {
            world.broken(format_args!("{snapshot} is not what was backed up: {how}"));
        } else {
            world.oracle.count(|figures| figures.restored += 1);
            world.say(format_args!("device {} has restored {snapshot}", self.number));
        }
        Ok(())
    }
}
