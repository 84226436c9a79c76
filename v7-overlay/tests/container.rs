//! v7-overlay, from outside: what all stages keep, and layers of its own.

use std::process::ExitCode;

use testbed::{Stage, Suite, contract};

fn main() -> ExitCode {
    contract::add(Suite::of(&Stage::V7)).run()
}
