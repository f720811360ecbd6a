//! `recovery kit|test|rebuild`: what brings everything back when the server is lost. On the data directory alone, for
//! the master key never travels.

use super::init::Founding;
use super::{Desk, repair, secret, unwritable, words};
use crate::out::{Answer, Failure, card, wrapped};
use app::keys::MasterKey;
use app::recovery::{self, Kit, Rebuild};
use clap::{Args, Subcommand};
use serde_json::json;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// What can be done about recovery.
#[derive(Debug, Subcommand)]
pub enum Recovery {
    /// Print the recovery kit: keep it on paper or in a safe, away from the server.
    Kit {
        /// Write it to a new file, for its owner alone, and do not print it.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Show that the kit at hand opens what is stored.
    Test {
        /// A file with the kit, or with its key alone; asked for on the terminal otherwise.
        #[arg(long, value_name = "FILE")]
        kit_file: Option<PathBuf>,
    },
    /// Make the data directory and the database anew, from the store and the kit.
    Rebuild(RebuildArgs),
}

/// What `recovery rebuild` takes.
#[derive(Debug, Args)]
pub struct RebuildArgs {
    /// A file with the kit, or with its key alone; asked for on the terminal otherwise.
    #[arg(long, value_name = "FILE")]
    kit_file: Option<PathBuf>,
    #[command(flatten)]
    founding: Founding,
}

impl Recovery {
    pub(super) async fn answer(self, desk: &Desk) -> Result<Answer, Failure> {
        match self {
            Recovery::Kit { file } => {
                let app = desk.app().await?;
                answer(&recovery::kit(&app, desk.data()?), file.as_deref())
            }
            Recovery::Test { kit_file } => {
                let app = desk.app().await?;
                trial(&app, desk.data()?, &secret::kit_key(kit_file.as_deref())?).await
            }
            Recovery::Rebuild(args) => rebuild(desk, args).await,
        }
    }
}

/// The kit as an answer: printed, or in a new file.
pub(super) fn answer(kit: &Kit, file: Option<&Path>) -> Result<Answer, Failure> {
    let Some(path) = file else {
        let json = json!({
            "installation": kit.installation.to_string(), "store": kit.store, "ca_sha256": kit.ca_fingerprint,
            "made_at_ms": kit.made_at.as_ms(), "key": kit.key.expose().replace('\n', "-"),
        });
        return Ok(Answer::good(sheet(kit), json));
    };
    let mut file = secret::new_file(path)?;
    let wrote = file.write_all(sheet(kit).as_bytes()).and_then(|()| file.sync_all());
    wrote.map_err(|cause| unwritable(path, &cause))?;
    let said = format!("The recovery kit is in {}: print it, and take the file away from this server.", path.display());
    Ok(Answer::good(wrapped(&said, ""), json!({ "installation": kit.installation.to_string(), "file": path })))
}

/// The sheet to print, 80 columns wide.
pub(super) fn sheet(kit: &Kit) -> String {
    let (first, second) = kit.ca_fingerprint.split_at(kit.ca_fingerprint.len() / 2);
    let mut lines = kit.key.expose().lines();
    let mut line = || lines.next().unwrap_or_default().to_owned();
    let facts = card(&[
        ("made", words::time(kit.made_at)),
        ("installation", kit.installation.to_string()),
        ("store", kit.store.clone()),
        ("ca sha256", first.to_owned()),
        ("", second.to_owned()),
        ("key", line()),
        ("", line()),
    ]);
    let advice = "Whoever has this key and the store can read every backup: keep it on paper or in a safe, away from \
                  the server. With it and the store everything comes back when the server is lost: `holdfast-server \
                  recovery rebuild`. Try it now and then: `holdfast-server recovery test`.";
    format!("Holdfast recovery kit\n\n{facts}\n{}", wrapped(advice, ""))
}

async fn trial(app: &app::App, data_dir: &Path, key: &MasterKey) -> Result<Answer, Failure> {
    let found = recovery::trial(app, data_dir, key).await?;
    let snapshot = found.snapshot.map(|snapshot| snapshot.to_string());
    let text = format!(
        "{}The kit opens everything that is stored.\n",
        card(&[
            ("keyring", format!("{}, of {}", found.keyring, words::time(found.made_at))),
            ("repositories", found.repositories.to_string()),
            ("newest snapshot", snapshot.clone().map_or("there is none yet".to_owned(), |id| format!("{id}: opens"))),
        ])
    );
    let json = json!({ "keyring": found.keyring, "repositories": found.repositories.0, "snapshot": snapshot });
    Ok(Answer::good(text, json))
}

async fn rebuild(desk: &Desk, args: RebuildArgs) -> Result<Answer, Failure> {
    let data_dir = desk.data()?;
    let key = secret::kit_key(args.kit_file.as_deref())?;
    let password = args.founding.password()?;
    let (clock, entropy) = (&desk.surroundings.clock, &desk.surroundings.entropy);
    let rebuild = Rebuild {
        data_dir,
        admin_email: &args.founding.admin_email,
        admin_password: &password,
        names: &args.founding.names,
        key: &key,
        master_key: desk.surroundings.master_key.as_ref(),
    };
    let out = desk.surroundings.out;
    let rebuilt = recovery::rebuild(&rebuild, clock, entropy, &mut |step| out.progress(&repair::step(step))).await;
    out.progress_end();
    let rebuilt = rebuilt?;
    let next = format!(
        "Every device has to be activated again: its user signs in there, with a password that you set or mail (`user \
         reset-password`), or gets a ticket. Until a policy says otherwise nothing that came back expires: `hold list` \
         shows the holds \"{}\". Start the server: `holdfast-server run --data {}`.",
        recovery::HOLD,
        data_dir.display()
    );
    let text = format!(
        "{}{}\n{}",
        card(&[("data", data_dir.display().to_string()), ("ca sha256", rebuilt.ca_fingerprint.clone())]),
        repair::to_text(&rebuilt.report, true),
        wrapped(&next, "")
    );
    let mut json = repair::to_json(&rebuilt.report);
    json["ca_sha256"] = json!(rebuilt.ca_fingerprint);
    Ok(Answer { text, json, good: rebuilt.report.unreadable_total.0 == 0 })
}
