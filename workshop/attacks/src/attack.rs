//! What an attack is.

use super::attacker::{self, Attacker};
use super::target::Victim;
use super::victim;
use super::who::Who;

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
    /// How its containers are started.
    pub starts: Starts,
    /// What of the machine decides whether it succeeds.
    pub depends_on: Option<Depends>,
    /// What the kernel must have for it, and the errnos on the host that say that it has not: then
    /// no cell of the row says anything.
    pub needs_kernel: Option<(&'static str, &'static [&'static str])>,
}

/// How the containers of an attack are started. Where there are several ways, all are tried.
#[derive(Clone, Copy)]
pub(super) enum Starts {
    /// As one does.
    Usually,
    /// Usually, and then with the launcher itself as their command, by a link to /proc/self/exe.
    AlsoThroughLauncher,
    /// With a volume: a directory of the file system that the victim is on.
    WithVolume,
    /// In a working directory that is a descriptor which the caller has left open, or one of the
    /// launcher's own. Where there is no such option, the caller stands in that directory.
    InDescriptors,
    /// With a command that is a link through such a descriptor to a program of the host.
    ByLinks,
}

/// What decides, in some of the cells that are claimed to leak, whether they do.
#[derive(Clone, Copy)]
pub(super) struct Depends {
    /// In whose row.
    pub who: Who,
    /// In which cells: the steps by number, and 0 for the host.
    pub places: &'static [usize],
    /// The setting.
    pub on: &'static str,
    /// What the cell says where it is stopped.
    pub refusal: &'static str,
    /// When it leaks, and when it does not, in a few words.
    pub leaks: &'static str,
    pub is_stopped: &'static str,
}

impl Attack {
    /// What decides over this cell.
    pub(super) fn depends(&self, who: Who, place: usize) -> Option<Depends> {
        self.depends_on.filter(|it| it.who == who && it.places.contains(&place))
    }
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
    starts: Starts::Usually,
    depends_on: None,
    needs_kernel: None,
};
