//! Sets of subjects that need something together, each with a label and with what is counted for it. A subject alone is
//! its own label; larger sets are in a scratch file, and each is there once.
//! Refuses to hold more than a part of them in memory, however many there are.

use base::Bytes as Size;
use db::{DbError, SetScratch};
use std::collections::HashMap;

/// The label of a set. Those below the number of subjects are subjects alone.
pub(super) type Label = u32;

/// Sets that are listed at once.
const PAGE: u32 = 1_000;
/// Bytes that a remembered union, or something counted, takes beside its labels; about.
const ENTRY_LEN: usize = 64;

/// Members follow as numbers of four bytes, or as bits: whichever is shorter.
const NUMBERS: u8 = 0;
const BITS: u8 = 1;

/// Sets of subjects.
pub(super) struct Sets {
    scratch: SetScratch,
    subjects: u32,
    /// What is counted for each subject alone.
    alone: Vec<(Size, Size)>,
    /// What was counted for other sets and is not in the file yet.
    counted: HashMap<Label, (Size, Size)>,
    /// Unions that were made: they come again and again.
    unions: HashMap<Box<[Label]>, Label>,
    unions_bytes: usize,
    /// So many bytes may be remembered of either.
    memory: usize,
    /// One bit for each subject, for the union that is made.
    bits: Vec<u64>,
}

impl Sets {
    /// No set yet, of so many subjects.
    ///
    /// # Errors
    /// No scratch file can be made.
    pub(super) fn new(subjects: usize, memory: Size) -> Result<Self, DbError> {
        let mib = u32::try_from((memory.0 / 2) >> 20).unwrap_or(u32::MAX);
        let scratch = SetScratch::new(mib)?;
        let memory = usize::try_from(memory.0 / 4).unwrap_or(usize::MAX);
        Ok(Self {
            scratch,
            subjects: u32::try_from(subjects).expect("there are fewer than four billion"),
            alone: vec![(Size(0), Size(0)); subjects],
            counted: HashMap::new(),
            unions: HashMap::new(),
            unions_bytes: 0,
            memory,
            bits: vec![0; subjects.div_ceil(64)],
        })
    }

    /// The set of all that are in one of these, which are sorted, each there once, and not none.
    ///
    /// # Errors
    /// The disk is full.
    pub(super) fn union(&mut self, labels: &[Label]) -> Result<Label, DbError> {
        if let [label] = labels {
            return Ok(*label);
        }
        if let Some(label) = self.unions.get(labels) {
            return Ok(*label);
        }
        self.bits.fill(0);
        for label in labels {
            self.add_bits(*label)?;
        }
        let members = self.encode();
        let digest = blake3::hash(&members);
        let digest = digest.as_bytes().first_chunk().expect("a digest of 32 bytes has 16");
        let label = self.subjects + self.scratch.set_number(digest, &members)?;
        let bytes = ENTRY_LEN + size_of_val(labels);
        if self.unions_bytes + bytes > self.memory {
            self.unions.clear();
            self.unions_bytes = 0;
        }
        self.unions_bytes += bytes;
        self.unions.insert(labels.into(), label);
        Ok(label)
    }

    /// Counts bytes that exactly these need.
    ///
    /// # Errors
    /// The disk is full.
    pub(super) fn count(&mut self, label: Label, plain: Size, stored: Size) -> Result<(), DbError> {
        let counted = match self.alone.get_mut(label as usize) {
            Some(alone) => alone,
            None => self.counted.entry(label).or_default(),
        };
        counted.0 += plain;
        counted.1 += stored;
        if self.counted.len() * ENTRY_LEN > self.memory { self.flush() } else { Ok(()) }
    }

    /// Gives every set for which anything was counted: its members, ascending, and what.
    ///
    /// # Errors
    /// The disk is full; what `take` says.
    pub(super) fn each(
        &mut self,
        mut take: impl FnMut(&[u32], Size, Size) -> Result<(), DbError>,
    ) -> Result<(), DbError> {
        self.flush()?;
        for (subject, (plain, stored)) in (0..).zip(&self.alone) {
            if (*plain, *stored) != (Size(0), Size(0)) {
                take(&[subject], *plain, *stored)?;
            }
        }
        let mut after = None;
        loop {
            let page = self.scratch.counted_list(after, PAGE)?;
            let Some((last, ..)) = page.last() else { return Ok(()) };
            after = Some(*last);
            for (number, plain, stored) in page {
                self.bits.fill(0);
                self.add_bits(self.subjects + number)?;
                let members: Vec<u32> = members(&self.bits).collect();
                take(&members, plain, stored)?;
            }
        }
    }

    fn flush(&mut self) -> Result<(), DbError> {
        let mut counted: Vec<(Label, (Size, Size))> = self.counted.drain().collect();
        counted.sort_unstable_by_key(|(label, _)| *label);
        for (label, (plain, stored)) in counted {
            self.scratch.set_count(label - self.subjects, plain, stored)?;
        }
        Ok(())
    }

    fn add_bits(&mut self, label: Label) -> Result<(), DbError> {
        let mut set = |member: u32| self.bits[member as usize / 64] |= 1 << (member % 64);
        if label < self.subjects {
            set(label);
            return Ok(());
        }
        let bytes = self.scratch.set_get(label - self.subjects)?;
        match bytes.split_first() {
            Some((&BITS, words)) => {
                let (words, _) = words.as_chunks::<8>();
                self.bits.iter_mut().zip(words).for_each(|(bits, word)| *bits |= u64::from_le_bytes(*word));
            }
            Some((_, numbers)) => {
                let (numbers, _) = numbers.as_chunks::<4>();
                numbers.iter().for_each(|number| set(u32::from_le_bytes(*number)));
            }
            None => {}
        }
        Ok(())
    }

    /// The members whose bits are set: equal sets are equal bytes.
    fn encode(&self) -> Vec<u8> {
        let count: usize = self.bits.iter().map(|word| word.count_ones() as usize).sum();
        if count * 4 < self.bits.len() * 8 {
            return [NUMBERS].into_iter().chain(members(&self.bits).flat_map(u32::to_le_bytes)).collect();
        }
        [BITS].into_iter().chain(self.bits.iter().flat_map(|word| word.to_le_bytes())).collect()
    }
}

fn members(bits: &[u64]) -> impl Iterator<Item = u32> {
    (0_u32..)
        .zip(bits)
        .flat_map(|(place, word)| (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| place * 64 + bit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn check(subjects: usize, memory: Size) {
        let mut sets = Sets::new(subjects, memory).expect("a scratch file");
        let mut model: HashMap<BTreeSet<u32>, (Size, Size)> = HashMap::new();
        let mut labels: Vec<(Label, BTreeSet<u32>)> =
            (0..subjects as u32).map(|subject| (subject, BTreeSet::from([subject]))).collect();
        let mut drawn = 1_usize;
        for round in 0..400_usize {
            let mut some: Vec<usize> = Vec::new();
            for _ in 0..1 + round % 5 {
                drawn = drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                some.push((drawn >> 33) % labels.len());
            }
            let mut of: Vec<Label> = some.iter().map(|place| labels[*place].0).collect();
            of.sort_unstable();
            of.dedup();
            let members: BTreeSet<u32> = some.iter().flat_map(|place| labels[*place].1.clone()).collect();
            let label = sets.union(&of).expect("room");
            let known = labels.iter().find(|(_, set)| *set == members).map(|(label, _)| *label);
            assert!(known.is_none_or(|known| known == label), "equal sets have one label");
            assert!(!labels.iter().any(|(other, set)| *other == label && *set != members), "and other sets another");
            let (plain, stored) = (Size(round as u64), Size(3 * round as u64));
            sets.count(label, plain, stored).expect("room");
            let counted = model.entry(members.clone()).or_default();
            counted.0 += plain;
            counted.1 += stored;
            labels.push((label, members));
        }
        model.retain(|_, counted| *counted != (Size(0), Size(0)));
        let mut found = HashMap::new();
        let each = sets.each(|members, plain, stored| {
            assert!(members.is_sorted());
            assert_eq!(found.insert(members.iter().copied().collect::<BTreeSet<u32>>(), (plain, stored)), None);
            Ok(())
        });
        each.expect("readable");
        found.retain(|_, counted| *counted != (Size(0), Size(0)));
        assert_eq!(found, model, "of {subjects} subjects with {memory}");
    }

    #[test]
    fn every_set_is_there_once_with_all_that_was_counted_whatever_the_memory() {
        for subjects in [1, 3, 64, 65, 700] {
            check(subjects, Size(0));
            check(subjects, Size::mib(4));
        }
    }
}
