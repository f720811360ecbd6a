//! When a journal is believed: it must speak of the very snapshot that a run goes on from, of the same folders and the
//! same selection, and everything must have been looked at within a day. Pure.
//! Refuses to leave out what had a problem: that is looked at again, whatever the journal says.

use super::{Doubt, Position, Told};
use base::{Span, Timestamp};
use engine::{Changes, Problem};
use format::StoredPath;

/// However sure a journal is, everything is looked at once in this span: what a kernel does not tell, or tells wrongly,
/// is then saved a day late, and not never.
const WALK_SPAN: Span = Span::hours(24);

/// Problems from which on a run lists no more of them.
const AGAIN_MAX: usize = format::limits::PROBLEMS_LISTED_MAX.0 as usize;

/// What is kept with a snapshot, for the run that goes on from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Where the journal stood before its run began.
    pub position: Position,
    /// What it was made of: folders, selection, release.
    pub basis: Basis,
    /// When everything was looked at last.
    pub walked_at: Timestamp,
    /// What had a problem.
    pub again: Vec<StoredPath>,
}

/// A digest of what says which entries a snapshot is made of, and how.
pub type Basis = [u8; 32];

/// What a run that goes on from a snapshot has to look at.
///
/// # Errors
/// A doubt: everything.
pub fn changes(mark: Option<&Mark>, told: Option<Told>, basis: &Basis, now: Timestamp) -> Result<Changes, Doubt> {
    let told = told.ok_or(Doubt::NotWatched)?;
    let mark = mark.filter(|mark| mark.basis == *basis).ok_or(Doubt::NoPosition)?;
    // A clock that was set back says nothing about how long ago that was.
    if now < mark.walked_at || now.since(mark.walked_at) >= WALK_SPAN {
        return Err(Doubt::Old);
    }
    let mut changes = told.changes?;
    for path in &mark.again {
        if let Some(above) = path.parent() {
            changes.add(above);
        }
        changes.add_all(path.clone());
    }
    Ok(changes)
}

/// What has to be looked at again after a run with these problems; `None` where there may have been more of them than
/// were listed. Never fails.
pub fn again(problems: &[Problem]) -> Option<Vec<StoredPath>> {
    (problems.len() < AGAIN_MAX).then(|| problems.iter().map(|problem| problem.path.clone()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::Visit;

    fn path(text: &str) -> StoredPath {
        StoredPath::from_bytes(text.as_bytes().to_vec()).expect("a path")
    }

    fn mark() -> Mark {
        let position = Position { journal: [1; 16], at: 7, taken_at: Timestamp::from_ms(5_000) };
        Mark { position, basis: [3; 32], walked_at: Timestamp::from_ms(5_000), again: vec![path("home/locked")] }
    }

    fn told(changes: Result<Changes, Doubt>) -> Option<Told> {
        Some(Told { position: mark().position, changes })
    }

    #[test]
    fn a_journal_is_believed_for_a_day_and_of_the_same_folders_only() {
        let at = |ms: i64| Timestamp::from_ms(ms);
        let look = |mark: Option<&Mark>, told, basis: u8, ms| changes(mark, told, &[basis; 32], at(ms)).err();
        let (mark, day) = (mark(), 24 * 3_600_000);
        let sure = || told(Ok(Changes::default()));
        assert_eq!(look(Some(&mark), sure(), 3, 5_000 + day - 1), None);
        assert_eq!(look(Some(&mark), sure(), 3, 5_000 + day), Some(Doubt::Old));
        assert_eq!(look(Some(&mark), sure(), 3, 4_999), Some(Doubt::Old));
        assert_eq!(look(Some(&mark), sure(), 4, 6_000), Some(Doubt::NoPosition));
        assert_eq!(look(None, sure(), 3, 6_000), Some(Doubt::NoPosition));
        assert_eq!(look(Some(&mark), None, 3, 6_000), Some(Doubt::NotWatched));
        assert_eq!(look(Some(&mark), told(Err(Doubt::Gap)), 3, 6_000), Some(Doubt::Gap));
    }

    #[test]
    fn what_had_a_problem_is_looked_at_again() {
        let sure = told(Ok(Changes::default()));
        let changes = changes(Some(&mark()), sure, &[3; 32], Timestamp::from_ms(6_000)).expect("no doubt");
        for (at, visit) in
            [("home", Visit::Entries), ("home/locked/x", Visit::All), ("home/open", Visit::Nothing), ("", Visit::Way)]
        {
            assert_eq!(changes.at(&path(at)), visit, "{at}");
        }
    }

    #[test]
    fn problems_that_nobody_has_listed_leave_no_position() {
        let problem = Problem { path: path("a"), code: "io", sentence: String::new() };
        assert_eq!(again(std::slice::from_ref(&problem)), Some(vec![path("a")]));
        assert_eq!(again(&vec![problem; AGAIN_MAX]), None);
    }
}
