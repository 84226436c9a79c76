//! What containers read and print, on its way between them and their caller.
//!
//! Whoever carries has one thread and other things to do. So nothing here blocks but [`wait_for`],
//! which waits for everything at once.
//!
//! | module | what it does |
//! |---|---|
//! | [`console`] | the caller's terminal, which no container gets, and what it gets instead |
//! | [`lines`] | what several containers print, with their names before it |

pub mod console;
pub mod lines;
mod system_calls;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollTimeout, poll};
use std::time::Duration;

/// poll(2), for so long at most: which of them have something, in their order.
///
/// # Errors
/// Those of poll(2), except that a signal came.
pub fn wait_for(waited: &mut [PollFd], at_most: Option<Duration>) -> Result<Vec<bool>> {
    // The time is cut to milliseconds: one more, lest we come before it.
    let timeout = at_most.map_or(PollTimeout::NONE, |left| {
        PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
    });
    match poll(waited, timeout) {
        Err(Errno::EINTR) => {}
        polled => drop(polled.context("cannot poll")?),
    }
    Ok(waited.iter().map(|it| it.any() == Some(true)).collect())
}
