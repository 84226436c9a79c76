//! The bridge of all containers, and the cable from it into each of them.
//!
//! Nothing about it is written down in a file. The kernel holds all state, and loses it by itself
//! where it can:
//!
//! * A container's address is **leased** by the name of its link: whoever makes `steps7` has
//!   address number 7 of the subnet. Making a link is atomic, and the kernel removes it when the
//!   container's network namespace goes, so the lease of a dead owner is free again.
//! * The **alias** of the bridge says at which number of the ruleset our table was made, and which
//!   links of the host forward because we told them to.
//! * Bridge, table and those switches are what outlives a supervisor that is killed. The next start
//!   finds a bridge without ports, and removes them: [`Sweeper`].

use crate::lock::Lock;
use crate::namespace::Namespace;
use crate::subnet::Subnet;
use crate::{forwarding, nat};
use anyhow::{Context, Result, anyhow, bail};
use launcher::command_line::{note, one_line};
use netlink::Generation;
use netlink::RouteType;
use netlink::{Link, Netlink, Route};
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::net::Ipv4Addr;

/// The bridge. The links to the containers are called steps2, steps3 and so on.
pub const BRIDGE: &str = "steps0";

/// Its hardware address, by which we know it as ours. (Without one of its own, a bridge takes the
/// lowest of its ports' addresses, and changes it as they come and go.)
const MAC: [u8; 6] = *b"\x02steps";

/// How the alias of our bridge begins.
const OURS: &str = "container-steps";

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
        lock.release()?;

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
        // Without the bridge nobody else would look for its table and switches.
        if if_nametoindex(BRIDGE) == Err(Errno::ENODEV)
            && let Err(error) = sweep_without_bridge(&self.host)
        {
            note(format_args!("left behind: {}", one_line(&error)));
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
/// The number of our bridge: up, with our table, an address of `subnet`, and a way outside.
///
/// All of it is looked at each time. It can be changed by everybody who is root: by a firewall that
/// starts anew, for instance, with `flush ruleset`.
fn ready_bridge(host: &Netlink, subnet: Subnet) -> Result<u32> {
    let bridge = find_or_make_bridge(host)?;
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
// ANCHOR_END: ready_bridge

fn find_or_make_bridge(host: &Netlink) -> Result<Link> {
    if let Some(found) = find_bridge(host)? {
        if found.address == MAC {
            return Ok(found);
        }
        bail!(
            "cannot use the link {BRIDGE}: somebody else made it (rename it: sudo ip link set \
             {BRIDGE} name NAME; or do without the outside: --net none)"
        );
    }
    host.link_add_bridge(BRIDGE, MAC).map_err(|errno| cannot_make("bridge", BRIDGE, errno))?;
    find_bridge(host)?.with_context(|| format!("{BRIDGE} has gone"))
}

// ANCHOR: ready_table
/// Sees to it that our table is there as we made it, with `uplink` in it.
///
/// The alias has the number that the ruleset had then. If it has another now, somebody has changed
/// some rule: maybe ours, so the table is made anew. (To look is much cheaper than to run `nft`.)
fn ready_table(host: &Netlink, bridge: &Link, uplink: Option<&str>) -> Result<()> {
    let mut alias = Alias::of(bridge);
    let current = Generation::current().map_err(|errno| {
        anyhow!("cannot ask for the generation of the nft ruleset: {errno} ({})", nat::NO_MODULES)
    })?;
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

/// What the alias of the bridge says: `container-steps:GENERATION UPLINK UPLINK...`
#[derive(Debug, Default)]
struct Alias {
    /// The number of the ruleset when we made our table.
    generation: Option<Generation>,
    /// The links of the host that forward because we told them to.
    uplinks: BTreeSet<String>,
}

impl Alias {
    /// Nothing, if it is missing or somebody else's.
    fn of(bridge: &Link) -> Alias {
        let mut words = bridge.alias.iter().flat_map(|alias| alias.split_whitespace());
        let Some(rest) = words.next().and_then(|first| first.strip_prefix(OURS)) else {
            return Alias::default();
        };
        let generation = rest.strip_prefix(':').and_then(|number| number.parse().ok());
        Alias { generation, uplinks: words.map(str::to_owned).collect() }
    }
}

impl Display for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(OURS)?;
        self.generation.iter().try_for_each(|generation| write!(f, ":{generation}"))?;
        self.uplinks.iter().try_for_each(|uplink| write!(f, " {uplink}"))
    }
}

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
    match host.address_add(bridge.index, gateway, subnet.prefix_length()) {
        Ok(()) => Ok(()),
        Err(errno @ Errno::EEXIST) => bail!(
            "cannot give {BRIDGE} the address {gateway}: {errno} (somebody took its route away: \
             sudo ip route add {subnet} dev {BRIDGE})"
        ),
        Err(errno) => bail!("cannot give {BRIDGE} the address {gateway}: {errno}"),
    }
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

/// The name of the link that leads outside, if it does not forward yet.
fn uplink_to_switch_on(host: &Netlink, routes: &[Route]) -> Result<Option<String>> {
    let Some(index) = default_link(routes) else { return Ok(None) };
    let Some(uplink) = host.link_of_index(index).context("cannot look for the uplink")? else {
        return Ok(None); // it went while we looked
    };
    Ok(if forwarding::is_on(&uplink.name)? { None } else { Some(uplink.name) })
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
        let lock = Lock::take()?;
        let Some(bridge) = find_bridge(&host)?.filter(|link| link.address == MAC) else {
            return Ok(());
        };
        match host.count_ports(bridge.index).context("cannot list the ports of the bridge")? {
            0 => tear_down(&host, Some(&bridge))?,
            _ => return Ok(()),
        }
        lock.release()
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        if let Err(error) = Sweeper::sweep() {
            note(format_args!("left behind: {}", one_line(&error)));
        }
    }
}

/// Removes what belongs to a bridge that somebody has taken away.
fn sweep_without_bridge(host: &Netlink) -> Result<()> {
    let lock = Lock::take()?;
    if find_bridge(host)?.is_none() {
        tear_down(host, None)?;
    }
    lock.release()
}

/// Undoes [`ready_bridge`]: all of it, even if a part fails. The bridge goes last: as long as it
/// is there, the next start tries again.
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
