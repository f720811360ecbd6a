//! Everything that a change must pass, step by step, from a clean clone; `.ci/run` calls it and adds nothing.
//! Refuses to hide a step: each is a command that a person can run alone, printed before it runs.

mod needs;

use crate::{demo, fuzz, simulate, torture};
use anyhow::{Context, ensure};
use base::{Clock, Span, SystemClock};
use std::path::Path;
use std::process::Command;

/// Runs the steps in order up to the first that fails, and ends with a table of their times.
pub fn run(root: &Path, no_install: bool) -> anyhow::Result<()> {
    let steps = steps(no_install);
    let mut done = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        println!("\n== {} of {}: {}: {}", number + 1, steps.len(), step.name, step.alone());
        let begun_at = SystemClock.now();
        let result = step.run(root);
        let took = SystemClock.now().since(begun_at);
        println!("== {}: {}, {took}", step.name, if result.is_ok() { "ok" } else { "FAILED" });
        done.push((step.name, took, result.is_ok()));
        if let Err(error) = result {
            print!("\n{}", table(&done, steps.len()));
            return Err(error.context(format!("step {} failed; run it alone: {}", step.name, step.alone())));
        }
    }
    print!("\n{}", table(&done, steps.len()));
    Ok(())
}

// What needs no build first: the cheapest answer comes first. Advisories are not here: they need a database from
// the network, and change without a change of ours (deny.toml).
fn steps(no_install: bool) -> Vec<Step> {
    let needs = if no_install { "cargo xtask test --no-install" } else { "cargo xtask test" };
    vec![
        Step { name: "needs", work: Work::Call(needs, Box::new(move |_| needs::run(no_install))) },
        command("fmt", &[], "cargo fmt --all --check"),
        command("deny", &[], "cargo deny --locked check bans licenses sources"),
        command("clippy", &[], "cargo clippy --workspace --all-targets --locked -- -D warnings"),
        command(
            "doc",
            &[("RUSTDOCFLAGS", "-Dwarnings")],
            "cargo doc --workspace --no-deps --document-private-items --locked",
        ),
        command("test", &[], "cargo test --workspace --locked"),
        Step {
            name: "fuzz",
            work: Work::Call("cargo xtask fuzz", Box::new(|root| fuzz::run(root, fuzz::SECONDS_IN_TEST))),
        },
        Step { name: "demo", work: Work::Call("cargo xtask demo", Box::new(demo::run_small)) },
        Step { name: "torture", work: Work::Call("cargo xtask torture --kills 8", Box::new(torture::run_short)) },
        Step { name: "simulate", work: Work::Call("cargo xtask simulate", Box::new(simulate::run_usual)) },
    ]
}

/// One step.
struct Step {
    name: &'static str,
    work: Work,
}

enum Work {
    /// Variables of the environment, and a command whose words have no spaces.
    Command(&'static [(&'static str, &'static str)], &'static str),
    /// The command that does the same, and the function.
    Call(&'static str, Box<Call>),
}

type Call = dyn Fn(&Path) -> anyhow::Result<()>;

fn command(name: &'static str, env: &'static [(&'static str, &'static str)], words: &'static str) -> Step {
    Step { name, work: Work::Command(env, words) }
}

impl Step {
    /// What a person types to run this step alone.
    fn alone(&self) -> String {
        match &self.work {
            Work::Command(env, words) => {
                let env: String = env.iter().map(|(name, value)| format!("{name}={value} ")).collect();
                format!("{env}{words}")
            }
            Work::Call(words, _) => (*words).to_owned(),
        }
    }

    fn run(&self, root: &Path) -> anyhow::Result<()> {
        match &self.work {
            Work::Call(_, call) => call(root),
            Work::Command(env, words) => {
                let mut words = words.split(' ');
                let program = words.next().unwrap_or_default();
                let mut command = Command::new(program);
                let ended = command.args(words).envs(env.iter().copied()).current_dir(root).status();
                let ended = ended.with_context(|| format!("starting {program}"))?;
                ensure!(ended.success(), "it ended with {ended}");
                Ok(())
            }
        }
    }
}

fn table(done: &[(&str, Span, bool)], steps: usize) -> String {
    let total: u64 = done.iter().map(|(_, took, _)| took.as_ms()).sum();
    let mut lines: Vec<_> = done
        .iter()
        .map(|(name, took, ok)| format!("{name:<8} {:>14}   {}\n", took.to_string(), if *ok { "ok" } else { "FAILED" }))
        .collect();
    let last = format!("{:<8} {:>14}   {} of {steps} steps\n", "all", Span::ms(total).to_string(), done.len());
    lines.push(last);
    lines.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_says_how_to_run_it_alone() {
        for step in steps(false) {
            assert!(step.alone().contains("cargo "), "{}", step.name);
        }
        let doc = steps(false).into_iter().find(|step| step.name == "doc").expect("documents are built");
        assert!(doc.alone().starts_with("RUSTDOCFLAGS=-Dwarnings cargo doc"));
    }

    #[test]
    fn a_step_passes_its_variables_on_and_fails_with_its_command() {
        let root = crate::root();
        assert!(command("a", &[("HOLDFAST_A", "1")], "printenv HOLDFAST_A").run(root).is_ok());
        assert!(command("a", &[], "printenv HOLDFAST_A").run(root).is_err());
        let error = command("a", &[], "no-such-program").run(root).expect_err("there is none");
        assert_eq!(error.to_string(), "starting no-such-program");
    }

    #[test]
    fn the_table_has_a_line_for_each_step_and_one_for_all() {
        let done = [("fmt", Span::ms(850), true), ("test", Span::seconds(725), false)];
        let wanted = "fmt              850 ms   ok\n\
                      test         12 min 5 s   FAILED\n\
                      all          12 min 5 s   2 of 7 steps\n";
        assert_eq!(table(&done, 7), wanted);
    }
}
