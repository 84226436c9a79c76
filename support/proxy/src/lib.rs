//! Carries TCP connections: a thread for each, and no byte of them in our own memory.
//!
//! splice(2) moves what a socket has received into a pipe, and from there into the other socket,
//! inside the kernel. A pipe holds little, and what is not read waits where TCP wants it to wait:
//! at the sender. This file listens and accepts; `relay` carries.

mod relay;

use crate::relay::{carry, wait_for};
use nix::poll::{PollFd, PollFlags};
use nix::sys::socket::sockopt::{Ipv6V6Only, ReuseAddr};
use nix::sys::socket::{
    self, AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, setsockopt,
};
use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::{SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// What the thread of a connection needs for its few variables.
const STACK: usize = 64 * 1024;

/// So many connections are carried at a time. Each costs a thread, descriptors and memory of the
/// host, and whoever connects should not decide how much of that there is.
const MOST_CONNECTIONS: usize = 1024;

/// How long to wait before accepting again, when it did not work.
const PAUSE: Duration = Duration::from_millis(50);

/// Listens at an address and a port, in the network namespace of this thread.
///
/// # Errors
/// Those of socket(2) and bind(2): EADDRINUSE, EACCES, EADDRNOTAVAIL.
pub fn listen(address: SocketAddr) -> nix::Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    // Whoever connected may be gone by the time we accept; then there is nobody to wait for.
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket::socket(family, SockType::Stream, flags, None)?;
    // Else the port of a process that has ended is in use for another minute (TIME_WAIT).
    setsockopt(&socket, ReuseAddr, &true)?;
    if address.is_ipv6() {
        setsockopt(&socket, Ipv6V6Only, &true)?; // IPv4 has its own socket
    }
    socket::bind(socket.as_raw_fd(), &SockaddrStorage::from(address))?;
    socket::listen(&socket, Backlog::MAXCONN)?;
    Ok(TcpListener::from(socket))
}

/// Accepts connections for ever, and carries each to where its listener leads. The listeners are
/// those of [`listen`], which do not block. When there are too many connections, further ones wait
/// where the kernel keeps those that nobody has accepted yet (the backlog of listen(2)).
///
/// # Errors
/// Those of poll(2): none is expected.
pub fn serve(routes: &[(&TcpListener, SocketAddrV4)]) -> nix::Result<Infallible> {
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
