//! The way outside: the bridge as the containers' gateway, with an address, our table, and links
//! that forward.
//!
//! All of it is looked at each time. It can be changed by everybody who is root: by a firewall that
//! starts anew, for instance, with `flush ruleset`. `teardown` takes it away again.

use crate::bridge::{self, Alias, BRIDGE};
use crate::subnet::Subnet;
use crate::{forwarding, nat, nft};
use anyhow::{Context, Result, bail};
use launcher::Advise;
use launcher::command_line::note;
use netlink::{Generation, Link, Netlink, Route, RouteType};
use nix::errno::Errno;

// ANCHOR: ready
/// The number of our bridge: up, with our table, an address of `subnet`, and a way outside.
///
/// # Errors
/// Those of rtnetlink(7), `nft` and the switches; if `subnet` is in use elsewhere.
pub(crate) fn ready(host: &Netlink, subnet: Subnet) -> Result<u32> {
    let bridge = bridge::find_or_make(host)?;
    forwarding::disable_ipv6(BRIDGE)?;
    if !bridge.is_up {
        host.link_set_up(bridge.index).with_context(|| format!("cannot set {BRIDGE} up"))?;
    }
    let routes = host.routes().context("cannot list the routes")?;
    let uplink = uplink_to_switch_on(host, &routes)?;
    // Nothing is forwarded before there are rules for it, and a note of who does.
    ready_table(host, &bridge, uplink.as_deref())?;
    forwarding::switch_on(BRIDGE)?;
    uplink.as_deref().map_or(Ok(()), forwarding::switch_on)?;
    ready_address(host, &bridge, subnet, &routes)?;
    Ok(bridge.index)
}
// ANCHOR_END: ready

// ANCHOR: uplink
/// The name of the link that leads outside, if it does not forward yet.
fn uplink_to_switch_on(host: &Netlink, routes: &[Route]) -> Result<Option<String>> {
    let Some(index) = default_link(routes) else { return Ok(None) };
    let Some(uplink) = host.link_of_index(index).context("cannot look for the uplink")? else {
        return Ok(None); // it went while we looked
    };
    Ok(if forwarding::is_on(&uplink.name)? { None } else { Some(uplink.name) })
}

/// The link that packets for anywhere leave by: that of the default route.
fn default_link(routes: &[Route]) -> Option<u32> {
    let is_default = |route: &&Route| route.prefix_length == 0 && route.kind == RouteType::Unicast;
    routes.iter().filter(is_default).min_by_key(|route| route.metric)?.link
}
// ANCHOR_END: uplink

// ANCHOR: ready_table
/// Sees to it that our table is there as we made it, with `uplink` in it.
///
/// The alias has the number that the ruleset had then. If it has another now, somebody has changed
/// some rule: maybe ours, so the table is made anew. (To look is much cheaper than to run `nft`.)
fn ready_table(host: &Netlink, bridge: &Link, uplink: Option<&str>) -> Result<()> {
    let mut alias = Alias::of(bridge);
    let current = Generation::current()
        .advise(|_| nft::NO_MODULES)
        .context("cannot ask for the generation of the nft ruleset")?;
    let new = uplink.filter(|uplink| !alias.uplinks.contains(*uplink));
    if new.is_none() && alias.generation == Some(current) {
        return Ok(());
    }
    alias.uplinks.extend(new.map(str::to_owned));
    if let Some(advice) = nat::make_table(&mut alias.uplinks)? {
        note(format_args!("{advice}"));
    }
    // If somebody else's change came in between, this is not the number, and the next start will
    // make the table once more.
    alias.generation = Some(current.next());
    host.link_set_alias(bridge.index, &alias.to_string())
        .with_context(|| format!("cannot set the alias of {BRIDGE}"))
}
// ANCHOR_END: ready_table

// ANCHOR: ready_address
/// Sees to it that the bridge has an address of `subnet`, and so leads to all of them.
fn ready_address(host: &Netlink, bridge: &Link, subnet: Subnet, routes: &[Route]) -> Result<()> {
    let gateway = subnet.gateway();
    let (ours, others): (Vec<&Route>, Vec<&Route>) =
        routes.iter().partition(|route| route.link == Some(bridge.index));
    let is_address =
        |route: &&&Route| route.kind == RouteType::Local && route.destination == gateway;
    let is_way = |route: &&&Route| {
        route.kind == RouteType::Unicast
            && Subnet::around(route.destination, route.prefix_length) == subnet
    };
    if ours.iter().any(|route| is_address(&route)) && ours.iter().any(|route| is_way(&route)) {
        return Ok(());
    }
    check_is_free(subnet, &others)?;
    let added = host.address_add(bridge.index, gateway, subnet.prefix_length());
    let added = added.advise(|errno| match errno {
        Errno::EEXIST => {
            format!("somebody took its route away: sudo ip route add {subnet} dev {BRIDGE}")
        }
        _ => String::new(),
    });
    added.with_context(|| format!("cannot give {BRIDGE} the address {gateway}"))
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
// ANCHOR_END: ready_address
