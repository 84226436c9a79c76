//! One connection: its bytes, in both directions, up to both ends.

use crate::system_calls::unacknowledged;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SpliceFFlags, fcntl, splice};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::sockopt::{
    KeepAlive, Linger, OobInline, TcpKeepCount, TcpKeepIdle, TcpKeepInterval, TcpUserTimeout,
};
use nix::sys::socket::{MsgFlags, send, setsockopt};
use std::io::{self, ErrorKind, PipeReader, Read};
use std::net::{Shutdown, SocketAddrV4, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::thread;
use std::time::Duration;

/// The most that one call moves: more than any pipe holds.
const MOST: usize = 1 << 20;

/// How much a pipe of ours holds, in bytes: four times the usual, so that fewer turns carry more.
const PIPE: i32 = 256 * 1024;

/// After so many seconds without a word a side is asked whether it is still there, and again after
/// each further time, as Docker's proxy does it.
const SILENCE: u32 = 15;

/// So many questions without an answer end the connection.
const QUESTIONS: u32 = 9;

/// When one side is gone, the other one may read nothing of what is left for so many milliseconds.
/// That is about what the kernel grants when a program has closed its connection.
const PATIENCE: u32 = 120_000;

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

/// Closes a connection by RST: with SO_LINGER of no time at all, close(2) does that (tcp(7)). It
/// throws away what is still to be sent, so that is waited for; nothing tells us when to look.
fn reset(stream: TcpStream) {
    limit_patience(&stream);
    let mut pause = Duration::from_millis(1);
    // A connection that is no more has no peer (getpeername(2), ENOTCONN).
    while stream.peer_addr().is_ok() && unacknowledged(&stream).is_ok_and(|length| length > 0) {
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_secs(1));
    }
    // If it fails, the connection ends in the usual way, a little less truly.
    let _ = setsockopt(&stream, Linger, &libc::linger { l_onoff: 1, l_linger: 0 });
}

/// Ends a connection if what was sent is not taken for long. (Who has no room for it, and says so
/// whenever it is asked, is waited for without end otherwise: RFC 9293, section 3.8.6.1.)
fn limit_patience(stream: &TcpStream) {
    // If it fails, the connection keeps its place for longer.
    let _ = setsockopt(stream, TcpUserTimeout, &PATIENCE);
}

/// What both connections are to be like.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?; // who wrote little wants it sent, not collected
    setsockopt(stream, OobInline, &true)?; // an urgent byte waits in its place, and is not lost
    // A side whose machine or link is gone says nothing, for ever.
    setsockopt(stream, KeepAlive, &true)?;
    setsockopt(stream, TcpKeepIdle, &SILENCE)?;
    setsockopt(stream, TcpKeepInterval, &SILENCE)?;
    Ok(setsockopt(stream, TcpKeepCount, &QUESTIONS)?)
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
/// If one of the connections breaks. What had come from it by then is sent.
fn relay(client: &TcpStream, server: &TcpStream) -> io::Result<()> {
    prepare(client)?;
    prepare(server)?;
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
        let is_over = PollFlags::POLLERR | PollFlags::POLLHUP;
        if ready.iter().any(|seen| seen.revents().is_some_and(|seen| seen.intersects(is_over))) {
            request.notice_break();
            answer.notice_break();
        }
        request.advance(answer.is_broken)?;
        answer.advance(request.is_broken)?;
    }
    if request.is_broken || answer.is_broken {
        return Err(ErrorKind::ConnectionReset.into());
    }
    Ok(())
}
// ANCHOR_END: relay

/// One direction of a connection.
struct Direction<'a> {
    from: &'a TcpStream,
    to: &'a TcpStream,
    /// What has been read, and not been written yet. An idle connection needs no pipe: two
    /// descriptors, and not six.
    under_way: Option<UnderWay>,
    has_ended: bool,
    /// It has ended because nothing can be sent to where it leads.
    is_broken: bool,
}

enum UnderWay {
    /// A pipe with so many bytes in it.
    Pipe(PipeReader, usize),
    /// The byte that was sent as urgent (tcp(7), MSG_OOB).
    Urgent(u8),
}

impl<'a> Direction<'a> {
    fn new(from: &'a TcpStream, to: &'a TcpStream) -> Direction<'a> {
        Direction { from, to, under_way: None, has_ended: false, is_broken: false }
    }

    fn waits_to_read(&self) -> PollFlags {
        let is_waiting = !self.has_ended && self.under_way.is_none();
        if is_waiting { PollFlags::POLLIN } else { PollFlags::empty() }
    }

    fn waits_to_write(&self) -> PollFlags {
        if self.under_way.is_some() { PollFlags::POLLOUT } else { PollFlags::empty() }
    }

    /// Ends this direction if the connection to where it leads has broken: that one has no peer any
    /// more (getpeername(2), ENOTCONN). What has come from there waits to be read all the same.
    fn notice_break(&mut self) {
        if !self.has_ended && self.to.peer_addr().is_err() {
            self.break_off();
        }
    }

    fn break_off(&mut self) {
        self.under_way = None;
        self.has_ended = true;
        self.is_broken = true;
        limit_patience(self.from);
    }

    // ANCHOR: advance
    /// Moves what can be moved without waiting. The end of one side becomes the end of the other
    /// side, in this direction: the opposite one may go on (half-close).
    ///
    /// # Errors
    /// If the connection that it reads from has broken, and all that had come is sent.
    fn advance(&mut self, is_opposite_broken: bool) -> io::Result<()> {
        if self.under_way.is_none() && !self.has_ended {
            match self.from.peek(&mut [0]) {
                Ok(0) if is_opposite_broken => return Err(ErrorKind::ConnectionReset.into()),
                Ok(0) => {
                    self.has_ended = true;
                    if self.to.shutdown(Shutdown::Write).is_err() {
                        self.break_off();
                    }
                    return Ok(());
                }
                Ok(_) => self.under_way = Some(self.take()?),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        let written = match &mut self.under_way {
            None => return Ok(()),
            Some(UnderWay::Pipe(reader, length)) => {
                splice(&*reader, None, self.to, None, *length, SpliceFFlags::empty())
                    .map(|written| *length -= written)
                    .map(|()| *length == 0)
            }
            Some(UnderWay::Urgent(byte)) => {
                send(self.to.as_raw_fd(), &[*byte], MsgFlags::MSG_OOB).map(|_| true)
            }
        };
        match written {
            Ok(true) => self.under_way = None,
            Ok(false) | Err(Errno::EAGAIN) => {}
            Err(_) => self.break_off(),
        }
        Ok(())
    }
    // ANCHOR_END: advance

    /// Takes what has come, as much as goes into a pipe.
    fn take(&self) -> io::Result<UnderWay> {
        let (reader, writer) = io::pipe()?;
        // Where many pipes are open, the kernel grants an ordinary user no large ones (pipe(7)).
        let _ = fcntl(&writer, FcntlArg::F_SETPIPE_SZ(PIPE));
        match splice(self.from, None, &writer, None, MOST, SpliceFFlags::SPLICE_F_NONBLOCK) {
            Ok(length @ 1..) => Ok(UnderWay::Pipe(reader, length)),
            Err(Errno::ENOMEM) => Err(Errno::ENOMEM.into()),
            // splice(2) stops before an urgent byte, so that is what waits. (Other errors are the
            // connection's, which come after it.)
            Ok(0) | Err(_) => {
                let mut byte = [0];
                let mut from = self.from;
                from.read_exact(&mut byte)?;
                Ok(UnderWay::Urgent(byte[0]))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::getsockopt;
    use std::io::Write;
    use std::net::{Ipv4Addr, TcpListener};

    fn listen() -> (TcpListener, SocketAddrV4) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))
    }

    /// A client and a server, with a relay between the two.
    fn connected() -> (TcpStream, TcpStream) {
        let (outside, address) = listen();
        let (inside, target) = listen();
        let client = TcpStream::connect(address).unwrap();
        let (accepted, _) = outside.accept().unwrap();
        thread::spawn(move || carry(accepted, target));
        (client, inside.accept().unwrap().0)
    }

    #[test]
    fn a_silent_side_is_asked_for_as_long_as_docker_asks() {
        let (listener, address) = listen();
        let stream = TcpStream::connect(address).unwrap();
        prepare(&stream).unwrap();
        drop(listener);
        assert!(getsockopt(&stream, KeepAlive).unwrap());
        assert_eq!(getsockopt(&stream, TcpKeepIdle).unwrap(), 15);
        assert_eq!(getsockopt(&stream, TcpKeepInterval).unwrap(), 15);
        assert_eq!(getsockopt(&stream, TcpKeepCount).unwrap(), 9);
    }

    #[test]
    fn who_reads_nothing_is_waited_for_only_as_long_as_the_other_side_is_there() {
        let (inside, target) = listen();
        let (outside, address) = listen();
        let server = TcpStream::connect(target).unwrap();
        let client = TcpStream::connect(address).unwrap();
        let mut request = Direction::new(&client, &server);
        request.notice_break();
        assert_eq!(getsockopt(&client, TcpUserTimeout).unwrap(), 0);
        drop(inside);
        while server.peer_addr().is_ok() {
            thread::sleep(Duration::from_millis(1));
        }
        request.notice_break();
        assert!(request.is_broken);
        assert_eq!(getsockopt(&client, TcpUserTimeout).unwrap(), 120_000);
        drop(outside);
    }

    #[test]
    fn a_reset_comes_after_what_was_sent_before_it() {
        let sent = vec![b'x'; 400_000]; // more than a client gets that does not read
        let (mut client, mut server) = connected();
        server.write_all(&sent).unwrap();
        while unacknowledged(&server).unwrap() > 0 {
            thread::sleep(Duration::from_millis(1)); // it would be lost with the reset
        }
        setsockopt(&server, Linger, &libc::linger { l_onoff: 1, l_linger: 0 }).unwrap();
        drop(server);
        thread::sleep(Duration::from_millis(200));
        let mut heard = Vec::new();
        let end = client.read_to_end(&mut heard).unwrap_err();
        assert_eq!(end.kind(), ErrorKind::ConnectionReset);
        assert_eq!(heard.len(), sent.len());
    }

    #[test]
    fn an_urgent_byte_and_then_a_reset() {
        let (client, mut server) = connected();
        setsockopt(&server, OobInline, &true).unwrap();
        send(client.as_raw_fd(), b"x", MsgFlags::MSG_OOB).unwrap();
        setsockopt(&client, Linger, &libc::linger { l_onoff: 1, l_linger: 0 }).unwrap();
        drop(client);
        let mut heard = Vec::new();
        let end = server.read_to_end(&mut heard).unwrap_err();
        assert_eq!((end.kind(), heard), (ErrorKind::ConnectionReset, b"x".to_vec()));
    }
}
