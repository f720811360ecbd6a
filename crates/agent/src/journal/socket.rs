//! Asks who watches, over the socket beside the state. Refuses to wait for long, and to fail: who gets no answer looks
//! at everything.

use super::wire::{REPLY_BYTES_MAX, Reply, Request};
use super::{Position, Told};
use format::StoredPath;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

const SOCKET_FILE: &str = "watch.sock";
/// A journal that is alive answers in milliseconds; one that has to begin with a walk of its own, in some seconds.
const ANSWER_SPAN_MAX: Duration = Duration::from_secs(60);

/// What the journal says of these folders since a position; `None` where nobody watches, or the answer is not
/// understood. Blocks. Never fails otherwise.
pub fn ask(dir: &Path, folders: &[StoredPath], since: Option<&Position>) -> Option<Told> {
    let told = try_ask(dir, &Request::new(folders, since));
    told.inspect_err(|error| tracing::debug!("no journal: {error}")).ok().flatten()
}

fn try_ask(dir: &Path, request: &Request) -> io::Result<Option<Told>> {
    let beside = open_beside(dir)?;
    let mut stream = UnixStream::connect(socket_path(&beside))?;
    stream.set_read_timeout(Some(ANSWER_SPAN_MAX))?;
    stream.set_write_timeout(Some(ANSWER_SPAN_MAX))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut reply = Vec::new();
    BufReader::new(stream.take(REPLY_BYTES_MAX)).read_until(b'\n', &mut reply)?;
    Ok(serde_json::from_slice::<Reply>(&reply)?.read())
}

/// The directory of the state, open: a socket's name must be short, and a state's path may be long.
pub(super) fn open_beside(dir: &Path) -> io::Result<rustix::fd::OwnedFd> {
    use rustix::fs::{Mode, OFlags, open};
    Ok(open(dir, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// The socket's path by way of the open directory.
pub(super) fn socket_path(beside: &impl std::os::fd::AsRawFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{SOCKET_FILE}", beside.as_raw_fd()))
}
