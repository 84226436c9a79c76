//! v8-pause, from outside: a pod and everything that it promises.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "../../../v7-overlay/tests/container/archive.rs"]
#[expect(dead_code, reason = "v7's tests make stranger archives")]
mod archive;
mod attack;
mod empty_dirs;
mod ends;
mod entering;
#[path = "../../../v7-overlay/tests/container/image.rs"]
#[expect(dead_code, reason = "v7's tests make stranger images")]
mod image;
mod inside;
mod manifests;
mod nginx;
mod own_image;
mod pause;
mod pod;
mod pulled;
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
    let parts: [fn(Suite) -> Suite; 15] = [
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
        manifests::add,
        pulled::add,
        attack::add,
        nginx::add,
    ];
    parts.into_iter().fold(suite, |suite, add| add(suite)).run()
}
