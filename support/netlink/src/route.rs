//! Addresses and routes: `ip address`, `ip route`. IPv4 only.

use crate::socket::Netlink;
use netlink_packet_core::NLM_F_DUMP;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

pub use netlink_packet_route::route::RouteType;

/// What is known of a route.
#[derive(Debug)]
pub struct Route {
    /// The first of the addresses that it leads to.
    pub destination: Ipv4Addr,
    /// How many bits all of them have in common.
    pub prefix_length: u8,
    /// The links that the packets leave by, one of them at a time.
    pub links: Vec<u32>,
    /// What happens to the packets.
    pub kind: RouteType,
}

impl Netlink {
    /// `ip address add ADDRESS/PREFIX_LENGTH broadcast + dev INDEX`.
    ///
    /// # Errors
    /// EEXIST if the link has that address already.
    pub fn address_add(&self, index: u32, address: Ipv4Addr, prefix_length: u8) -> nix::Result<()> {
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
    ///
    /// # Errors
    /// ENETUNREACH if no link leads to the gateway.
    pub fn route_add_default(&self, gateway: Ipv4Addr) -> nix::Result<()> {
        let mut route = RouteMessage::default();
        route.header.address_family = AddressFamily::Inet;
        route.header.table = RouteHeader::RT_TABLE_MAIN;
        route.header.protocol = RouteProtocol::Boot; // as `ip` says: made by hand
        route.header.scope = RouteScope::Universe;
        route.header.kind = RouteType::Unicast;
        route.attributes.push(RouteAttribute::Gateway(RouteAddress::Inet(gateway)));
        self.make(RouteNetlinkMessage::NewRoute(route))
    }

    /// `ip route show table all`.
    ///
    /// # Errors
    /// Those of rtnetlink(7).
    pub fn routes(&self) -> nix::Result<Vec<Route>> {
        let mut wanted = RouteMessage::default();
        wanted.header.address_family = AddressFamily::Inet;
        let answers = self.ask(RouteNetlinkMessage::GetRoute(wanted), NLM_F_DUMP)?;
        Ok(answers.into_iter().filter_map(route_of).collect())
    }
}

/// Tells of new routes, those that come after it was made.
#[derive(Debug)]
pub struct NewRoutes(Netlink);

impl NewRoutes {
    /// Begins to listen, in the network namespace of this thread.
    ///
    /// # Errors
    /// Those of socket(2), bind(2) and setsockopt(2).
    pub fn listen() -> io::Result<NewRoutes> {
        let netlink = Netlink::open()?;
        netlink.subscribe_to_routes()?;
        Ok(NewRoutes(netlink))
    }

    /// Waits for some. `None` says that there were too many to be kept.
    ///
    /// # Errors
    /// Those of recv(2), but for ENOBUFS; EBADMSG for a message that makes no sense.
    pub fn wait(&self) -> nix::Result<Option<Vec<Route>>> {
        match self.0.wait_for_news() {
            Err(Errno::ENOBUFS) => Ok(None),
            news => Ok(Some(news?.into_iter().filter_map(route_of).collect())),
        }
    }
}

fn route_of(answer: RouteNetlinkMessage) -> Option<Route> {
    let RouteNetlinkMessage::NewRoute(message) = answer else { return None };
    let mut route = Route {
        destination: Ipv4Addr::UNSPECIFIED,
        prefix_length: message.header.destination_prefix_length,
        links: Vec::new(),
        kind: message.header.kind,
    };
    for attribute in message.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(address)) => route.destination = address,
            RouteAttribute::Oif(index) => route.links.push(index),
            RouteAttribute::MultiPath(hops) => {
                route.links.extend(hops.iter().map(|hop| hop.interface_index));
            }
            _ => {}
        }
    }
    Some(route)
}
