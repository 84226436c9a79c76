//! How a pod ends: its containers are asked, and what has not ended in time is killed.

use launcher::command_line::note;
use std::time::{Duration, Instant};

/// Who does not end within this time after being asked is waited for with a word about it.
const SILENCE: Duration = Duration::from_secs(1);

// ANCHOR: stop
/// The pod is to end.
#[derive(Debug)]
pub(super) struct Stop {
    /// From here on containers are killed.
    deadline: Instant,
    was_killed: bool,
    /// When to tell whom we wait for, unless that was told.
    tell: Option<Instant>,
}

impl Stop {
    /// Containers that were asked just now may take so long.
    pub(super) fn after(grace_period: Duration) -> Stop {
        let now = Instant::now();
        let deadline = now + grace_period;
        let tell = Some(now + SILENCE).filter(|tell| *tell < deadline);
        Stop { deadline, was_killed: false, tell }
    }

    /// Asked for the second time, it is over at once.
    pub(super) fn now(&mut self) {
        self.deadline = Instant::now();
    }

    /// True once, when the time is over.
    pub(super) fn is_over(&mut self) -> bool {
        let is_over = !self.was_killed && Instant::now() >= self.deadline;
        self.was_killed |= is_over;
        is_over
    }

    /// When there is something to do next.
    pub(super) fn due(&self) -> Option<Instant> {
        let next = [Some(self.deadline), self.tell].into_iter().flatten().min();
        next.filter(|_| !self.was_killed)
    }

    /// The grace period can be long, and a Ctrl-C that does nothing looks like a fault.
    pub(super) fn tell_if_waiting<'a>(&mut self, running: impl Iterator<Item = &'a str>) {
        let now = Instant::now();
        if self.was_killed || self.tell.take_if(|tell| *tell <= now).is_none() {
            return;
        }
        let names: Vec<_> = running.collect();
        let left = self.deadline.saturating_duration_since(now).as_secs();
        if !names.is_empty() {
            note(format_args!(
                "waiting for {} to end, for at most {left} s (the next Ctrl-C kills what is left)",
                names.join(", ")
            ));
        }
    }
}
// ANCHOR_END: stop
