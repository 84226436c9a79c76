//! One direction: what is read at one end is written to the other.

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags};
use nix::unistd::{read, write};
use std::os::fd::{AsFd, OwnedFd};

/// So many bytes are in our hands at most: what a terminal gives at once.
const PIECE: usize = 4096;

/// Two descriptors, and what was read from the one and not yet written to the other.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) from: OwnedFd,
    to: OwnedFd,
    piece: Vec<u8>,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Step {
    /// So many bytes went on.
    Went(usize),
    /// The time has not come.
    Waits,
    /// Nothing more comes.
    Ended,
    /// Nothing more is taken.
    Gone,
}

impl Flow {
    pub(super) fn new(from: OwnedFd, to: OwnedFd) -> Flow {
        Flow { from, to, piece: Vec::new() }
    }

    /// Whether everything that was read is written.
    pub(super) fn is_empty(&self) -> bool {
        self.piece.is_empty()
    }

    pub(super) fn waits_for(&self) -> PollFd<'_> {
        match self.is_empty() {
            true => PollFd::new(self.from.as_fd(), PollFlags::POLLIN),
            false => PollFd::new(self.to.as_fd(), PollFlags::POLLOUT),
        }
    }

    /// One read(2), or one write(2) of what was read.
    pub(super) fn carry(&mut self) -> nix::Result<Step> {
        if self.is_empty() { self.read() } else { self.write() }
    }

    fn read(&mut self) -> nix::Result<Step> {
        let mut bytes = [0; PIECE];
        match read(&self.from, &mut bytes) {
            // EIO: a terminal that has hung up, or whose other side is closed (pty(7)).
            Ok(0) | Err(Errno::EIO) => Ok(Step::Ended),
            Ok(length) => {
                self.piece.extend_from_slice(&bytes[..length]); // no more than there is room for
                Ok(Step::Went(length))
            }
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(Step::Waits),
            Err(errno) => Err(errno),
        }
    }

    fn write(&mut self) -> nix::Result<Step> {
        match write(&self.to, &self.piece) {
            Ok(length) => {
                self.piece.drain(..length); // no more than there is
                Ok(Step::Went(length))
            }
            Err(Errno::EIO | Errno::EPIPE) => Ok(Step::Gone),
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(Step::Waits),
            Err(errno) => Err(errno),
        }
    }
}

/// Makes a descriptor of our own not block.
///
/// # Errors
/// Those of fcntl(2).
pub(super) fn without_blocking(descriptor: OwnedFd) -> Result<OwnedFd> {
    fcntl(&descriptor, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))
        .context("cannot make a pipe not block")?;
    Ok(descriptor)
}
