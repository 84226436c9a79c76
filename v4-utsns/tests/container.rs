//! v4-utsns, from outside: what all steps keep, and a hostname of its own.

use std::process::ExitCode;

use testbed::{Stage, Suite, contract};

fn main() -> ExitCode {
    contract::add(Suite::of(&Stage::V4)).run()
}
