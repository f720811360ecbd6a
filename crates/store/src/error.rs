//! What can go wrong with a store, in sentences for the admin who reads them.
//! Refuses to decide about retries: `kind` says what a caller can do.

use crate::{OBJECT_BYTES_MAX, ObjectName, Verb};
use base::Kind;
use std::io;
use std::path::PathBuf;

/// Why a store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A text that cannot be a name.
    #[error("{text:?} cannot name an object: {rule}")]
    Name {
        /// The text.
        text: String,
        /// The rule that it breaks, as the end of a sentence.
        rule: &'static str,
    },
    /// An object larger than any of ours, given or found.
    #[error("the object {name} has {size}, and the largest allowed has {}", OBJECT_BYTES_MAX)]
    TooLarge {
        /// Its name.
        name: ObjectName,
        /// Its size.
        size: base::Bytes,
    },
    /// No object has this name.
    #[error("there is no object {name} in the store")]
    NotFound {
        /// The name.
        name: ObjectName,
    },
    /// An object ends before the range that was asked for: it is not the object that the caller knows.
    #[error("the object {name} has {} bytes, too few for the {len} bytes from byte {offset} on", size.0)]
    Short {
        /// Its name.
        name: ObjectName,
        /// Where the range begins.
        offset: u64,
        /// How long the range is.
        len: u64,
        /// The object's size.
        size: base::Bytes,
    },
    /// The disk has no room: nothing of the object was kept.
    #[error(
        "the disk under the store {} is full ({free} free, of which {reserve} are kept in reserve): \
         free some space there or enlarge the disk, then try again; nothing that was stored is lost",
        folder.display()
    )]
    Full {
        /// The store's folder.
        folder: PathBuf,
        /// What is free there for the server.
        free: base::Bytes,
        /// What the store leaves free.
        reserve: base::Bytes,
        /// What the system said, when it was the system that refused.
        #[source]
        cause: Option<io::Error>,
    },
    /// Reading or writing an object failed.
    #[error("{verb} the object {name} failed")]
    Io {
        /// What was being done.
        verb: Verb,
        /// To which object.
        name: ObjectName,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// Reading the folders for a listing failed.
    #[error("listing the objects that begin with {prefix:?} failed")]
    List {
        /// The prefix asked for.
        prefix: String,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The store's folder could not be prepared or opened.
    #[error("the folder {} cannot be used as a store", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The folder holds no store.
    #[error("there is no store in the folder {}: is the right disk mounted there?", folder.display())]
    NoStore {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder holds a store already.
    #[error("there is a store in the folder {} already", folder.display())]
    StoreExists {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder holds a store of another layout.
    #[error("the store in the folder {} has the layout {found:?}, which this version does not know", folder.display())]
    Layout {
        /// The folder.
        folder: PathBuf,
        /// The first line of its layout file.
        found: String,
    },
    /// The program is shutting down.
    #[error("the store is closing because the program ends")]
    Closing,
}

impl StoreError {
    /// What the caller should do. Never fails.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Name { .. } | Self::TooLarge { .. } | Self::Layout { .. } => Kind::Invalid,
            Self::NotFound { .. } | Self::NoStore { .. } => Kind::NotFound,
            Self::StoreExists { .. } => Kind::Conflict,
            Self::Short { .. } => Kind::Damaged,
            Self::Full { .. } | Self::Io { .. } | Self::List { .. } | Self::Folder { .. } | Self::Closing => {
                Kind::Unavailable
            }
        }
    }
}
