//! UDP. There are no connections, so an answer is told from others by where it arrives: each client
//! has a socket of its own towards the server. What the two say to each other is a flow.

use nix::cmsg_space;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg,
};
use std::collections::HashMap;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// A port has so many flows at a time: each costs a descriptor, and a client is whoever says so.
/// One more takes the place of the one that has been silent for longest. So it does if there are
/// no descriptors for as many.
const MOST_FLOWS: usize = 1024;

/// A flow ends when nobody has said anything for so long (RFC 4787, section 4.3: at least this).
const SILENCE: Duration = Duration::from_secs(120);

/// How often such flows are looked for, in milliseconds.
const ROUND: u16 = 15_000;

/// More than any datagram holds.
const MOST: usize = 1 << 16;

/// The number of the published port among the events; flows have the numbers after it.
const PORT: u64 = 0;

/// A published port, and what is said through it.
pub(crate) struct Datagrams {
    port: UdpSocket,
    target: SocketAddrV4,
    events: Epoll,
    flows: HashMap<Client, Flow>,
    /// Whose flow has which number.
    clients: HashMap<u64, Client>,
    last_number: u64,
    last_round: Instant,
}

/// Who has sent a datagram, and to which of our addresses. An answer has to be from there.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Client {
    address: SocketAddr,
    asked: IpAddr,
}

struct Flow {
    number: u64,
    server: UdpSocket,
    last_use: Instant,
}

impl Datagrams {
    /// # Errors
    /// Those of epoll_create1(2): EMFILE, ENFILE.
    pub(crate) fn new(port: UdpSocket, target: SocketAddrV4) -> io::Result<Datagrams> {
        let events = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        events.add(&port, EpollEvent::new(EpollFlags::EPOLLIN, PORT))?;
        let (flows, clients) = (HashMap::new(), HashMap::new());
        let last_round = Instant::now();
        Ok(Datagrams { port, target, events, flows, clients, last_number: PORT, last_round })
    }

    /// Carries datagrams, for ever. One that cannot be sent is lost, as datagrams may be: nobody
    /// listens (ECONNREFUSED, from ICMP), or the queue is full.
    pub(crate) fn carry(mut self) {
        let mut buffer = vec![0; MOST];
        let mut events = [EpollEvent::empty(); 16];
        loop {
            let is_idle = self.flows.is_empty();
            let wait = if is_idle { EpollTimeout::NONE } else { ROUND.into() };
            // EINTR, if we were stopped and continued.
            let count = self.events.wait(&mut events, wait).unwrap_or(0);
            for event in &events[..count] {
                // If it does not work, the next one may.
                let _ = match event.data() {
                    PORT => self.ask(&mut buffer),
                    number => self.answer(number, &mut buffer),
                };
            }
            if self.last_round.elapsed() >= Duration::from_millis(ROUND.into()) {
                self.end_flows(|flow| flow.last_use.elapsed() >= SILENCE);
                self.last_round = Instant::now();
            }
        }
    }

    /// Passes on what a client sends.
    fn ask(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let (length, client) = receive(&self.port, buffer)?;
        if !self.flows.contains_key(&client) {
            self.start_flow(client)?;
        }
        let Some(flow) = self.flows.get_mut(&client) else { return Ok(()) };
        flow.last_use = Instant::now();
        let send = || flow.server.send(&buffer[..length]).map(drop);
        // The first error may be what has become of the datagram before this one (udp(7)).
        send().or_else(|_| send())
    }

    /// Passes on what the server sends in a flow.
    fn answer(&mut self, number: u64, buffer: &mut [u8]) -> io::Result<()> {
        // It may have ended since it was seen to be ready.
        let Some(client) = self.clients.get(&number) else { return Ok(()) };
        let Some(flow) = self.flows.get_mut(client) else { return Ok(()) };
        let length = flow.server.recv(buffer)?;
        flow.last_use = Instant::now();
        send_from_asked(&self.port, &buffer[..length], client)
    }

    fn start_flow(&mut self, client: Client) -> io::Result<()> {
        if self.flows.len() >= MOST_FLOWS {
            self.end_oldest_flow();
        }
        let server = match self.connect() {
            // No descriptor is left (errno(3)): the limit of this process, or of the machine.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => {
                self.end_oldest_flow();
                self.connect()?
            }
            connected => connected?,
        };
        let number = self.last_number + 1;
        self.events.add(&server, EpollEvent::new(EpollFlags::EPOLLIN, number))?;
        self.last_number = number;
        self.clients.insert(number, client);
        self.flows.insert(client, Flow { number, server, last_use: Instant::now() });
        Ok(())
    }

    fn connect(&self) -> io::Result<UdpSocket> {
        let server = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        server.connect(self.target)?; // now it hears nobody else
        server.set_nonblocking(true)?;
        Ok(server)
    }

    fn end_oldest_flow(&mut self) {
        let oldest = self.flows.values().min_by_key(|flow| flow.last_use);
        let number = oldest.map(|flow| flow.number);
        self.end_flows(|flow| Some(flow.number) == number);
    }

    fn end_flows(&mut self, is_over: impl Fn(&Flow) -> bool) {
        let clients = &mut self.clients;
        self.flows.retain(|_, flow| {
            let is_over = is_over(flow);
            if is_over {
                clients.remove(&flow.number);
            }
            !is_over
        });
    }
}

/// Receives a datagram, and learns of ip(7), IP_PKTINFO, and ipv6(7) where it was sent to.
fn receive(port: &UdpSocket, buffer: &mut [u8]) -> io::Result<(usize, Client)> {
    let mut control = cmsg_space!(libc::in6_pktinfo);
    let mut data = [IoSliceMut::new(buffer)];
    let received = recvmsg::<SockaddrStorage>(
        port.as_raw_fd(),
        &mut data,
        Some(&mut control),
        MsgFlags::empty(),
    )?;
    let asked = received.cmsgs()?.find_map(|message| match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            // The kernel has it in the order of the network.
            Some(IpAddr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()))
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => Some(IpAddr::from(info.ipi6_addr.s6_addr)),
        _ => None,
    });
    let address = received.address.and_then(|address| {
        let v4 = address.as_sockaddr_in().map(|address| SocketAddr::V4((*address).into()));
        v4.or_else(|| address.as_sockaddr_in6().map(|address| SocketAddr::V6((*address).into())))
    });
    let (Some(asked), Some(address)) = (asked, address) else {
        return Err(io::Error::other("a datagram from nowhere"));
    };
    Ok((received.bytes, Client { address, asked }))
}

/// Sends a datagram to a client, from the address that the client has asked.
fn send_from_asked(port: &UdpSocket, data: &[u8], client: &Client) -> io::Result<()> {
    let to = SockaddrStorage::from(client.address);
    let send = |from| {
        sendmsg(port.as_raw_fd(), &[IoSlice::new(data)], &[from], MsgFlags::empty(), Some(&to))
    };
    match client.asked {
        IpAddr::V4(asked) => {
            let ipi_spec_dst = libc::in_addr { s_addr: u32::from_ne_bytes(asked.octets()) };
            let ipi_addr = libc::in_addr { s_addr: 0 };
            send(ControlMessage::Ipv4PacketInfo(&libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst,
                ipi_addr,
            }))?;
        }
        IpAddr::V6(asked) => {
            let ipi6_addr = libc::in6_addr { s6_addr: asked.octets() };
            send(ControlMessage::Ipv6PacketInfo(&libc::in6_pktinfo {
                ipi6_addr,
                ipi6_ifindex: 0, // the client's address says by which link, if it has to be said
            }))?;
        }
    }
    Ok(())
}
