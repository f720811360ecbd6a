//! `init` and `fingerprint`.

use super::{Desk, secret};
use crate::out::{Answer, Failure, card};
use app::init::{CA_FILE, tls_files};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

/// What `init` takes.
#[derive(Debug, Args)]
pub struct Init {
    /// The first admin's e-mail address.
    #[arg(long, value_name = "EMAIL")]
    admin_email: String,
    /// A file with the first admin's password; asked for on the terminal otherwise.
    #[arg(long, value_name = "FILE")]
    admin_password_file: Option<PathBuf>,
    /// A host name or address under which devices reach this server, for its certificate; may be repeated.
    #[arg(long = "name", value_name = "HOST")]
    names: Vec<String>,
}

impl Init {
    pub(super) async fn answer(self, desk: &Desk) -> Result<Answer, Failure> {
        let data_dir = desk.data()?;
        let password = secret::password(self.admin_password_file.as_deref(), "Password of the first admin")?;
        let init =
            app::init::Init { data_dir, admin_email: &self.admin_email, admin_password: &password, names: &self.names };
        let (clock, entropy) = (&desk.surroundings.clock, &desk.surroundings.entropy);
        let fingerprint = app::init::init(&init, clock, entropy).await?;
        let ca = data_dir.join(CA_FILE);
        let text = format!(
            "{}\nDevices pin the certificate in {}.\nKeep a copy of {} in another place: without it no backup can be \
             read.\nStart the server:\n  holdfast-server run --data {}\n",
            card(&[("data", data_dir.display().to_string()), ("ca sha256", fingerprint.clone())]),
            ca.display(),
            data_dir.join(app::keys::MASTER_KEY_FILE).display(),
            data_dir.display(),
        );
        let json = json!({ "data": data_dir, "ca_file": ca, "ca_sha256": fingerprint });
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
