//! A device with a small real folder that it changes and backs up, again and again, as the endpoint does it. It
//! remembers what was in the folder at each backup that was acknowledged, and everything that it was told instead.
//! Refuses to be told anything but to ask again.

use super::cluster::Cluster;
use crate::world::{EMAIL, PASSWORD};
use agent::activation::{self, Answer, Ask, AskProof};
use agent::backup;
use agent::hidden::Hidden;
use agent::places::Places;
use agent::remote::{Around, Connection};
use agent::restore::{self, Place};
use agent::state::{Pin, Server, StateDir};
use base::{Clock as _, Entropy as _, OsEntropy, Retry, SeededEntropy, SnapshotId, Span, SystemClock};
use engine::Progress;
use format::StoredPath;
use protocol::agent::activation::{Choice, Preview};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// How long a patient device tries a request before it gives it up and the backup with it.
const PATIENCE: Span = Span::seconds(5);
/// Files of a folder.
const FILES: u64 = 12;
/// A wait before what failed is tried again.
const AGAIN_SPAN: Span = Span::ms(50);

/// What is in a folder: the content of each name.
type Contents = BTreeMap<String, Vec<u8>>;

/// A device.
pub struct Endpoint {
    pub dir: StateDir,
    folder: PathBuf,
    places: Places,
    patience: Span,
    seed: u64,
    /// How many backups it has begun, and the number of the last one that was acknowledged.
    progress: watch::Sender<(u64, u64)>,
    acknowledged: Mutex<Vec<(SnapshotId, Contents)>>,
    told: Mutex<Vec<String>>,
}

impl Endpoint {
    /// One that is activated. Those with even numbers have patience, and ask the next server for the same; the others
    /// give a backup up when one request fails, and begin the next.
    pub async fn activated(cluster: &Cluster, number: u64) -> Endpoint {
        let folder = cluster.folder(&format!("folder{number}"));
        let dir = StateDir::open(&cluster.folder(&format!("endpoint{number}")).join("state")).expect("own directory");
        let (email, password) = (EMAIL.to_owned(), Hidden::new(PASSWORD.to_owned()));
        let ask = Ask {
            server: Server { url: cluster.url(), pin: Pin::Ca(cluster.authority()) },
            proof: AskProof::Password { email, password },
            choice: Choice::Add,
            restore: None,
            can_ask: false,
            preview: Preview::None,
            folders: vec![stored(&folder)],
        };
        let answer = activation::run(&around(PATIENCE), &dir, &ask).await.expect("it is granted");
        assert!(matches!(answer, Answer::Activated(_)), "{answer:?}");
        let endpoint = Endpoint {
            dir,
            places: Places::of(Some(&folder), None),
            folder,
            patience: if number.is_multiple_of(2) { PATIENCE } else { Span::ZERO },
            seed: number << 32,
            progress: watch::channel((0, 0)).0,
            acknowledged: Mutex::default(),
            told: Mutex::default(),
        };
        (0..FILES).for_each(|file| endpoint.write(file, file));
        endpoint
    }

    /// Backs up, again and again, until it is told to stop; and then once more.
    pub async fn live(&self, stop: watch::Receiver<bool>) {
        loop {
            let is_last = *stop.borrow();
            if self.back_up().await && is_last {
                return;
            }
        }
    }

    /// One change and one backup. Gives whether it was acknowledged.
    async fn back_up(&self) -> bool {
        let number = self.progress.borrow().0 + 1;
        self.progress.send_modify(|progress| progress.0 = number);
        self.write(number % FILES, self.seed + number);
        let done = backup::run(&around(self.patience), &self.dir, &self.places, &[], |_, _| ()).await;
        let error = match done {
            Ok(done) => {
                assert_eq!(done.outcome.problems, [], "every file can be read");
                let contents = contents(&self.folder);
                self.acknowledged.lock().expect("no panic with it").push((done.outcome.snapshot, contents));
                self.progress.send_modify(|progress| progress.1 = number);
                return true;
            }
            Err(error) => error,
        };
        let said = format!("backup {number}: {} ({}): {}", error.code(), error.retry(), error.sentence());
        // INVARIANT: a server that goes away is no reason to do anything but ask again.
        assert!(matches!(error.retry(), Retry::After(_)), "{said}");
        self.told.lock().expect("no panic with it").push(said);
        SystemClock.sleep(AGAIN_SPAN).await;
        false
    }

    /// Returns once a backup is acknowledged that has yet to begin.
    pub async fn backs_up_anew(&self) {
        let begun = self.progress.borrow().0;
        let mut progress = self.progress.subscribe();
        drop(progress.wait_for(|progress| progress.1 > begun).await.expect("it lives"));
    }

    /// What it was told instead of an acknowledgement.
    pub fn told(&self) -> Vec<String> {
        self.told.lock().expect("no panic with it").clone()
    }

    /// Every snapshot that was acknowledged is there, and restores to what was backed up. Gives how many.
    pub async fn restores(&self, to: &Path) -> usize {
        let acknowledged = self.acknowledged.lock().expect("no panic with it").clone();
        let (state, key) = self.dir.activated().expect("it is activated");
        let connection = Connection::of_device(&self.dir, &state, key, &around(PATIENCE)).expect("a good address");
        let listed = connection.snapshots().await.expect("every server is well");
        let name = self.folder.file_name().expect("it has one");
        for (snapshot, before) in &acknowledged {
            assert!(listed.iter().any(|one| one.snapshot.0 == *snapshot), "{snapshot} is not there: {:?}", self.told());
            let to = to.join(snapshot.to_string());
            let place = Place { to: to.clone(), keep: false };
            let paths = vec![stored(&self.folder)];
            let around = around(PATIENCE);
            let restored = restore::run(&around, &self.dir, &snapshot.to_string(), paths, &place, |_| ()).await;
            let restored = restored.expect("every server is well");
            assert_eq!(restored.problems, []);
            assert!(contents(&to.join(name)) == *before, "{snapshot} is not what was backed up");
        }
        acknowledged.len()
    }

    fn write(&self, file: u64, seed: u64) {
        let mut len = [0; 2];
        SeededEntropy::new(seed).fill(&mut len);
        let mut bytes = vec![0; 1 + usize::from(u16::from_le_bytes(len))];
        SeededEntropy::new(seed).fill(&mut bytes);
        std::fs::write(self.folder.join(format!("file{file}")), bytes).expect("own folder");
    }
}

/// What a request needs that is tried for so long.
pub fn around(patience: Span) -> Around {
    let (clock, entropy, progress) = (Arc::new(SystemClock), Arc::new(OsEntropy), Arc::new(Progress::default()));
    Around { clock, entropy, progress, patience }
}

/// A path of this computer as snapshots have it.
fn stored(path: &Path) -> StoredPath {
    let text = path.to_str().expect("text").trim_start_matches('/');
    StoredPath::from_bytes(text.as_bytes().to_vec()).expect("a path")
}

fn contents(folder: &Path) -> Contents {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let read = entries.map(|entry| {
        let path = entry.expect("readable").path();
        let name = path.file_name().expect("it has one").to_string_lossy().into_owned();
        (name, std::fs::read(path).expect("readable"))
    });
    read.collect()
}
