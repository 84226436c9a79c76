//! How slow the machine is on which the tests run.

use std::env;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

/// So many times slower than the machine that the tests' times are meant for: a whole number.
const TESTBED_SLOW: &str = "TESTBED_SLOW";

/// The time that something may take here, or needs here, which takes `time` at the usual pace.
///
/// Not for a time that is itself what the test is about, such as the two seconds of the third
/// Ctrl-C: those do not grow on a slow machine.
pub fn slowed(time: Duration) -> Duration {
    static FACTOR: OnceLock<u32> = OnceLock::new();
    time * *FACTOR.get_or_init(|| match env::var(TESTBED_SLOW) {
        Err(_) => 1,
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{TESTBED_SLOW}={text}: no number")),
    })
}

/// Waits as long as it takes until something that cannot be seen has surely happened.
pub fn settle(milliseconds: u64) {
    thread::sleep(slowed(Duration::from_millis(milliseconds)));
}
