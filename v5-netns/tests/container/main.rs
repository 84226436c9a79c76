//! v5-netns, from outside: what all steps keep, a network of its own, and many of them at once.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, with the line that did it"
)]

use std::process::ExitCode;

use testbed::{Stage, Suite, contract};

mod crowd;
mod load;

fn main() -> ExitCode {
    let suite = contract::add(Suite::of(&Stage::V5));
    [crowd::add, load::add].into_iter().fold(suite, |suite, add| add(suite)).run()
}
