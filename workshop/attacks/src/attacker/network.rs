//! Attacks on services of the host, and on what it sends.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use launcher::command_line::errno_of;
use nix::errno::Errno;
use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, setsockopt, socket,
};
use nix::sys::time::TimeVal;

use super::told::Told;

/// How long a connection may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long to listen: the victim says something every few milliseconds.
const TIME_TO_LISTEN: Duration = Duration::from_millis(500);

/// Connects to what listens on 127.0.0.1 only.
pub(crate) fn reach_loopback(told: &Told) -> Result<String, Errno> {
    reach(Ipv4Addr::LOCALHOST, told)
}

/// Connects to what listens on all addresses of the host, where a container finds it: on the
/// loopback device, or at the host's end of the bridge.
pub(crate) fn reach_on_all(told: &Told) -> Result<String, Errno> {
    let bridge = told.word(1)?.parse().map_err(|_| Errno::EINVAL)?;
    reach(Ipv4Addr::LOCALHOST, told).or_else(|_| reach(bridge, told))
}

fn reach(address: Ipv4Addr, told: &Told) -> Result<String, Errno> {
    let address = SocketAddr::from((address, told.number(0)?));
    TcpStream::connect_timeout(&address, PATIENCE).map_err(|error| match error.kind() {
        io::ErrorKind::TimedOut => Errno::ETIMEDOUT,
        _ => errno_of(&error),
    })?;
    Ok("connected".to_owned())
}

/// Connects to a socket without a file (unix(7), abstract addresses): those belong to a network
/// namespace.
pub(crate) fn reach_abstract(told: &Told) -> Result<String, Errno> {
    let address = std::os::unix::net::SocketAddr::from_abstract_name(told.word(0)?);
    let address = address.map_err(|error| errno_of(&error))?;
    let mut stream = UnixStream::connect_addr(&address).map_err(|error| errno_of(&error))?;
    stream.write_all(b"x").map_err(|error| errno_of(&error))?;
    Ok("connected".to_owned())
}

/// Listens to all packets (packet(7)) for what the victim sends to itself.
pub(crate) fn listen_to_loopback(told: &Told) -> Result<String, Errno> {
    let wanted = told.word(0)?;
    let all = Some(SockProtocol::EthAll);
    let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, all)?;
    setsockopt(&socket, ReceiveTimeout, &TimeVal::new(0, 50_000))?;
    let start = Instant::now();
    let mut packet = [0; 2048];
    while start.elapsed() < TIME_TO_LISTEN {
        match recv(socket.as_raw_fd(), &mut packet, MsgFlags::empty()) {
            Err(Errno::EAGAIN) => {}
            Err(errno) => return Err(errno),
            Ok(length) => {
                let heard = packet[..length].windows(wanted.len());
                if heard.into_iter().any(|part| part == wanted.as_bytes()) {
                    return Ok(wanted.to_owned());
                }
            }
        }
    }
    Ok("only what is its own".to_owned())
}
