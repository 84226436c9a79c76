//! The bridge of all containers, and the cable from it into each of them.
//!
//! Nothing about it is written down in a file. The kernel holds all state, and loses it by itself
//! where it can:
//!
//! * A container's address is **leased** by the name of its link: whoever makes `steps7` has
//!   address number 7 of the subnet. Making a link is atomic, and the kernel removes it when the
//!   container's network namespace goes, so the lease of a dead owner is free again.
//! * The **alias** of the bridge says that it is complete, and which links of the host forward
//!   because we told them to.
//! * Bridge, table and those switches are what outlives a supervisor that is killed. The next start
//!   finds a bridge without ports, and removes them: [`Sweeper`].

use crate::lock::Lock;
use crate::namespace::Namespace;
use crate::netlink::{Link, Netlink, Route};
use crate::subnet::Subnet;
use crate::{forwarding, nat};
use anyhow::{Context, Result, anyhow, bail};
use netlink_packet_route::route::RouteType;
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use std::net::Ipv4Addr;
use v1_chroot::command_line::{note, one_line};

/// The bridge. The links to the containers are called steps2, steps3 and so on.
pub const BRIDGE: &str = "steps0";

/// Its hardware address, by which we know it as ours. (Without one of its own, a bridge takes the
/// lowest of its ports' addresses, and changes it as they come and go.)
const MAC: [u8; 6] = *b"\x02steps";

/// The first word of the alias of a complete bridge; the others are the links that forward for us.
const COMPLETE: &str = "container-steps";

/// The container's end of the cable.
const INSIDE: &str = "eth0";

/// A container's cable to the bridge. Dropped, it is unplugged.
#[derive(Debug)]
pub(crate) struct Attachment {
    host: Netlink,
    link: String,
    pub(crate) address: Ipv4Addr,
}

impl Attachment {
    // ANCHOR: attach
    /// Connects a network namespace to the bridge, which is made if there is none.
    ///
    /// # Errors
    /// Those of rtnetlink(7) and `nft`; if `subnet` is in use elsewhere, or has no free address.
    pub(crate) fn create(namespace: &Namespace, subnet: Subnet) -> Result<Attachment> {
        let host = open_host()?;
        let lock = Lock::take()?;
        let bridge = ready_bridge(&host, subnet)?;
        let (link, address) = lease(&host, bridge, namespace, subnet)?;
        let attachment = Attachment { host, link, address };
        drop(lock);

        let inside = namespace.netlink();
        let link = inside.link(INSIDE).context("cannot look for eth0")?;
        let index = link.context("eth0 has gone")?.index;
        inside
            .address_add(index, address, subnet.prefix_length())
            .with_context(|| format!("cannot give eth0 the address {address}"))?;
        inside.link_set_up(index).context("cannot set eth0 up")?;
        let gateway = subnet.gateway();
        inside
            .route_add_default(gateway)
            .with_context(|| format!("cannot add a default route via {gateway}"))?;
        Ok(attachment)
    }
    // ANCHOR_END: attach
}

// ANCHOR: drop
impl Drop for Attachment {
    fn drop(&mut self) {
        // Both ends go together.
        let removed = self.host.link(&self.link).and_then(|link| match link {
            Some(link) => self.host.link_del(link.index),
            None => Ok(()),
        });
        match removed {
            // ENODEV: the kernel was faster, because the namespace is gone.
            Ok(()) | Err(Errno::ENODEV) => {}
            Err(errno) => note(format_args!("cannot remove the link {}: {errno}", self.link)),
        }
    }
}
// ANCHOR_END: drop

fn open_host() -> Result<Netlink> {
    Netlink::open().context("cannot open a netlink socket")
}

// ANCHOR: lease
/// Makes a veth pair with one end in the bridge and the other in the container. Its name on the
/// host is the lease of the address with the same number.
fn lease(
    host: &Netlink,
    bridge: u32,
    namespace: &Namespace,
    subnet: Subnet,
) -> Result<(String, Ipv4Addr)> {
    for (number, address) in subnet.hosts() {
        let name = format!("steps{number}");
        if if_nametoindex(name.as_str()).is_ok() {
            continue; // cheaper to ask than to be refused
        }
        match host.link_add_veth(&name, bridge, INSIDE, namespace.file()) {
            Ok(()) => return Ok((name, address)),
            Err(Errno::EEXIST) => {}
            Err(errno) => return Err(cannot_make("veth", &name, errno)),
        }
    }
    bail!("no address of {subnet} is free (a larger subnet: --subnet 10.60.0.0/16)")
}
// ANCHOR_END: lease

fn cannot_make(kind: &str, name: &str, errno: Errno) -> anyhow::Error {
    let advice = match errno {
        Errno::EOPNOTSUPP => &format!(
            "this kernel cannot make a {kind}: sudo modprobe {kind}; after an upgrade of the \
             kernel, reboot"
        ),
        Errno::EPERM => {
            "a bridge needs root: with cargo, cargo root; or do without the outside: --net none"
        }
        Errno::EXFULL => "a bridge has at most 1023 ports",
        _ => "see rtnetlink(7); do without the outside: --net none",
    };
    anyhow!("cannot make the {kind} {name}: {errno} ({advice})")
}

// ANCHOR: ready_bridge
/// The number of our bridge: complete, with an address of `subnet`, and with a way outside.
fn ready_bridge(host: &Netlink, subnet: Subnet) -> Result<u32> {
    let bridge = complete_bridge(host)?;
    let routes = host.routes().context("cannot list the routes")?;
    if let Some(uplink) = default_link(&routes) {
        let_forward(host, &bridge, uplink)?;
    }
    let gateway = subnet.gateway();
    let (ours, others): (Vec<&Route>, Vec<&Route>) =
        routes.iter().partition(|route| route.link == Some(bridge.index));
    if !ours.iter().any(|route| route.kind == RouteType::Local && route.destination == gateway) {
        check_is_free(subnet, &others)?;
        host.address_add(bridge.index, gateway, subnet.prefix_length())
            .with_context(|| format!("cannot give {BRIDGE} the address {gateway}"))?;
    }
    Ok(bridge.index)
}
// ANCHOR_END: ready_bridge

/// Our bridge, as it is if it is complete, else made anew.
fn complete_bridge(host: &Netlink) -> Result<Link> {
    match find_bridge(host)? {
        Some(other) if other.address != MAC => bail!(
            "cannot use the link {BRIDGE}: somebody else made it (rename it: sudo ip link set \
             {BRIDGE} name NAME; or do without the outside: --net none)"
        ),
        Some(bridge) if bridge.alias.is_some() => return Ok(bridge),
        Some(half_made) => tear_down(host, &half_made)?,
        None => {}
    }
    make_bridge(host)
}

/// The link that packets for anywhere leave by: that of the default route.
fn default_link(routes: &[Route]) -> Option<u32> {
    let is_default = |route: &&Route| route.prefix_length == 0 && route.kind == RouteType::Unicast;
    routes.iter().filter(is_default).min_by_key(|route| route.metric)?.link
}

/// Refuses a subnet whose addresses the host finds elsewhere. (The default route leads to all
/// addresses, so it does not count.)
fn check_is_free(subnet: Subnet, others: &[&Route]) -> Result<()> {
    let is_a_place = |route: &&&Route| {
        route.prefix_length > 0
            && !matches!(route.kind, RouteType::Broadcast | RouteType::Multicast)
    };
    let overlaps =
        |route: &&&Route| Subnet::around(route.destination, route.prefix_length).overlaps(subnet);
    match others.iter().filter(is_a_place).find(overlaps) {
        None => Ok(()),
        Some(other) => bail!(
            "cannot use the subnet {subnet}: the host has a route to {}/{} already (see ip route \
             show table all; another one: --subnet 10.62.0.0/24)",
            other.destination,
            other.prefix_length
        ),
    }
}

/// The link with the name of our bridge, if there is one.
fn find_bridge(host: &Netlink) -> Result<Option<Link>> {
    host.link(BRIDGE).with_context(|| format!("cannot look for {BRIDGE}"))
}

/// Makes the bridge and its table. The alias comes last: it says that both are complete.
fn make_bridge(host: &Netlink) -> Result<Link> {
    host.link_add_bridge(BRIDGE, MAC).map_err(|errno| cannot_make("bridge", BRIDGE, errno))?;
    let mut bridge = find_bridge(host)?.with_context(|| format!("{BRIDGE} has gone"))?;
    forwarding::disable_ipv6(BRIDGE)?;
    forwarding::switch_on(BRIDGE)?;
    if let Some(advice) = nat::make_table()? {
        note(format_args!("{advice}"));
    }
    set_alias(host, &mut bridge, COMPLETE.to_owned())?;
    Ok(bridge)
}

fn set_alias(host: &Netlink, bridge: &mut Link, alias: String) -> Result<()> {
    host.link_set_alias(bridge.index, &alias)
        .with_context(|| format!("cannot set the alias of {BRIDGE}"))?;
    bridge.alias = Some(alias);
    Ok(())
}

/// Lets the link that leads outside forward, if it does not do so already.
fn let_forward(host: &Netlink, bridge: &Link, uplink: u32) -> Result<()> {
    let Some(uplink) = host.link_of_index(uplink).context("cannot look for the uplink")? else {
        return Ok(()); // it went while we looked
    };
    if forwarding::is_on(&uplink.name)? {
        return Ok(());
    }
    // Written down first: whoever finds the note switches off what may not be on yet.
    let known = bridge.alias.as_deref().unwrap_or(COMPLETE);
    let mut bridge = Link { index: bridge.index, ..Link::default() };
    set_alias(host, &mut bridge, format!("{known} {}", uplink.name))?;
    nat::add_uplink(&uplink.name)?;
    forwarding::switch_on(&uplink.name)
}

// ANCHOR: sweeper
/// Dropped, it removes the bridge, if no container is connected to it any more.
///
/// That is one and the same way out for an ordinary end, for a start that failed half-way, and for
/// what a supervisor that was killed has left behind.
#[derive(Debug)]
pub(crate) struct Sweeper;

impl Sweeper {
    /// Removes the bridge, if it has no ports.
    ///
    /// # Errors
    /// The first of the things that could not be removed.
    pub(crate) fn sweep() -> Result<()> {
        // The cheap question first. Whatever else it fails with, the other one tells.
        if if_nametoindex(BRIDGE) == Err(Errno::ENODEV) && !Lock::exists() {
            return Ok(());
        }
        let host = open_host()?;
        let _lock = Lock::take()?;
        let Some(bridge) = find_bridge(&host)?.filter(|link| link.address == MAC) else {
            return Ok(());
        };
        match host.count_ports(bridge.index).context("cannot list the ports of the bridge")? {
            0 => tear_down(&host, &bridge),
            _ => Ok(()),
        }
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        if let Err(error) = Sweeper::sweep() {
            note(format_args!("left behind: {}", one_line(&error)));
        }
    }
}

/// Undoes [`ready_bridge`]: all of it, even if a part fails. The bridge goes last: as long as it
/// is there, the next start tries again.
fn tear_down(host: &Netlink, bridge: &Link) -> Result<()> {
    let uplinks = bridge.alias.iter().flat_map(|alias| alias.split_whitespace().skip(1));
    let switched: Vec<_> = uplinks.map(forwarding::switch_off).collect();
    let table = match nat::remove_table() {
        // A half-made bridge: what could not make the table cannot remove it either.
        Err(_) if bridge.alias.is_none() => Ok(()),
        result => result,
    };
    switched.into_iter().chain([table]).collect::<Result<()>>()?;
    match host.link_del(bridge.index) {
        Ok(()) | Err(Errno::ENODEV) => Ok(()),
        Err(errno) => Err(anyhow!("cannot remove {BRIDGE}: {errno}")),
    }
}
// ANCHOR_END: sweeper
