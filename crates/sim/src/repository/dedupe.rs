//! Asks the index which of a thousand names are missing, as a run does, over and over. Refuses an average: what counts
//! is the slowest of a hundred.

use super::make::NAMES_SEED;
use crate::percentile::percentile;
use app::{App, AppError};
use base::{Entropy as _, SeededEntropy};
use format::{ChunkId, ChunkRef};
use tokio::time::Instant;

/// What the questions took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Asked {
    /// How many.
    pub questions: usize,
    /// Names in each.
    pub names: usize,
    /// Of a hundred questions fifty were not slower, in milliseconds.
    pub p50_ms: f64,
    /// Of a hundred questions 99 were not slower.
    pub p99_ms: f64,
    /// The slowest.
    pub max_ms: f64,
    /// The same for a piece of work that is always the same and asks nobody, done after each question: what the machine
    /// itself adds to the slowest of a hundred.
    pub control_p50_ms: f64,
    /// Of a hundred such pieces 99 were not slower.
    pub control_p99_ms: f64,
}

/// Bytes that the piece of work hashes, again and again the same few: some milliseconds.
const CONTROL_LEN: usize = 16 << 10;
const CONTROL_TIMES: usize = 1_000;

/// Asks `questions` times for `names` names, a tenth of which are not there; the others are those that `make` has drawn
/// first, in no order.
///
/// # Errors
/// The database does not answer.
pub async fn dedupe(app: &App, chunks: u64, questions: usize, names: usize) -> Result<Asked, AppError> {
    let repository = app.keys.repositories().first().expect("a data directory has a repository").seq;
    let known = drawn(chunks);
    let entropy = SeededEntropy::new(2);
    let (mut times, mut controls) = (Vec::with_capacity(questions), Vec::with_capacity(questions));
    let control = vec![0_u8; CONTROL_LEN];
    for _ in 0..questions {
        let mut asked: Vec<ChunkId> = Vec::with_capacity(names);
        for number in 0..names {
            let mut bytes = [0; 32];
            entropy.fill(&mut bytes);
            let at = u64::from_le_bytes(*bytes.first_chunk().expect("it has 32 bytes")) % known.len() as u64;
            asked.push(if number % 10 == 0 { ChunkRef::from_bytes(bytes).id() } else { known[at as usize] });
        }
        let begun = Instant::now();
        let claims = app::backup::claims(app, repository, &asked).await?;
        times.push(begun.elapsed().as_secs_f64() * 1_000.0);
        let begun = Instant::now();
        for _ in 0..CONTROL_TIMES {
            std::hint::black_box(blake3::hash(std::hint::black_box(&control)));
        }
        controls.push(begun.elapsed().as_secs_f64() * 1_000.0);
        assert_eq!(claims.missing.len(), names.div_ceil(10), "those that were not drawn are missing, and no other");
    }
    let [p50_ms, p99_ms, max_ms] = percentiles(&mut times);
    let [control_p50_ms, control_p99_ms, _] = percentiles(&mut controls);
    Ok(Asked { questions, names, p50_ms, p99_ms, max_ms, control_p50_ms, control_p99_ms })
}

/// The middle, the slowest of a hundred but one, and the slowest.
fn percentiles(times: &mut [f64]) -> [f64; 3] {
    times.sort_unstable_by(f64::total_cmp);
    [50, 99, 100].map(|percent| percentile(times, percent).unwrap_or_default())
}

/// The first names that `make` has drawn.
fn drawn(chunks: u64) -> Vec<ChunkId> {
    let entropy = SeededEntropy::new(NAMES_SEED);
    let mut names = Vec::with_capacity(chunks as usize);
    for _ in 0..chunks {
        let mut bytes = [0; 32];
        entropy.fill(&mut bytes);
        names.push(ChunkRef::from_bytes(bytes).id());
    }
    names
}
