//! `backup-db`: a copy of the database, for the day on which it is lost.

use super::{Desk, unwritable};
use crate::out::{Answer, Failure};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

/// What `backup-db` takes.
#[derive(Debug, Args)]
pub struct BackupDb {
    /// The new file. It is for its owner alone: it has addresses, and hashes of passwords.
    file: PathBuf,
}

impl BackupDb {
    pub(super) async fn answer(self, desk: &Desk) -> Result<Answer, Failure> {
        let app = desk.app_unmatched().await?;
        if self.file.exists() {
            return Err(unwritable(&self.file, &std::io::ErrorKind::AlreadyExists.into()));
        }
        let bytes = app::database::copy(&app, &self.file).await?;
        let file = self.file.display();
        let text = format!(
            "{file} has the database, {bytes}.\nIt is no copy of the objects, nor of keys/: without keys/master.key \
             nothing can be read.\n"
        );
        Ok(Answer::good(text, json!({ "file": self.file, "bytes": bytes.0 })))
    }
}
