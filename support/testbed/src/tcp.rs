//! A TCP server that behaves as its clients ask, and a client.

use std::fmt::Display;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread::{self, sleep};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{setsockopt, sockopt::Linger};

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
}

impl Wish {
    /// The byte that stands for it.
    pub fn byte(self) -> u8 {
        self as isize as u8
    }
}

/// Serves a port of this network namespace for ever. Prints `ready` once it can be reached, and
/// how a connection ended if it was not in the way that its client announced.
pub fn serve(port: &str) -> io::Result<()> {
    limit_files(Files::Most)?;
    let port: u16 = port.parse().map_err(io::Error::other)?;
    let listener = TcpListener::bind(("0.0.0.0", port))?;
    say("ready");
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
        other => Err(io::Error::other(format!("no wish: {other}"))),
    }
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
