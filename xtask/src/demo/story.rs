//! The story, step by step, in the order in which it is told.

use super::compare;
use super::corpus::Corpus;
use super::ledger::{Ledger, Numbers, Step, Verdict};
use super::programs::{Programs, Server, ask, ask_and_show, ask_in_vain};
use anyhow::{Context, Result, ensure};
use base::{Bytes, Clock as _, Count, SystemClock};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;
use std::fs;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use std::time::Duration;

/// Plays the story on `corpus`, with everything it makes below `place`.
pub fn play(programs: &Programs, corpus: &Corpus, place: &Path) -> Result<Ledger> {
    let mut story = Story::begin(programs, corpus, place)?;
    let device = story.activate("activate", "new")?;
    story.backup("first backup", "")?;
    let unchanged = story.backup("nothing changed", "")?;
    ensure!(unchanged.files_opened == 0, "an unchanged folder was read again: {unchanged:?}");

    let changed = corpus.change_one_percent()?;
    let note = format!("{} files changed, {}", Count(changed.files), Bytes(changed.bytes));
    let third = story.backup("1 % of files changed", &note)?;
    ensure!(third.files_opened == changed.files, "{} files changed, {third:?}", changed.files);

    story.deactivate(&device)?;
    let changed = corpus.change_as_at_work()?;
    story.refused()?;
    let again = story.activate("reactivate", "reactivated")?;
    ensure!(again == device, "the device came back as {again}, and was {device}");
    let note = format!("{} files changed while it was cut off, {}", Count(changed.files), Bytes(changed.bytes));
    let after = story.backup("backup after that", &note)?;
    let verdict = Verdict::weigh(changed.files, changed.bytes, &after);

    story.restore()?;
    story.kill_and_resume()?;
    story.scrub()?;
    Ok(Ledger { folder: corpus.original.display().to_string(), steps: story.steps, verdict })
}

struct Story<'a> {
    programs: &'a Programs,
    corpus: &'a Corpus,
    place: &'a Path,
    data: PathBuf,
    state: PathBuf,
    password: PathBuf,
    server: Option<Server>,
    steps: Vec<Step>,
}

const EMAIL: &str = "ann@example.test";

impl<'a> Story<'a> {
    fn begin(programs: &'a Programs, corpus: &'a Corpus, place: &'a Path) -> Result<Self> {
        let (data, state) = (place.join("server"), place.join("endpoint"));
        let password = place.join("password");
        fs::write(&password, "correct horse battery staple\n")?;
        programs.init(&data, &password)?;
        programs.user_add(&data, EMAIL, &password)?;
        let server = Some(programs.serve(&data, 0)?);
        eprintln!(
            "The story plays on a copy of {}: {} files, {}.",
            corpus.original.display(),
            Count::of(corpus.files.len()),
            Bytes(corpus.bytes)
        );
        Ok(Self { programs, corpus, place, data, state, password, server, steps: Vec::new() })
    }

    fn port(&self) -> Result<u16> {
        Ok(self.server.as_ref().context("the server runs")?.port)
    }

    /// Activates the device with e-mail and password; its identifier.
    fn activate(&mut self, name: &str, outcome: &str) -> Result<String> {
        let (port, folder) = (self.port()?, &self.corpus.copy);
        let mut command = self.programs.activation(&self.state, port, &self.data, EMAIL, &self.password, folder);
        let answer = self.timed(name, Shown::Spinner, |_| ask(&mut command))?;
        let got = text(&answer, "outcome")?;
        ensure!(got == outcome || (outcome == "reactivated" && got == "replaced"), "the activation is {got}");
        let device = text(&answer, "device")?;
        self.note(format!("{device}, {got}"));
        Ok(device)
    }

    fn backup(&mut self, name: &str, note: &str) -> Result<Numbers> {
        let mut command = self.programs.device(&self.state, &["backup"]);
        let answer = self.timed(name, Shown::Heading, |_| ask_and_show(&mut command))?;
        self.report(&answer, note)
    }

    fn report(&mut self, answer: &Value, note: &str) -> Result<Numbers> {
        let number = |field: &str| answer[field].as_u64().with_context(|| format!("a report has {field}: {answer}"));
        let numbers = Numbers {
            files_seen: number("files_seen")?,
            files_opened: number("files_opened")?,
            bytes_read: number("bytes_read")?,
            bytes_sent: number("bytes_sent")?,
            chunks_new: number("chunks_new")?,
        };
        self.steps.last_mut().context("a report follows a step")?.numbers = Some(numbers);
        self.note(note.to_owned());
        Ok(numbers)
    }

    fn deactivate(&mut self, device: &str) -> Result<()> {
        let mut command = self.programs.admin(&self.data, &["device", "deactivate", device]);
        self.timed("deactivate", Shown::Spinner, |_| ask(&mut command)).map(|_| ())
    }

    fn refused(&mut self) -> Result<()> {
        let mut command = self.programs.device(&self.state, &["backup"]);
        let (code, sentence) = self.timed("backup is refused", Shown::Spinner, |_| ask_in_vain(&mut command))?;
        ensure!(code == "device_deactivated", "the backup was refused with {code}: {sentence}");
        self.note(sentence);
        Ok(())
    }

    fn restore(&mut self) -> Result<()> {
        let target = self.place.join("restored");
        let mut command = self.programs.device(&self.state, &["restore", "latest"]);
        command.arg(&self.corpus.copy).arg("--to").arg(&target);
        self.timed("restore", Shown::Heading, |_| ask_and_show(&mut command))?;
        let copy = target.join(self.corpus.copy.file_name().context("the copy has a name")?);
        let compared = compare::trees(&self.corpus.copy, &copy).context("the restored folder differs")?;
        self.note(format!(
            "{} entries and {} compared byte for byte and metadata for metadata: the same",
            Count(compared.entries),
            Bytes(compared.bytes)
        ));
        self.look_again(&target)?;
        fs::remove_dir_all(&target).context("taking the restored folder away")
    }

    /// What was restored is known by its names: nothing differs, and the same restore fetches no content again.
    fn look_again(&mut self, target: &Path) -> Result<()> {
        let mut command = self.programs.device(&self.state, &["verify-restore", "latest"]);
        command.arg(&self.corpus.copy).arg("--to").arg(target);
        let verified = self.timed("verify-restore", Shown::Spinner, |_| ask(&mut command))?;
        let mut command = self.programs.device(&self.state, &["restore", "latest"]);
        command.arg(&self.corpus.copy).arg("--to").arg(target);
        let again = self.timed("restore again", Shown::Spinner, |_| ask(&mut command))?;
        for answer in [&verified, &again] {
            let fetched = answer["bytes_fetched"].as_u64().context("an answer says what was fetched")?;
            ensure!(fetched < self.corpus.bytes / 20, "{fetched} bytes were fetched again");
        }
        self.note(format!("nothing differs, and {} were not fetched again", Bytes(self.corpus.bytes)));
        Ok(())
    }

    /// Kills the server in the middle of a backup, starts it again, and lets the same backup go on.
    fn kill_and_resume(&mut self) -> Result<()> {
        let bytes = (self.corpus.bytes / 4).clamp(FRESH_BYTES_MIN, FRESH_BYTES_MAX);
        let fresh = self.corpus.make_fresh(bytes)?;
        let before = self.packs()?;
        let mut command = self.programs.device(&self.state, &["backup"]);
        command.arg(&self.corpus.copy).arg(&fresh);
        let mut killed_after = 0;
        let answer = self.timed("server killed meanwhile", Shown::Heading, |story| {
            let backup = std::thread::spawn(move || ask_and_show(&mut command));
            while !backup.is_finished() && killed_after == 0 {
                std::thread::sleep(Duration::from_millis(2));
                if story.packs()? > before {
                    let server = story.server.take().context("the server runs")?;
                    let port = server.port;
                    server.kill()?;
                    killed_after = story.packs()? - before;
                    story.server = Some(story.programs.serve(&story.data, port)?);
                }
            }
            backup.join().map_err(|_| anyhow::anyhow!("the backup's thread panicked"))?
        })?;
        ensure!(killed_after > 0, "the backup was over before the server could be killed");
        let numbers = self.report(&answer, "")?;
        let packs = self.packs()? - before;
        ensure!(packs > killed_after, "the server was killed after the last pack: nothing was resumed");
        self.note(format!(
            "killed with SIGKILL after {killed_after} of {packs} packs and restarted, the same backup went on; {} new",
            Bytes(bytes)
        ));
        let sent_max = bytes + IN_FLIGHT_BYTES;
        ensure!(numbers.bytes_sent <= sent_max, "{numbers:?}: more was sent than {}", Bytes(sent_max));
        Ok(())
    }

    fn scrub(&mut self) -> Result<()> {
        let mut command = self.programs.admin(&self.data, &["scrub"]);
        let answer = self.timed("scrub", Shown::Spinner, |_| ask(&mut command))?;
        let problems = answer["problems"].as_array().map_or(0, Vec::len);
        ensure!(problems == 0, "scrub found problems: {answer}");
        self.note("every pack, chunk name, tree and snapshot is what it must be".to_owned());
        Ok(())
    }

    /// Packs in the server's store.
    fn packs(&self) -> Result<u64> {
        let packs = walkdir::WalkDir::new(self.data.join("store").join("packs")).into_iter().filter_map(Result::ok);
        let whole = packs.filter(|entry| entry.file_type().is_file() && !is_temporary(entry.file_name()));
        Ok(whole.count() as u64)
    }

    fn timed<T>(&mut self, name: &str, shown: Shown, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let bar = shown.begin(name);
        let began_at = SystemClock.now();
        let done = work(self).with_context(|| format!("step \"{name}\""))?;
        let time_ms = SystemClock.now().since(began_at).as_ms();
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        self.steps.push(Step { name: name.to_owned(), time_ms, ..Step::default() });
        Ok(done)
    }

    fn note(&mut self, note: String) {
        if let Some(step) = self.steps.last_mut() {
            step.note = note;
        }
    }
}

/// New bytes for the backup during which the server is killed: several packs, and not too long on a slow disk.
const FRESH_BYTES_MIN: u64 = 160 << 20;
const FRESH_BYTES_MAX: u64 = 256 << 20;
/// What may have to be sent again after a kill: the packs under way, and the trees.
const IN_FLIGHT_BYTES: u64 = 4 * (24 << 20);

fn is_temporary(name: &std::ffi::OsStr) -> bool {
    name.to_string_lossy().contains("tmp")
}

fn text(answer: &Value, field: &str) -> Result<String> {
    answer[field].as_str().map(str::to_owned).with_context(|| format!("the answer has {field}: {answer}"))
}

/// How a step is shown while it goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// By its name, above the progress of the endpoint itself.
    Heading,
    /// By a spinner on a terminal, by its name elsewhere.
    Spinner,
}

impl Shown {
    fn begin(self, name: &str) -> Option<ProgressBar> {
        if self == Shown::Heading || !std::io::stderr().is_terminal() {
            eprintln!("{name} …");
            return None;
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{spinner} {msg:24} {elapsed}").expect("the template is well formed");
        bar.set_style(style);
        bar.set_message(name.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        Some(bar)
    }
}
