//! The order of the crates as a table, and its comparison with what the Cargo.toml files say.
//! Refuses an edge that is not in the table, and a crate that is not. Reasons: ARCHITECTURE.md, "Layers".

use crate::tidy::Problem;
use anyhow::Context;
use cargo_metadata::{DependencyKind, MetadataCommand};
use std::path::Path;

/// The order as ARCHITECTURE.md shows it. A crate may depend only on crates to the left of a `<`.
const ORDER: &str =
    "base < format · control · store · pin < engine · protocol · db < app · agent · desktop < server < sim";

/// Each crate, and the crates of ours that it may depend on. In the order above.
const TABLE: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("format", &["base"]),
    ("control", &["base"]),
    ("store", &["base"]),
    ("pin", &[]),
    ("engine", &["base", "format"]),
    ("protocol", &["base", "format", "control"]),
    ("db", &["base", "format", "control"]),
    ("app", &["base", "format", "control", "store", "engine", "db"]),
    ("agent", &["base", "format", "control", "pin", "engine", "protocol"]),
    ("desktop", &["base", "protocol"]),
    ("server", &["base", "format", "control", "pin", "protocol", "app"]),
    ("sim", &["base", "format", "control", "store", "pin", "engine", "protocol", "db", "app", "agent", "server"]),
];

/// Outside the order: may lean on any crate, and none on it.
const OUTSIDE: &str = "xtask";

/// Foreign crates that would bring I/O, async or a wire form into the pure crates.
const PURE: &[(&str, &[&str])] = &[
    ("format", &["async-trait", "futures", "rustix", "serde", "serde_json", "tokio", "tracing"]),
    ("control", &["async-trait", "futures", "rustix", "serde", "serde_json", "tokio", "tracing"]),
];

/// Compares the workspace below `root` with the tables.
pub fn check(root: &Path) -> anyhow::Result<Vec<Problem>> {
    let mut problems = wrong_edges(&edges(root)?);
    let map = std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap_or_default();
    if !map.contains(ORDER) {
        problems.push(Problem::new("ARCHITECTURE.md", format!("must show the order of the crates, as `{ORDER}`")));
    }
    Ok(problems)
}

/// One crate of ours and what it depends on, for building it; what only its tests use is free.
struct Edges {
    krate: String,
    ours: Vec<String>,
    foreign: Vec<String>,
}

fn edges(root: &Path) -> anyhow::Result<Vec<Edges>> {
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .no_deps()
        .exec()
        .context("asking cargo for the crates of the workspace")?;
    let packages = metadata.packages.into_iter().map(|package| {
        let built = package.dependencies.into_iter().filter(|on| on.kind != DependencyKind::Development);
        let (ours, foreign): (Vec<_>, Vec<_>) = built.partition(|on| on.path.is_some());
        let names = |list: Vec<cargo_metadata::Dependency>| list.into_iter().map(|on| on.name).collect();
        Edges { krate: package.name.to_string(), ours: names(ours), foreign: names(foreign) }
    });
    Ok(packages.collect())
}

fn wrong_edges(workspace: &[Edges]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for Edges { krate, ours, foreign } in workspace.iter().filter(|edges| edges.krate != OUTSIDE) {
        let mut report = |sentence: String| problems.push(Problem::new(format!("crates/{krate}/Cargo.toml"), sentence));
        let Some((_, allowed)) = TABLE.iter().find(|(name, _)| name == krate) else {
            report(format!("{krate} has no place in the order of the crates: give it one in xtask/src/layers.rs"));
            continue;
        };
        for on in ours.iter().filter(|on| !allowed.contains(&on.as_str())) {
            let may = if allowed.is_empty() { "none of our crates".to_owned() } else { allowed.join(", ") };
            report(format!("{krate} may not depend on {on}, only on: {may}"));
        }
        let barred = PURE.iter().find(|(name, _)| name == krate).map_or(&[][..], |(_, barred)| barred);
        for on in foreign.iter().filter(|on| barred.contains(&on.as_str())) {
            report(format!("{krate} is pure: no I/O, no async, no wire form, and so not {on}"));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(krate: &str, ours: &[&str], foreign: &[&str]) -> Vec<String> {
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect();
        let edges = Edges { krate: krate.to_owned(), ours: names(ours), foreign: names(foreign) };
        wrong_edges(&[edges]).iter().map(Problem::to_string).collect()
    }

    #[test]
    fn the_crates_of_the_workspace_keep_their_order() {
        crate::tidy::expect_none(check(crate::root()).expect("cargo knows the workspace"));
    }

    #[test]
    fn the_table_agrees_with_the_order_line() {
        let levels: Vec<Vec<&str>> = ORDER.split(" < ").map(|level| level.split(" · ").collect()).collect();
        let level_of = |krate: &str| levels.iter().position(|level| level.contains(&krate)).expect("it is in the line");
        assert!(levels.iter().flatten().eq(TABLE.iter().map(|(krate, _)| krate)), "the same crates in the same order");
        for (krate, allowed) in TABLE {
            assert!(allowed.iter().all(|on| level_of(on) < level_of(krate)), "{krate} depends only on its left");
        }
        let users_of =
            |of: &str| TABLE.iter().filter(|(_, on)| on.contains(&of)).map(|(krate, _)| *krate).collect::<Vec<_>>();
        assert_eq!(users_of("app"), ["server", "sim"], "only the server leads to the use cases, and what plays it");
        assert_eq!(users_of("db"), ["app", "sim"]);
    }

    #[test]
    fn wrong_edges_are_named() {
        assert_eq!(wrong("server", &["app", "base"], &["axum"]), [] as [String; 0]);
        assert_eq!(wrong("xtask", &["server"], &[]), [] as [String; 0]);
        let rows = [
            (
                wrong("server", &["db"], &[]),
                "server may not depend on db, only on: base, format, control, pin, protocol, app",
            ),
            (wrong("server", &["store"], &[]), "server may not depend on store"),
            (wrong("agent", &["app"], &[]), "agent may not depend on app"),
            (wrong("base", &["format"], &[]), "base may not depend on format, only on: none of our crates"),
            (wrong("agent", &["xtask"], &[]), "agent may not depend on xtask"),
            (wrong("utils", &[], &[]), "utils has no place in the order"),
            (
                wrong("control", &["base"], &["serde"]),
                "control is pure: no I/O, no async, no wire form, and so not serde",
            ),
        ];
        for (problems, sentence) in rows {
            assert!(problems.len() == 1 && problems[0].contains(sentence), "{sentence}: {problems:?}");
        }
    }
}
