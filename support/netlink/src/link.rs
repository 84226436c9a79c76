//! Links, which are network devices: `ip link`.

use crate::socket::Netlink;
use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkExtentMask, LinkFlags, LinkInfo, LinkMessage,
};
use nix::errno::Errno;
use std::fs::File;
use std::os::fd::AsRawFd;

/// The index of the loopback device, in every network namespace.
pub const LOOPBACK: u32 = 1;

/// What is known of a link.
#[derive(Debug, Default)]
pub struct Link {
    /// Its number in its network namespace.
    pub index: u32,
    /// Its name there.
    pub name: String,
    /// Its hardware address.
    pub address: Vec<u8>,
    /// Whether somebody has switched it on.
    pub is_up: bool,
    /// The note that the kernel keeps with it.
    pub alias: Option<String>,
}

impl Netlink {
    /// Whether this process may change this network namespace. The change that it tries is none.
    ///
    /// # Errors
    /// Those of rtnetlink(7), but for EPERM: that is the answer no.
    pub fn may_change(&self) -> nix::Result<bool> {
        match self.link_set(LOOPBACK, |_| {}) {
            Ok(()) => Ok(true),
            Err(Errno::EPERM) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    // ANCHOR: link_add
    /// `ip link add NAME address MAC type bridge`, and up.
    ///
    /// # Errors
    /// EEXIST if there is a link of that name; EOPNOTSUPP if the kernel knows no bridges.
    pub fn link_add_bridge(&self, name: &str, mac: [u8; 6]) -> nix::Result<()> {
        let mut link = named(name);
        link.attributes.push(LinkAttribute::Address(mac.to_vec()));
        link.attributes.push(LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge)]));
        self.make(RouteNetlinkMessage::NewLink(link))
    }

    /// `ip link add NAME master BRIDGE type veth peer name PEER netns NAMESPACE`, and NAME up. (The
    /// peer cannot be: at the moment of its making it has no other end yet.)
    ///
    /// # Errors
    /// The same, for the kernel's veth; EXFULL if the bridge has no port left.
    pub fn link_add_veth(
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
    ///
    /// # Errors
    /// Those of rtnetlink(7).
    pub fn link_set_up(&self, index: u32) -> nix::Result<()> {
        self.link_set(index, |link| {
            link.header.flags = LinkFlags::Up;
            link.header.change_mask = LinkFlags::Up;
        })
    }

    /// `ip link set INDEX alias TEXT`: a note that the kernel keeps with the link.
    ///
    /// # Errors
    /// Those of rtnetlink(7).
    pub fn link_set_alias(&self, index: u32, text: &str) -> nix::Result<()> {
        let alias = LinkAttribute::IfAlias(text.to_owned());
        self.link_set(index, |link| link.attributes.push(alias))
    }

    fn link_set(&self, index: u32, change: impl FnOnce(&mut LinkMessage)) -> nix::Result<()> {
        let mut link = LinkMessage::default();
        link.header.index = index;
        change(&mut link);
        self.ask(RouteNetlinkMessage::SetLink(link), NLM_F_ACK).map(drop)
    }

    /// `ip link del INDEX`. A veth takes its other end along.
    ///
    /// # Errors
    /// ENODEV if it is gone already.
    pub fn link_del(&self, index: u32) -> nix::Result<()> {
        let mut link = LinkMessage::default();
        link.header.index = index;
        self.ask(RouteNetlinkMessage::DelLink(link), NLM_F_ACK).map(drop)
    }

    /// `ip link show NAME`: `None` if there is no such link.
    ///
    /// # Errors
    /// Those of rtnetlink(7).
    pub fn link(&self, name: &str) -> nix::Result<Option<Link>> {
        let mut link = LinkMessage::default();
        link.attributes.push(LinkAttribute::IfName(name.to_owned()));
        self.find_link(link)
    }

    /// The same, by its number.
    ///
    /// # Errors
    /// As for [`Netlink::link`].
    pub fn link_of_index(&self, index: u32) -> nix::Result<Option<Link>> {
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
    ///
    /// # Errors
    /// Those of rtnetlink(7).
    pub fn count_ports(&self, bridge: u32) -> nix::Result<usize> {
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
