//! Takes away what `gateway` has made, when nobody needs it any more.
//!
//! Bridge, table and switches are what outlives a supervisor that is killed. Whoever ends next finds
//! a bridge without ports, and removes them.

use crate::bridge::{self, Alias, BRIDGE};
use crate::{forwarding, nat};
use anyhow::{Context, Result, anyhow};
use launcher::command_line::{note, one_line};
use netlink::{Link, Netlink};
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;

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

/// Removes the bridge, if it has no ports.
fn sweep() -> Result<()> {
    // The cheap question first. Whatever else it fails with, the other one tells.
    if if_nametoindex(BRIDGE) == Err(Errno::ENODEV) && !bridge::may_be_changing() {
        return Ok(());
    }
    let host = Netlink::open().context("cannot open a netlink socket")?;
    let turn = bridge::take_turn()?;
    let Some(bridge) = bridge::find(&host)?.filter(bridge::is_ours) else {
        return Ok(());
    };
    match host.count_ports(bridge.index).context("cannot list the ports of the bridge")? {
        0 => tear_down(&host, Some(&bridge))?,
        _ => return Ok(()),
    }
    turn.end()
}

/// Removes what belongs to a bridge that somebody has taken away.
pub(crate) fn sweep_without_bridge(host: &Netlink) -> Result<()> {
    let turn = bridge::take_turn()?;
    if bridge::find(host)?.is_none() {
        tear_down(host, None)?;
    }
    turn.end()
}

/// Undoes [`crate::gateway::ready`]: all of it, even if a part fails. The bridge goes last: as long
/// as it is there, the next start tries again.
fn tear_down(host: &Netlink, bridge: Option<&Link>) -> Result<()> {
    let mut alias = bridge.map_or_else(Alias::default, Alias::of);
    if alias.generation.is_none() {
        // Half-made, or the alias was taken away. What we have switched on is in the table, too.
        alias.uplinks.extend(nat::uplinks_of_table().unwrap_or_default());
    }
    let switched: Vec<_> = alias.uplinks.iter().map(|it| forwarding::switch_off(it)).collect();
    let table = match nat::remove_table() {
        // A half-made bridge: what could not make the table cannot remove it either.
        Err(_) if bridge.is_some() && alias.generation.is_none() => Ok(()),
        result => result,
    };
    switched.into_iter().chain([table]).collect::<Result<()>>()?;
    match bridge.map_or(Ok(()), |bridge| host.link_del(bridge.index)) {
        Ok(()) | Err(Errno::ENODEV) => Ok(()),
        Err(errno) => Err(anyhow!("cannot remove {BRIDGE}: {errno}")),
    }
}
// ANCHOR_END: sweeper

/// Tells what is left behind.
pub(crate) fn tell(swept: Result<()>) {
    if let Err(error) = swept {
        note(format_args!("left behind: {}", one_line(&error)));
    }
}
