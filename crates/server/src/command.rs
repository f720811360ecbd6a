//! The command line: what can be asked, and the way from an answer or an error to output and exit code.
//! Refuses secrets as arguments: passwords come from a file or the terminal. Exit codes: docs/operating.md.

mod admin;
mod audit;
mod backup_db;
mod campaign;
mod collect;
mod config;
mod conflict;
mod credential;
mod desk;
mod device;
mod device_map;
mod hold;
mod init;
mod keys;
mod lines;
mod mail;
mod migrate;
mod named;
mod organisation;
mod password_policy;
mod policy;
mod profile;
mod quota;
mod recovery;
mod repair;
mod report;
mod run;
mod scrub;
mod secret;
mod snapshot;
mod template;
mod ticket;
mod token;
mod user;
mod values;
mod words;

use crate::client::{Client, Own, Remote};
use crate::out::{Failure, Out};
use app::{App, AppError, Opening, SecretText};
use base::{Bytes, Clock, Entropy};
use clap::{Parser, Subcommand};
use pin::Pin;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Everything went well.
pub const EXIT_GOOD: u8 = 0;
/// The command failed, or a scrub found damage.
pub const EXIT_FAILED: u8 = 1;
/// The command line cannot be understood. Given by the argument parser too.
pub const EXIT_USAGE: u8 = 2;

/// Holdfast's server and its admin commands.
#[derive(Debug, Parser)]
#[command(name = "holdfast-server", version, about = "Holdfast's server and its admin commands", max_term_width = 80)]
pub struct Arguments {
    /// The data directory; HOLDFAST_DATA when it is not given.
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Ask the server at this address instead; HOLDFAST_SERVER when neither this nor --data is given.
    #[arg(long, global = true, value_name = "URL", conflicts_with = "data")]
    pub server: Option<String>,
    /// The file with the credential for --server; HOLDFAST_CREDENTIAL_FILE when it is not given.
    #[arg(long, global = true, value_name = "FILE")]
    pub credential_file: Option<PathBuf>,
    /// The authority that must have issued the certificate of --server: its ca.pem.
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "fingerprint")]
    pub ca: Option<PathBuf>,
    /// The SHA-256 of that authority's certificate, as `fingerprint` shows it there.
    #[arg(long, global = true, value_name = "SHA256")]
    pub fingerprint: Option<String>,
    /// Answer in JSON, one line, for machines.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be asked, in the order in which it is needed: set up, people and devices, what holds for them, ways in,
/// resets, messages, admins, the state of it all.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a data directory: keys, certificates, database, store, first admin.
    Init(init::Init),
    /// Run the server until SIGTERM or SIGINT.
    Run(run::Run),
    /// Copy the database to a new file, while the server may run.
    BackupDb(backup_db::BackupDb),
    /// Take everything to another database and store, from one machine to many or back.
    Migrate(migrate::Migrate),
    /// Print the SHA-256 of the certificate that devices pin.
    Fingerprint,
    /// Print every configuration key with its default and its meaning.
    Config,
    /// Add users, list them, set their passwords.
    #[command(subcommand)]
    User(user::User),
    /// List devices, cut them off, bring them back.
    #[command(subcommand)]
    Device(device::Device),
    /// List snapshots, see what becomes of them, pin one.
    #[command(subcommand)]
    Snapshot(snapshot::Snapshot),
    /// Keep everything of a user or a device, for the law.
    #[command(subcommand)]
    Hold(hold::Hold),
    /// Make profiles, set their policies and folders, give them to users.
    #[command(subcommand)]
    Profile(profile::Profile),
    /// Show what holds for a user or a device, and where it comes from.
    #[command(subcommand)]
    Policy(policy::Policy),
    /// Set policies that hold for everyone.
    #[command(subcommand)]
    Organisation(organisation::Organisation),
    /// Show what users' backups take, and may take.
    #[command(subcommand)]
    Quota(quota::Quota),
    /// See and set what the organisation asks of passwords.
    #[command(subcommand)]
    PasswordPolicy(password_policy::PasswordPolicy),
    /// Make deployment tokens for installers, list them, revoke them.
    #[command(subcommand)]
    Token(token::Token),
    /// Make one-time codes for users, list them, withdraw them.
    #[command(subcommand)]
    Ticket(ticket::Ticket),
    /// Say whose which machine is, before it asks.
    #[command(subcommand)]
    DeviceMap(device_map::DeviceMap),
    /// See what waits for an admin; say yes or no.
    #[command(subcommand)]
    Desk(desk::DeskCommand),
    /// Decide about two machines with one key, or two records of one machine.
    #[command(subcommand)]
    Conflict(conflict::Conflict),
    /// Reset many devices at once, and see until the last of them where each stands.
    #[command(subcommand)]
    Campaign(campaign::Campaign),
    /// See how the backups of devices go that came back.
    #[command(subcommand)]
    Watch(conflict::Watch),
    /// Show the outbox, send a message again, send a test.
    #[command(subcommand)]
    Mail(mail::Mail),
    /// Show and change the templates of messages.
    #[command(subcommand)]
    Template(template::Template),
    /// Add admins, say what they may do, put them out of service.
    #[command(subcommand)]
    Admin(admin::Admin),
    /// Make, list and revoke credentials of the admin API.
    #[command(subcommand)]
    Credential(credential::Credential),
    /// Look at the audit log, verify its chain, take it out.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Read the whole repository and compare it with its names.
    Scrub(scrub::Scrub),
    /// See what the database does not know of its store, and bring it back.
    Repair(repair::Repair),
    /// Print the recovery kit, try it, and bring everything back with it.
    #[command(subcommand)]
    Recovery(recovery::Recovery),
    /// Rotate the keys.
    #[command(subcommand)]
    Keys(keys::Keys),
    /// See what takes room that nobody needs, and have it removed.
    #[command(subcommand)]
    Collect(collect::Collect),
    /// See what takes room in the store, and whose it is.
    #[command(subcommand)]
    Report(report::Report),
}

/// What a command finds around it.
pub struct Surroundings {
    /// HOLDFAST_DATA.
    pub data: Option<PathBuf>,
    /// HOLDFAST_SERVER.
    pub server: Option<String>,
    /// HOLDFAST_CREDENTIAL_FILE.
    pub credential_file: Option<PathBuf>,
    /// HOLDFAST_MASTER_KEY.
    pub master_key: Option<SecretText>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Where answers go.
    pub out: Out,
}

/// Does what the arguments say and prints the answer. Never fails: the exit code tells.
pub async fn run(arguments: Arguments, surroundings: Surroundings) -> ExitCode {
    let out = surroundings.out;
    let Arguments { data, server, credential_file, ca, fingerprint, .. } = arguments;
    // What is said on the command line counts before what is around it, and the data directory before a server.
    let (data, server) = match (data, server) {
        (None, None) => {
            let data = surroundings.data.clone();
            let server = surroundings.server.clone().filter(|_| data.is_none());
            (data, server)
        }
        said => said,
    };
    let credential_file = credential_file.or(surroundings.credential_file.clone());
    let desk = Desk { data, server, credential_file, ca, fingerprint, surroundings };
    let answer = match arguments.command {
        Command::Init(init) => init.answer(&desk).await,
        Command::Run(run) => run.answer(&desk).await,
        Command::BackupDb(backup) => backup.answer(&desk).await,
        Command::Migrate(migrate) => migrate.answer(&desk).await,
        Command::User(user) => user.answer(&desk).await,
        Command::Device(device) => device.answer(&desk).await,
        Command::Profile(profile) => profile.answer(&desk).await,
        Command::Policy(policy) => policy.answer(&desk).await,
        Command::Organisation(organisation) => organisation.answer(&desk).await,
        Command::Quota(quota) => quota.answer(&desk).await,
        Command::Token(token) => token.answer(&desk).await,
        Command::Ticket(ticket) => ticket.answer(&desk).await,
        Command::DeviceMap(map) => map.answer(&desk).await,
        Command::Desk(command) => command.answer(&desk).await,
        Command::PasswordPolicy(policy) => policy.answer(&desk).await,
        Command::Snapshot(snapshot) => snapshot.answer(&desk).await,
        Command::Template(template) => template.answer(&desk).await,
        Command::Mail(mail) => mail.answer(&desk).await,
        Command::Campaign(campaign) => campaign.answer(&desk).await,
        Command::Conflict(conflict) => conflict.answer(&desk).await,
        Command::Watch(watch) => watch.answer(&desk).await,
        Command::Scrub(scrub) => scrub.answer(&desk).await,
        Command::Repair(repair) => repair.answer(&desk).await,
        Command::Recovery(recovery) => recovery.answer(&desk).await,
        Command::Keys(keys) => keys.answer(&desk).await,
        Command::Collect(collect) => collect.answer(&desk).await,
        Command::Report(report) => report.answer(&desk).await,
        Command::Hold(hold) => hold.answer(&desk).await,
        Command::Audit(audit) => audit.answer(&desk).await,
        Command::Admin(admin) => admin.answer(&desk).await,
        Command::Credential(credential) => credential.answer(&desk).await,
        Command::Config => config::answer(&desk),
        Command::Fingerprint => init::fingerprint(&desk),
    };
    match answer {
        Ok(answer) => {
            out.answer(&answer);
            ExitCode::from(if answer.good { EXIT_GOOD } else { EXIT_FAILED })
        }
        Err(failure) => {
            let usage = USAGE.contains(&failure.code.as_str());
            out.failure(&failure);
            ExitCode::from(if usage { EXIT_USAGE } else { EXIT_FAILED })
        }
    }
}

/// What a command works with.
struct Desk {
    data: Option<PathBuf>,
    server: Option<String>,
    credential_file: Option<PathBuf>,
    ca: Option<PathBuf>,
    fingerprint: Option<String>,
    surroundings: Surroundings,
}

const NO_DATA: &str = "data_not_given";
const NO_CREDENTIAL: &str = "credential_file_missing";
const NO_PIN: &str = "certificate_unpinned";
/// Something has to be said on the command line and was not.
const USAGE: [&str; 3] = [NO_DATA, NO_CREDENTIAL, NO_PIN];
/// The longest file with a credential or a certificate that is read.
const FILE_BYTES_MAX: Bytes = Bytes::kib(64);

impl Desk {
    fn data(&self) -> Result<&Path, Failure> {
        let not_given = || Failure::new(NO_DATA, "Give the data directory: --data DIR, or HOLDFAST_DATA.");
        self.data.as_deref().ok_or_else(not_given)
    }

    /// The admin API: of the server that was named, or in this process over the data directory.
    async fn client(&self) -> Result<Client, Failure> {
        let Some(server) = &self.server else { return Ok(Client::Own(Box::new(Own::new(self.app().await?)))) };
        let no_file =
            || Failure::new(NO_CREDENTIAL, "Give the credential: --credential-file FILE, or HOLDFAST_CREDENTIAL_FILE.");
        let credential = read_text(self.credential_file.as_deref().ok_or_else(no_file)?)?;
        let credential = credential.lines().next().unwrap_or_default().trim().to_owned();
        let pin = match (&self.ca, &self.fingerprint) {
            (Some(ca), _) => Pin::Ca(read_text(ca)?),
            (None, Some(text)) => {
                let wrong = || {
                    Failure::new(
                        "fingerprint_invalid",
                        "A fingerprint has 64 hexadecimal digits: `fingerprint` on the server prints it.",
                    )
                };
                Pin::Fingerprint(pin::fingerprint_from_text(text).ok_or_else(wrong)?)
            }
            (None, None) => return Err(Failure::new(NO_PIN, "Say whom to trust: --ca FILE or --fingerprint SHA256.")),
        };
        let Surroundings { clock, entropy, .. } = &self.surroundings;
        let remote = Remote::new(server, &pin, credential, Arc::clone(clock), Arc::clone(entropy))?;
        Ok(Client::Remote(Box::new(remote)))
    }

    async fn app(&self) -> Result<App, Failure> {
        self.app_as(false).await
    }

    /// The same, whether or not database and store belong together.
    async fn app_unmatched(&self) -> Result<App, Failure> {
        self.app_as(true).await
    }

    async fn app_as(&self, is_unmatched: bool) -> Result<App, Failure> {
        let Surroundings { clock, entropy, master_key, .. } = &self.surroundings;
        let opening = Opening { master_key: master_key.clone(), is_unmatched };
        Ok(App::open_as(self.data()?, opening, Arc::clone(clock), Arc::clone(entropy)).await?)
    }

    fn now(&self) -> base::Timestamp {
        self.surroundings.clock.now()
    }
}

/// A small text file whole.
fn read_text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(read(path, FILE_BYTES_MAX)?).map_err(|cause| unreadable(path, &cause))
}

/// A file whole. One that is longer than `max` is refused, and not cut.
fn read(path: &Path, max: Bytes) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path);
    let took = file.and_then(|file| file.take(max.0 + 1).read_to_end(&mut bytes));
    took.map_err(|cause| unreadable(path, &cause))?;
    if Bytes::of(bytes.len()) > max {
        let sentence = format!("The file {} is longer than the {} bytes that it may have.", path.display(), max.0);
        return Err(Failure::new("file_too_large", sentence));
    }
    Ok(bytes)
}

fn unreadable(path: &Path, cause: &dyn std::error::Error) -> Failure {
    Failure::new("file_unreadable", format!("The file {} cannot be read: {cause}.", path.display()))
}

/// A file that a command was to make: what stands there already is not touched.
fn unwritable(path: &Path, cause: &std::io::Error) -> Failure {
    Failure::new("file_unwritable", format!("The file {} cannot be written: {cause}.", path.display()))
}

impl From<AppError> for Failure {
    /// The sentence, and what is behind it: an operator needs the causes. Never fails.
    fn from(error: AppError) -> Self {
        Failure::said(error.code(), app::chain(&error), error.retry())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::out::COLUMNS;
    use clap::CommandFactory as _;

    #[test]
    fn a_file_that_is_longer_than_it_may_be_is_refused_and_not_cut() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let most = usize::try_from(FILE_BYTES_MAX.0).expect("a small limit");
        std::fs::write(file.path(), vec![b'x'; most]).expect("own file");
        assert_eq!(read_text(file.path()).expect("as long as it may be").len(), most);
        std::fs::write(file.path(), vec![b'x'; most + 1]).expect("own file");
        assert_eq!(read_text(file.path()).expect_err("one byte more").code, "file_too_large");
        std::fs::write(file.path(), [0xff]).expect("own file");
        assert_eq!(read_text(file.path()).expect_err("no text").code, "file_unreadable");
        assert_eq!(read(Path::new("/nowhere"), FILE_BYTES_MAX).expect_err("none").code, "file_unreadable");
    }

    #[test]
    fn the_help_of_every_command_fits_80_columns() {
        let mut program = Arguments::command();
        program.build();
        let mut commands = vec![program];
        while let Some(mut command) = commands.pop() {
            let name = command.get_name().to_owned();
            for help in [command.render_help(), command.render_long_help()] {
                // clap wraps everything but the line of usage.
                for line in help.to_string().lines().filter(|line| !line.starts_with("Usage: ")) {
                    assert!(line.chars().count() <= COLUMNS, "{name}: {line}");
                }
            }
            commands.extend(command.get_subcommands().cloned());
        }
    }
}
