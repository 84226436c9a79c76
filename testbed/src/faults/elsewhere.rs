//! The tracer reads and changes registers, and knows those of x86-64. On other machines there is
//! one trial for each launcher, which says so.

use std::process::Command;

use crate::host::Host;
use crate::suite::Suite;

/// Gives a launcher to start.
pub type Starts<'a> = Box<dyn Fn() -> Command + 'a>;

/// Prepares a host for launchers that shall have faults.
pub type Prepare = for<'a> fn(&'a Host) -> Starts<'a>;

/// Whether all faults are wanted.
pub fn is_whole() -> bool {
    false
}

/// Adds a trial that is skipped.
pub fn add(suite: Suite, name: &str, _: Prepare) -> Suite {
    suite.both(format!("{name}_each_call_fails"), skip)
}

/// The same, but for root only.
pub fn add_for_root(suite: Suite, name: &str, _: Prepare) -> Suite {
    suite.root(format!("{name}_each_call_fails"), skip)
}

/// Adds a trial that is skipped.
pub fn add_killed(suite: Suite, _: Prepare, _: Prepare) -> Suite {
    suite.both("killed_at_each_call", skip)
}

fn skip(host: &Host) {
    host.skip("the tracer knows the registers of x86-64 only");
}
