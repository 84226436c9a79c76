//! A container's cable to the bridge: a veth pair.
//!
//! The container's address is **leased** by the name of the link: whoever makes `steps7` has
//! address number 7 of the subnet. Making a link is atomic, and the kernel removes it when the
//! container's network namespace goes, so the lease of a dead owner is free again.

use crate::bridge::{self, BRIDGE, cure};
use crate::namespace::Namespace;
use crate::subnet::Subnet;
use crate::watch::Watch;
use crate::{gateway, teardown};
use anyhow::{Context, Result, bail};
use launcher::Advise;
use launcher::command_line::note;
use netlink::{Netlink, NewRoutes};
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use std::net::Ipv4Addr;

/// The container's end of the cable.
const INSIDE: &str = "eth0";

/// A container's place on the bridge: a cable, and a watch over the ways from there.
#[derive(Debug)]
pub(crate) struct Attachment {
    pub(crate) address: Ipv4Addr,
    _watch: Watch,
    _cable: Cable,
}

/// Dropped, it is unplugged.
#[derive(Debug)]
struct Cable {
    host: Netlink,
    link: String,
}

impl Attachment {
    // ANCHOR: attach
    /// Connects a network namespace to the bridge, which is made if there is none.
    ///
    /// # Errors
    /// Those of rtnetlink(7) and `nft`; if `subnet` is in use elsewhere, or has no free address.
    pub(crate) fn create(namespace: &Namespace, subnet: Subnet) -> Result<Attachment> {
        let host = Netlink::open().context("cannot open a netlink socket")?;
        let new_routes = NewRoutes::listen().context("cannot listen for new routes")?;
        let turn = bridge::take_turn()?;
        let bridge = gateway::ready(&host, subnet)?;
        let (link, address) = lease(&host, bridge, namespace, subnet)?;
        let cable = Cable { host, link };
        turn.end()?;
        let mut watch = Watch::start(&new_routes, bridge)?;

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
        watch.wait_until_ready()?;
        Ok(Attachment { address, _watch: watch, _cable: cable })
    }
    // ANCHOR_END: attach
}

// ANCHOR: drop
impl Drop for Cable {
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
        // Without the bridge nobody else would look for its table and switches.
        if if_nametoindex(BRIDGE) == Err(Errno::ENODEV) {
            teardown::tell(teardown::sweep_without_bridge(&self.host));
        }
    }
}
// ANCHOR_END: drop

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
            Err(Errno::EEXIST) => {}
            made => {
                made.advise(|errno| cure("veth", errno))
                    .with_context(|| format!("cannot make the veth {name}"))?;
                return Ok((name, address));
            }
        }
    }
    bail!("no address of {subnet} is free (a larger subnet: --subnet 10.60.0.0/16)")
}
// ANCHOR_END: lease
