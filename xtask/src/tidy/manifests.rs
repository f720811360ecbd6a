//! Every crate takes its lints, its version and its licence from the workspace, so that none escapes the rules.
//! Refuses a second clippy.toml: it would replace the root's instead of adding to it.

use super::Problem;
use super::sources::Sources;
use anyhow::Context;
use std::path::{Path, PathBuf};

/// What each manifest must say.
const MUST: &[&str] = &[
    "[lints]\nworkspace = true\n",
    "version.workspace = true\n",
    "edition.workspace = true\n",
    "license.workspace = true\n",
    "publish.workspace = true\n",
];

/// Checks the crates of the workspace.
pub fn check(root: &Path, _sources: &Sources) -> anyhow::Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for (path, folder) in crates(root)? {
        let manifest = format!("{path}/Cargo.toml");
        let text = std::fs::read_to_string(root.join(&manifest)).with_context(|| format!("reading {manifest}"))?;
        for must in MUST.iter().filter(|must| !text.contains(*must)) {
            problems.push(Problem::new(&manifest, format!("must say `{}`", must.trim_end().replace('\n', " "))));
        }
        let own = [".clippy.toml", "clippy.toml"].into_iter().find(|own| folder.join(own).exists());
        problems.extend(own.map(|own| Problem::new(format!("{path}/{own}"), "must go: it hides the one at the root")));
    }
    Ok(problems)
}

/// The folders of the members, below the root and whole.
fn crates(root: &Path) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let mut crates = vec![("xtask".to_owned(), root.join("xtask"))];
    for entry in std::fs::read_dir(root.join("crates")).context("reading the folder crates")? {
        let entry = entry.context("reading the folder crates")?;
        crates.push((format!("crates/{}", entry.file_name().to_string_lossy()), entry.path()));
    }
    crates.sort();
    Ok(crates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_that_escapes_is_named_with_what_it_must_say() {
        let root = tempfile::tempdir().expect("a temporary folder");
        for krate in ["xtask", "crates/a"] {
            std::fs::create_dir_all(root.path().join(krate)).expect("a folder");
            std::fs::write(root.path().join(krate).join("Cargo.toml"), MUST.concat()).expect("writing");
        }
        let sentences = || {
            let problems = check(root.path(), &Sources { files: Vec::new() }).expect("reading");
            problems.iter().map(Problem::to_string).collect::<Vec<_>>()
        };
        assert_eq!(sentences(), [] as [String; 0]);
        std::fs::write(root.path().join("crates/a/Cargo.toml"), MUST[1..].concat()).expect("writing");
        std::fs::write(root.path().join("crates/a/clippy.toml"), "").expect("writing");
        assert_eq!(
            sentences(),
            [
                "crates/a/Cargo.toml: must say `[lints] workspace = true`",
                "crates/a/clippy.toml: must go: it hides the one at the root",
            ]
        );
    }
}
