//! A line between a server and its PostgreSQL, which a test cuts where it says, and on which it counts.
//! Refuses to know more of the protocol than where a statement begins.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

/// Where the line is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The word `commit` never reaches the database.
    BeforeCommit,
    /// It does, and the answer never comes back.
    AfterCommit,
}

/// The line.
pub struct Between {
    url: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
    _dir: TempDir,
}

#[derive(Default)]
struct Shared {
    /// How many commits of writers go through before the one at which the line is cut, once.
    armed: Mutex<Option<(Cut, u32)>>,
    statements: AtomicU64,
}

/// What a client says before it writes, and to end that.
const WRITES: &[u8] = b"begin isolation level read committed\0";
const COMMIT: &[u8] = b"commit\0";
const ROLLBACK: &[u8] = b"rollback\0";
/// The file of a socket in its directory.
const SOCKET: &str = ".s.PGSQL.5432";

impl Between {
    /// A line to the database at this address, which names the directory of a socket.
    pub fn to(url: &str) -> Self {
        let (before, rest) = url.split_once("host=").expect("a database of the tests is on a local socket");
        let (folder, after) = rest.split_once('&').expect("and says more");
        let target = std::path::Path::new(folder).join(SOCKET);
        let dir = tempfile::tempdir_in("/tmp").expect("/tmp can be written");
        let listener = UnixListener::bind(dir.path().join(SOCKET)).expect("nobody else is there");
        let url = format!("{before}host={}&{after}", dir.path().display());
        let shared = Arc::new(Shared::default());
        let its_shared = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (shared, target) = (Arc::clone(&its_shared), target.clone());
                tokio::spawn(async move {
                    if let Ok(server) = UnixStream::connect(target).await {
                        // However it ends, both ends are closed.
                        let _broken = carry(client, server, &shared).await.is_err();
                    }
                });
            }
        });
        Self { url, shared, task, _dir: dir }
    }

    /// The address of this end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Cuts the line once, at the commit of a writer after so many others.
    pub fn cut(&self, cut: Cut, after: u32) {
        *self.shared.armed.lock().expect("no test panics with it") = Some((cut, after));
    }

    /// Whether a cut is still to come.
    pub fn is_armed(&self) -> bool {
        self.shared.armed.lock().expect("no test panics with it").is_some()
    }

    /// Leaves the line whole from now on.
    pub fn mend(&self) {
        *self.shared.armed.lock().expect("no test panics with it") = None;
    }

    /// How many statements have passed.
    pub fn statements(&self) -> u64 {
        self.shared.statements.load(Ordering::SeqCst)
    }
}

impl Drop for Between {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    /// Whether the line is cut at this commit.
    fn cut_now(&self) -> Option<Cut> {
        let mut armed = self.armed.lock().expect("no test panics with it");
        match armed.take() {
            Some((cut, 0)) => Some(cut),
            Some((cut, left)) => {
                *armed = Some((cut, left - 1));
                None
            }
            None => None,
        }
    }
}

async fn carry(mut client: UnixStream, mut server: UnixStream, shared: &Shared) -> io::Result<()> {
    let (mut said, mut answered) = (Vec::new(), vec![0; 64 << 10]);
    // The first message has no kind.
    let (mut is_first, mut writes) = (true, false);
    loop {
        while let Some(message) = message(&mut said, is_first) {
            let (kind, text) = if is_first { (0, &[][..]) } else { (message[0], &message[5..]) };
            is_first = false;
            if matches!(kind, b'Q' | b'E') {
                shared.statements.fetch_add(1, Ordering::SeqCst);
            }
            if kind == b'Q' {
                let cut = (writes && text.eq_ignore_ascii_case(COMMIT)).then(|| shared.cut_now()).flatten();
                writes = text.eq_ignore_ascii_case(WRITES) || (writes && cut.is_none() && !ends(text));
                match cut {
                    Some(Cut::BeforeCommit) => return Ok(()),
                    Some(Cut::AfterCommit) => {
                        server.write_all(&message).await?;
                        server.read_exact(&mut answered[..5]).await?;
                        assert_eq!(answered[0], b'C', "the commit is done");
                        return Ok(());
                    }
                    None => {}
                }
            }
            server.write_all(&message).await?;
        }
        tokio::select! {
            read = client.read_buf(&mut said) => {
                if read? == 0 {
                    return Ok(());
                }
            }
            read = server.read(&mut answered) => {
                let read = read?;
                if read == 0 {
                    return Ok(());
                }
                client.write_all(&answered[..read]).await?;
            }
        }
    }
}

/// Whether a statement ends a transaction.
fn ends(text: &[u8]) -> bool {
    text.eq_ignore_ascii_case(COMMIT) || text.eq_ignore_ascii_case(ROLLBACK)
}

/// Takes the next whole message off.
fn message(said: &mut Vec<u8>, is_first: bool) -> Option<Vec<u8>> {
    let kind = usize::from(!is_first);
    let len = said.get(kind..kind + 4)?.try_into().map(u32::from_be_bytes).expect("four bytes");
    let whole = kind + len as usize;
    (said.len() >= whole).then(|| said.drain(..whole).collect())
}
