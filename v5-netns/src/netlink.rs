//! What `ip` does, one function for each of its verbs (rtnetlink(7)).
//!
//! `ip` is a program around one socket: it sends the kernel a message for each of its verbs and
//! waits for the answer. So do we, without starting a process for each.

use launcher::command_line::errno_of;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkExtentMask, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use nix::errno::Errno;
use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsRawFd;

/// The index of the loopback device, in every network namespace.
pub(crate) const LOOPBACK: u32 = 1;

/// More than the kernel packs into one datagram of a list (32 KiB).
const BUFFER: usize = 64 * 1024;

/// A socket to the network part of the kernel.
///
/// It belongs to the network namespace in which it was opened, for ever. Whoever holds it can
/// change that namespace from anywhere, without entering it.
#[derive(Debug)]
pub(crate) struct Netlink(Socket);

/// What is known of a link.
#[derive(Debug, Default)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) address: Vec<u8>,
    pub(crate) is_up: bool,
    pub(crate) alias: Option<String>,
}

/// What is known of a route.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) destination: Ipv4Addr,
    pub(crate) prefix_length: u8,
    /// The link that the packets leave by.
    pub(crate) link: Option<u32>,
    pub(crate) metric: u32,
    pub(crate) kind: RouteType,
}

impl Netlink {
    /// Opens a socket in the network namespace of this thread.
    ///
    /// # Errors
    /// Those of socket(2) and bind(2).
    pub(crate) fn open() -> io::Result<Netlink> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?; // number 0 is the kernel
        Ok(Netlink(socket))
    }

    /// Whether this process may change this network namespace. The change that it tries is none.
    pub(crate) fn may_change(&self) -> nix::Result<bool> {
        match self.link_set(LOOPBACK, |_| {}) {
            Ok(()) => Ok(true),
            Err(Errno::EPERM) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    // ANCHOR: link_add
    /// `ip link add NAME address MAC type bridge`, and up.
    pub(crate) fn link_add_bridge(&self, name: &str, mac: [u8; 6]) -> nix::Result<()> {
        let mut link = named(name);
        link.attributes.push(LinkAttribute::Address(mac.to_vec()));
        link.attributes.push(LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge)]));
        self.make(RouteNetlinkMessage::NewLink(link))
    }

    /// `ip link add NAME master BRIDGE type veth peer name PEER netns NAMESPACE`, and NAME up. (The
    /// peer cannot be: at the moment of its making it has no other end yet.)
    pub(crate) fn link_add_veth(
        &self,
        name: &str,
        bridge: u32,
        peer: &str,
        namespace: &File,
    ) -> nix::Result<()> {
        let mut inside = named(peer);
        inside.header.flags = LinkFlags::empty();
        inside.header.change_mask = LinkFlags::empty();
        inside.attributes.push(LinkAttribute::NetNsFd(namespace.as_raw_fd()));
        let mut link = named(name);
        link.attributes.push(LinkAttribute::Controller(bridge));
        link.attributes.push(LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(inside))),
        ]));
        self.make(RouteNetlinkMessage::NewLink(link))
    }
    // ANCHOR_END: link_add

    /// `ip link set INDEX up`.
    pub(crate) fn link_set_up(&self, index: u32) -> nix::Result<()> {
        self.link_set(index, |link| {
            link.header.flags = LinkFlags::Up;
            link.header.change_mask = LinkFlags::Up;
        })
    }

    /// `ip link set INDEX alias TEXT`: a note that the kernel keeps with the link.
    pub(crate) fn link_set_alias(&self, index: u32, text: &str) -> nix::Result<()> {
        let alias = LinkAttribute::IfAlias(text.to_owned());
        self.link_set(index, |link| link.attributes.push(alias))
    }

    fn link_set(&self, index: u32, change: impl FnOnce(&mut LinkMessage)) -> nix::Result<()> {
        let mut link = LinkMessage::default();
        link.header.index = index;
        change(&mut link);
        self.ask(RouteNetlinkMessage::SetLink(link), NLM_F_ACK).map(drop)
    }

    /// `ip link del INDEX`.
    pub(crate) fn link_del(&self, index: u32) -> nix::Result<()> {
        let mut link = LinkMessage::default();
        link.header.index = index;
        self.ask(RouteNetlinkMessage::DelLink(link), NLM_F_ACK).map(drop)
    }

    /// `ip link show NAME`: `None` if there is no such link.
    pub(crate) fn link(&self, name: &str) -> nix::Result<Option<Link>> {
        let mut link = LinkMessage::default();
        link.attributes.push(LinkAttribute::IfName(name.to_owned()));
        self.find_link(link)
    }

    /// `ip link show`, by number.
    pub(crate) fn link_of_index(&self, index: u32) -> nix::Result<Option<Link>> {
        let mut link = LinkMessage::default();
        link.header.index = index;
        self.find_link(link)
    }

    fn find_link(&self, mut wanted: LinkMessage) -> nix::Result<Option<Link>> {
        wanted.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
        match self.ask(RouteNetlinkMessage::GetLink(wanted), 0) {
            Ok(answers) => Ok(answers.into_iter().find_map(link_of)),
            Err(Errno::ENODEV) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// `ip link show master BRIDGE`: how many links are ports of the bridge.
    pub(crate) fn count_ports(&self, bridge: u32) -> nix::Result<usize> {
        let mut wanted = LinkMessage::default();
        wanted.attributes.push(LinkAttribute::Controller(bridge));
        wanted.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
        let is_port = |answer: &RouteNetlinkMessage| match answer {
            RouteNetlinkMessage::NewLink(link) => {
                link.attributes.contains(&LinkAttribute::Controller(bridge))
            }
            _ => false,
        };
        let links = self.ask(RouteNetlinkMessage::GetLink(wanted), NLM_F_DUMP)?;
        Ok(links.iter().filter(|link| is_port(link)).count())
    }

    /// `ip address add ADDRESS/PREFIX_LENGTH broadcast + dev INDEX`.
    pub(crate) fn address_add(
        &self,
        index: u32,
        address: Ipv4Addr,
        prefix_length: u8,
    ) -> nix::Result<()> {
        let host_bits = u32::MAX.checked_shr(prefix_length.into()).unwrap_or(0);
        let mut message = AddressMessage::default();
        message.header.family = AddressFamily::Inet;
        message.header.index = index;
        message.header.prefix_len = prefix_length;
        message.attributes = vec![
            AddressAttribute::Address(IpAddr::V4(address)),
            AddressAttribute::Local(IpAddr::V4(address)),
            AddressAttribute::Broadcast(Ipv4Addr::from(u32::from(address) | host_bits)),
        ];
        self.make(RouteNetlinkMessage::NewAddress(message))
    }

    /// `ip route add default via GATEWAY`.
    pub(crate) fn route_add_default(&self, gateway: Ipv4Addr) -> nix::Result<()> {
        let mut route = RouteMessage::default();
        route.header.address_family = AddressFamily::Inet;
        route.header.table = RouteHeader::RT_TABLE_MAIN;
        route.header.protocol = RouteProtocol::Boot; // as `ip` says: made by hand
        route.header.scope = RouteScope::Universe;
        route.header.kind = RouteType::Unicast;
        route.attributes.push(RouteAttribute::Gateway(RouteAddress::Inet(gateway)));
        self.make(RouteNetlinkMessage::NewRoute(route))
    }

    /// `ip route show table all`, IPv4 only.
    pub(crate) fn routes(&self) -> nix::Result<Vec<Route>> {
        let mut wanted = RouteMessage::default();
        wanted.header.address_family = AddressFamily::Inet;
        let answers = self.ask(RouteNetlinkMessage::GetRoute(wanted), NLM_F_DUMP)?;
        Ok(answers.into_iter().filter_map(route_of).collect())
    }

    fn make(&self, message: RouteNetlinkMessage) -> nix::Result<()> {
        self.ask(message, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL).map(drop)
    }

    // ANCHOR: ask
    /// Sends one message and reads the answers, up to the last one.
    fn ask(
        &self,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> nix::Result<Vec<RouteNetlinkMessage>> {
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST | flags;
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        self.0.send(&bytes, 0).map_err(|error| errno_of(&error))?;

        let is_list = flags & NLM_F_DUMP == NLM_F_DUMP;
        let mut answers = Vec::new();
        let mut datagram = Vec::with_capacity(BUFFER);
        loop {
            datagram.clear();
            let length = self.0.recv(&mut datagram, libc::MSG_TRUNC);
            if length.map_err(|error| errno_of(&error))? > datagram.len() {
                return Err(Errno::EMSGSIZE);
            }
            let mut rest = &datagram[..];
            while !rest.is_empty() {
                let answer: NetlinkMessage<RouteNetlinkMessage> =
                    NetlinkMessage::deserialize(rest).map_err(|_| Errno::EBADMSG)?;
                let length = usize::try_from(answer.header.length).map_err(|_| Errno::EBADMSG)?;
                rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
                match answer.payload {
                    NetlinkPayload::Error(error) => match error.raw_code() {
                        0 => return Ok(answers), // the ACK
                        code => return Err(Errno::from_raw(-code)),
                    },
                    NetlinkPayload::Done(_) => return Ok(answers),
                    NetlinkPayload::InnerMessage(inner) => answers.push(inner),
                    _ => {}
                }
            }
            if !is_list && flags & NLM_F_ACK == 0 {
                return Ok(answers); // a question about one thing has one answer
            }
        }
    }
    // ANCHOR_END: ask
}

/// A new link with a name, up from the start.
fn named(name: &str) -> LinkMessage {
    let mut link = LinkMessage::default();
    link.header.flags = LinkFlags::Up;
    link.header.change_mask = LinkFlags::Up;
    link.attributes.push(LinkAttribute::IfName(name.to_owned()));
    link
}

fn link_of(answer: RouteNetlinkMessage) -> Option<Link> {
    let RouteNetlinkMessage::NewLink(message) = answer else { return None };
    let is_up = message.header.flags.contains(LinkFlags::Up);
    let mut link = Link { index: message.header.index, is_up, ..Link::default() };
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::Address(address) => link.address = address,
            LinkAttribute::IfAlias(alias) => link.alias = Some(alias),
            _ => {}
        }
    }
    Some(link)
}

fn route_of(answer: RouteNetlinkMessage) -> Option<Route> {
    let RouteNetlinkMessage::NewRoute(message) = answer else { return None };
    let mut route = Route {
        destination: Ipv4Addr::UNSPECIFIED,
        prefix_length: message.header.destination_prefix_length,
        link: None,
        metric: 0,
        kind: message.header.kind,
    };
    for attribute in message.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(address)) => route.destination = address,
            RouteAttribute::Oif(index) => route.link = Some(index),
            RouteAttribute::Priority(metric) => route.metric = metric,
            _ => {}
        }
    }
    Some(route)
}
