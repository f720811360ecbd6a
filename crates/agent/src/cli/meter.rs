//! Progress on stderr: bars on a terminal, a plain line every ten seconds elsewhere, nothing when nobody asked.
//! Refuses to touch stdout, and to promise a time while there is nothing to reckon it from.

use super::args::Common;
use crate::remote::Around;
use base::{Bytes, Count, Span, Timestamp};
use engine::Totals;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use protocol::agent::run::SnapshotDetail;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const BAR_SPAN: Span = Span::ms(200);
const LINE_SPAN: Span = Span::seconds(10);
/// A time left is only told after so long, and so much of the work.
const FORECAST_SPAN_MIN: Span = Span::seconds(3);
const FORECAST_SHARE_MIN: f64 = 0.02;
/// Parts of a thousand, so that the bar moves smoothly whatever the size.
const BAR_LEN: u64 = 1_000;

/// What is going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    Backup,
    Restore,
    Verify,
}

/// How much there is to do, as far as one can know beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Goal {
    pub files: u64,
    pub bytes: u64,
}

impl Goal {
    /// What a snapshot holds.
    pub fn of(snapshot: &SnapshotDetail) -> Self {
        Self { files: snapshot.totals.files, bytes: snapshot.totals.bytes }
    }
}

/// Shows progress while a command works.
pub(super) struct Meter {
    how: How,
    around: Around,
    shown: Mutex<Option<(oneshot::Sender<()>, JoinHandle<()>)>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Silent,
    Bars,
    Lines,
}

impl Meter {
    /// For a command with these wishes. Nothing is shown yet.
    pub fn new(common: &Common, around: Around) -> Self {
        let how = match (common.json && !common.progress) || common.quiet {
            true => How::Silent,
            // Log lines would be drawn over.
            false if io::stderr().is_terminal() && !common.verbose => How::Bars,
            false => How::Lines,
        };
        Self { how, around, shown: Mutex::new(None) }
    }

    /// Begins to show the work until `end`. Where nobody knows the goal, `count` is called to find it meanwhile.
    pub fn begin(
        &self,
        work: Work,
        goal: Option<Goal>,
        count: impl FnOnce(&Arc<AtomicBool>) -> Option<Goal> + Send + 'static,
    ) {
        let (stop, stopped) = oneshot::channel();
        let around = self.around.clone();
        let goal = match (self.how, goal) {
            (How::Silent, _) => return,
            (How::Bars | How::Lines, Some(goal)) => Sought::Known(goal),
            (How::Bars | How::Lines, None) => Sought::counting(count),
        };
        let task = match self.how {
            How::Lines => tokio::spawn(lines(around, work, goal, stopped)),
            How::Bars | How::Silent => tokio::spawn(bars(around, work, goal, stopped)),
        };
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some((stop, task));
    }

    /// Takes away what is shown.
    pub async fn end(&self) {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((stop, task)) = shown {
            drop(stop);
            // A panic in the drawing is no reason to lose the result.
            let _ = task.await;
        }
    }
}

/// The goal, or the walk that looks for it.
enum Sought {
    Known(Goal),
    Counting { counted: oneshot::Receiver<Option<Goal>>, stop: Arc<AtomicBool> },
    Unknown,
}

impl Sought {
    fn counting(count: impl FnOnce(&Arc<AtomicBool>) -> Option<Goal> + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (sender, counted) = oneshot::channel();
        let stops = Arc::clone(&stop);
        // The backup may be over first: nobody waits for the count then.
        #[expect(clippy::disallowed_methods, reason = "it is begun now and nobody waits for it")]
        tokio::task::spawn_blocking(move || sender.send(count(&stops)));
        Sought::Counting { counted, stop }
    }

    fn goal(&mut self) -> Option<Goal> {
        if let Sought::Counting { counted, .. } = self {
            match counted.try_recv() {
                Err(oneshot::error::TryRecvError::Empty) => return None,
                Ok(Some(goal)) => *self = Sought::Known(goal),
                Ok(None) | Err(oneshot::error::TryRecvError::Closed) => *self = Sought::Unknown,
            }
        }
        match self {
            Sought::Known(goal) => Some(*goal),
            Sought::Counting { .. } | Sought::Unknown => None,
        }
    }
}

impl Drop for Sought {
    fn drop(&mut self) {
        if let Sought::Counting { stop, .. } = self {
            stop.store(true, Ordering::Relaxed);
        }
    }
}

async fn bars(around: Around, work: Work, mut sought: Sought, mut stopped: oneshot::Receiver<()>) {
    let bar = ProgressBar::with_draw_target(Some(BAR_LEN), ProgressDrawTarget::stderr());
    let (spinner, gauge) = (style("{spinner} {msg}"), style("{bar:50} {prefix}\n{msg}"));
    bar.set_style(spinner.clone());
    let began_at = around.clock.now();
    let mut pace = Pace::new(began_at);
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            () = around.clock.sleep(BAR_SPAN) => {}
        }
        let (now, totals) = (around.clock.now(), around.progress.totals());
        let rate = pace.rate(now, moved(work, &totals));
        match sought.goal().and_then(|goal| share(work, goal, &totals)) {
            Some(share) => {
                bar.set_style(gauge.clone());
                bar.set_position((share * BAR_LEN as f64) as u64);
                let left = left(share, now.since(began_at));
                let left = left.map_or(String::new(), |left| format!(", {left} left"));
                bar.set_prefix(format!("{:.0} %{left}", share * 100.0));
            }
            None => bar.set_style(spinner.clone()),
        }
        bar.set_message(format!("{}, {}/s", done_text(work, &totals), Bytes(rate)));
        bar.tick();
    }
    bar.finish_and_clear();
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).expect("the templates in this file are well formed");
    style.progress_chars("=> ").tick_chars("|/-\\ ")
}

async fn lines(around: Around, work: Work, mut sought: Sought, mut stopped: oneshot::Receiver<()>) {
    let began_at = around.clock.now();
    loop {
        tokio::select! {
            _ = &mut stopped => return,
            () = around.clock.sleep(LINE_SPAN) => {}
        }
        let totals = around.progress.totals();
        let share = sought.goal().and_then(|goal| share(work, goal, &totals));
        let left = share.and_then(|share| left(share, around.clock.now().since(began_at)));
        let left = left.map_or(String::new(), |left| format!(", about {left} left"));
        // Progress that nobody reads any more is no reason to stop.
        let _ = writeln!(io::stderr().lock(), "{}{left}", done_text(work, &totals));
    }
}

/// What was done so far, in words.
fn done_text(work: Work, totals: &Totals) -> String {
    let files = Count(totals.files_seen);
    match work {
        Work::Backup => {
            format!("{files} files, {} read, {} sent", Bytes(totals.bytes_read), Bytes(totals.bytes_sent))
        }
        Work::Restore => {
            let (fetched, written) = (Bytes(totals.bytes_fetched), Bytes(totals.bytes_written));
            format!("{files} files, {fetched} fetched, {written} written")
        }
        Work::Verify => format!("{files} files, {} compared", Bytes(totals.bytes_read)),
    }
}

/// The bytes whose pace is shown: what limits the work.
const fn moved(work: Work, totals: &Totals) -> u64 {
    match work {
        Work::Backup | Work::Verify => totals.bytes_read,
        Work::Restore => totals.bytes_written,
    }
}

/// Which part of the goal is reached, from 0 to 1: by files and by bytes, whichever is behind. `None` when there is
/// clearly more to do than the goal says.
fn share(work: Work, goal: Goal, totals: &Totals) -> Option<f64> {
    /// A folder grows a little from one snapshot to the next.
    const BEYOND: f64 = 1.05;
    let bytes = match work {
        Work::Backup => totals.bytes_seen,
        // What is here already is done as well.
        Work::Restore => totals.bytes_written + totals.bytes_read,
        Work::Verify => totals.bytes_read,
    };
    let part = |done: u64, of: u64| if of == 0 { f64::from(u8::from(done == 0)) } else { done as f64 / of as f64 };
    let (by_files, by_bytes) = (part(totals.files_seen, goal.files), part(bytes, goal.bytes));
    (by_files.max(by_bytes) <= BEYOND).then(|| by_files.min(by_bytes).min(1.0))
}

/// The time that is left when the rest goes like the part that is done.
fn left(share: f64, spent: Span) -> Option<Span> {
    if !(FORECAST_SHARE_MIN..1.0).contains(&share) || spent < FORECAST_SPAN_MIN {
        return None;
    }
    let ms = spent.as_ms() as f64 * (1.0 - share) / share;
    // Whole seconds: nobody reads milliseconds of the future.
    Some(Span::seconds((ms / 1_000.0).round() as u64)).filter(|left| *left > Span::ZERO)
}

/// Bytes each second, smoothed over some seconds.
struct Pace {
    at: Timestamp,
    bytes: u64,
    rate: f64,
}

impl Pace {
    const fn new(now: Timestamp) -> Self {
        Self { at: now, bytes: 0, rate: 0.0 }
    }

    fn rate(&mut self, now: Timestamp, bytes: u64) -> u64 {
        const SMOOTHING_MS: f64 = 3_000.0;
        let span_ms = now.since(self.at).as_ms() as f64;
        if span_ms > 0.0 {
            let current = bytes.saturating_sub(self.bytes) as f64 * 1_000.0 / span_ms;
            let weight = (span_ms / SMOOTHING_MS).min(1.0);
            self.rate += (current - self.rate) * weight;
            (self.at, self.bytes) = (now, bytes);
        }
        self.rate as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_the_one_that_is_behind_and_never_above_all() {
        let goal = Goal { files: 100, bytes: 1_000 };
        let totals = |files_seen, bytes_seen| Totals { files_seen, bytes_seen, ..Totals::default() };
        assert_eq!(share(Work::Backup, goal, &totals(50, 900)), Some(0.5));
        assert_eq!(share(Work::Backup, goal, &totals(90, 100)), Some(0.1));
        assert_eq!(share(Work::Backup, goal, &totals(102, 1_001)), Some(1.0));
        assert_eq!(share(Work::Backup, goal, &totals(106, 100)), None, "more than there was");
        assert_eq!(share(Work::Backup, Goal { files: 0, bytes: 0 }, &totals(0, 0)), Some(1.0));
    }

    #[test]
    fn no_time_is_promised_before_there_is_something_to_reckon_from() {
        assert_eq!(left(0.5, Span::seconds(2)), None);
        assert_eq!(left(0.01, Span::minutes(5)), None);
        assert_eq!(left(1.0, Span::minutes(5)), None);
        assert_eq!(left(0.25, Span::seconds(10)), Some(Span::seconds(30)));
    }

    #[test]
    fn the_pace_follows_what_is_done() {
        let mut pace = Pace::new(Timestamp::from_ms(0));
        for second in 1..=30 {
            pace.rate(Timestamp::from_ms(second * 1_000), second as u64 * 5_000_000);
        }
        let rate = pace.rate(Timestamp::from_ms(31_000), 155_000_000);
        assert!((4_900_000..=5_000_000).contains(&rate), "{rate}");
    }
}
