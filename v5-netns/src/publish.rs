//! Published ports: a port of the host that leads into the container.

use crate::namespace::Namespace;
use anyhow::{Context, Result, ensure};
use launcher::command_line::{one_line, report, tell_left_behind};
use launcher::{Advise, Child, Forked, exit_now};
use nix::errno::Errno;
use nix::sys::prctl::set_name;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use proxy::{Listener, Protocol};
use std::borrow::Cow;
use std::convert::Infallible;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};

/// One `-p [IP:]HOST:CONTAINER[/udp]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// The address of the host to listen at; all of them if there is none.
    address: Option<IpAddr>,
    host_port: u16,
    container_port: u16,
    protocol: Protocol,
}

impl Publish {
    /// A port of this address of the host, or of all, and the container's port that it leads to.
    pub fn new(
        address: Option<IpAddr>,
        host_port: u16,
        container_port: u16,
        protocol: Protocol,
    ) -> Publish {
        Publish { address, host_port, container_port, protocol }
    }

    /// Reads `[IP:]HOST:CONTAINER[/udp]`, an IPv6 address in brackets.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Publish, String> {
        let form = "it is not of the form HOST:CONTAINER or IP:HOST:CONTAINER";
        let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let protocol = match protocol {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            _ => return Err(format!("{protocol:?} cannot be published: only tcp and udp can")),
        };
        let (rest, container_port) = ports.rsplit_once(':').ok_or(form)?;
        let (address, host_port) = match rest.rsplit_once(':') {
            Some((address, host_port)) => (Some(parse_address(address)?), host_port),
            None => (None, rest),
        };
        let (host_port, container_port) = (parse_port(host_port)?, parse_port(container_port)?);
        Ok(Publish::new(address, host_port, container_port, protocol))
    }

    /// Where to listen. "Everywhere" is two sockets: one for IPv4, one for IPv6.
    fn addresses(&self) -> Vec<SocketAddr> {
        let addresses = match self.address {
            Some(address) => vec![address],
            None => vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()],
        };
        addresses.into_iter().map(|address| SocketAddr::new(address, self.host_port)).collect()
    }
}

fn parse_address(text: &str) -> Result<IpAddr, String> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let address = match bare {
        Some(bare) => bare.parse().map(IpAddr::V6),
        None => text.parse().map(IpAddr::V4),
    };
    address.map_err(|_| format!("{text:?} is no IP address (an IPv6 one goes in brackets)"))
}

fn parse_port(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(0) => Err("port 0 is no port that one could connect to".into()),
        Ok(port) => Ok(port),
        Err(_) => Err(format!("{text:?} is no port: a number from 1 to 65535")),
    }
}

/// Open ports of the host, each with the container's port that it leads to.
#[derive(Debug)]
pub(crate) struct Listeners(Vec<(Listener, u16)>);

impl Listeners {
    // ANCHOR: open
    /// Opens the ports, in the network namespace of this thread.
    ///
    /// # Errors
    /// If one is in use, or not for this user, or the address is none of the host's.
    pub(crate) fn open(ports: &[Publish]) -> Result<Listeners> {
        let mut listeners = Vec::new();
        for port in ports {
            for address in port.addresses() {
                match proxy::listen(port.protocol, address) {
                    Ok(listener) => listeners.push((listener, port.container_port)),
                    // "Everywhere", on a host without IPv6.
                    Err(Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL)
                        if port.address.is_none() && address.is_ipv6() => {}
                    Err(errno) => return cannot_listen(port.protocol, address, errno),
                }
            }
        }
        Ok(Listeners(listeners))
    }
    // ANCHOR_END: open
}

fn cannot_listen<T>(protocol: Protocol, address: SocketAddr, errno: Errno) -> Result<T> {
    let port = address.port();
    let (kind, option) = match protocol {
        Protocol::Tcp => ("port", 't'),
        Protocol::Udp => ("UDP port", 'u'),
    };
    let refused = Err(errno).advise(|errno| match errno {
        Errno::EADDRINUSE => Cow::Owned(format!("who has it: ss -l{option}np 'sport = :{port}'")),
        Errno::EACCES => {
            "ports below that of /proc/sys/net/ipv4/ip_unprivileged_port_start are for root: take \
             a higher one"
                .into()
        }
        Errno::EADDRNOTAVAIL => "the host has no such address: see ip address".into(),
        _ => "see bind(2)".into(),
    });
    refused.with_context(|| format!("cannot publish {kind} {port} at {}", address.ip()))
}

/// The process that carries what comes to the host's ports into the container. Dropped, it is
/// killed.
#[derive(Debug)]
pub(crate) struct Proxy(Child);

impl Proxy {
    // ANCHOR: start
    /// Starts the process. Its ports are the host's: a socket stays in the network namespace in
    /// which it was made. It itself enters the container's, so what it connects to is in there.
    ///
    /// # Errors
    /// Those of fork(2), and whatever keeps the process from serving.
    pub(crate) fn start(
        listeners: &Listeners,
        namespace: &Namespace,
        target: Ipv4Addr,
    ) -> Result<Proxy> {
        let (mut ready, mut reporter) = io::pipe().context("cannot make a pipe")?;
        match Child::fork()? {
            Forked::Parent(child) => {
                let proxy = Proxy(child);
                drop(reporter);
                let report =
                    io::read_to_string(&mut ready).context("cannot read from the proxy")?;
                ensure!(report.is_empty(), "cannot publish ports: {report}");
                Ok(proxy)
            }
            Forked::Child(bound) => {
                if let Err(error) = bound.and_then(|()| prepare(namespace)) {
                    // If nobody reads it, nobody is left to tell.
                    let _ = reporter.write_all(one_line(&error).as_bytes());
                    exit_now(125);
                }
                drop(reporter);
                let Err(error) = serve(listeners, target);
                report(&format!("published ports: {}", one_line(&error)));
                exit_now(125);
            }
        }
    }
    // ANCHOR_END: start
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // One that has ended by itself can still be signalled, until it is reaped.
        tell_left_behind(self.0.end(Signal::SIGKILL).context("the proxy"));
    }
}

// ANCHOR: prepare
fn prepare(namespace: &Namespace) -> Result<()> {
    // All signals but SIGKILL wait for ever: Ctrl-C is not for us, and our end is not ours to
    // choose.
    SigSet::all().thread_block().context("cannot block signals")?;
    namespace.enter()?;
    set_name(c"proxy").context("cannot set the name of the proxy")?;
    // Two descriptors for each connection, and up to four more while something is under way. The
    // limit is this process's own, not the container's.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).context("cannot read the limits")?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most).context("cannot raise the limit of files")
}
// ANCHOR_END: prepare

fn serve(Listeners(listeners): &Listeners, target: Ipv4Addr) -> Result<Infallible> {
    let routes: Vec<_> = listeners
        .iter()
        .map(|(listener, port)| (listener, SocketAddrV4::new(target, *port)))
        .collect();
    proxy::serve(&routes).context("cannot serve them")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_forms_that_docker_has() {
        let publish = |address, protocol| {
            Ok(Publish { address, host_port: 8080, container_port: 80, protocol })
        };
        let v4 = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let v6 = Some(IpAddr::V6(Ipv6Addr::LOCALHOST));
        for (text, address) in [("8080:80", None), ("127.0.0.1:8080:80", v4), ("[::1]:8080:80", v6)]
        {
            assert_eq!(Publish::parse(text), publish(address, Protocol::Tcp));
            for (name, protocol) in [("tcp", Protocol::Tcp), ("udp", Protocol::Udp)] {
                let text = format!("{text}/{name}");
                assert_eq!(Publish::parse(&text), publish(address, protocol));
            }
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, fault) in [
            ("80", "not of the form"),
            ("0:80", "port 0"),
            ("8080:0", "port 0"),
            ("65536:80", "from 1 to 65535"),
            ("-1:80", "from 1 to 65535"),
            (":80", "from 1 to 65535"),
            ("8080:http", "from 1 to 65535"),
            ("8080:80/sctp", "only tcp and udp"),
            ("8080:80/UDP", "only tcp and udp"),
            ("8080:80/", "only tcp and udp"),
            ("8080/udp:80", "only tcp and udp"),
            ("/udp", "not of the form"),
            ("8080-8090:80", "from 1 to 65535"),
            ("::1:8080:80", "in brackets"),
            ("localhost:8080:80", "no IP address"),
        ] {
            let told = Publish::parse(text);
            assert!(told.as_ref().is_err_and(|told| told.contains(fault)), "{text}: {told:?}");
        }
    }
}
