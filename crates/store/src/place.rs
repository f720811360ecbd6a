//! Where a store is, for the sentences about it: a folder or a part of a bucket. Refuses credentials.

use std::fmt;
use std::path::PathBuf;

/// The place of a store. Prints as the subject of a sentence: `the folder /srv/store`, `the part
/// holdfast/ of the bucket backups at https://s3.example.org`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A folder of a disk.
    Folder(PathBuf),
    /// The part of a bucket whose keys begin with a prefix.
    Bucket {
        /// The server's address, without a credential.
        endpoint: String,
        /// The bucket's name.
        bucket: String,
        /// What every key begins with; empty, or ends with a slash.
        prefix: String,
    },
}

impl Place {
    /// What an admin should look at when the store is not there, as a question. Never fails.
    pub(crate) fn question(&self) -> &'static str {
        match self {
            Self::Folder(_) => "is the right disk mounted there?",
            Self::Bucket { .. } => "are the bucket and the prefix the right ones?",
        }
    }

    /// Another prefix of the same bucket. Never fails.
    pub(crate) fn at(&self, other: &str) -> Self {
        let mut place = self.clone();
        if let Self::Bucket { prefix, .. } = &mut place {
            other.clone_into(prefix);
        }
        place
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "the folder {}", folder.display()),
            Self::Bucket { endpoint, bucket, prefix } => {
                if !prefix.is_empty() {
                    write!(f, "the part {prefix} of ")?;
                }
                write!(f, "the bucket {bucket} at {endpoint}")
            }
        }
    }
}
