//! How much a run of the tests tries.
//!
//! `cargo test` tries every behaviour of every step once, in a minute. `cargo suite` (see
//! `bin/suite.rs`) tries all there is: both identities, what takes long or loads the machine, every
//! value of what has many.

use std::env;

use crate::stage::Stage;

/// Set to `true` by `cargo suite`.
pub const TESTBED_WHOLE: &str = "TESTBED_WHOLE";

/// The steps at which a container is waited for, ended and signalled by other processes than at the
/// one before: here a supervisor begins to, and here a process between it and PID 1.
pub(crate) const OTHER_SUPERVISION: &[&Stage] = &[&Stage::V1, &Stage::V3];

/// The steps at which the launcher has other things of the host's open than at the one before, when
/// it enters the container: mounts, the network's sockets, cgroups, layers.
pub(crate) const OTHER_DESCRIPTORS: &[&Stage] = &[&Stage::V2, &Stage::V5, &Stage::V6, &Stage::V7];

/// Whether this run is of the whole suite.
pub fn is_whole() -> bool {
    env::var_os(TESTBED_WHOLE).is_some_and(|value| value == "true")
}
