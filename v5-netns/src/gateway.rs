//! The way outside: the bridge as the containers' gateway, with an address, our table, and uplinks.
//!
//! All of it is looked at each time. It can be changed by everybody who is root: by a firewall that
//! starts anew, for instance, with `flush ruleset`. `teardown` takes it away again.

use crate::bridge::{self, BRIDGE};
use crate::subnet::Subnet;
use crate::{forwarding, uplinks};
use anyhow::{Context, Result, bail};
use launcher::Advise;
use launcher::command_line::note;
use netlink::{Link, Netlink, Route, RouteType};
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
    for told in uplinks::ready(host, &bridge, &routes)? {
        note(format_args!("{told}"));
    }
    ready_address(host, &bridge, subnet, &routes)?;
    Ok(bridge.index)
}
// ANCHOR_END: ready

// ANCHOR: ready_address
/// Sees to it that the bridge has an address of `subnet`, and so leads to all of them.
fn ready_address(host: &Netlink, bridge: &Link, subnet: Subnet, routes: &[Route]) -> Result<()> {
    let gateway = subnet.gateway();
    let (ours, others): (Vec<&Route>, Vec<&Route>) =
        routes.iter().partition(|route| route.links == [bridge.index]);
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

/// Refuses a subnet that the host has a place for elsewhere: a route to it, or to some of it. One
/// to more than that does not count, as the default route. Of two routes to an address the one to
/// fewer others is taken, so that the bridge's would win.
fn check_is_free(subnet: Subnet, others: &[&Route]) -> Result<()> {
    let Some(other) = place_in(subnet, others) else { return Ok(()) };
    let is_free = |candidate: &Subnet| place_in(*candidate, others).is_none();
    let advice = match subnet.others_of_its_size().find(is_free) {
        Some(free) => format!("another one: --subnet {free}"),
        None => "of that size no private one is free: a smaller --subnet".to_owned(),
    };
    bail!(
        "cannot use the subnet {subnet}: the host has a route to {}/{} already (see ip route show \
         table all; {advice})",
        other.destination,
        other.prefix_length
    )
}

fn place_in<'a>(subnet: Subnet, others: &[&'a Route]) -> Option<&'a Route> {
    let is_place = |route: &&&Route| {
        !matches!(route.kind, RouteType::Broadcast | RouteType::Multicast)
            && route.prefix_length >= subnet.prefix_length()
            && Subnet::around(route.destination, subnet.prefix_length()) == subnet
    };
    others.iter().find(is_place).copied()
}
// ANCHOR_END: ready_address
