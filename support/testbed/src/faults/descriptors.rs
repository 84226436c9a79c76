//! Which descriptors a launcher has open, and which of them lead out of the container at the time
//! when names are looked up in it.
//!
//! Close-on-exec takes effect at execve(2). Before that, `/proc/self/fd/N` is a name like every
//! other, and whoever made the image, the manifest or the link in the root file system has chosen
//! it (CVE-2024-21626).

use std::process::Command;

use super::tracer;
use crate::host::Host;
use crate::running::Outcome;

pub use super::open::{Descriptors, is_of_own_mounts};

/// Runs a launcher to its end, and looks at its descriptors.
pub fn look(host: &Host, command: &mut Command) -> (Descriptors, Outcome) {
    look_and(host, command, None)
}

/// The same, and something happens while the launcher is about to make a call of this name.
pub fn look_and(
    host: &Host,
    command: &mut Command,
    moment: Option<(&str, &dyn Fn())>,
) -> (Descriptors, Outcome) {
    if let Some(refusal) = tracer::refusal() {
        host.skip(refusal);
    }
    let traced = tracer::look(command, moment);
    assert!(!traced.hung, "it did not end: {:?}", traced.outcome);
    (traced.descriptors, traced.outcome)
}
