//! What can be written on the command line. The help texts here are the short form of docs/cli.md.
//! Refuses passwords: other people on the computer can read the arguments of a program.

use crate::unattended::{choice_from, restore_from};
use base::Span;
use clap::{ArgGroup, Args as ClapArgs, Parser, Subcommand};
use protocol::agent::activation::{Choice, Restore};
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
                     4 refused by the server, 5 no answer from the server, 6 damaged bytes,\n\
                     7 a device has to be chosen, 8 waits for an admin";

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
    /// How long to go on asking a server that does not answer [default: 120;
    /// an unattended activation: for ever]
    #[arg(long, global = true, value_name = "SECONDS")]
    pub patience: Option<u64>,
}

impl Common {
    /// How long one request is tried. Never fails.
    pub fn request_patience(&self) -> Span {
        Span::seconds(self.patience.unwrap_or(120))
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make this computer a device of a server, or bring it back
    Activate(Activate),
    /// Activate without a person, with what an installer has left
    Unattended(Unattended),
    /// Back up folders as one snapshot
    Backup {
        /// Wait for the slot in which the server wants what was missed; for timers
        #[arg(long)]
        in_slot: bool,
        /// Only if the policy's interval is over since the last good one; for timers
        #[arg(long, conflicts_with = "folders")]
        if_due: bool,
        /// What to back up [default: the folders of the policy, else those chosen at activation]
        #[arg(value_name = "FOLDER")]
        folders: Vec<PathBuf>,
    },
    /// Stay, and note which folders change, so that backups look only there
    Watch,
    /// Set your password by a link that you were given
    Password(Password),
    /// Show where this computer stands, and what to do
    Status,
    /// Show what this computer is to do, and who says so
    Policy,
    /// List the folders of the backup, and change them where that is allowed
    Folders {
        #[command(subcommand)]
        verb: Option<FolderVerb>,
    },
    /// Show the settings of the backup, and change them where that is allowed
    Settings {
        #[command(subcommand)]
        verb: Option<SettingVerb>,
    },
    /// Write a file for whoever helps, without keys and tokens
    SupportBundle {
        /// The file; it must not be there yet
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
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
        /// Leave what is there already as it is, instead of replacing files
        #[arg(long)]
        keep: bool,
    },
    /// Compare a snapshot, or entries of it, with what is here, writing nothing
    VerifyRestore {
        /// A snapshot's name, its first letters (4 at least after snp_), or `latest`
        #[arg(default_value = "latest")]
        snapshot: String,
        /// What to compare, by its path on the computer that was backed up [default: everything]
        #[arg(value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// The folder into which it was restored [default: where everything was]
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
        /// Count what is here and not in the snapshot too
        #[arg(long)]
        extra: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum FolderVerb {
    /// List them, with who says so
    List,
    /// Add a folder of your own
    Add {
        /// The folder; variables such as ${home} may be used
        path: String,
        /// Back up only what matches; may be given several times
        #[arg(long, value_name = "PATTERN")]
        include: Vec<String>,
        /// Leave out what matches; may be given several times
        #[arg(long, value_name = "PATTERN")]
        exclude: Vec<String>,
    },
    /// Remove a folder of your own; what is backed up of it is kept
    Remove {
        /// Its path or its name
        folder: String,
    },
    /// Take a folder of the profile out of this computer's backup
    Unlink {
        /// Its path or its name
        folder: String,
    },
    /// Take it back in
    Link {
        /// Its path or its name
        folder: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum SettingVerb {
    /// Show them, with who says so
    Show,
    /// Set one
    Set {
        /// Its name, such as `interval`
        key: String,
        /// The value, such as `4h`
        value: String,
    },
    /// Take one back to what the profile says
    Reset {
        /// Its name
        key: String,
    },
}

#[derive(Debug, ClapArgs)]
#[command(group = ArgGroup::new("unattended_pin").args(["ca", "fingerprint"]))]
pub(super) struct Unattended {
    /// The server's address
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// The certificate (PEM) of the authority that issued the server's certificate
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// The SHA-256 of the server's certificate or its authority's
    #[arg(long, value_name = "SHA256")]
    pub fingerprint: Option<String>,
    /// Whose device it is to be [default: the server finds that out]
    #[arg(long, value_name = "E")]
    pub email: Option<String>,
    /// A file with the deployment token on its first line
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Which record to become: `auto`, `add`, or a device's name
    #[arg(long, value_name = "auto|add|DEVICE", value_parser = choice_from)]
    pub choice: Option<Choice>,
    /// What to bring back: `none`, `data`, `settings` or `all`
    #[arg(long, value_name = "WHAT", value_parser = restore_from)]
    pub restore: Option<Restore>,
    /// The environment file [default: /etc/holdfast/activate.env, if it is there]
    #[arg(long, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
    /// The file of an older installer
    /// [default: ~/.config/holdfast/legacy.cfg, if it is there]
    #[arg(long, value_name = "FILE")]
    pub legacy_file: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
#[command(group = ArgGroup::new("password_pin").args(["ca", "fingerprint"]))]
pub(super) struct Password {
    /// The server's address [default: the one of last time, else asked]
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// The certificate (PEM) of the authority that issued the server's certificate
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// The SHA-256 of the server's certificate or its authority's
    #[arg(long, value_name = "SHA256")]
    pub fingerprint: Option<String>,
    /// A file with the link on its first line, or - for the standard input
    /// [default: asked on the terminal]
    #[arg(long, value_name = "FILE")]
    pub link_file: Option<PathBuf>,
    /// A file with the new password on its first line [default: asked twice]
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
#[command(group = ArgGroup::new("pin").args(["ca", "fingerprint"]))]
#[command(group = ArgGroup::new("proof").args(["password_file", "ticket", "ticket_file", "token_file", "old_key"]))]
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
    /// [default: asked, where the server leaves a choice]
    #[arg(long, value_name = "auto|add|DEVICE", value_parser = choice_from)]
    pub choice: Option<Choice>,
    /// What to bring back to this computer: `none`, `data`, `settings` or `all`
    #[arg(long, value_name = "WHAT", value_parser = restore_from)]
    pub restore: Option<Restore>,
    /// Prove with the one-time code that your admin gave you; it is asked on the terminal
    #[arg(long)]
    pub ticket: bool,
    /// A file with the one-time code on its first line
    #[arg(long, value_name = "FILE")]
    pub ticket_file: Option<PathBuf>,
    /// A file with an installer's deployment token on its first line
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Come back with the key that this computer has, without a password
    #[arg(long, conflicts_with_all = ["email", "choice"])]
    pub old_key: bool,
    /// When an admin has to approve, wait for that
    #[arg(long)]
    pub wait: bool,
    /// Change nothing, and show which device this computer would be and what of
    /// your own choices would change
    #[arg(long, conflicts_with = "unattended")]
    pub dry_run: bool,
    /// Ask nobody, and go on until the server's answer is final, as `holdfast unattended`
    #[arg(long, conflicts_with_all = ["password_file", "ticket", "ticket_file", "old_key", "wait", "folders"])]
    pub unattended: bool,
}

impl Activate {
    /// The same for `holdfast unattended`. Never fails.
    pub fn into_unattended(self) -> Unattended {
        let Activate { server, email, ca, fingerprint, choice, restore, token_file, .. } = self;
        Unattended { server, ca, fingerprint, email, token_file, choice, restore, env_file: None, legacy_file: None }
    }
}
