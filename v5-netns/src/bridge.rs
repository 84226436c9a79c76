//! The bridge itself: a link of the host, into which the cables of all containers are plugged.
//!
//! Nothing about it is written down in a file. The kernel holds all state, and loses it by itself
//! where it can. That the bridge is ours we know by its hardware address. What we must know of it
//! later stands in its **alias**, a note that the kernel keeps with a link.

use anyhow::{Context, Result, bail};
use launcher::Advise;
use launcher::directories::{RUNTIME_OF_ROOT, is_roots_own};
use launcher::locked_directory::Turn;
use netlink::{Generation, Link, Netlink};
use nix::errno::Errno;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::path::Path;

/// The bridge. The links to the containers are called steps2, steps3 and so on.
pub const BRIDGE: &str = "steps0";

/// Why not everybody makes one.
pub(crate) const NEEDS_ROOT: &str = "it would be the host's, so it needs root: with cargo, cargo \
     root; or do without the outside: --net none";

/// Its hardware address, by which we know it as ours. (Without one of its own, a bridge takes the
/// lowest of its ports' addresses, and changes it as they come and go.)
const MAC: [u8; 6] = *b"\x02steps";

/// How the alias of our bridge begins.
const OURS: &str = "container-steps";

/// So many uplinks have room in an alias: the kernel takes 255 bytes (IFALIASZ, with a zero byte).
const MOST_UPLINKS: usize = (255 - "container-steps:4294967295".len()) / " 4294967295".len();

/// The turn of whoever makes, changes or removes the bridge: one at a time. It waits for it, unless
/// a signal asks this process to end.
///
/// # Errors
/// If the directory that is locked for it cannot be made or opened; the signal. It is root's own: a
/// lock that everybody can take would be a way for every user to keep containers from starting.
pub(crate) fn take_turn() -> Result<Turn> {
    Turn::take(Path::new(RUNTIME_OF_ROOT))
}

/// Whether this process can have a turn. Root of a user namespace may have a network of its own,
/// and still not be the one to whom the directory belongs.
///
/// # Errors
/// If it cannot be told.
pub(crate) fn may_take_turns() -> Result<bool> {
    is_roots_own(Path::new(RUNTIME_OF_ROOT))
}

/// Whether somebody has a turn, or was killed during one.
pub(crate) fn may_be_changing() -> bool {
    Turn::exists(Path::new(RUNTIME_OF_ROOT))
}

/// The link with the name of our bridge, if there is one.
///
/// # Errors
/// Those of rtnetlink(7).
pub(crate) fn find(host: &Netlink) -> Result<Option<Link>> {
    host.link(BRIDGE).with_context(|| format!("cannot look for {BRIDGE}"))
}

/// Whether a link with that name is the one that we have made.
pub(crate) fn is_ours(link: &Link) -> bool {
    link.address == MAC
}

/// The bridge, which is made if there is none.
///
/// # Errors
/// If there is a link of that name that is not ours, or none can be made.
pub(crate) fn find_or_make(host: &Netlink) -> Result<Link> {
    if let Some(found) = find(host)? {
        if is_ours(&found) {
            return Ok(found);
        }
        bail!(
            "cannot use the link {BRIDGE}: somebody else made it (rename it: sudo ip link set \
             {BRIDGE} name NAME; or do without the outside: --net none)"
        );
    }
    host.link_add_bridge(BRIDGE, MAC)
        .advise(|errno| cure("bridge", errno))
        .with_context(|| format!("cannot make the bridge {BRIDGE}"))?;
    find(host)?.with_context(|| format!("{BRIDGE} has gone"))
}

/// What to do where there can be no link of this kind.
pub(crate) fn cure(kind: &str, errno: Errno) -> Cow<'static, str> {
    match errno {
        Errno::EOPNOTSUPP => Cow::Owned(format!(
            "this kernel cannot make a {kind}: sudo modprobe {kind}; after an upgrade of the \
             kernel, reboot"
        )),
        Errno::EPERM => {
            "a bridge needs root: with cargo, cargo root; or do without the outside: --net none"
                .into()
        }
        Errno::EXFULL => "a bridge has at most 1023 ports".into(),
        _ => "see rtnetlink(7); do without the outside: --net none".into(),
    }
}

// ANCHOR: alias
/// What the alias of the bridge says: `container-steps:GENERATION UPLINK UPLINK...`
///
/// Uplinks are noted by their numbers. A link keeps its number when it gets another name, and a new
/// link may get the name of one that is gone.
#[derive(Debug, Default)]
pub(crate) struct Alias {
    /// The number of the ruleset when we made our table.
    pub(crate) generation: Option<Generation>,
    /// The links of the host that forward because we told them to.
    pub(crate) uplinks: BTreeSet<u32>,
}

impl Alias {
    /// Nothing, if it is missing or somebody else's.
    pub(crate) fn of(bridge: &Link) -> Alias {
        bridge.alias.as_deref().and_then(Alias::parse).unwrap_or_default()
    }

    fn parse(alias: &str) -> Option<Alias> {
        let mut words = alias.split_whitespace();
        let generation = words.next()?.strip_prefix(OURS)?.strip_prefix(':')?.parse().ok()?;
        let uplinks = words.map(|number| number.parse().ok()).collect::<Option<_>>()?;
        Some(Alias { generation: Some(generation), uplinks })
    }

    /// Adds an uplink, if there is room for one more.
    pub(crate) fn add(&mut self, uplink: u32) -> bool {
        let has_room = self.uplinks.len() < MOST_UPLINKS;
        self.uplinks.contains(&uplink) || (has_room && self.uplinks.insert(uplink))
    }
}

impl Display for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(OURS)?;
        self.generation.iter().try_for_each(|generation| write!(f, ":{generation}"))?;
        self.uplinks.iter().try_for_each(|uplink| write!(f, " {uplink}"))
    }
}
// ANCHOR_END: alias
