//! What an exercise is.

use anyhow::Result;

use super::judged::Judged;

/// One exercise.
pub struct Exercise {
    /// Its name on the command line, and that of its file. Progress is kept by it: see `was`.
    pub id: &'static str,
    /// Ids that it had before. Who passed it under one of them has passed it.
    pub was: &'static [&'static str],
    /// The step that it belongs to, which is the name of its chapter too.
    pub step: &'static str,
    /// One line for the list.
    pub title: &'static str,
    /// How long it takes.
    pub minutes: u32,
    /// All versions of its program: see [`super::source`]. The first comment is its text.
    pub source: &'static str,
    /// Help, from a nudge to all but the answer.
    pub hints: [&'static str; 3],
    /// Words that the check says of the starter, and of no other version.
    pub starter_fails: &'static str,
    /// Versions that people write, and that the check must reject.
    pub faults: &'static [Fault],
    /// Whether the check makes a cgroup, which takes root: it is not isolated from the machine.
    pub needs_cgroup: bool,
    /// What the program must do; an error is the first thing that it does not do.
    pub check: fn(&Judged) -> Result<()>,
}

/// A wrong version of an exercise.
pub struct Fault {
    /// Its name in the source.
    pub name: &'static str,
    /// Words that the check says of it, and of no other version.
    pub fails: &'static str,
}
