//! What every step keeps, whatever else it isolates. Each step's suite runs all of it.

mod arguments;
mod asked_to_end;
mod bad_input;
mod environment;
mod etc;
mod exit_status;
mod hostile;
mod hostname;
pub(crate) mod inheritance;
mod init;
pub mod inside;
mod lesser_roots;
mod mounts;
mod network;
mod options;
mod processes;
mod programs;
mod publish;
mod read_only;
mod refusals;
mod rootfs;
mod signals;
mod stdio;
mod terminal;
mod tmpfs;
mod uplinks;
mod volumes;

use crate::suite::Suite;

/// Adds the tests that hold for the step of this suite.
pub fn add(suite: Suite) -> Suite {
    // Root's containers get a bridge there, for which the kernel lets only one wait at a time.
    let suite = match suite.stage().network_namespace {
        true => suite.short_as_user(add_what_every_container_keeps),
        false => add_what_every_container_keeps(suite),
    };
    let parts: [fn(Suite) -> Suite; 7] = [
        network::add,
        uplinks::add,
        etc::add,
        publish::add,
        inside::add,
        asked_to_end::add,
        init::add,
    ];
    parts.into_iter().fold(suite, |suite, add| add(suite))
}

fn add_what_every_container_keeps(suite: Suite) -> Suite {
    let parts: [fn(Suite) -> Suite; 20] = [
        arguments::add,
        options::add,
        environment::add,
        exit_status::add,
        stdio::add,
        inheritance::add,
        signals::add,
        terminal::add,
        rootfs::add,
        mounts::add,
        volumes::add,
        tmpfs::add,
        read_only::add,
        processes::add,
        programs::add,
        hostname::add,
        bad_input::add,
        refusals::add,
        lesser_roots::add,
        hostile::add,
    ];
    parts.into_iter().fold(suite, |suite, add| add(suite))
}
