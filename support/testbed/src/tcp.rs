//! A TCP server that behaves as its clients ask, and a client.

use std::fmt::Display;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{self, Backlog, MsgFlags, setsockopt, sockopt::Linger};

use crate::pace::slowed;

/// How long a client tries to connect.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long the server leaves unread what it is sent, if it is asked to.
pub const STALL: Duration = Duration::from_secs(1);

/// What a client wants of the server: the first byte that it sends.
#[derive(Clone, Copy, Debug)]
pub enum Wish {
    /// Tell your network namespace, and the address that you see me at.
    Identify = b'i' as isize,
    /// Send back what I send.
    Echo = b'e' as isize,
    /// Read to the end, then tell how many bytes came.
    Count = b'c' as isize,
    /// The same, but leave it unread for the time [`STALL`].
    CountLate = b'l' as isize,
    /// Say "bye" and end your direction; then read to the end of mine, and print how much came.
    EndFirst = b'f' as isize,
    /// Break the connection.
    Reset = b'r' as isize,
    /// Read [`EARLY`] bytes, answer [`ANSWER`] and close, whatever else has come.
    AnswerEarly = b'a' as isize,
    /// Wait for the time [`STALL`]; then read to the end, and print how much came before which end.
    HearLate = b'h' as isize,
    /// Read to the end, and tell what came as data and what as urgent.
    Urgent = b'u' as isize,
}

/// How much the server reads of a request that it does not want to hear to its end.
pub const EARLY: usize = 10;

/// How much it answers.
pub const ANSWER: usize = 300;

impl Wish {
    /// The byte that stands for it.
    pub fn byte(self) -> u8 {
        self as isize as u8
    }
}

/// Serves a port of this network namespace for ever. Prints `ready` once it can be reached, and
/// how a connection ended if it was not in the way that its client announced.
pub fn serve(port: &str) -> io::Result<()> {
    let listener = listen(port)?;
    say("ready");
    accept(&listener)
}

/// The same, but at first nobody is accepted, for the time [`STALL`], and hardly anybody may wait.
pub fn serve_late(port: &str) -> io::Result<()> {
    let listener = listen(port)?;
    socket::listen(&listener, Backlog::new(0)?)?;
    say("ready");
    sleep(slowed(STALL));
    accept(&listener)
}

fn listen(port: &str) -> io::Result<TcpListener> {
    limit_files(Files::Most)?;
    let port: u16 = port.parse().map_err(io::Error::other)?;
    TcpListener::bind(("0.0.0.0", port))
}

fn accept(listener: &TcpListener) -> io::Result<()> {
    loop {
        let (stream, peer) = listener.accept()?;
        let serve = move || {
            if let Err(error) = fulfil(&stream, peer) {
                say(Errno::from_raw(error.raw_os_error().unwrap_or_default()));
            }
        };
        thread::Builder::new().stack_size(64 * 1024).spawn(serve)?;
    }
}

/// Lets this process, and what it starts from now on, open many files, or the usual number only.
pub fn limit_files(to: Files) -> io::Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let soft = match to {
        Files::AsUsual => most.min(1024),
        Files::Most => most,
    };
    Ok(setrlimit(Resource::RLIMIT_NOFILE, soft, most)?)
}

/// A soft limit of open files.
pub enum Files {
    /// What most machines have: too few for a thousand connections at once.
    AsUsual,
    /// The hard limit.
    Most,
}

fn say(text: impl Display) {
    println!("{text}");
}

fn fulfil(mut stream: &TcpStream, peer: SocketAddr) -> io::Result<()> {
    let mut wish = [0];
    stream.read_exact(&mut wish)?;
    match wish[0] {
        b'i' => {
            let namespace = fs::read_link("/proc/self/ns/net")?;
            write!(stream, "{} {}", namespace.display(), peer.ip())
        }
        b'e' => io::copy(&mut &*stream, &mut stream).map(drop),
        b'c' => answer_count(stream),
        b'l' => {
            sleep(slowed(STALL));
            answer_count(stream)
        }
        b'f' => {
            stream.write_all(b"bye")?;
            stream.shutdown(Shutdown::Write)?;
            say(io::copy(&mut stream, &mut io::sink())?);
            Ok(())
        }
        b'r' => break_off(stream),
        b'a' => {
            stream.read_exact(&mut [0; EARLY - 1])?;
            stream.write_all(&[b'x'; ANSWER])
        }
        b'h' => {
            sleep(slowed(STALL));
            let (length, end) = hear(stream);
            say(format_args!("{length} {end}"));
            Ok(())
        }
        b'u' => answer_urgent(stream),
        other => Err(io::Error::other(format!("no wish: {other}"))),
    }
}

/// Reads to the end: how much came, and how it ended.
pub fn hear(mut stream: &TcpStream) -> (usize, String) {
    let mut heard = 0;
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return (heard, "end".to_owned()),
            Ok(length) => heard += length,
            Err(error) => {
                let errno = Errno::from_raw(error.raw_os_error().unwrap_or_default());
                return (heard, format!("{errno:?}"));
            }
        }
    }
}

fn answer_urgent(mut stream: &TcpStream) -> io::Result<()> {
    let (mut data, mut urgent) = (Vec::new(), Vec::new());
    let mut byte = [0];
    loop {
        let mut seen = [PollFd::new(stream.as_fd(), PollFlags::POLLIN | PollFlags::POLLPRI)];
        poll(&mut seen, PollTimeout::NONE)?;
        if seen[0].revents().is_some_and(|seen| seen.contains(PollFlags::POLLPRI)) {
            socket::recv(stream.as_raw_fd(), &mut byte, MsgFlags::MSG_OOB)?;
            urgent.push(byte[0]);
        }
        match stream.read(&mut byte)? {
            0 => break,
            _ => data.push(byte[0]),
        }
    }
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    write!(stream, "data {}, urgent {}", text(&data), text(&urgent))
}

/// Sends a byte as urgent (man 7 tcp, MSG_OOB).
pub fn send_urgent(stream: &TcpStream, byte: u8) -> io::Result<()> {
    socket::send(stream.as_raw_fd(), &[byte], MsgFlags::MSG_OOB)?;
    Ok(())
}

/// Sends until nothing has been taken for a while, but not for as long as the server waits that was
/// asked to count late. Returns how much was taken.
pub fn send_until_full(stream: &mut TcpStream) -> io::Result<usize> {
    stream.set_nonblocking(true)?;
    let block = vec![0; 64 << 10];
    let mut sent = 0;
    let mut last = Instant::now();
    while last.elapsed() < STALL / 4 {
        match stream.write(&block) {
            Ok(length) => {
                sent += length;
                last = Instant::now();
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => sleep(Duration::from_millis(1)),
            Err(error) => return Err(error),
        }
    }
    stream.set_nonblocking(false)?;
    Ok(sent)
}

fn answer_count(mut stream: &TcpStream) -> io::Result<()> {
    let count = io::copy(&mut stream, &mut io::sink())?;
    write!(stream, "{count}")
}

/// Lets the connection end by RST as soon as the stream is dropped (man 7 socket, SO_LINGER).
pub fn break_off(stream: &TcpStream) -> io::Result<()> {
    Ok(setsockopt(stream, Linger, &libc::linger { l_onoff: 1, l_linger: 0 })?)
}

/// Connects to the server and tells it what is wanted.
pub fn connect(address: SocketAddr, wish: Wish) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&address, slowed(PATIENCE))?;
    stream.set_read_timeout(Some(slowed(10 * PATIENCE)))?;
    stream.write_all(&[wish.byte()])?;
    Ok(stream)
}

/// Asks the server who it is, and whom it sees: `net:[INODE] ADDRESS`.
pub fn identify(address: SocketAddr) -> io::Result<String> {
    let mut stream = connect(address, Wish::Identify)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
