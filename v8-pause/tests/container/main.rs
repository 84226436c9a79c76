//! v8-pause, from outside: a pod and everything that it promises.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod attack;
mod empty_dirs;
mod ends;
mod entering;
mod image;
mod inside;
mod nginx;
mod pause;
mod pod;
mod refused;
mod same_as_first;
mod sharing;
mod stop_signal;
mod terminal;
mod volumes;

use std::process::ExitCode;

use testbed::{Stage, Suite};

fn main() -> ExitCode {
    if attack::is_attacker() {
        attack::attack();
    }
    if entering::is_liar() {
        entering::lie();
    }
    // The test binary is started again for each trial, with arguments of its own.
    if testbed::extent::is_whole()
        && !std::env::args().nth(1).is_some_and(|first| first.starts_with("--in-throw"))
    {
        nginx::prepare();
    }
    let suite = Suite::of(&Stage::V8);
    let parts: [fn(Suite) -> Suite; 13] = [
        pause::add,
        sharing::add,
        ends::add,
        stop_signal::add,
        entering::add,
        same_as_first::add,
        inside::add,
        terminal::add,
        volumes::add,
        empty_dirs::add,
        refused::add,
        attack::add,
        nginx::add,
    ];
    parts.into_iter().fold(suite, |suite, add| add(suite)).run()
}
