//! Who attacks.

/// Who starts the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Who {
    /// The host's root.
    Root,
    /// An ordinary user.
    User,
}

impl Who {
    /// For readers.
    pub(super) fn title(self) -> &'static str {
        match self {
            Who::Root => "as root",
            Who::User => "without root",
        }
    }

    /// For the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Who::Root => "root",
            Who::User => "user",
        }
    }
}
