//! What a fleet has lived through: how long each kind of request took, what was refused, how devices came back.
//! Refuses averages: a distribution is told by its middle, its tail and its worst.

use crate::percentile::percentile;
use base::Span;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The figures of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// From the first device's beginning to the last one's end.
    pub span: Span,
    /// By the word of a request, how long each one took that was carried out.
    took: BTreeMap<&'static str, Vec<u32>>,
    /// By code, how often the server said no, or a connection broke; repeated ones count each time.
    refused: BTreeMap<String, u64>,
    /// By code, how many devices did not come through their steps.
    stopped: BTreeMap<String, u64>,
    /// By proof, how many devices came back after a reset; `none` needed not to.
    back: BTreeMap<&'static str, u64>,
}

/// How long requests of one kind took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// How many there were.
    pub count: usize,
    /// Half of them took no longer.
    pub p50: Span,
    /// 99 of 100 took no longer.
    pub p99: Span,
    /// None took longer.
    pub max: Span,
}

impl Figures {
    /// Counts a request that was carried out. Never fails.
    pub(super) fn took(&mut self, word: &'static str, span: Span) {
        self.took.entry(word).or_default().push(u32::try_from(span.as_ms()).unwrap_or(u32::MAX));
    }

    /// Counts a no. Never fails.
    pub(super) fn refused(&mut self, code: &str) {
        count(&mut self.refused, code);
    }

    /// Counts a device that did not come through. Never fails.
    pub(super) fn stopped(&mut self, code: &str) {
        count(&mut self.stopped, code);
    }

    /// Counts a device that is back. Never fails.
    pub(super) fn back(&mut self, proof: &'static str) {
        *self.back.entry(proof).or_default() += 1;
    }

    /// How long requests of this word took. Never fails.
    pub fn latency(&self, word: &str) -> Latency {
        let mut sorted = self.took.get(word).cloned().unwrap_or_default();
        sorted.sort_unstable();
        let at = |percent| Span::ms(percentile(&sorted, percent).unwrap_or(0).into());
        Latency { count: sorted.len(), p50: at(50), p99: at(99), max: at(100) }
    }

    /// How many devices did not come through their steps. Never fails.
    pub fn stopped_count(&self) -> u64 {
        self.stopped.values().sum()
    }

    /// How many devices came back by this proof. Never fails.
    pub fn back_by(&self, proof: &str) -> u64 {
        self.back.get(proof).copied().unwrap_or(0)
    }

    /// How many requests of this word were carried out in a second. Never fails.
    pub fn rate(&self, word: &str) -> f64 {
        self.latency(word).count as f64 / (self.span.as_ms().max(1) as f64 / 1e3)
    }

    /// For machines. Never fails.
    pub fn json(&self) -> Value {
        let kinds = self.took.keys().map(|word| {
            let Latency { count, p50, p99, max } = self.latency(word);
            let kind = json!({
                "count": count, "per_second": (self.rate(word) * 10.0).round() / 10.0,
                "p50_ms": p50.as_ms(), "p99_ms": p99.as_ms(), "max_ms": max.as_ms(),
            });
            ((*word).to_owned(), kind)
        });
        json!({
            "span_ms": self.span.as_ms(),
            "requests": kinds.collect::<serde_json::Map<_, _>>(),
            "refused": self.refused,
            "stopped": self.stopped,
            "back": self.back,
        })
    }

    /// For people, a line each. Never fails.
    pub fn text(&self) -> String {
        let mut text = format!("{:<12} {:>8} {:>9} {:>9} {:>9} {:>9}\n", "", "count", "per s", "p50", "p99", "max");
        for word in self.took.keys() {
            let Latency { count, p50, p99, max } = self.latency(word);
            let rate = format!("{:.1}", self.rate(word));
            let [p50, p99, max] = [p50, p99, max].map(|span| format!("{} ms", span.as_ms()));
            text.push_str(&format!("{word:<12} {count:>8} {rate:>9} {p50:>9} {p99:>9} {max:>9}\n"));
        }
        let owned = |(word, count): (&&'static str, &u64)| ((*word).to_owned(), *count);
        let back: BTreeMap<String, u64> = self.back.iter().map(owned).collect();
        for (what, counts) in [("back by", &back), ("refused", &self.refused), ("stopped by", &self.stopped)] {
            for (word, count) in counts {
                text.push_str(&format!("{what} {word}: {count}\n"));
            }
        }
        text
    }
}

fn count(counts: &mut BTreeMap<String, u64>, code: &str) {
    match counts.get_mut(code) {
        Some(count) => *count += 1,
        None => {
            counts.insert(code.to_owned(), 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_the_tail_and_the_worst_are_told_apart() {
        let mut figures = Figures { span: Span::seconds(2), ..Figures::default() };
        assert_eq!(figures.latency("activate"), Latency::default());
        for ms in (1..=200).rev() {
            figures.took("activate", Span::ms(ms));
        }
        let Latency { count, p50, p99, max } = figures.latency("activate");
        assert_eq!((count, p50, p99, max), (200, Span::ms(100), Span::ms(198), Span::ms(200)));
        assert_eq!(figures.rate("activate"), 100.0);
        figures.refused("server_busy");
        figures.refused("server_busy");
        assert!(figures.text().contains("refused server_busy: 2"), "{}", figures.text());
        assert_eq!(figures.json()["refused"]["server_busy"], 2);
    }
}
