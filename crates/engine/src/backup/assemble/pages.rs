//! Cuts a large directory into pages where the names say, so that an entry more or less changes one page and no other.
//! Refuses to hold more than one page: who pushes an entry takes the pages that are full.

use super::weight_of;
use format::{Entry, Totals};

/// A page ends when its entries are about this long, whatever their number.
pub(super) const PAGE_BYTES_MAX: usize = 256 << 10;
/// The least and the most entries that a page holds on average.
pub(super) const PAGE_ENTRIES_MIN: usize = 32;
const PAGE_ENTRIES_MAX: usize = 2_048;

/// The entries of a page, and everything beneath them and they themselves.
#[derive(Default)]
pub(super) struct LeafPage {
    pub entries: Vec<Entry>,
    pub totals: Totals,
}

/// Cuts one directory.
pub(super) struct Pager {
    average: usize,
    page: LeafPage,
    page_bytes: usize,
}

impl Pager {
    /// For a directory with about so many entries.
    pub fn new(entries: usize) -> Self {
        Self { average: page_entries(entries), page: LeafPage::default(), page_bytes: 0 }
    }

    /// Takes the next entry, with what is beneath it; pages that are full are added to `full`.
    pub fn push(&mut self, entry: Entry, beneath: Totals, full: &mut Vec<LeafPage>) {
        let weight = weight_of(&entry);
        let has_room = self.page.entries.len() < 4 * self.average && self.page_bytes + weight <= PAGE_BYTES_MAX;
        if !has_room {
            full.extend(self.end());
        }
        self.page_bytes += weight;
        self.page.totals += Totals::of_entry(&entry) + beneath;
        let is_boundary = if self.page.entries.len() >= self.average / 2 {
            is_page_boundary(&entry.name, self.average)
        } else {
            // Heavy entries fill a page before it has that many: it should still end where a name says.
            self.page_bytes >= PAGE_BYTES_MAX / 2 && is_page_boundary(&entry.name, 4)
        };
        self.page.entries.push(entry);
        if is_boundary {
            full.extend(self.end());
        }
    }

    /// The page that is not full, unless it is empty.
    pub fn end(&mut self) -> Option<LeafPage> {
        self.page_bytes = 0;
        Some(std::mem::take(&mut self.page)).filter(|page| !page.entries.is_empty())
    }
}

/// How many entries a page of a directory with so many holds: about the square root, since a change sends one page and
/// the list of pages. A power of two, so that a directory must grow fourfold before it is cut anew.
fn page_entries(entries: usize) -> usize {
    let log2 = entries.max(1).ilog2();
    (1 << log2.div_ceil(2)).clamp(PAGE_ENTRIES_MIN, PAGE_ENTRIES_MAX)
}

/// One name in so many, whichever others there are. Any even spread will do, an attacker gains nothing: FNV-1a, and its
/// bits mixed once more, since names often differ in their last digit only.
fn is_page_boundary(name: &[u8], one_in: usize) -> bool {
    let hash = name
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let mixed = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    (mixed >> 33).is_multiple_of(one_in as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use format::{EntryBody, Meta};

    fn pages_of(entries: Vec<Entry>, beneath: &[(usize, Totals)]) -> Vec<LeafPage> {
        let (mut pager, mut full) = (Pager::new(entries.len()), Vec::new());
        for (at, entry) in entries.into_iter().enumerate() {
            let beneath = beneath.iter().find(|(of, _)| *of == at).map(|(_, totals)| *totals).unwrap_or_default();
            pager.push(entry, beneath, &mut full);
        }
        full.extend(pager.end());
        full
    }

    fn entries(names: impl Iterator<Item = u32>) -> Vec<Entry> {
        let fifo =
            |name: u32| Entry { name: format!("{name:08}").into_bytes(), meta: Meta::default(), body: EntryBody::Fifo };
        names.map(fifo).collect()
    }

    #[test]
    fn one_entry_more_changes_one_page() {
        let firsts = |entries: Vec<Entry>| {
            pages_of(entries, &[])
                .iter()
                .map(|page| (page.entries[0].name.clone(), page.entries.len()))
                .collect::<Vec<_>>()
        };
        let before = firsts(entries((0..100_000).filter(|n| *n != 50_000)));
        let after = firsts(entries(0..100_000));
        assert!(before.len() > 10, "{} pages", before.len());
        let changed = after.iter().filter(|page| !before.contains(page)).count();
        assert_eq!(changed, 1);
    }

    #[test]
    fn the_pages_hold_every_entry_once_and_sum_to_the_whole() {
        let beneath = Totals { entries: base::Count(5), files: base::Count(4), bytes: base::Bytes(9) };
        let pages = pages_of(entries(0..30_000), &[(7, beneath), (29_999, beneath)]);
        let joined: Vec<Entry> = pages.iter().flat_map(|page| page.entries.clone()).collect();
        assert_eq!(joined, entries(0..30_000));
        let totals: Totals = pages.iter().map(|page| page.totals).sum();
        assert_eq!((totals.entries.0, totals.files.0, totals.bytes.0), (30_010, 8, 18));
        assert!(pages.iter().all(|page| page.entries.len() <= 4 * page_entries(30_000)));
    }
}
