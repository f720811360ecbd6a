//! What can be written on the command line. The help texts here are the short form of docs/cli.md.
//! Refuses passwords: other people on the computer can read the arguments of a program.

use base::DeviceId;
use clap::{ArgGroup, Args as ClapArgs, Parser, Subcommand};
use protocol::Text;
use protocol::agent::activation::Choice;
use std::path::PathBuf;

/// Backs up this computer's folders to a Holdfast server, and restores them.
#[derive(Debug, Parser)]
#[command(name = "holdfast", version, max_term_width = 80, after_help = EXITS)]
pub(super) struct Args {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

const EXITS: &str = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done with problems at entries,\n\
                     4 refused by the server, 5 no answer from the server, 6 damaged bytes";

#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Common options")]
pub(super) struct Common {
    /// Where the endpoint keeps its key, state and cache
    /// [default: /var/lib/holdfast for root, else ~/.local/state/holdfast]
    #[arg(long, global = true, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Write one JSON object to stdout, and no progress
    #[arg(long, global = true)]
    pub json: bool,
    /// Show progress on stderr with --json too
    #[arg(long, global = true)]
    pub progress: bool,
    /// Show no progress
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Say on stderr what is being done
    #[arg(long, short, global = true)]
    pub verbose: bool,
    /// How long to go on asking a server that does not answer
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 120)]
    pub patience: u64,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make this computer a device of a server, or bring it back
    Activate(Activate),
    /// Back up folders as one snapshot
    Backup {
        /// What to back up [default: the folders chosen at activation, or backed up first]
        #[arg(value_name = "FOLDER")]
        folders: Vec<PathBuf>,
    },
    /// Show where this computer stands
    Status,
    /// List the snapshots of this computer, newest first
    Snapshots,
    /// List what is in a folder of a snapshot
    Ls {
        /// A snapshot's name, its first letters (4 at least after snp_), or `latest`
        snapshot: String,
        /// The folder, by its path on the computer that was backed up
        path: Option<PathBuf>,
    },
    /// Restore a snapshot, or entries of it, into a folder
    Restore {
        /// A snapshot's name, its first letters (4 at least after snp_), or `latest`
        snapshot: String,
        /// What to restore, by its path on the computer that was backed up [default: everything]
        #[arg(value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// Where to; made when it is not there
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
    },
}

#[derive(Debug, ClapArgs)]
#[command(group = ArgGroup::new("pin").args(["ca", "fingerprint"]))]
pub(super) struct Activate {
    /// The server's address, such as backup.example.com:8471 [default: the one of last time]
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// Who you are to the server [default: the one of last time]
    #[arg(long, value_name = "E")]
    pub email: Option<String>,
    /// A file with the password on its first line [default: asked on the terminal]
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// The certificate (PEM) of the authority that issued the server's certificate
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// The SHA-256 of the server's certificate or its authority's, as `holdfast-server fingerprint` shows it
    #[arg(long, value_name = "SHA256")]
    pub fingerprint: Option<String>,
    /// A folder to back up from now on; may be given several times
    #[arg(long = "folder", value_name = "DIR")]
    pub folders: Vec<PathBuf>,
    /// Which record to become: `auto` (the server decides), `add` (a new one), or a device's name
    #[arg(long, value_name = "auto|add|DEVICE", default_value = "auto", value_parser = choice)]
    pub choice: Choice,
    /// Come back with the key that this computer has, without a password
    #[arg(long, conflicts_with_all = ["email", "password_file", "choice"])]
    pub old_key: bool,
}

fn choice(text: &str) -> Result<Choice, String> {
    match text {
        "auto" => Ok(Choice::Auto),
        "add" => Ok(Choice::Add),
        device => match device.parse::<DeviceId>() {
            Ok(device) => Ok(Choice::Replace { device: Text(device) }),
            Err(error) => Err(format!("neither auto nor add, and {error}")),
        },
    }
}
