//! What every step of the engine is given: threads, clock, randomness, progress.

use crate::cpu::Cpu;
use crate::progress::Progress;
use base::{Clock, Entropy};
use std::sync::Arc;

/// Shared by all steps of one run; cheap to clone.
#[derive(Clone)]
pub struct Ctx {
    /// Where blocking and computing work is done.
    pub cpu: Cpu,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// What has been done so far.
    pub progress: Arc<Progress>,
}
