//! v8-pause, from outside: a pod and everything that it promises.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod attack;
mod ends;
mod entering;
mod pause;
mod pod;
mod refused;
mod sharing;
mod volumes;

use std::process::ExitCode;

use testbed::{Stage, Suite};

fn main() -> ExitCode {
    if attack::is_attacker() {
        attack::attack();
    }
    let suite = Suite::of(&Stage::V8);
    let parts: [fn(Suite) -> Suite; 7] = [
        pause::add,
        sharing::add,
        ends::add,
        entering::add,
        volumes::add,
        refused::add,
        attack::add,
    ];
    parts.into_iter().fold(suite, |suite, add| add(suite)).run()
}
