//! One command: builds what it needs, calls the one function that does it, and keeps what happened last.
//! Refuses to do what was asked while the server wants this computer to erase what it keeps.

use super::activate::{self, Came, Scene};
use super::args::{Activate, Args, Command, Common, FolderVerb, Password, SettingVerb, Unattended};
use super::ask::{self, Named, Somebody};
use super::count;
use super::meter::{Goal, Meter, Work};
use super::person::{Person, Terminal};
use super::{Environment, Report, state_path, text};
use crate::backup;
use crate::due::{self, NotDue};
use crate::error::AgentError;
use crate::files::Selection;
use crate::folders;
use crate::journal::{self, Means, Watching};
use crate::last::{self, LastBackup, LastError};
use crate::password;
use crate::places::Places;
use crate::policy::{self, Change};
use crate::remote::Around;
use crate::restore::{self, Place};
use crate::snapshots;
use crate::state::StateDir;
use crate::status;
use crate::support;
use crate::unattended::{self, Found, Record, Wish, trusted};
use crate::verify_restore::{self, Verified, Wanted};
use crate::wipe;
use base::{OsEntropy, Span, SystemClock};
use control::due::Due;
use engine::Progress;
use format::StoredPath;
use protocol::agent::policy::FolderRequest;
use protocol::agent::run::SnapshotDetail;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What every command has.
struct Session {
    around: Around,
    dir: StateDir,
    places: Places,
    meter: Meter,
    common: Common,
    config: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// As the command says.
pub(super) async fn run(args: Args, environment: &Environment) -> Result<Report, AgentError> {
    let Args { common, command } = args;
    let around = Around {
        clock: Arc::new(SystemClock),
        entropy: Arc::new(OsEntropy),
        progress: Arc::new(Progress::default()),
        patience: common.request_patience(),
    };
    let config_of = |home: &PathBuf| home.join(".config");
    let session = Session {
        dir: StateDir::open(&state_path(&common, environment)?)?,
        places: Places::of_this_process(environment.home.as_deref()),
        meter: Meter::new(&common, around.clone()),
        config: environment.config_home.clone().or_else(|| environment.home.as_ref().map(config_of)),
        around,
        common,
    };
    session.run(command).await
}

impl Session {
    async fn run(&self, command: Command) -> Result<Report, AgentError> {
        let Session { around, dir, .. } = self;
        let word = command.word();
        let ended = match command {
            // An activation is how a retired computer comes back; nothing is in its way.
            Command::Activate(wanted) if wanted.unattended => self.unattended(wanted.into_unattended()).await,
            Command::Activate(wanted) => self.activate(wanted).await,
            Command::Unattended(wanted) => self.unattended(wanted).await,
            Command::Password(wanted) => self.password(wanted).await,
            Command::Watch => return self.watch().await,
            _ if wipe::due(around, dir, None).await? => return wipe::run(around, dir).await.map(Report::Wiped),
            other => self.of_device(other).await,
        };
        let wants_wipe = match &ended {
            Ok(Report::Status(status) | Report::NotDue(NotDue::Time { status, .. })) => status.is_to_wipe(),
            Ok(_) => false,
            Err(error) => wipe::due(around, dir, Some(error)).await?,
        };
        if wants_wipe {
            return wipe::run(around, dir).await.map(Report::Wiped);
        }
        self.note(word, &ended);
        ended
    }

    /// The commands of a device that is activated.
    async fn of_device(&self, command: Command) -> Result<Report, AgentError> {
        let Session { around, dir, .. } = self;
        match command {
            Command::Backup { in_slot, if_due, folders } => {
                let done = match if_due {
                    true => self.backup_if_due(in_slot).await,
                    false => self.backup(in_slot, &folders).await,
                };
                // Who was only asked whether it is time has looked at the orders already.
                if done.as_ref().is_ok_and(|report| !matches!(report, Report::NotDue(_))) {
                    support::obey_after(around, dir).await;
                }
                done
            }
            Command::Restore { snapshot, paths, to, keep } => {
                self.restore(&snapshot, &paths, &Place { to, keep }).await.map(Report::Restored)
            }
            Command::VerifyRestore { snapshot, paths, to, extra } => {
                let paths = paths.iter().map(|typed| folders::entry(typed)).collect::<Result<_, _>>()?;
                let wanted = Wanted { snapshot, paths, to, counts_extra: extra };
                self.verify_restore(wanted).await.map(|done| Report::Verified(Box::new(done)))
            }
            Command::Status => {
                let mut status = status::look(around, dir).await?.looked_for_in(&self.places);
                support::obey(around, dir, &mut status).await;
                Ok(Report::Status(Box::new(status)))
            }
            Command::Policy => policy::look(around, dir).await.map(|known| Report::Policy(self.here(known))),
            Command::Folders { verb } => self.folders(verb).await.map(|known| Report::Folders(self.here(known))),
            Command::Settings { verb } => self.settings(verb).await.map(|known| Report::Settings(self.here(known))),
            Command::SupportBundle { file } => support::write(around, dir, &file).await.map(Report::Support),
            Command::Snapshots => snapshots::list(around, dir).await.map(Report::Snapshots),
            Command::Ls { snapshot, path } => {
                let path = folders::entry(path.as_deref().unwrap_or(Path::new("/")))?;
                snapshots::ls(around, dir, &snapshot, &path).await.map(Report::Listed)
            }
            Command::Activate(_) | Command::Unattended(_) | Command::Password(_) | Command::Watch => {
                Err(AgentError::NotActivated)
            }
        }
    }

    async fn activate(&self, wanted: Activate) -> Result<Report, AgentError> {
        let mut terminal = Terminal::of_this_process();
        let person = terminal.as_mut().map(|terminal| terminal as &mut dyn Person);
        let (scene, begun) = (self.scene(), |detail: &SnapshotDetail| self.begin_restore(detail));
        let came = activate::by_person(&scene, wanted, person, !self.common.json, begun).await;
        self.meter.end().await;
        Ok(match came? {
            Came::Done(finished) => Report::Activated(finished),
            Came::Question(question) => Report::Question(question),
            Came::Changes(changes) => Report::Changes(changes),
            Came::Waiting(waiting) => Report::Waiting(waiting),
        })
    }

    async fn unattended(&self, wanted: Unattended) -> Result<Report, AgentError> {
        let wish = self.wish(wanted)?;
        let is_quiet = self.common.quiet || self.common.json;
        let said = |record: &Record| {
            if !is_quiet {
                // Who reads the log no more is no reason to stop.
                let _ = std::io::stderr().lock().write_all(text::not_yet(record).as_bytes());
            }
        };
        let ended = unattended::run(&self.around, &self.dir, &wish, said).await?;
        let after = activate::after_unattended(&self.scene(), ended, |detail| self.begin_restore(detail)).await;
        self.meter.end().await;
        Ok(match after? {
            Ok(finished) => Report::Activated(Box::new(finished)),
            Err(in_service) => Report::InService(Box::new(in_service)),
        })
    }

    fn wish(&self, wanted: Unattended) -> Result<Wish, AgentError> {
        let Unattended { server, ca, fingerprint, email, token_file, choice, restore, env_file, legacy_file } = wanted;
        let token = token_file.as_deref().map(trusted::token_file).transpose()?;
        let servers = server.into_iter().collect();
        let said = Found { servers, ca, fingerprint, email, token, choice, restore, ..Found::default() };
        let patience = self.common.patience.map(Span::seconds);
        Ok(Wish { said, env_file, legacy_file, config: self.config.clone(), patience })
    }

    async fn password(&self, wanted: Password) -> Result<Report, AgentError> {
        let Password { server, ca, fingerprint, link_file, password_file } = wanted;
        let mut terminal = Terminal::of_this_process();
        let mut person: Somebody<'_> = terminal.as_mut().map(|terminal| terminal as &mut dyn Person);
        let before = self.dir.load().ok().flatten().map(|(state, _)| state);
        let named = Named { url: server.as_deref(), ca: ca.as_deref(), fingerprint: fingerprint.as_deref() };
        let server = ask::server(&self.around, &named, before.as_ref(), &mut person).await?;
        let link = ask::link(link_file.as_deref(), &mut person)?;
        loop {
            // Who pipes the link in can still be asked for the password.
            let mut hidden = Terminal::for_secrets();
            let mut hidden: Somebody<'_> = hidden.as_mut().map(|terminal| terminal as &mut dyn Person);
            let typed = ask::new_password(password_file.as_deref(), &mut hidden)?;
            match password::set_by_link(&self.around, &server, &link, &typed).await {
                Ok(email) => return Ok(Report::PasswordSet(email)),
                Err(error) => match hidden.filter(|_| password_file.is_none()) {
                    Some(person) if password::is_about_the_password(&error) => person.tell(&text::error(&error)),
                    Some(_) | None => return Err(error),
                },
            }
        }
    }

    /// On a thread of its own, which ends with the program.
    async fn watch(&self) -> Result<Report, AgentError> {
        let path = self.dir.path().to_owned();
        let means = Means { clock: Arc::clone(&self.around.clock), entropy: Arc::clone(&self.around.entropy) };
        let is_quiet = self.common.quiet || self.common.json;
        let (ended, end) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let said = |watching: &Watching| {
                if !is_quiet {
                    // Who reads the log no more is no reason to stop.
                    let _ = std::io::stderr().lock().write_all(text::watching(watching).as_bytes());
                }
            };
            let watched = StateDir::open(&path).and_then(|dir| journal::watch(&dir, &means, said));
            // Nobody waits any more: the program is being ended.
            let _ = ended.send(watched);
        });
        match end.await {
            Ok(Ok(never)) => match never {},
            Ok(Err(error)) => Err(error),
            Err(_) => Err(AgentError::Interrupted),
        }
    }

    /// For a timer: a backup where one is due. That it is not, or that one runs, is an answer and no failure.
    async fn backup_if_due(&self, in_slot: bool) -> Result<Report, AgentError> {
        let Session { around, dir, .. } = self;
        let mut status = status::look(around, dir).await?;
        let Some(standing) = due::standing(&status) else {
            let refused = status.device.and_then(|device| device.said.err());
            return Err(refused.unwrap_or(AgentError::NotActivated));
        };
        let is_due = match standing.due {
            Due::Now => true,
            Due::InSlot { .. } => in_slot,
            Due::Off | Due::Later { .. } | Due::Refused { .. } => false,
        };
        // A device that has to erase itself backs up nothing more.
        if !is_due || status.is_to_wipe() {
            support::obey(around, dir, &mut status).await;
            return Ok(Report::NotDue(NotDue::Time { standing, status: Box::new(status) }));
        }
        match self.backup(in_slot, &[]).await {
            Err(AgentError::Busy { .. }) => Ok(Report::NotDue(NotDue::Running)),
            ended => ended,
        }
    }

    async fn backup(&self, in_slot: bool, typed: &[PathBuf]) -> Result<Report, AgentError> {
        if in_slot {
            let is_quiet = self.common.quiet || self.common.json;
            let said = |wait: Span| {
                if !is_quiet {
                    // Who reads the log no more is no reason to stop.
                    let _ = std::io::stderr().lock().write_all(text::in_slot(wait).as_bytes());
                }
            };
            backup::await_slot(&self.around, &self.dir, said).await?;
        }
        let given = typed.iter().map(|typed| folders::folder(typed)).collect::<Result<Vec<_>, _>>()?;
        let begun = |parent: Option<&SnapshotDetail>, selection: &Arc<Selection>| {
            let selection = Arc::clone(selection);
            self.meter.begin(Work::Backup, parent.map(Goal::of), move |stop| count::count(&selection, stop));
        };
        let done = backup::run(&self.around, &self.dir, &self.places, &given, begun).await;
        self.meter.end().await;
        done.map(Box::new).map(Report::BackedUp)
    }

    async fn restore(&self, snapshot: &str, typed: &[PathBuf], place: &Place) -> Result<restore::Restored, AgentError> {
        let paths: Vec<StoredPath> = typed.iter().map(|typed| folders::entry(typed)).collect::<Result<_, _>>()?;
        let is_whole = paths.is_empty();
        let begun = |detail: &SnapshotDetail| {
            self.meter.begin(Work::Restore, is_whole.then(|| Goal::of(detail)), |_| None);
        };
        let done = restore::run(&self.around, &self.dir, snapshot, paths, place, begun).await;
        self.meter.end().await;
        done
    }

    async fn verify_restore(&self, wanted: Wanted) -> Result<Verified, AgentError> {
        let is_whole = wanted.paths.is_empty();
        let begun = |detail: &SnapshotDetail| {
            self.meter.begin(Work::Verify, is_whole.then(|| Goal::of(detail)), |_| None);
        };
        let done = verify_restore::run(&self.around, &self.dir, wanted, begun).await;
        self.meter.end().await;
        done
    }

    async fn folders(&self, verb: Option<FolderVerb>) -> Result<policy::Known, AgentError> {
        let change = match verb {
            None | Some(FolderVerb::List) => return policy::look(&self.around, &self.dir).await,
            Some(FolderVerb::Add { path, include, exclude }) => {
                Change::Add(FolderRequest { path: written(&path)?, include, exclude })
            }
            Some(FolderVerb::Remove { folder }) => Change::Remove { folder },
            Some(FolderVerb::Unlink { folder }) => Change::Link { folder, is_linked: false },
            Some(FolderVerb::Link { folder }) => Change::Link { folder, is_linked: true },
        };
        policy::change(&self.around, &self.dir, &self.places, change).await
    }

    async fn settings(&self, verb: Option<SettingVerb>) -> Result<policy::Known, AgentError> {
        let change = match verb {
            None | Some(SettingVerb::Show) => return policy::look(&self.around, &self.dir).await,
            Some(SettingVerb::Set { key, value }) => Change::Value { key, value: Some(value) },
            Some(SettingVerb::Reset { key }) => Change::Value { key, value: None },
        };
        policy::change(&self.around, &self.dir, &self.places, change).await
    }

    /// The policy, with what this computer does not have of it.
    fn here(&self, known: policy::Known) -> policy::Known {
        known.looked_for_in(&self.places)
    }

    fn scene(&self) -> Scene<'_> {
        let Session { around, dir, places, .. } = self;
        Scene { around, dir, places, patience: around.patience }
    }

    fn begin_restore(&self, detail: &SnapshotDetail) {
        self.meter.begin(Work::Restore, Some(Goal::of(detail)), |_| None);
    }

    /// Keeps what happened, where there is something to keep it beside.
    fn note(&self, word: &'static str, ended: &Result<Report, AgentError>) {
        let now_ms = self.around.clock.now().as_ms();
        match ended {
            Ok(Report::BackedUp(done)) if !done.partial => last::note(&self.dir, |last| {
                last.backup = Some(LastBackup {
                    snapshot: done.outcome.snapshot.to_string(),
                    at_ms: now_ms,
                    problem_count: done.totals.problems,
                });
            }),
            Err(AgentError::Usage { .. } | AgentError::NotActivated) | Ok(_) => {}
            Err(error) => {
                let epoch = self.dir.load().ok().flatten().map(|(state, _)| state.epoch);
                last::note(&self.dir, |last| last.error = Some(LastError::of(word, now_ms, epoch, error)));
            }
        }
    }
}

/// A folder as it is sent to the server: with its variables as they were typed, else in full.
fn written(typed: &str) -> Result<String, AgentError> {
    if typed.contains("${") {
        return Ok(typed.to_owned());
    }
    folders::folder(Path::new(typed)).map(|folder| folders::path_text(&folder))
}

impl Command {
    fn word(&self) -> &'static str {
        match self {
            Command::Activate(_) => "activate",
            Command::Unattended(_) => "unattended",
            Command::Backup { .. } => last::BACKUP,
            Command::Password(_) => "password",
            Command::Watch => "watch",
            Command::Status => "status",
            Command::Policy => "policy",
            Command::Folders { .. } => "folders",
            Command::Settings { .. } => "settings",
            Command::SupportBundle { .. } => "support-bundle",
            Command::Snapshots => "snapshots",
            Command::Ls { .. } => "ls",
            Command::Restore { .. } => "restore",
            Command::VerifyRestore { .. } => "verify-restore",
        }
    }
}
