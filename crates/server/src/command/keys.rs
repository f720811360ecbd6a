//! `keys rotate-data|rotate-master`: on the data directory alone, for the master key never travels.

use super::{Desk, read_text, words};
use crate::out::{Answer, Failure, card, wrapped};
use app::keys::{self, MASTER_KEY_FILE, MasterKey, SETTLE_SPAN};
use clap::Subcommand;
use serde_json::json;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// What can be done with the keys.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Seal what is written from now on with new keys; nothing that is stored is touched.
    RotateData,
    /// Put a new master key in the place of the one in use, and print another recovery kit after that.
    RotateMaster {
        /// A file with the new key (64 hexadecimal digits), where the environment or a command gives it; else one is
        /// made.
        #[arg(long, value_name = "FILE")]
        new_key_file: Option<PathBuf>,
    },
}

impl Keys {
    pub(super) async fn answer(self, desk: &Desk) -> Result<Answer, Failure> {
        let (app, data_dir) = (desk.app().await?, desk.data()?);
        match self {
            Keys::RotateData => {
                let rotated = keys::rotate_data(&app, data_dir).await?;
                let all: Vec<_> =
                    rotated.keys.iter().map(|(id, key)| json!({ "repository": id.to_string(), "key": key })).collect();
                let lines: Vec<String> = rotated.keys.iter().map(|(id, key)| format!("{id}: key {key}\n")).collect();
                let from = words::time(desk.now() + SETTLE_SPAN);
                let text = format!("{}What is written after {from} is sealed with it.\n", lines.concat());
                Ok(Answer::good(text, json!({ "keyring": rotated.keyring, "keys": all })))
            }
            Keys::RotateMaster { new_key_file } => {
                let next = new_key_file.as_deref().map(key_in).transpose()?;
                let rotated = keys::rotate_master(&app, data_dir, desk.surroundings.master_key.as_ref(), next).await?;
                let next = match new_key_file {
                    Some(_) => "Have the environment or the command give the new key from now on.".to_owned(),
                    None => format!(
                        "The new key is in {MASTER_KEY_FILE}: copy it to the other servers of this installation, if \
                         there are any."
                    ),
                };
                let said = format!(
                    "{next} Servers that run go on. The recovery kit of before opens nothing any more: print another \
                     with `recovery kit`."
                );
                let text = format!("{}{}", card(&[("keyring", rotated.keyring.to_string())]), wrapped(&said, ""));
                Ok(Answer::good(text, json!({ "keyring": rotated.keyring })))
            }
        }
    }
}

fn key_in(path: &Path) -> Result<MasterKey, Failure> {
    Ok(MasterKey::parse(&Zeroizing::new(read_text(path)?), &path.display().to_string())?)
}
