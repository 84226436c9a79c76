//! v3-pidns, from outside: what all steps keep, and process numbers of its own.

use std::process::ExitCode;

use testbed::{Stage, Suite, contract};

fn main() -> ExitCode {
    contract::add(Suite::of(&Stage::V3)).run()
}
