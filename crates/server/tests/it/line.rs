//! The line between one server and PostgreSQL, which a test stops: cut, as by a cable that is pulled at the database's
//! side, or dead, so that what is sent on it arrives nowhere and nobody is told. Refuses to lose a byte on a line that
//! is not cut: what was held back goes on when it works again.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The file of a socket in its directory.
const SOCKET: &str = ".s.PGSQL.5432";

/// The line.
pub struct Line {
    url: String,
    target: PathBuf,
    dir: TempDir,
    flow: watch::Sender<Flow>,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

/// What becomes of what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Works,
    Dead,
    Cut,
}

impl Line {
    /// A line that works, to the database at this address, which names the directory of a socket.
    pub fn to(url: &str) -> Line {
        let (before, rest) = url.split_once("host=").expect("a database of the tests is on a local socket");
        let (folder, after) = rest.split_once('&').expect("and says more");
        let target = Path::new(folder).join(SOCKET);
        // Not where TMPDIR says: the path of a socket has at most 107 bytes.
        let dir = tempfile::tempdir_in("/tmp").expect("/tmp can be written");
        let url = format!("{before}host={}&{after}", dir.path().display());
        let (flow, _) = watch::channel(Flow::Works);
        let line = Line { url, target, dir, flow, accepting: Mutex::default() };
        line.mend();
        line
    }

    /// The address of this end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// From now on nothing arrives, and nobody is told.
    pub fn die(&self) {
        self.flow.send_replace(Flow::Dead);
    }

    /// Ends every connection, and lets no other come about.
    pub fn cut(&self) {
        if let Some(accepting) = self.accepting.lock().expect("no test panics with it").take() {
            accepting.abort();
        }
        self.flow.send_replace(Flow::Cut);
    }

    /// The line works.
    pub fn mend(&self) {
        self.flow.send_replace(Flow::Works);
        let mut accepting = self.accepting.lock().expect("no test panics with it");
        if accepting.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        let path = self.dir.path().join(SOCKET);
        // What is left of a listener that was cut: a connection to it is refused.
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(path).expect("nobody else is there");
        let (target, flow) = (self.target.clone(), self.flow.subscribe());
        *accepting = Some(tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, target.clone(), flow.clone()));
            }
        }));
    }
}

/// However a connection ends, both ends of it are closed.
async fn carry(client: UnixStream, target: PathBuf, mut flow: watch::Receiver<Flow>) {
    let Ok(database) = UnixStream::connect(target).await else { return };
    let ((from_client, to_client), (from_database, to_database)) = (client.into_split(), database.into_split());
    tokio::select! {
        _ = pass(from_client, to_database, flow.clone()) => {}
        _ = pass(from_database, to_client, flow.clone()) => {}
        _ = flow.wait_for(|flow| *flow == Flow::Cut) => {}
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut flow: watch::Receiver<Flow>,
) -> io::Result<()> {
    let mut bytes = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut bytes).await?;
        // That the other end has closed arrives nowhere, either.
        let _ = flow.wait_for(|flow| *flow == Flow::Works).await;
        if read == 0 {
            return Ok(());
        }
        to.write_all(&bytes[..read]).await?;
    }
}
