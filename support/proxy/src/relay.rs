//! One connection: its bytes, in both directions, up to both ends.

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SpliceFFlags, fcntl, splice};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::Linger;
use std::io::{self, ErrorKind, PipeReader};
use std::net::{Shutdown, SocketAddrV4, TcpStream};
use std::os::fd::AsFd;

/// The most that one call moves: more than any pipe holds.
const MOST: usize = 1 << 20;

/// How much a pipe of ours holds, in bytes: four times the usual, so that fewer turns carry more.
const PIPE: i32 = 256 * 1024;

/// Connects to `target`, and carries what either side sends to the other one.
pub(crate) fn carry(client: TcpStream, target: SocketAddrV4) {
    let server = match TcpStream::connect(target) {
        Ok(server) => server,
        // Nobody listens in the container: for the client that shall look the same.
        Err(_) => return reset(client),
    };
    if relay(&client, &server).is_err() {
        // One side broke its connection, or ours to it. The other one hears of it as such: an
        // orderly end would tell it that everything has arrived.
        reset(client);
        reset(server);
    }
}

/// Closes a connection by RST: with SO_LINGER of no time at all, close(2) does that (tcp(7)).
fn reset(stream: TcpStream) {
    // If it fails, the connection ends in the usual way, a little less truly.
    let _ = setsockopt(&stream, Linger, &libc::linger { l_onoff: 1, l_linger: 0 });
}

/// poll(2), until something is ready.
pub(crate) fn wait_for(ready: &mut [PollFd]) -> nix::Result<()> {
    loop {
        match poll(ready, PollTimeout::NONE) {
            Err(Errno::EINTR) => {} // stopped and continued
            result => return result.map(drop),
        }
    }
}

// ANCHOR: relay
/// Carries bytes in both directions, until both have ended.
///
/// # Errors
/// If one of the connections breaks.
fn relay(client: &TcpStream, server: &TcpStream) -> io::Result<()> {
    for stream in [client, server] {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?; // who wrote little wants it sent, not collected
    }
    let mut request = Direction::new(client, server);
    let mut answer = Direction::new(server, client);
    while !(request.has_ended && answer.has_ended) {
        let sides = [(client, &request, &answer), (server, &answer, &request)];
        let mut ready: Vec<_> = sides
            .into_iter()
            .filter_map(|(stream, from_it, to_it)| {
                let wanted = from_it.waits_to_read() | to_it.waits_to_write();
                // If it has ended its direction too, poll(2) says so (POLLHUP) as often as it is
                // asked. That is no fault, and not news while what it sent is still in the pipe.
                let is_over = wanted.is_empty() && to_it.has_ended;
                (!is_over).then(|| PollFd::new(stream.as_fd(), wanted))
            })
            .collect();
        wait_for(&mut ready)?;
        let is_broken =
            |seen: &PollFd| seen.revents().is_some_and(|seen| seen.contains(PollFlags::POLLERR));
        if ready.iter().any(is_broken) {
            return Err(ErrorKind::ConnectionReset.into());
        }
        request.advance()?;
        answer.advance()?;
    }
    Ok(())
}
// ANCHOR_END: relay

/// One direction of a connection.
struct Direction<'a> {
    from: &'a TcpStream,
    to: &'a TcpStream,
    /// What is under way. An idle connection needs no pipe: two descriptors, and not six.
    under_way: Option<Pipe>,
    has_ended: bool,
}

/// A pipe with something in it.
struct Pipe {
    reader: PipeReader,
    length: usize,
}

impl<'a> Direction<'a> {
    fn new(from: &'a TcpStream, to: &'a TcpStream) -> Direction<'a> {
        Direction { from, to, under_way: None, has_ended: false }
    }

    fn waits_to_read(&self) -> PollFlags {
        let is_waiting = !self.has_ended && self.under_way.is_none();
        if is_waiting { PollFlags::POLLIN } else { PollFlags::empty() }
    }

    fn waits_to_write(&self) -> PollFlags {
        if self.under_way.is_some() { PollFlags::POLLOUT } else { PollFlags::empty() }
    }

    // ANCHOR: advance
    /// Moves what can be moved without waiting. The end of one side becomes the end of the other
    /// side, in this direction: the opposite one may go on (half-close).
    fn advance(&mut self) -> io::Result<()> {
        if self.under_way.is_none() && !self.has_ended {
            match self.from.peek(&mut [0]) {
                Ok(0) => {
                    self.has_ended = true;
                    return self.to.shutdown(Shutdown::Write);
                }
                Ok(_) => self.under_way = Some(self.take()?),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        let Some(pipe) = &mut self.under_way else { return Ok(()) };
        match splice(&pipe.reader, None, self.to, None, pipe.length, SpliceFFlags::empty()) {
            Ok(length) => pipe.length -= length,
            Err(Errno::EAGAIN) => {}
            Err(errno) => return Err(errno.into()),
        }
        if pipe.length == 0 {
            self.under_way = None;
        }
        Ok(())
    }
    // ANCHOR_END: advance

    /// Takes what has come, as much as goes into a pipe.
    fn take(&self) -> io::Result<Pipe> {
        let (reader, writer) = io::pipe()?;
        // Where many pipes are open, the kernel grants an ordinary user no large ones (pipe(7)).
        let _ = fcntl(&writer, FcntlArg::F_SETPIPE_SZ(PIPE));
        let length = splice(self.from, None, &writer, None, MOST, SpliceFFlags::SPLICE_F_NONBLOCK)?;
        Ok(Pipe { reader, length })
    }
}
