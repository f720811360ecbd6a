//! `holdfast watch`: keeps the journal for as long as it runs, and answers who asks beside the state.
//! Refuses questions of another user, and to run twice.

#[cfg(target_os = "linux")]
use super::fanotify::Fanotify;
#[cfg(target_os = "macos")]
use super::fsevents::FsEvents;
#[cfg(target_os = "linux")]
use super::inotify::Inotify;
use super::socket::{open_beside, socket_path};
#[cfg(windows)]
use super::usn::Usn;
use super::wire::{REQUEST_BYTES_MAX, Reply, Request};
use super::{Journal, Means};
use crate::error::AgentError;
use crate::state::StateDir;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::Errno;
use std::convert::Infallible;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

const LOCK_FILE: &str = "watch.lock";
/// How long what the system says is left to gather: equal events become one, and this process sleeps meanwhile.
const GATHER_NANOS: i64 = 20_000_000;
/// Who has asked, and then says nothing, is in the way of others for so long.
const QUESTION_SPAN_MAX: Duration = Duration::from_secs(5);

/// Who watches, and why not better.
#[derive(Clone, Debug)]
pub struct Watching {
    /// By which means.
    pub by: &'static str,
    /// Why whole file systems are not watched, where they are not.
    pub instead_of: Option<String>,
}

/// Watches until the process is ended. `said` is called when it has begun.
///
/// # Errors
/// `watch_impossible`, `state_busy` where another one watches; the state cannot be used.
pub fn watch(dir: &StateDir, means: &Means, said: impl FnOnce(&Watching)) -> Result<Infallible, AgentError> {
    let _lock = dir.lock(LOCK_FILE, "a watch")?;
    let (mut journal, instead_of) = open(means).map_err(AgentError::file("watching", dir.path()))?;
    let listener = listen(dir).map_err(AgentError::file("listening in", dir.path()))?;
    said(&Watching { by: journal.name(), instead_of });
    serve(&listener, &mut *journal).map_err(AgentError::file("watching for", dir.path()))
}

/// The best journal that this system has for this process, and why it is not a better one.
#[cfg(target_os = "linux")]
fn open(means: &Means) -> io::Result<(Box<dyn Journal>, Option<String>)> {
    match Fanotify::open(means) {
        Ok(journal) => Ok((Box::new(journal), None)),
        Err(error) => Ok((Box::new(Inotify::open(means)?), Some(error.to_string()))),
    }
}

/// The journal that this system keeps.
#[cfg(windows)]
fn open(means: &Means) -> io::Result<(Box<dyn Journal>, Option<String>)> {
    Ok((Box::new(Usn::open(means)), None))
}

/// The journal that this system keeps.
#[cfg(target_os = "macos")]
fn open(means: &Means) -> io::Result<(Box<dyn Journal>, Option<String>)> {
    Ok((Box::new(FsEvents::open(means)), None))
}

fn listen(dir: &StateDir) -> io::Result<UnixListener> {
    let beside = open_beside(dir.path())?;
    let path = socket_path(&beside);
    // ORDER: after the lock: whose it was is gone.
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    UnixListener::bind(&path)
}

fn serve(listener: &UnixListener, journal: &mut dyn Journal) -> io::Result<Infallible> {
    loop {
        let handles: Vec<BorrowedFd<'_>> = [listener.as_fd()].into_iter().chain(journal.handle()).collect();
        if wait(&handles, None)?[0] {
            answer(listener, journal)?;
        } else {
            journal.take_in()?;
            // ORDER: only who asks may wake it early.
            if wait(&[listener.as_fd()], Some(&Timespec { tv_sec: 0, tv_nsec: GATHER_NANOS }))?[0] {
                answer(listener, journal)?;
            }
        }
    }
}

/// Which of the handles are readable.
fn wait(handles: &[BorrowedFd<'_>], most: Option<&Timespec>) -> io::Result<Vec<bool>> {
    let mut fds: Vec<PollFd<'_>> =
        handles.iter().map(|handle| PollFd::from_borrowed_fd(*handle, PollFlags::IN)).collect();
    match poll(&mut fds, most) {
        Ok(_) | Err(Errno::INTR) => Ok(fds.iter().map(|fd| !fd.revents().is_empty()).collect()),
        Err(error) => Err(error.into()),
    }
}

/// One question and its answer. Who asks badly, or hangs up, is no reason to stop.
fn answer(listener: &UnixListener, journal: &mut dyn Journal) -> io::Result<()> {
    let Ok((stream, _)) = listener.accept() else { return Ok(()) };
    let Some((folders, since)) = question(&stream).inspect_err(refused).ok().flatten() else { return Ok(()) };
    let told = journal.look(&folders, since.as_ref())?;
    let _ = send(stream, &Reply::from(told)).inspect_err(refused);
    Ok(())
}

fn refused(error: &io::Error) {
    tracing::debug!("a question is not answered: {error}");
}

type Question = (Vec<format::StoredPath>, Option<super::Position>);

fn question(stream: &UnixStream) -> io::Result<Option<Question>> {
    let peer = rustix::net::sockopt::socket_peercred(stream)?;
    if !peer.uid.is_root() && peer.uid != rustix::process::geteuid() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "another user asks"));
    }
    stream.set_read_timeout(Some(QUESTION_SPAN_MAX))?;
    stream.set_write_timeout(Some(QUESTION_SPAN_MAX))?;
    let mut line = Vec::new();
    BufReader::new(stream.take(REQUEST_BYTES_MAX)).read_until(b'\n', &mut line)?;
    Ok(serde_json::from_slice::<Request>(&line)?.read())
}

fn send(mut stream: UnixStream, reply: &Reply) -> io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    stream.write_all(&line)
}
