//! A terminal of the host, for attacks that are typed.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use anyhow::{Context, Result};
use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};

/// A terminal: a pseudo-terminal of which the attacker gets one side.
pub(super) struct Terminal {
    master: Rc<OwnedFd>,
    slave: File,
}

impl Terminal {
    /// Makes a terminal, for the session (setsid(2)) that this process leads: a leader without one
    /// gets the first that it opens.
    pub(super) fn make() -> Result<Terminal> {
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let master = posix_openpt(flags).context("cannot make a pseudo-terminal")?;
        grantpt(&master).and_then(|()| unlockpt(&master)).context("cannot use it")?;
        let name = ptsname_r(&master).context("cannot name it")?;
        let slave = File::options().read(true).write(true).open(&name);
        let slave = slave.with_context(|| format!("cannot open {name}"))?;
        Ok(Terminal { master: Rc::new(master.into()), slave })
    }

    /// The side that shows what is typed.
    pub(super) fn master(&self) -> Rc<OwnedFd> {
        Rc::clone(&self.master)
    }

    /// The attacker's side, once more.
    ///
    /// # Errors
    /// Those of fcntl(2): too many descriptors are open.
    pub(super) fn slave(&self) -> Result<File> {
        self.slave.try_clone().context("cannot copy a descriptor")
    }
}
