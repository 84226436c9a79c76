//! v6-cgroups, from outside: what all steps keep, and limits on every kind of cgroup host.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, with the line that did it"
)]

mod hosts;
mod input;
mod limits;
mod namespace;
mod ownership;
mod tree;

use std::process::ExitCode;

use testbed::{Stage, Suite, contract};

fn main() -> ExitCode {
    let suite = contract::add(Suite::of(&Stage::V6));
    let parts = [limits::add, namespace::add, ownership::add, input::add, hosts::add];
    parts.into_iter().fold(suite, |suite, add: fn(Suite) -> Suite| add(suite)).run()
}
