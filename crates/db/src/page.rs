//! Where a page of a list begins: after the row with this time and id. Refuses page numbers: rows come and go.

use crate::row::int;
use base::{Count, Timestamp};

/// The place of a row in a list that is ordered by time and id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageKey {
    /// The row's time.
    pub at: Timestamp,
    /// The row's id.
    pub id: [u8; 16],
}

impl PageKey {
    /// Before every row of a list that goes from the oldest to the newest.
    pub const FIRST: PageKey = PageKey { at: Timestamp::from_ms(i64::MIN), id: [0; 16] };
    /// Before every row of a list that goes from the newest to the oldest.
    pub const LAST: PageKey = PageKey { at: Timestamp::from_ms(i64::MAX), id: [0xff; 16] };
}

/// How many rows, for a `limit`. Never fails.
pub(crate) fn limit(rows: Count) -> i64 {
    int(rows.0)
}
