//! What a person reads after `holdfast verify-restore`: whether all is as in the snapshot, else what is not.
//! Refuses to list more than a screen: `--json` has the rest.

use super::{PROBLEMS_SHOWN_MAX, problems, row, wrapped};
use crate::verify_restore::Verified;
use base::{Bytes, Count, printable};
use engine::compare::Aspect;
use std::fmt::Write as _;
use std::path::Path;

pub(super) fn verified(done: &Verified) -> String {
    let Verified { snapshot, at, took, totals, counts, problems: listed, .. } = done;
    let differing = done.difference_count();
    let mut text = match (differing, totals.problems) {
        (0, 0) => format!("Everything is as in snapshot {snapshot}.\n\n"),
        (0, _) => format!("What could be compared is as in snapshot {snapshot}.\n\n"),
        (_, _) => format!("Not everything is as in snapshot {snapshot}.\n\n"),
    };
    row(&mut text, "at", &printable(&at.to_string_lossy()));
    let entries = Count(counts.entries).counted("entry");
    row(
        &mut text,
        "compared",
        &format!("{entries}, {} ({})", Count(counts.files).counted("file"), Bytes(counts.bytes)),
    );
    row(&mut text, "missing", &Count(counts.missing).to_string());
    row(&mut text, "different", &Count(counts.different).to_string());
    if done.counts_extra {
        row(&mut text, "extra", &format!("{} that the snapshot does not have", Count(counts.extra).counted("entry")));
    }
    row(&mut text, "fetched", &Bytes(totals.bytes_fetched).to_string());
    row(&mut text, "time", &took.to_string());
    let root = if at == Path::new("/") { "/" } else { "" };
    differences(&mut text, done, root);
    problems(&mut text, totals.problems, listed, "these entries could not be compared", root);
    text
}

fn differences(text: &mut String, done: &Verified, root: &str) {
    let count = done.difference_count();
    if count == 0 {
        return;
    }
    let _ = writeln!(text, "\n{}:", Count(count).counted("difference"));
    for difference in done.differences.iter().take(PROBLEMS_SHOWN_MAX) {
        let _ = writeln!(text, "  {root}{}", difference.path);
        let words: Vec<&str> = difference.what.iter().map(|aspect| phrase(*aspect)).collect();
        text.push_str(&wrapped(&words.join(", "), 4, 4));
    }
    // What is beneath a folder that is missing is counted and not listed.
    let shown = done.differences.len().min(PROBLEMS_SHOWN_MAX) as u64;
    if count > shown {
        let _ = writeln!(text, "  and {} more; --json lists up to 1,000", Count(count - shown));
    }
}

/// In what an entry differs, for a person.
const fn phrase(aspect: Aspect) -> &'static str {
    match aspect {
        Aspect::Missing => "missing",
        Aspect::Kind => "another kind of entry",
        Aspect::Size => "another size",
        Aspect::Content => "other content",
        Aspect::LinkTarget => "points elsewhere",
        Aspect::Numbers => "another device",
        Aspect::HardLink => "other hard links",
        Aspect::Mode => "another mode",
        Aspect::User => "another owner",
        Aspect::Group => "another group",
        Aspect::Mtime => "another time",
        Aspect::Xattrs => "other extended attributes",
    }
}
