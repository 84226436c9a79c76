//! The network of step 5, tried in a network namespace that is thrown away.

use std::net::IpAddr;

use anyhow::Result;
use launcher::{Caller, become_root};
use nix::mount::{MsFlags, mount};
use nix::sched::CloneFlags;
use nix::unistd::geteuid;
use v2_mountns::{private_mounts, unshare};
use v5_netns::{Mode, Network, NetworkArgs};

use super::finding::{Finding, NETWORK_TROUBLE};
use super::machine::read;
use super::namespaces::mount_in_memory;
use crate::child::attempt;

/// Names that the verdicts refer to.
pub(super) const BRIDGE: &str = "bridge";

pub(super) fn probe_all() -> Vec<Finding> {
    let resolv_conf = read("/etc/resolv.conf");
    let upstreams = read("/run/systemd/resolve/resolv.conf");
    vec![bridge(), forwarding(), resolver(&resolv_conf, &upstreams)]
}

fn bridge() -> Finding {
    let works = if geteuid().is_root() {
        "bridge, veth and nft table work"
    } else {
        "bridge, veth and nft table would work for root"
    };
    Finding::of_attempt(BRIDGE, works, attempt(make_bridge)).page(NETWORK_TROUBLE)
}

/// Step 5's own bridge, in a network of our own: the machine's is not touched.
fn make_bridge() -> Result<()> {
    let as_root = become_root(Caller::of_this_process())?;
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET)?;
    private_mounts()?;
    // The lock of all bridges lies in /run, where only the machine's root may write.
    mount_in_memory("/run")?;
    // /sys shows the devices of the network namespace of whoever mounts it; it may be read-only.
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    // Where it is not allowed, the old one stays, which is enough for what follows.
    let _ = mount(Some("sysfs"), "/sys", Some("sysfs"), flags, None::<&str>);
    Network::create(&as_root, &arguments(Mode::Bridge)).map(drop)
}

/// The arguments of a container with this network.
pub(super) fn arguments(mode: Mode) -> NetworkArgs {
    let (subnet, publish, names) = Default::default();
    NetworkArgs { net: Some(mode), subnet, publish, names }
}

/// Whether the host passes packets on between its links at all.
fn forwarding() -> Finding {
    let name = "forwarding";
    match read("/proc/sys/net/ipv4/ip_forward").as_str() {
        "1" => Finding::good(name, "on for the whole host, by somebody else"),
        _ => {
            Finding::good(name, "off; step 5 switches it on for bridge and uplinks, and off again")
        }
    }
}

/// A resolver at 127.0.0.53 is a program of the host, which a container cannot reach.
fn resolver(resolv_conf: &str, upstreams: &str) -> Finding {
    let name = "resolver";
    let reachable = |text: &str| {
        let servers = text.lines().filter_map(|line| line.strip_prefix("nameserver"));
        let addresses = servers.filter_map(|server| server.trim().parse::<IpAddr>().ok());
        addresses.filter(|address| !address.is_loopback()).count()
    };
    if reachable(resolv_conf) > 0 {
        return Finding::good(name, "/etc/resolv.conf names one that containers reach");
    }
    if reachable(upstreams) > 0 {
        return Finding::good(
            name,
            "a loopback one; step 5 takes those that systemd-resolved asks",
        );
    }
    Finding::note(name, "/etc/resolv.conf names none that a container could reach")
        .because("an address that starts with 127 is the container's own loopback in there")
        .cure("give the container another one: v5-netns --dns IP")
        .page(NETWORK_TROUBLE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::State;

    #[test]
    fn a_loopback_resolver_needs_another_one() {
        let loopback = "# a comment\nnameserver 127.0.0.53\noptions edns0";
        assert_eq!(resolver(loopback, "").state, State::Note);
        assert_eq!(resolver(loopback, "nameserver 192.0.2.1").state, State::Good);
        assert_eq!(resolver("nameserver 192.0.2.1", "").state, State::Good);
        assert_eq!(resolver("", "").state, State::Note);
    }
}
