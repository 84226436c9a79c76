//! What an attack is.

use super::attacker::{self, Attacker};
use super::list::ALL;
use super::victim::{self, Victim};

/// An attack.
pub(super) struct Attack {
    /// Its name, for the command line and for links.
    pub id: &'static str,
    /// What it does, in one line.
    pub does: &'static str,
    /// What stops it, or why nothing does.
    pub why: &'static str,
    /// What Docker does about it, if the steps leave it open.
    pub docker: &'static str,
    /// What the attacker does.
    pub attacker: Attacker,
    /// Whom it is done to.
    pub victim: Victim,
    /// The attacker walks out of its root directory first, if it can: an attack can be made of two.
    pub leaves_first: bool,
    /// On the host, too, it takes root.
    pub takes_root: bool,
    /// The steps, by number, in which it succeeds for root: the claim that every run verifies.
    pub leaks_for_root: &'static [usize],
    /// The same for an ordinary user.
    pub leaks_for_user: &'static [usize],
    /// It is typed at a terminal.
    pub needs_terminal: bool,
    /// What of the machine decides whether an ordinary user can do it on the host: the setting, and
    /// the errno of a refusal.
    pub depends_on: Option<(&'static str, &'static str)>,
}

/// An ordinary one; each attack says in what it is different.
pub(super) const ATTACK: Attack = Attack {
    id: "",
    does: "",
    why: "",
    docker: "",
    attacker: attacker::read_file,
    victim: victim::SECRET_FILE,
    leaves_first: false,
    takes_root: false,
    leaks_for_root: &[],
    leaks_for_user: &[],
    needs_terminal: false,
    depends_on: None,
};

/// The attack of this name.
pub(super) fn find(id: &str) -> Option<&'static Attack> {
    ALL.iter().find(|attack| attack.id == id)
}
