//! What is said over the socket beside the state: one line of JSON each way. Both ends are of one release, or the
//! answer is not understood and everything is looked at. Refuses more than its limits.

use super::{Doubt, Position, Told};
use base::Timestamp;
use engine::Changes;
use format::StoredPath;
use protocol::Hex;
use serde::{Deserialize, Serialize};

/// A question names folders: not more than this.
pub(super) const REQUEST_BYTES_MAX: u64 = 4 << 20;
/// An answer names directories: more than a journal keeps, with long paths.
pub(super) const REPLY_BYTES_MAX: u64 = 256 << 20;

const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    version: u32,
    folders: Vec<String>,
    since: Option<WirePosition>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Reply {
    version: u32,
    position: WirePosition,
    doubt: Option<String>,
    entries: Vec<String>,
    all: Vec<String>,
}

/// A position, also as it is kept with a snapshot.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct WirePosition {
    journal: Hex<16>,
    at: u64,
    taken_at_ms: i64,
}

impl From<&Position> for WirePosition {
    fn from(position: &Position) -> Self {
        let Position { journal, at, taken_at } = position;
        Self { journal: Hex(*journal), at: *at, taken_at_ms: taken_at.as_ms() }
    }
}

impl From<WirePosition> for Position {
    fn from(wire: WirePosition) -> Self {
        let WirePosition { journal, at, taken_at_ms } = wire;
        Self { journal: journal.0, at, taken_at: Timestamp::from_ms(taken_at_ms) }
    }
}

impl Request {
    pub fn new(folders: &[StoredPath], since: Option<&Position>) -> Self {
        Self { version: VERSION, folders: texts(folders), since: since.map(WirePosition::from) }
    }

    /// The folders and the position; `None` where it is of another version, or names no paths.
    pub fn read(self) -> Option<(Vec<StoredPath>, Option<Position>)> {
        let folders = paths(&self.folders).filter(|_| self.version == VERSION)?;
        Some((folders, self.since.map(Position::from)))
    }
}

impl From<Told> for Reply {
    fn from(told: Told) -> Self {
        let (changes, doubt) = match told.changes {
            Ok(changes) => (changes, None),
            Err(doubt) => (Changes::default(), Some(doubt.code().to_owned())),
        };
        let (entries, all) = (texts(changes.entries()), texts(changes.all()));
        Self { version: VERSION, position: (&told.position).into(), doubt, entries, all }
    }
}

impl Reply {
    /// What the journal says; `None` where it is of another version, or not understood.
    pub fn read(self) -> Option<Told> {
        let Self { version, position, doubt, entries, all } = self;
        let changes = match doubt {
            Some(code) => Err(Doubt::of_code(&code)?),
            None => {
                let mut changes = Changes::default();
                paths(&entries)?.into_iter().for_each(|path| changes.add(path));
                paths(&all)?.into_iter().for_each(|path| changes.add_all(path));
                Ok(changes)
            }
        };
        (version == VERSION).then(|| Told { position: position.into(), changes })
    }
}

fn texts<'a>(paths: impl IntoIterator<Item = &'a StoredPath>) -> Vec<String> {
    paths.into_iter().map(|path| protocol::path_to_text(path.as_bytes())).collect()
}

fn paths(texts: &[String]) -> Option<Vec<StoredPath>> {
    texts.iter().map(|text| StoredPath::from_bytes(protocol::path_from_text(text)?).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(bytes: &[u8]) -> StoredPath {
        StoredPath::from_bytes(bytes.to_vec()).expect("a path")
    }

    #[test]
    fn what_is_told_comes_through_also_where_names_are_no_text() {
        let position = Position { journal: [7; 16], at: 9, taken_at: Timestamp::from_ms(12) };
        let mut changes = Changes::default();
        changes.add(path(b"home/\xff/%41"));
        changes.add(path(b""));
        changes.add_all(path(b"srv"));
        for changes in [Ok(changes), Err(Doubt::HardLinks)] {
            let told = Told { position, changes };
            let text = serde_json::to_string(&Reply::from(told.clone())).expect("JSON");
            let reply: Reply = serde_json::from_str(&text).expect("what was written");
            assert_eq!(reply.read(), Some(told));
        }
        let request = Request::new(&[path(b"a/\xfe")], Some(&position));
        let text = serde_json::to_string(&request).expect("JSON");
        let request: Request = serde_json::from_str(&text).expect("what was written");
        assert_eq!(request.read(), Some((vec![path(b"a/\xfe")], Some(position))));
    }

    #[test]
    fn what_is_not_understood_is_nothing() {
        let position = WirePosition { journal: Hex([0; 16]), at: 0, taken_at_ms: 0 };
        let reply = |version, doubt: Option<&str>, entries: &[&str]| {
            let entries = entries.iter().map(|text| (*text).to_owned()).collect();
            Reply { version, position, doubt: doubt.map(str::to_owned), entries, all: Vec::new() }.read()
        };
        assert!(reply(VERSION, None, &["a"]).is_some());
        assert_eq!(reply(VERSION + 1, None, &["a"]), None);
        assert_eq!(reply(VERSION, Some("no such doubt"), &[]), None);
        assert_eq!(reply(VERSION, None, &["a//b"]), None);
    }
}
