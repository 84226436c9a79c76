//! v6-cgroups, from outside: what all stages keep, and limits.

use std::process::ExitCode;

use testbed::{Stage, Suite, contract};

fn main() -> ExitCode {
    contract::add(Suite::of(&Stage::V6)).run()
}
