//! What can go wrong with a store, in sentences for the admin who reads them.
//! Refuses to decide about retries: `kind` says what a caller can do.

use crate::{OBJECT_BYTES_MAX, ObjectName, Place, Verb};
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
    /// The place holds no store.
    #[error("there is no store in {place}: {}", place.question())]
    NoStore {
        /// The place.
        place: Place,
    },
    /// The place holds a store already.
    #[error("there is a store in {place} already")]
    StoreExists {
        /// The place.
        place: Place,
    },
    /// The place holds a store of another layout.
    #[error("the store in {place} has the layout {found:?}, which this version does not know")]
    Layout {
        /// The place.
        place: Place,
        /// The first line of its layout file.
        found: String,
    },
    /// A setting of a store in a bucket that cannot be used.
    #[error("the setting {setting} of the store in a bucket cannot be used: {rule}")]
    Setting {
        /// Its name.
        setting: &'static str,
        /// The rule that it breaks, as the end of a sentence.
        rule: String,
    },
    /// The bucket could not be prepared or opened.
    #[error("{place} cannot be used as a store")]
    Bucket {
        /// The place.
        place: Place,
        /// What the server or the connection said.
        #[source]
        cause: io::Error,
    },
    /// The server knows no such bucket.
    #[error("{place} does not exist: make the bucket there, or correct its name")]
    NoBucket {
        /// The place.
        place: Place,
    },
    /// There are objects that are not the store's where a new store is to be made.
    #[error("{place} is not empty ({key} is there): choose an empty bucket or another prefix")]
    NotEmpty {
        /// The place.
        place: Place,
        /// One of the keys found.
        key: String,
    },
    /// The server does not do what every store must do, so that nothing would be safe in it.
    #[error("{place} cannot be used as a store, because {flaw}")]
    Unfit {
        /// The place.
        place: Place,
        /// What the server does wrong, as the end of a sentence.
        flaw: &'static str,
    },
    /// The server refuses the access key, also when it was asked for anew.
    #[error("the server refuses the access key for {place}, also after the key was read again")]
    Denied {
        /// The place.
        place: Place,
        /// What the server said.
        #[source]
        cause: io::Error,
    },
    /// There is no access key to sign a request with.
    #[error("the access key for {place} cannot be read")]
    Key {
        /// The place.
        place: Place,
        /// What was wrong with it.
        #[source]
        cause: io::Error,
    },
    /// The bucket's quota is reached or its server is full: nothing of the object was kept.
    #[error(
        "{place} takes nothing more: raise its quota or give its server more room, then try again; \
         nothing that was stored is lost"
    )]
    Quota {
        /// The place.
        place: Place,
        /// What the server said.
        #[source]
        cause: io::Error,
    },
    /// The bytes that come back are not those that were put.
    #[error("the object {name} is not what was stored: its bytes do not have the SHA-256 that was stored with them")]
    Altered {
        /// Its name.
        name: ObjectName,
    },
    /// The program is shutting down.
    #[error("the store is closing because the program ends")]
    Closing,
}

impl StoreError {
    /// What the caller should do. Never fails.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Name { .. }
            | Self::TooLarge { .. }
            | Self::Layout { .. }
            | Self::Setting { .. }
            | Self::Unfit { .. } => Kind::Invalid,
            Self::NotFound { .. } | Self::NoStore { .. } => Kind::NotFound,
            Self::StoreExists { .. } | Self::NotEmpty { .. } => Kind::Conflict,
            Self::Short { .. } | Self::Altered { .. } => Kind::Damaged,
            Self::Full { .. }
            | Self::Quota { .. }
            | Self::Io { .. }
            | Self::List { .. }
            | Self::Folder { .. }
            | Self::Bucket { .. }
            | Self::NoBucket { .. }
            | Self::Denied { .. }
            | Self::Key { .. }
            | Self::Closing => Kind::Unavailable,
        }
    }
}
