//! Uplinks that come later: a VPN that dials in, a USB network card.

use crate::{bridge, uplinks};
use anyhow::{Context, Result, ensure};
use launcher::command_line::{note, one_line, report, tell_left_behind};
use launcher::terminal::leave_session;
use launcher::{Child, Forked, exit_now};
use netlink::{LOOPBACK, Netlink, NewRoutes};
use nix::sys::prctl::set_name;
use nix::sys::signal::{SigSet, Signal};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io::{self, PipeReader, Write};
use std::thread::sleep;
use std::time::Duration;

/// Routes come in crowds, so what comes within this time is looked at once.
const PAUSE: Duration = Duration::from_millis(100);

/// The process that lets links forward which become uplinks while the container runs. Dropped, it
/// is killed.
#[derive(Debug)]
pub(crate) struct Watch {
    child: Child,
    ready: PipeReader,
}

impl Watch {
    /// Starts the process, which waits for news of routes. To be called without the bridge's turn:
    /// the process would have it too.
    ///
    /// # Errors
    /// Those of fork(2).
    pub(crate) fn start(new_routes: &NewRoutes, bridge: u32) -> Result<Watch> {
        let (ready, mut reporter) = io::pipe().context("cannot make a pipe")?;
        match Child::fork()? {
            Forked::Parent(child) => Ok(Watch { child, ready }),
            Forked::Child(bound) => {
                if let Err(error) = bound.and_then(|()| prepare()) {
                    // If nobody reads it, nobody is left to tell.
                    let _ = reporter.write_all(one_line(&error).as_bytes());
                    exit_now(125);
                }
                drop(reporter);
                let Err(error) = follow(new_routes, bridge);
                report(&format!("new uplinks: {}", one_line(&error)));
                exit_now(125);
            }
        }
    }

    /// Waits until it is there.
    ///
    /// # Errors
    /// Whatever keeps it from being so.
    pub(crate) fn wait_until_ready(&mut self) -> Result<()> {
        let told = io::read_to_string(&mut self.ready).context("cannot read from a child")?;
        ensure!(told.is_empty(), "cannot watch the routes: {told}");
        Ok(())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Whoever has the turn knows that the process is not in the middle of a change.
        let turn = bridge::take_turn();
        tell_left_behind(self.child.end(Signal::SIGKILL).context("the watch over the routes"));
        tell_left_behind(turn.and_then(launcher::locked_directory::Turn::end));
    }
}

fn prepare() -> Result<()> {
    // As in the proxy: Ctrl-C is not for us. Nor may one wait: whoever takes a turn takes that for
    // a wish to end.
    leave_session();
    SigSet::all().thread_block().context("cannot block signals")?;
    set_name(c"watch-routes").context("cannot set the name of the process")
}

// ANCHOR: follow
/// Looks for uplinks to switch on whenever a route leads to a link that none has led to before.
fn follow(new_routes: &NewRoutes, bridge: u32) -> Result<Infallible> {
    let mut known = BTreeSet::from([LOOPBACK, bridge]);
    loop {
        let news = new_routes.wait().context("cannot wait for routes")?;
        if let Some(routes) = &news {
            let before = known.len();
            known.extend(routes.iter().flat_map(|route| &route.links));
            if known.len() == before {
                continue;
            }
        }
        sleep(PAUSE);
        if let Err(error) = look() {
            note(format_args!("containers may get no answers by a new link: {error:#}"));
        }
    }
}

/// Does what a start does. What there is to tell, the next one tells.
fn look() -> Result<()> {
    let host = Netlink::open().context("cannot open a netlink socket")?;
    let turn = bridge::take_turn()?;
    if let Some(bridge) = bridge::find(&host)?.filter(bridge::is_ours) {
        let routes = host.routes().context("cannot list the routes")?;
        uplinks::ready(&host, &bridge, &routes)?;
    }
    turn.end()
}
// ANCHOR_END: follow
