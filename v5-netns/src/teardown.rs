//! Takes away what `gateway` has made, when nobody needs it any more.
//!
//! Bridge, table and switches are what outlives a supervisor that is killed. Whoever ends next
//! finds a bridge without ports, and removes them.

use crate::bridge::{self, Alias, BRIDGE};
use crate::{forwarding, nat};
use anyhow::{Context, Result};
use launcher::command_line::tell_left_behind;
use netlink::{Link, Netlink};
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;

/// What could not be taken away: all of it, not only what failed first.
pub(crate) type Failures = Vec<anyhow::Error>;

// ANCHOR: sweeper
/// Dropped, it removes the bridge, if no container is connected to it any more.
///
/// That is one and the same way out for an ordinary end, for a start that failed half-way, and for
/// what a supervisor that was killed has left behind.
#[derive(Debug)]
pub(crate) struct Sweeper;

impl Drop for Sweeper {
    fn drop(&mut self) {
        tell(sweep());
    }
}

/// Removes the bridge, if it has no ports. Returns what could not be removed.
fn sweep() -> Result<Failures> {
    // The cheap question first. Whatever else it fails with, the other one tells.
    if if_nametoindex(BRIDGE) == Err(Errno::ENODEV) && !bridge::may_be_changing() {
        return Ok(Failures::new());
    }
    let host = Netlink::open().context("cannot open a netlink socket")?;
    let turn = bridge::take_turn()?;
    let Some(bridge) = bridge::find(&host)?.filter(bridge::is_ours) else {
        return Ok(Failures::new());
    };
    if host.count_ports(bridge.index).context("cannot list the ports of the bridge")? > 0 {
        return Ok(Failures::new());
    }
    let mut failures = tear_down(&host, Some(&bridge));
    failures.extend(turn.end().err());
    Ok(failures)
}

/// Removes what belongs to a bridge that somebody has taken away.
pub(crate) fn sweep_without_bridge(host: &Netlink) -> Result<Failures> {
    let turn = bridge::take_turn()?;
    let mut failures = match bridge::find(host)? {
        Some(_made_by_another) => Failures::new(),
        None => tear_down(host, None),
    };
    failures.extend(turn.end().err());
    Ok(failures)
}

/// Undoes [`crate::gateway::ready`]: all of it, even if a part fails. The bridge goes last, and
/// only if nothing has failed: as long as it is there, the next start tries again.
fn tear_down(host: &Netlink, bridge: Option<&Link>) -> Failures {
    let mut alias = bridge.map_or_else(Alias::default, Alias::of);
    if alias.generation.is_none() {
        // Half-made, or the alias was taken away. What we have switched on is in the table, too.
        alias.uplinks.extend(nat::uplinks_of_table().unwrap_or_default());
    }
    let switch_off = |uplink: &u32| forwarding::switch_off(host, *uplink).err();
    let mut failures: Failures = alias.uplinks.iter().filter_map(switch_off).collect();
    match nat::remove_table() {
        // A half-made bridge: what could not make the table cannot remove it either.
        Err(_) if bridge.is_some() && alias.generation.is_none() => {}
        removed => failures.extend(removed.err()),
    }
    let Some(bridge) = bridge.filter(|_| failures.is_empty()) else { return failures };
    match host.link_del(bridge.index) {
        Err(Errno::ENODEV) => {}
        removed => {
            let removed = removed.with_context(|| format!("cannot remove {BRIDGE}"));
            failures.extend(removed.err());
        }
    }
    failures
}

/// Tells what is left behind, one line each.
pub(crate) fn tell(swept: Result<Failures>) {
    let failures = swept.unwrap_or_else(|error| vec![error]);
    failures.into_iter().map(Err).for_each(tell_left_behind);
}
// ANCHOR_END: sweeper
