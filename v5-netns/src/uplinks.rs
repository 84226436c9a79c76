//! The uplinks: the host's links by which packets leave it, and by which the answers come in.

use crate::bridge::{Alias, BRIDGE};
use crate::{forwarding, nat, nft};
use anyhow::{Context, Result};
use launcher::Advise;
use netlink::{Generation, LOOPBACK, Link, Netlink, Route, RouteType};
use std::collections::BTreeSet;

/// Sees to it that bridge and uplinks forward, by the rules of our table, with a note of who does
/// so because of us. Returns what to tell the user about that.
///
/// # Errors
/// Those of rtnetlink(7), `nft` and the switches.
pub(crate) fn ready(host: &Netlink, bridge: &Link, routes: &[Route]) -> Result<Vec<String>> {
    let mut uplinks = uplinks_to_switch_on(host, bridge, routes)?;
    // Nothing is forwarded before there are rules for it.
    let told = ready_table(host, bridge, &mut uplinks)?;
    forwarding::switch_on(host, bridge.index)?;
    uplinks.iter().try_for_each(|uplink| forwarding::switch_on(host, uplink.index))?;
    Ok(told)
}

// ANCHOR: uplinks
/// The links that a route leads to and that do not forward yet.
///
/// Which of them a packet takes is for the kernel to say, by tables, rules and metrics. Whichever
/// it is, the answer comes in there. (A route may name a nexthop object in place of its links. So
/// those with an address count too: each has a route of the kind "local".)
fn uplinks_to_switch_on(host: &Netlink, bridge: &Link, routes: &[Route]) -> Result<Vec<Link>> {
    let leads_on = |route: &&Route| matches!(route.kind, RouteType::Unicast | RouteType::Local);
    let links = routes.iter().filter(leads_on).flat_map(|route| &route.links);
    let mut others: BTreeSet<u32> = links.copied().collect();
    others.retain(|index| ![LOOPBACK, bridge.index].contains(index));
    let mut silent = Vec::new();
    for index in others {
        // None: it went while we looked.
        let found = host.link_of_index(index).context("cannot look for an uplink")?;
        let Some(link) = found else { continue };
        if forwarding::is_off(&link.name)? {
            silent.push(link);
        }
    }
    Ok(silent)
}
// ANCHOR_END: uplinks

// ANCHOR: ready_table
/// Sees to it that our table is there as we made it, with these uplinks in it. Those that there is
/// no note of, for want of room, are taken off the list: what nobody knows nobody can undo.
///
/// The alias has the number that the ruleset had then. If it has another now, somebody has changed
/// some rule: maybe ours, so the table is made anew. (To look is much cheaper than to run `nft`.)
fn ready_table(host: &Netlink, bridge: &Link, uplinks: &mut Vec<Link>) -> Result<Vec<String>> {
    let mut alias = Alias::of(bridge);
    let current = Generation::current()
        .advise(|_| nft::NO_MODULES)
        .context("cannot ask for the generation of the nft ruleset")?;
    let is_unchanged = alias.generation == Some(current);
    if is_unchanged && uplinks.is_empty() {
        return Ok(Vec::new());
    }
    alias.uplinks.retain(|uplink| !matches!(host.link_of_index(*uplink), Ok(None)));
    let before = alias.uplinks.len();
    let without_room = uplinks.extract_if(.., |uplink| !alias.add(uplink.index));
    let mut told: Vec<_> = without_room.map(|uplink| no_room_for(&uplink.name)).collect();
    if is_unchanged && alias.uplinks.len() == before {
        return Ok(told);
    }
    told.extend(nat::make_table(&mut alias.uplinks)?);
    // If somebody else's change came in between, this is not the number, and the next start will
    // make the table once more.
    alias.generation = Some(current.next());
    host.link_set_alias(bridge.index, &alias.to_string())
        .with_context(|| format!("cannot set the alias of {BRIDGE}"))?;
    Ok(told)
}
// ANCHOR_END: ready_table

fn no_room_for(uplink: &str) -> String {
    format!(
        "containers get no answers by the link {uplink}: the alias of {BRIDGE} has no room to note \
         that it forwards because of us; to permit it: sudo sysctl -w \
         net/ipv4/conf/{uplink}/forwarding=1"
    )
}
