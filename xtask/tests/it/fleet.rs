//! A fleet of simulated devices, reset by a campaign at every level: the proof of `cargo xtask fleet`, made small.

use crate::world::programs::programs;
use std::process::Command;

#[test]
fn a_fleet_ends_at_every_level_where_the_dry_run_said() {
    let mut proof = Command::new(env!("CARGO_BIN_EXE_xtask"));
    proof.args(["fleet", "--devices", "60", "--users", "6", "--programs"]).arg(&programs().folder);
    let proof = proof.output().expect("it starts");
    let said = String::from_utf8_lossy(&proof.stdout);
    assert!(proof.status.success(), "{said}\n{}", String::from_utf8_lossy(&proof.stderr));
    for level in ["rotate", "hold", "revoke"] {
        let agree = format!("{level}: {{");
        assert!(said.lines().any(|line| line.starts_with(&agree)), "{level} was not proved: {said}");
    }
    assert!(said.contains("the audit log holds"), "{said}");
}
