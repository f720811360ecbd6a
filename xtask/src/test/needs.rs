//! What the tests need besides the compiler: finds what is missing, and installs it with the system's own means.
//! Refuses to install quietly: every command is printed before it runs. With `--no-install` it only names them.

use anyhow::{Context, bail, ensure};
use std::process::{Command, Stdio};

/// Makes sure that everything is there.
pub fn run(no_install: bool) -> anyhow::Result<()> {
    let missing: Vec<_> = NEEDS.iter().filter(|need| !answers(need.probe)).collect();
    if missing.is_empty() {
        println!("nothing is missing");
        return Ok(());
    }
    let list: String = missing.iter().map(|need| format!("\n  {}: {}", need.name, need.what_for)).collect();
    let manager = MANAGERS.iter().find(|manager| answers(&[manager.program, "--version"]));
    let commands = commands(&missing, manager, rustix::process::geteuid().is_root())?;
    if no_install {
        bail!("missing, and --no-install was given:{list}\nthese commands install it:\n  {}", commands.join("\n  "));
    }
    println!("missing:{list}");
    for command in &commands {
        println!("installing: {command}");
        execute(command)?;
    }
    for need in missing {
        ensure!(answers(need.probe), "{} is still missing after installing it: see what was said above", need.name);
    }
    Ok(())
}

/// A program that the tests need.
struct Need {
    name: &'static str,
    /// A command that succeeds when it is there.
    probe: &'static [&'static str],
    what_for: &'static str,
    from: From,
}

/// Where a program comes from.
enum From {
    /// The packages of the system that hold the compilers.
    System,
    /// The packages of the system that hold PostgreSQL's server.
    Server,
    /// A package that has the program's name everywhere.
    Package,
    /// This command.
    Cargo(&'static str),
    /// A package of Debian's for the system's own Python; elsewhere one of Python's, by pip.
    Python { apt: &'static str, pip: &'static str },
}

const NEEDS: &[Need] = &[
    Need {
        name: "cc",
        probe: &["cc", "--version"],
        what_for: "the C compiler, for SQLite, zstd and ring",
        from: From::System,
    },
    Need {
        name: "postgresql",
        // Where distributions put it, besides PATH; the tests look in the same places (db::testing).
        probe: &[
            "sh",
            "-c",
            "command -v initdb || ls /usr/lib/postgresql/*/bin/initdb || ls /usr/local/bin/initdb \
             || ls /usr/pgsql-*/bin/initdb || ls /opt/homebrew/bin/initdb",
        ],
        what_for: "PostgreSQL 15 or newer, on which every test of the database runs too",
        from: From::Server,
    },
    Need {
        name: "rsync",
        probe: &["rsync", "--version"],
        what_for: "the judge of what was restored",
        from: From::Package,
    },
    Need { name: "c++", probe: &["c++", "--version"], what_for: "the C++ compiler, for libFuzzer", from: From::System },
    Need {
        name: "rustfmt",
        probe: &["cargo", "fmt", "--version"],
        what_for: "formatting",
        from: From::Cargo("rustup component add rustfmt"),
    },
    Need {
        name: "clippy",
        probe: &["cargo", "clippy", "--version"],
        what_for: "lints",
        from: From::Cargo("rustup component add clippy"),
    },
    Need {
        name: "cargo-deny",
        probe: &["cargo", "deny", "--version"],
        what_for: "licences and sources of the dependencies (some minutes to build)",
        from: From::Cargo("cargo install --locked cargo-deny"),
    },
    Need {
        name: "aiosmtpd",
        // Where the first python3 is not the system's, what apt-get installs is for the other.
        probe: &["sh", "-c", "python3 -c 'import aiosmtpd' || /usr/bin/python3 -c 'import aiosmtpd'"],
        what_for: "the mail server that the tests of mail send to",
        from: From::Python { apt: "python3-aiosmtpd", pip: "aiosmtpd" },
    },
];

/// A package manager, and how it installs both compilers and PostgreSQL's server, without starting one.
struct Manager {
    program: &'static str,
    commands: &'static [&'static str],
    server: &'static [&'static str],
    /// Installs packages whose names follow.
    install: &'static str,
    as_root: bool,
}

const MANAGERS: &[Manager] = &[
    Manager {
        program: "apt-get",
        commands: &["apt-get update", "apt-get install -y gcc g++"],
        server: &["apt-get update", "apt-get install -y --no-install-recommends postgresql"],
        install: "apt-get install -y --no-install-recommends",
        as_root: true,
    },
    Manager {
        program: "dnf",
        commands: &["dnf install -y gcc gcc-c++"],
        server: &["dnf install -y postgresql-server"],
        install: "dnf install -y",
        as_root: true,
    },
    Manager {
        program: "apk",
        commands: &["apk add build-base"],
        server: &["apk add postgresql"],
        install: "apk add",
        as_root: true,
    },
    Manager {
        program: "pacman",
        commands: &["pacman -Sy --noconfirm --needed gcc"],
        server: &["pacman -Sy --noconfirm --needed postgresql"],
        install: "pacman -Sy --noconfirm --needed",
        as_root: true,
    },
    Manager {
        program: "brew",
        commands: &["brew install gcc"],
        server: &["brew install postgresql"],
        install: "brew install",
        as_root: false,
    },
];

/// The commands that install what is missing, in order.
fn commands(missing: &[&Need], manager: Option<&Manager>, is_root: bool) -> anyhow::Result<Vec<String>> {
    let mut commands = Vec::new();
    let wants = |from: fn(&From) -> bool| missing.iter().any(|need| from(&need.from));
    let (compilers, server) = (wants(|from| matches!(from, From::System)), wants(|from| matches!(from, From::Server)));
    if compilers || server {
        let manager = manager.context(
            "a C and C++ compiler or PostgreSQL is missing, and none of apt-get, dnf, apk, pacman and brew is here to \
             install it",
        )?;
        let sudo = if manager.as_root && !is_root { "sudo " } else { "" };
        let mut add = |some: &[&str]| {
            for command in some.iter().map(|command| format!("{sudo}{command}")) {
                if !commands.contains(&command) {
                    commands.push(command);
                }
            }
        };
        if compilers {
            add(manager.commands);
        }
        if server {
            add(manager.server);
        }
    }
    for need in missing {
        match need.from {
            From::System | From::Server => {}
            From::Package => {
                let manager = manager.with_context(|| format!("{} is missing: install it", need.name))?;
                let sudo = if manager.as_root && !is_root { "sudo " } else { "" };
                let update = format!("{sudo}apt-get update");
                if manager.program == "apt-get" && !commands.contains(&update) {
                    commands.push(update);
                }
                commands.push(format!("{sudo}{} {}", manager.install, need.name));
            }
            From::Cargo(command) => commands.push(command.to_owned()),
            From::Python { apt, pip } => match manager.filter(|manager| manager.program == "apt-get") {
                Some(_) => {
                    let sudo = if is_root { "" } else { "sudo " };
                    let update = format!("{sudo}apt-get update");
                    if !commands.contains(&update) {
                        commands.push(update);
                    }
                    commands.push(format!("{sudo}apt-get install -y {apt}"));
                }
                None => commands.push(format!("python3 -m pip install {pip}")),
            },
        }
    }
    Ok(commands)
}

fn answers(probe: &[&str]) -> bool {
    let quiet = Command::new(probe[0])
        .args(&probe[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    quiet.is_ok_and(|ended| ended.success())
}

fn execute(command: &str) -> anyhow::Result<()> {
    let mut words = command.split(' ');
    let program = words.next().unwrap_or_default();
    let ended = Command::new(program)
        .args(words)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .status()
        .with_context(|| format!("starting {program}"))?;
    ensure!(ended.success(), "`{command}` ended with {ended}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(missing: &[&str], manager: &str, is_root: bool, wanted: &[&str]) {
        let missing: Vec<_> = NEEDS.iter().filter(|need| missing.contains(&need.name)).collect();
        let manager = MANAGERS.iter().find(|one| one.program == manager);
        assert_eq!(commands(&missing, manager, is_root).expect("it can be installed"), wanted);
    }

    #[test]
    fn the_systems_own_manager_installs_compilers_and_cargo_the_rest() {
        let apt = ["apt-get update", "apt-get install -y gcc g++"];
        check(&["cc", "c++"], "apt-get", true, &apt);
        check(&["c++"], "apt-get", false, &["sudo apt-get update", "sudo apt-get install -y gcc g++"]);
        check(&["cc"], "brew", false, &["brew install gcc"]);
        let server = "apt-get install -y --no-install-recommends postgresql";
        check(&["postgresql"], "apt-get", true, &["apt-get update", server]);
        check(&["cc", "postgresql"], "apt-get", true, &[apt[0], apt[1], server]);
        let rsync = "apt-get install -y --no-install-recommends rsync";
        check(&["rsync"], "apt-get", true, &["apt-get update", rsync]);
        check(&["postgresql", "rsync"], "apt-get", true, &[apt[0], server, rsync]);
        check(&["rsync"], "dnf", false, &["sudo dnf install -y rsync"]);
        check(&["postgresql"], "brew", false, &["brew install postgresql"]);
        check(&["cargo-deny"], "no manager", false, &["cargo install --locked cargo-deny"]);
        check(
            &["cc", "rustfmt", "cargo-deny"],
            "apk",
            true,
            &["apk add build-base", "rustup component add rustfmt", "cargo install --locked cargo-deny"],
        );
    }

    #[test]
    fn a_module_of_python_comes_from_debian_where_that_is_and_else_from_pip() {
        let apt = "apt-get install -y python3-aiosmtpd";
        check(&["aiosmtpd"], "apt-get", true, &["apt-get update", apt]);
        check(&["aiosmtpd"], "apt-get", false, &["sudo apt-get update", &format!("sudo {apt}")]);
        check(&["cc", "aiosmtpd"], "apt-get", true, &["apt-get update", "apt-get install -y gcc g++", apt]);
        check(&["aiosmtpd"], "dnf", true, &["python3 -m pip install aiosmtpd"]);
        check(&["aiosmtpd"], "no manager", false, &["python3 -m pip install aiosmtpd"]);
    }

    #[test]
    fn without_a_known_manager_a_missing_compiler_is_named() {
        let missing: Vec<_> = NEEDS.iter().filter(|need| need.name == "cc").collect();
        let error = commands(&missing, None, true).expect_err("nobody can install it");
        assert!(error.to_string().starts_with("a C and C++ compiler or PostgreSQL is missing"));
    }

    #[test]
    fn a_probe_answers_only_for_a_program_that_is_there_and_succeeds() {
        assert!(answers(&["true"]));
        assert!(!answers(&["false"]) && !answers(&["no-such-program", "--version"]));
    }
}
