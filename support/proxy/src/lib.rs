//! Carries TCP connections and UDP datagrams from one network to another.
//!
//! A connection has a thread, and no byte of it is in our own memory: splice(2) moves what a socket
//! has received into a pipe, and from there into the other socket, inside the kernel. A pipe holds
//! little, and what is not read waits where TCP wants it to wait: at the sender. This file listens
//! and accepts; `relay` carries. All datagrams of a port have one thread: `datagrams`.

mod datagrams;
mod relay;
mod system_calls;

use crate::datagrams::Datagrams;
use crate::relay::{carry, wait_for};
use nix::poll::{PollFd, PollFlags};
use nix::sys::socket::sockopt::{Ipv4PacketInfo, Ipv6RecvPacketInfo, Ipv6V6Only, ReuseAddr};
use nix::sys::socket::{
    self, AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, setsockopt,
};
use std::convert::Infallible;
use std::fmt::{self, Display, Formatter};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// What a thread needs for its few variables.
const STACK: usize = 64 * 1024;

/// So many connections are carried at a time. Each costs a thread, descriptors and memory of the
/// host, and whoever connects should not decide how much of that there is.
const MOST_CONNECTIONS: usize = 1024;

/// How long to wait before accepting again, when it did not work.
const PAUSE: Duration = Duration::from_millis(50);

/// What is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

impl Display for Protocol {
    fn fmt(&self, formatter: &mut Formatter) -> fmt::Result {
        formatter.write_str(match self {
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
        })
    }
}

/// An open port.
#[derive(Debug)]
pub enum Listener {
    /// Accepts connections.
    Tcp(TcpListener),
    /// Receives datagrams.
    Udp(UdpSocket),
}

/// Listens at an address and a port, in the network namespace of this thread.
///
/// # Errors
/// Those of socket(2) and bind(2): EADDRINUSE, EACCES, EADDRNOTAVAIL.
pub fn listen(protocol: Protocol, address: SocketAddr) -> nix::Result<Listener> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let kind = match protocol {
        Protocol::Tcp => SockType::Stream,
        Protocol::Udp => SockType::Datagram,
    };
    // Whoever connected may be gone by the time we accept; then there is nobody to wait for.
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket::socket(family, kind, flags, None)?;
    if address.is_ipv6() {
        setsockopt(&socket, Ipv6V6Only, &true)?; // IPv4 has its own socket
    }
    match protocol {
        // Else the port of a process that has ended is in use for another minute (TIME_WAIT).
        Protocol::Tcp => setsockopt(&socket, ReuseAddr, &true)?,
        // Each datagram comes with the address that it was sent to: an answer is from there.
        Protocol::Udp if address.is_ipv4() => setsockopt(&socket, Ipv4PacketInfo, &true)?,
        Protocol::Udp => setsockopt(&socket, Ipv6RecvPacketInfo, &true)?,
    }
    socket::bind(socket.as_raw_fd(), &SockaddrStorage::from(address))?;
    match protocol {
        Protocol::Udp => Ok(Listener::Udp(socket.into())),
        Protocol::Tcp => {
            socket::listen(&socket, Backlog::MAXCONN)?;
            Ok(Listener::Tcp(socket.into()))
        }
    }
}

/// Carries for ever what comes to the listeners, from [`listen`], each to where it leads.
///
/// # Errors
/// If the threads of the datagrams cannot be started, and those of poll(2): none is expected.
pub fn serve(routes: &[(&Listener, SocketAddrV4)]) -> io::Result<Infallible> {
    let mut connections = Vec::new();
    for (listener, target) in routes {
        match listener {
            Listener::Tcp(listener) => connections.push((listener, *target)),
            Listener::Udp(socket) => {
                let datagrams = Datagrams::new(socket.try_clone()?, *target)?;
                thread::Builder::new().stack_size(STACK).spawn(|| datagrams.carry())?;
            }
        }
    }
    Ok(accept(&connections)?)
}

/// Accepts connections. When there are too many, further ones wait where the kernel keeps those
/// that nobody has accepted yet (the backlog of listen(2)).
fn accept(routes: &[(&TcpListener, SocketAddrV4)]) -> nix::Result<Infallible> {
    let mut ready: Vec<_> = routes
        .iter()
        .map(|(listener, _)| PollFd::new(listener.as_fd(), PollFlags::POLLIN))
        .collect();
    let permits = Arc::new(()); // each connection has a clone
    loop {
        wait_for(&mut ready)?;
        for (_, (listener, target)) in
            ready.iter().zip(routes).filter(|(ready, _)| ready.any() == Some(true))
        {
            while Arc::strong_count(&permits) > MOST_CONNECTIONS {
                thread::sleep(PAUSE);
            }
            match listener.accept() {
                Ok((client, _)) => start(client, *target, Arc::clone(&permits)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // accept(2) has many reasons, and all pass: the client has given up, or there are
                // no descriptors left until another connection ends. The next one waits meanwhile.
                Err(_) => thread::sleep(PAUSE),
            }
        }
    }
}

fn start(client: TcpStream, target: SocketAddrV4, permit: Arc<()>) {
    let thread = thread::Builder::new().stack_size(STACK);
    // Without a thread the client is dropped, and sees its connection end: the limit of processes
    // is reached. There is no better answer to give it, and nobody else who wants to know.
    let _ = thread.spawn(move || {
        carry(client, target);
        drop(permit);
    });
}
