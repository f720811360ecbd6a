//! The problems of a run: all are counted, the first thousand are listed.
//! Refuses to make a manifest too large: a problem that does not fit is only counted.

use crate::codec::{Reader, Writer};
use crate::error::{Error, Flaw};
use crate::limits::{PATH_MAX, PROBLEM_CODE_MAX, PROBLEM_SENTENCE_MAX, PROBLEMS_BYTES_MAX, PROBLEMS_LISTED_MAX, up_to};
use crate::path::StoredPath;
use base::Count;

/// Three lengths of one byte, a code of one byte.
const PROBLEM_LEN_MIN: usize = 4;

/// What went wrong with single entries and did not end the run.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Problems {
    total: Count,
    listed: Vec<ListedProblem>,
    /// How many bytes the listed ones have together, lengths aside.
    listed_len: u64,
}

/// One of the problems that a manifest lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedProblem {
    /// The entry, at most 64 KiB.
    pub path: StoredPath,
    /// A stable word for machines: 1 to 64 of `a` to `z`, `0` to `9`, `_`.
    pub code: String,
    /// A sentence for people, at most 1,024 bytes.
    pub sentence: String,
}

impl Problems {
    /// Counts the problem, and lists it if it fits; a long sentence is cut short. Never fails.
    pub fn add(&mut self, mut problem: ListedProblem) {
        self.total += Count(1);
        let cut = problem.sentence.floor_char_boundary(PROBLEM_SENTENCE_MAX.0 as usize);
        problem.sentence.truncate(cut);
        // A problem that breaks a rule must not end a run that survived the problem itself.
        let _ = self.list(problem);
    }

    /// How many there were, listed or not. Never fails.
    pub const fn total(&self) -> Count {
        self.total
    }

    /// Those that are listed, in the order in which they were found; at most 1,000. Never fails.
    pub fn listed(&self) -> &[ListedProblem] {
        &self.listed
    }

    fn list(&mut self, problem: ListedProblem) -> Result<(), Flaw> {
        let len = check(&problem)?;
        up_to(self.listed.len() as u64 + 1, PROBLEMS_LISTED_MAX.0)?;
        up_to(self.listed_len + len, PROBLEMS_BYTES_MAX.0)?;
        self.listed_len += len;
        self.listed.push(problem);
        Ok(())
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        writer.varint(self.total.0);
        writer.count(self.listed.len());
        for problem in &self.listed {
            writer.bytes(problem.path.as_bytes());
            writer.bytes(problem.code.as_bytes());
            writer.bytes(problem.sentence.as_bytes());
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let total = reader.varint()?;
        let count = reader.count(total.min(PROBLEMS_LISTED_MAX.0), PROBLEM_LEN_MIN)?;
        let mut problems = Problems { total: Count(total), ..Problems::default() };
        for _ in 0..count {
            let path = StoredPath::read(reader)?;
            let code = reader.text(PROBLEM_CODE_MAX.0)?.to_owned();
            let sentence = reader.text(PROBLEM_SENTENCE_MAX.0)?.to_owned();
            problems.list(ListedProblem { path, code, sentence }).map_err(|flaw| reader.flaw(flaw))?;
        }
        Ok(problems)
    }
}

/// The bytes of the problem, lengths aside. The flaw: a rule that it breaks.
fn check(problem: &ListedProblem) -> Result<u64, Flaw> {
    let [path, code, sentence] =
        [problem.path.as_bytes().len(), problem.code.len(), problem.sentence.len()].map(|len| len as u64);
    up_to(path, PATH_MAX.0)?;
    up_to(code, PROBLEM_CODE_MAX.0)?;
    up_to(sentence, PROBLEM_SENTENCE_MAX.0)?;
    let is_word = code > 0 && problem.code.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    if is_word { Ok(path + code + sentence) } else { Err(Flaw::Text) }
}
