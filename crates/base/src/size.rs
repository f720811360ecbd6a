//! Sizes and counts as types, so that no bare number crosses a crate.
//! Refuses to mix the two.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign};

/// A number of bytes. Addition saturates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes(pub u64);

/// A number of things. Addition saturates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Count(pub u64);

impl Bytes {
    /// That many times 1,024 bytes. Never fails.
    pub const fn kib(n: u64) -> Self {
        Self(n << 10)
    }

    /// That many times 1,048,576 bytes. Never fails.
    pub const fn mib(n: u64) -> Self {
        Self(n << 20)
    }

    /// The size of something in memory. Never fails.
    pub const fn of(len: usize) -> Self {
        Self(len as u64)
    }
}

impl Count {
    /// How many there are of something in memory. Never fails.
    pub const fn of(len: usize) -> Self {
        Self(len as u64)
    }

    /// So many of these, as a person says it: `no packs`, `1 pack`, `78,611 files`; `what` is one of them. Never fails.
    pub fn counted(self, what: &str) -> String {
        let many = match what.strip_suffix('y') {
            Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{stem}ies"),
            Some(_) | None => format!("{what}s"),
        };
        match self.0 {
            0 => format!("no {many}"),
            1 => format!("1 {what}"),
            _ => format!("{self} {many}"),
        }
    }
}

macro_rules! adds {
    ($name:ident) => {
        impl Add for $name {
            type Output = $name;

            fn add(self, other: $name) -> $name {
                $name(self.0.saturating_add(other.0))
            }
        }

        impl AddAssign for $name {
            fn add_assign(&mut self, other: $name) {
                *self = *self + other;
            }
        }

        impl Sum for $name {
            fn sum<I: Iterator<Item = $name>>(items: I) -> $name {
                items.fold($name(0), Add::add)
            }
        }
    };
}

adds!(Bytes);
adds!(Count);

impl fmt::Display for Bytes {
    /// Three digits or so and a unit of 1,000: `0 B`, `512 B`, `1.3 kB`, `250 MB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
        if self.0 < 1_000 {
            return write!(f, "{} B", self.0);
        }
        let mut value = self.0 as f64 / 1_000.0;
        let mut unit = 0;
        while value >= 999.5 && unit + 1 < UNITS.len() {
            value /= 1_000.0;
            unit += 1;
        }
        let digits = usize::from(value < 9.95);
        write!(f, "{value:.digits$} {}", UNITS[unit])
    }
}

impl fmt::Display for Count {
    /// The number with a comma at every thousand: `78,611`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let mut grouped = String::with_capacity(digits.len() * 4 / 3 + 1);
        for (position, digit) in digits.chars().enumerate() {
            if position > 0 && (digits.len() - position).is_multiple_of(3) {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        f.pad_integral(true, "", &grouped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_counts_read_well() {
        let sizes: Vec<String> = [0, 999, 1_000, 1_340, 99_900, 999_499, 999_500, 1_320_000_000, u64::MAX]
            .map(|n| Bytes(n).to_string())
            .into();
        assert_eq!(sizes, ["0 B", "999 B", "1.0 kB", "1.3 kB", "100 kB", "999 kB", "1.0 MB", "1.3 GB", "18 EB"]);
        let counts: Vec<String> = [0, 999, 1_000, 78_611, 1_000_000].map(|n| Count(n).to_string()).into();
        assert_eq!(counts, ["0", "999", "1,000", "78,611", "1,000,000"]);
    }

    #[test]
    fn one_thing_is_not_said_as_many() {
        for (count, what, said) in [
            (0, "pack", "no packs"),
            (1, "pack", "1 pack"),
            (1_500, "pack", "1,500 packs"),
            (1, "day", "1 day"),
            (2, "day", "2 days"),
            (1, "entry", "1 entry"),
            (2, "entry", "2 entries"),
        ] {
            assert_eq!(Count(count).counted(what), said);
        }
    }
}
