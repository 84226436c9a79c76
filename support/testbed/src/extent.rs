//! How much a run of the tests tries.
//!
//! `cargo test` tries every behaviour of every step once, in a minute. `cargo suite` (see
//! `bin/suite.rs`) tries all there is: both identities, what takes long or loads the machine, every
//! value of what has many.

use std::env;

/// Set to `true` by `cargo suite`.
pub const TESTBED_WHOLE: &str = "TESTBED_WHOLE";

/// Whether this run is of the whole suite.
pub fn is_whole() -> bool {
    env::var_os(TESTBED_WHOLE).is_some_and(|value| value == "true")
}
