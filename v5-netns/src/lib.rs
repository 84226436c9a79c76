//! Step 5: a process with its own network (network_namespaces(7)).
//!
//! The new idea is in this file: [`Network`], which is made on the host and entered by the
//! container. A new network namespace holds one loopback device that is down. Everything else is
//! there to make it useful, one module for each thing:
//!
//! | module | what it does |
//! |---|---|
//! | `namespace` | makes the namespace, without leaving the own one |
//! | `attachment` | a cable from it to the bridge, and a leased address |
//! | [`subnet`] | the addresses that can be leased |
//! | `gateway` | makes the bridge the containers' way outside, at each start |
//! | `uplinks` | the host's links that lead outside: they forward for us |
//! | `watch` | switches on those that come later |
//! | `teardown` | takes all of that away, when nobody needs it |
//! | `bridge` | the bridge itself, and what is noted on it |
//! | `forwarding` | lets packets through the host |
//! | `nat` | gives them the host's address: an nft table |
//! | `firewall` | other people's tables, which may throw them away |
//! | `nft` | runs the program of the packet filter |
//! | `etc` | resolv.conf, hosts, hostname |
//! | [`names`] | what the command line adds to them |
//! | [`publish`] | ports of the host that lead into the container |
//!
//! What `ip` does is in `support/netlink`, what carries connections and datagrams in
//! `support/proxy`.

mod attachment;
mod bridge;
mod etc;
mod firewall;
mod forwarding;
mod gateway;
pub mod names;
mod namespace;
mod nat;
mod nft;
pub mod publish;
pub mod subnet;
mod teardown;
mod uplinks;
mod watch;

pub use bridge::BRIDGE;
pub use proxy::Protocol;
pub use publish::Publish;
pub use subnet::Subnet;

use crate::attachment::Attachment;
use crate::etc::EtcFiles;
use crate::names::{NameArgs, Names};
use crate::namespace::Namespace;
use crate::publish::{Listeners, Proxy};
use crate::teardown::Sweeper;
use anyhow::{Context, Result};
use launcher::command_line::note;
use launcher::signals::hold_signals;
use launcher::{Advise, AsRoot, Capability};
use netlink::Netlink;
use nix::errno::Errno;
use nix::mount::MsFlags;
use std::net::Ipv4Addr;
use v2_mountns::{Mount, NewRoot};

/// `--net`, `--subnet`, `-p`, and names, for the command lines of all steps from here on.
#[derive(Debug, clap::Args)]
pub struct NetworkArgs {
    /// Network [default: bridge for root, else none]
    #[arg(long, alias = "network", value_name = "bridge|none|host", hide_possible_values = true)]
    pub net: Option<Mode>,

    /// Addresses on the bridge
    #[arg(long, value_name = "CIDR", default_value_t, value_parser = Subnet::parse)]
    pub subnet: Subnet,

    /// Port of the host that leads in
    #[arg(short = 'p', long = "publish", value_name = "[IP:]HOST:CONTAINER[/udp]")]
    #[arg(value_parser = Publish::parse)]
    pub publish: Vec<Publish>,

    /// Names and resolvers.
    #[command(flatten)]
    pub names: NameArgs,
}

/// What a container's network is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// Its own, with a cable to the bridge of all containers.
    Bridge,
    /// Its own, with a loopback device only.
    None,
    /// The host's.
    Host,
}

// ANCHOR: network
/// The network of a container. It is made by the supervisor, and gone when this is dropped.
///
/// The fields are dropped from first to last: first nobody can come in, then the cable goes, then
/// the bridge, if it was the last one.
#[derive(Debug)]
pub struct Network {
    _proxy: Option<Proxy>,
    _attachment: Option<Attachment>,
    /// `None` for the host's.
    namespace: Option<Namespace>,
    etc: EtcFiles,
    _sweeper: Option<Sweeper>,
}
// ANCHOR_END: network

impl Network {
    // ANCHOR: create
    /// Makes the network that `args` ask for.
    ///
    /// # Errors
    /// If a port cannot be published, or the bridge cannot be made: why, and what to do. Nothing is
    /// left of it then.
    pub fn create(as_root: &AsRoot, args: &NetworkArgs) -> Result<Network> {
        hold_signals()?; // from here on there is something to clean up
        let may_change_host = Netlink::open()
            .and_then(|host| Ok(host.may_change()?))
            .context("cannot ask for the network of the host")?;
        let may_change_host = may_change_host && bridge::may_take_turns()?;
        let mode = args.net.map_or_else(|| default_mode(may_change_host), Ok)?;
        let names = args.names.resolve(match mode {
            Mode::Bridge => Some(args.subnet.gateway().into()),
            Mode::Host => Some(Ipv4Addr::LOCALHOST.into()),
            Mode::None => None,
        })?;
        let sweeper = may_change_host.then(|| Sweeper);
        if mode == Mode::Host {
            return Ok(Network::of_host(args, &names, sweeper));
        }
        if mode == Mode::Bridge && !may_change_host {
            return Err(Errno::EPERM)
                .advise(|_| bridge::NEEDS_ROOT)
                .context("cannot make a bridge");
        }
        let listeners = Listeners::open(&args.publish)?;
        as_root.with(Capability::NetAdmin)?;
        let namespace = Namespace::create()?;
        let attachment = match mode {
            Mode::Bridge => Some(Attachment::create(&namespace, args.subnet)?),
            Mode::None | Mode::Host => None,
        };
        let address = attachment.as_ref().map(|attachment| attachment.address);
        let proxy = match args.publish[..] {
            [] => None,
            _ => {
                let target = address.unwrap_or(Ipv4Addr::LOCALHOST);
                Some(Proxy::start(&listeners, &namespace, target)?)
            }
        };
        Ok(Network {
            _proxy: proxy,
            _attachment: attachment,
            namespace: Some(namespace),
            etc: EtcFiles::of_own_network(address, &names),
            _sweeper: sweeper,
        })
    }
    // ANCHOR_END: create

    fn of_host(args: &NetworkArgs, names: &Names, sweeper: Option<Sweeper>) -> Network {
        if !args.publish.is_empty() {
            note(format_args!(
                "-p has no meaning with --net host: the container's ports are the host's own"
            ));
        }
        Network {
            _proxy: None,
            _attachment: None,
            namespace: None,
            etc: EtcFiles::of_host(names),
            _sweeper: sweeper,
        }
    }

    // ANCHOR: enter
    /// Moves this process into the network. For the host's there is nothing to do.
    ///
    /// # Errors
    /// Those of setns(2).
    pub fn enter(&self) -> Result<()> {
        self.namespace.as_ref().map_or(Ok(()), Namespace::enter)
    }
    // ANCHOR_END: enter

    // ANCHOR: mount_into
    /// Mounts what belongs to the network into the new root: resolv.conf, hosts and hostname in
    /// /etc, and a /sys that shows the devices of the network namespace of whoever mounts it.
    ///
    /// # Errors
    /// If one of them has no place in the rootfs, or the kernel refuses a mount.
    pub fn mount_into(&self, root: &NewRoot, hostname: &str) -> Result<()> {
        self.etc.mount_into(root, hostname)?;
        if self.namespace.is_none() {
            return Ok(());
        }
        let flags =
            MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        match Mount::new("sysfs", flags, "") {
            // In a container whose own /sys is partly covered, a new one would uncover it.
            Err(Errno::EPERM) => {
                note(format_args!("no /sys in the container: the kernel allows no new one here"));
                Ok(())
            }
            made => root.attach(&made.context("cannot mount sysfs on /sys")?, "sys"),
        }
    }
    // ANCHOR_END: mount_into
}

/// A bridge, if we may make one.
fn default_mode(may_change_host: bool) -> Result<Mode> {
    if may_change_host {
        return Ok(Mode::Bridge);
    }
    // An ordinary user has it, in a user namespace. Who has not is a root that has given it up.
    let has = if Capability::NetAdmin.is_ours()? {
        "without root the container has a loopback device only"
    } else {
        "without CAP_NET_ADMIN the container has a loopback device only"
    };
    note(format_args!("{has}: nothing leads outside, but published ports lead in"));
    Ok(Mode::None)
}
