//! Where in a run of a launcher a fault can be.

use std::fmt;

/// One system call of one process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Point {
    /// Whose: "launcher", its first child "1", the second child of that "1.2". All threads of one
    /// but the first are "1's threads": which of them does what, nobody decides.
    pub(super) process: String,
    pub(super) call: String,
    /// The how-manieth of its name in this process, from 1.
    pub(super) count: usize,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}#{}", self.process, self.call, self.count)
    }
}
