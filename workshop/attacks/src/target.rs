//! What an attack is aimed at, once it is made.

use std::fs::File;
use std::path::PathBuf;

use anyhow::Result;

use super::session::Session;

/// Makes a victim.
pub(super) type Victim = fn(&Session) -> Result<Target>;

/// A victim that was made: what the attacker is told, and how the harm is seen.
pub(super) struct Target {
    pub told: Vec<String>,
    pub is_harmed: IsHarmed,
    /// A descriptor that the launcher inherits beside the usual ones.
    pub leaked: Option<File>,
    /// The launcher to use, if that is the victim.
    pub launcher: Option<PathBuf>,
    /// Where the launcher is started, if not at home.
    pub directory: Option<PathBuf>,
    /// The process group that the launcher is started in, if not ours.
    pub group: Option<u32>,
    /// What the caller adds the output to.
    pub log: Option<PathBuf>,
}

/// From what the attacker says that it has got to whether that is the victim's.
type IsHarmed = Box<dyn FnMut(&Session, &str) -> Result<bool>>;

/// What no process knows but the victim.
pub(super) const SECRET: &str = "secret-of-the-host";

impl Target {
    /// A victim that has a secret, which the attacker must bring home.
    pub(super) fn with_secret(told: Vec<String>) -> Target {
        Target::seen_by(told, |_, got| Ok(got.contains(SECRET)))
    }

    pub(super) fn seen_by(
        told: Vec<String>,
        is_harmed: impl FnMut(&Session, &str) -> Result<bool> + 'static,
    ) -> Target {
        Target {
            told,
            is_harmed: Box::new(is_harmed),
            leaked: None,
            launcher: None,
            directory: None,
            group: None,
            log: None,
        }
    }
}
