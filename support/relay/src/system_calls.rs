//! What `nix` does not offer of ioctl(2) for terminals: all `unsafe` of this crate.

use nix::errno::Errno;
use nix::pty::Winsize;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// TIOCSPTLCK of ioctl_tty(2): the other side of a new pseudo-terminal can be opened.
pub(crate) fn unlock(master: impl AsFd) -> nix::Result<()> {
    let is_locked: libc::c_int = 0;
    let master = master.as_fd().as_raw_fd();
    // SAFETY: TIOCSPTLCK reads one integer, which lives until the call returns.
    Errno::result(unsafe { libc::ioctl(master, libc::TIOCSPTLCK, &raw const is_locked) }).map(drop)
}

/// TIOCGPTPEER of ioctl_tty(2): opens the other side of a pseudo-terminal, wherever its name is.
pub(crate) fn open_peer(master: impl AsFd) -> nix::Result<OwnedFd> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    let master = master.as_fd().as_raw_fd();
    // SAFETY: TIOCGPTPEER takes a number, no pointer.
    let peer = Errno::result(unsafe { libc::ioctl(master, libc::TIOCGPTPEER, flags) })?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(peer) })
}

/// TIOCSCTTY of ioctl_tty(2): makes a terminal that of the session which this process leads.
pub(crate) fn make_controlling(terminal: impl AsFd) -> nix::Result<()> {
    let terminal = terminal.as_fd().as_raw_fd();
    // SAFETY: TIOCSCTTY takes a number, no pointer; 0 takes it away from nobody.
    Errno::result(unsafe { libc::ioctl(terminal, libc::TIOCSCTTY, 0) }).map(drop)
}

/// TIOCGWINSZ of ioctl_tty(2): the lines and columns of a terminal.
pub(crate) fn window_size(terminal: impl AsFd) -> nix::Result<Winsize> {
    let mut size = Winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    let terminal = terminal.as_fd().as_raw_fd();
    // SAFETY: TIOCGWINSZ writes one `Winsize`, to a place that is valid during the call.
    Errno::result(unsafe { libc::ioctl(terminal, libc::TIOCGWINSZ, &raw mut size) })?;
    Ok(size)
}

/// TIOCSWINSZ of ioctl_tty(2): sets them. If they are others, the foreground group gets SIGWINCH.
pub(crate) fn set_window_size(terminal: impl AsFd, size: &Winsize) -> nix::Result<()> {
    let terminal = terminal.as_fd().as_raw_fd();
    // SAFETY: TIOCSWINSZ reads one `Winsize`, which lives until the call returns.
    Errno::result(unsafe { libc::ioctl(terminal, libc::TIOCSWINSZ, &raw const *size) }).map(drop)
}
