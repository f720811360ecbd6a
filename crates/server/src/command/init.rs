//! `init` and `fingerprint`.

use super::{Desk, recovery, secret, unwritable};
use crate::out::{Answer, Failure, card, wrapped};
use app::init::{CA_FILE, Initialised, tls_files};
use app::password::Password;
use clap::Args;
use serde_json::json;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;

/// What `init` takes.
#[derive(Debug, Args)]
pub struct Init {
    #[command(flatten)]
    founding: Founding,
    /// Write the recovery kit to this new file; printed when the answer goes to a terminal otherwise.
    #[arg(long, value_name = "FILE")]
    recovery_kit: Option<PathBuf>,
}

/// What every new data directory needs.
#[derive(Debug, Args)]
pub struct Founding {
    /// The first admin's e-mail address.
    #[arg(long, value_name = "EMAIL")]
    pub(super) admin_email: String,
    /// A file with the first admin's password; asked for on the terminal otherwise.
    #[arg(long, value_name = "FILE")]
    admin_password_file: Option<PathBuf>,
    /// A host name or address under which devices reach this server, for its certificate; may be repeated.
    #[arg(long = "name", value_name = "HOST")]
    pub(super) names: Vec<String>,
}

impl Founding {
    /// # Errors
    /// As `secret::password`.
    pub(super) fn password(&self) -> Result<Password, Failure> {
        secret::password(self.admin_password_file.as_deref(), "Password of the first admin")
    }
}

impl Init {
    pub(super) async fn answer(self, desk: &Desk) -> Result<Answer, Failure> {
        let data_dir = desk.data()?;
        if let Some(file) = self.recovery_kit.as_deref().filter(|file| file.exists()) {
            return Err(unwritable(file, &io::ErrorKind::AlreadyExists.into()));
        }
        let password = self.founding.password()?;
        let init = app::init::Init {
            data_dir,
            admin_email: &self.founding.admin_email,
            admin_password: &password,
            names: &self.founding.names,
            master_key: desk.surroundings.master_key.as_ref(),
        };
        let (clock, entropy) = (&desk.surroundings.clock, &desk.surroundings.entropy);
        let Initialised { ca_fingerprint: fingerprint, kit } = app::init::init(&init, clock, entropy).await?;
        let ca = data_dir.join(CA_FILE);
        // The kit is a secret: it goes to a person's eyes or to a file that was named, and into no log.
        let kit_said = match &self.recovery_kit {
            Some(file) => recovery::answer(&kit, Some(file))?.text,
            None if io::stdout().is_terminal() && !desk.surroundings.out.json => {
                format!("\n{}\n", recovery::sheet(&kit))
            }
            None => wrapped(
                "Print the recovery kit with `holdfast-server recovery kit`: without the master key no backup \
                             can be read.",
                "",
            ),
        };
        let text = format!(
            "{}Devices pin the certificate in {}.\n{kit_said}Start the server:\n  holdfast-server run --data {}\n",
            card(&[("data", data_dir.display().to_string()), ("ca sha256", fingerprint.clone())]),
            ca.display(),
            data_dir.display(),
        );
        let json = json!({
            "data": data_dir, "ca_file": ca, "ca_sha256": fingerprint, "recovery_kit": self.recovery_kit,
        });
        Ok(Answer::good(text, json))
    }
}

pub(super) fn fingerprint(desk: &Desk) -> Result<Answer, Failure> {
    let data_dir = desk.data()?;
    app::init::initialised_or_refuse(data_dir)?;
    let fingerprint = tls_files(data_dir)?.ca_fingerprint;
    let json = json!({ "ca_file": data_dir.join(CA_FILE), "ca_sha256": fingerprint });
    Ok(Answer::good(format!("{fingerprint}\n"), json))
}
