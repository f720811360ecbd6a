//! The figures of all lines, as Markdown and JSON.

use super::Kind;
use crate::bench::measure::Measured;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// One figure.
pub struct Row {
    /// The line.
    pub kind: Kind,
    /// What was done.
    pub work: &'static str,
    /// What it took.
    pub measured: Measured,
    /// Bytes to the server.
    pub up: u64,
    /// Bytes back.
    pub down: u64,
}

/// All figures of one run.
#[derive(Default)]
pub struct Figures {
    /// Bytes a second that each line carries, over one connection and over four.
    pub pumped: Vec<(Kind, [f64; 2])>,
    /// In the order in which they were measured.
    pub rows: Vec<Row>,
}

impl Kind {
    fn name(self) -> String {
        match (self.round_trip_ms, self.mbit) {
            (ms, 0) => format!("{ms} ms"),
            (0, mbit) => format!("{mbit} Mbit/s"),
            (ms, mbit) => format!("{ms} ms, {mbit} Mbit/s"),
        }
    }
}

impl Row {
    /// Bytes a second in the direction in which more went.
    fn rate(&self) -> f64 {
        self.up.max(self.down) as f64 / self.measured.wall_s
    }

    /// As one line, while the bench goes on.
    pub fn line(&self) -> String {
        let rate = self.rate() / 1e6;
        format!("{:16} {:12} {}, {rate:.2} MB/s", self.kind.name(), self.work, self.measured)
    }
}

impl Figures {
    /// The table of the work, and that of the lines themselves. Never fails.
    pub fn markdown(&self) -> String {
        let mut text =
            "| line | work | wall s | CPU s: endpoint, server | MB up, down | MB/s | of the line |".to_owned();
        text.push_str(" round trips more than without delay |\n|---|---|---|---|---|---|---|---|\n");
        for row in &self.rows {
            let Row { kind, work, measured, up, down } = row;
            let (up, down) = (*up as f64 / 1e6, *down as f64 / 1e6);
            let of_line = self.of_line(row).map_or_else(|| "–".to_owned(), |part| format!("{part:.2}"));
            let trips = self.trips(row).map_or_else(|| "–".to_owned(), |trips| format!("{trips:.1}"));
            let Measured { wall_s, cpu_s, server_cpu_s, .. } = measured;
            let _ = writeln!(
                text,
                "| {} | {work} | {wall_s:.2} | {cpu_s:.2}, {server_cpu_s:.2} | {up:.1}, {down:.1} | {:.2} | \
                 {of_line} | {trips} |",
                kind.name(),
                row.rate() / 1e6,
            );
        }
        text.push_str("\n| line | pumped over one connection, MB/s | over four |\n|---|---|---|\n");
        for (kind, [one, four]) in &self.pumped {
            let _ = writeln!(text, "| {} | {:.2} | {:.2} |", kind.name(), one / 1e6, four / 1e6);
        }
        text
    }

    /// How much of its line the work has used, where the line has a rate.
    fn of_line(&self, row: &Row) -> Option<f64> {
        (row.kind.mbit > 0).then(|| row.rate() / row.kind.rate() as f64)
    }

    /// By how many round trips the work took longer than over the line without delay, where nothing else differs.
    fn trips(&self, row: &Row) -> Option<f64> {
        let is_same = |other: &&Row| other.kind == Kind::default() && other.work == row.work;
        let without = self.rows.iter().find(is_same)?;
        let is_delay_alone = row.kind.mbit == 0 && row.kind.round_trip_ms > 0;
        let more_s = row.measured.wall_s - without.measured.wall_s;
        is_delay_alone.then(|| more_s * 1e3 / row.kind.round_trip_ms as f64)
    }

    /// The same as JSON.
    pub fn json(&self) -> Value {
        let of_row = |row: &Row| {
            json!({
                "round_trip_ms": row.kind.round_trip_ms,
                "mbit": row.kind.mbit,
                "work": row.work,
                "wall_s": row.measured.wall_s,
                "cpu_s": row.measured.cpu_s,
                "server_cpu_s": row.measured.server_cpu_s,
                "peak_bytes": row.measured.peak.0,
                "up_bytes": row.up,
                "down_bytes": row.down,
                "of_line": self.of_line(row),
                "round_trips_more": self.trips(row),
            })
        };
        let of_line = |(kind, [one, four]): &(Kind, [f64; 2])| {
            json!({
                "round_trip_ms": kind.round_trip_ms,
                "mbit": kind.mbit,
                "one_connection_bytes_per_s": one,
                "four_connections_bytes_per_s": four,
            })
        };
        json!({
            "rows": self.rows.iter().map(of_row).collect::<Vec<_>>(),
            "lines": self.pumped.iter().map(of_line).collect::<Vec<_>>(),
        })
    }
}
