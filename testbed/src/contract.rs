//! What every stage keeps, whatever else it isolates. Each stage's suite runs all of it.

mod arguments;
mod bad_input;
mod environment;
mod etc;
mod exit_status;
mod hostile;
mod hostname;
pub(crate) mod inheritance;
pub mod inside;
mod mounts;
mod network;
mod processes;
mod programs;
mod publish;
mod refusals;
mod rootfs;
mod signals;
mod stdio;
mod terminal;
mod volumes;

use crate::suite::Suite;

/// Adds the tests that hold for the stage of this suite.
pub fn add(suite: Suite) -> Suite {
    let parts: [fn(Suite) -> Suite; 20] = [
        arguments::add,
        environment::add,
        exit_status::add,
        stdio::add,
        inheritance::add,
        signals::add,
        terminal::add,
        rootfs::add,
        mounts::add,
        volumes::add,
        processes::add,
        programs::add,
        hostname::add,
        network::add,
        etc::add,
        publish::add,
        bad_input::add,
        refusals::add,
        hostile::add,
        inside::add,
    ];
    parts.into_iter().fold(suite, |suite, add| add(suite))
}
