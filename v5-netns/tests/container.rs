//! v5-netns, from outside: what all stages keep, and a network of its own.

use std::process::ExitCode;

use testbed::{Stage, Suite, contract};

fn main() -> ExitCode {
    contract::add(Suite::of(&Stage::V5)).run()
}
