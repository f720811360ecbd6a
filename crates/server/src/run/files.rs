//! How many files this process may have open: each connection is one. Refuses to fail: what the system does not allow
//! is said in one line, and fewer connections are taken.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Files that are open beside connections: the database, objects, logs.
const OTHERS: u64 = 128;

/// Raises the limit of this process as far as so many connections need, and gives how many it can have. Never fails.
pub(super) fn allow(connections: u64) -> u64 {
    let needed = connections.saturating_add(OTHERS);
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < needed) {
        let mut raised = limit;
        raised.current = Some(limit.maximum.map_or(needed, |most| most.min(needed)));
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!("the limit of open files could not be raised: {error}");
        }
    }
    let fits = getrlimit(Resource::Nofile).current.map_or(connections, |now| fitting(connections, now));
    if fits < connections {
        tracing::warn!(
            "connections_max is {connections}, and the system lets this process have {fits}: raise its limit of open \
             files (LimitNOFILE in a systemd unit, ulimit -n in a shell) to {needed}"
        );
    }
    fits
}

fn fitting(connections: u64, files: u64) -> u64 {
    connections.min(files.saturating_sub(OTHERS)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_the_other_files() {
        for (connections, files, fits) in [(1_000, 20_000, 1_000), (12_000, 1_024, 896), (10, 64, 1), (1, 0, 1)] {
            assert_eq!(fitting(connections, files), fits, "{connections} of {files}");
        }
    }
}
