//! Names and resolvers from the command line: `--add-host` and `--dns`, as Docker has them.

use anyhow::{Context, Result};
use std::net::IpAddr;

/// The longest name of the DNS, as it is written (RFC 1035).
const LONGEST_NAME: usize = 253;

/// In place of an address: the host's.
const HOST_GATEWAY: &str = "host-gateway";

/// `--dns` and `--add-host`.
#[derive(Debug, Default, clap::Args)]
pub struct NameArgs {
    /// Resolver, in place of the host's
    #[arg(long, value_name = "IP")]
    pub dns: Vec<IpAddr>,

    /// One more line of /etc/hosts
    #[arg(long, value_name = "NAME:IP", value_parser = AddedHost::parse)]
    pub add_host: Vec<AddedHost>,
}

/// A name, and the address that it is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddedHost {
    name: String,
    /// None for the host's, which depends on the network.
    address: Option<IpAddr>,
}

impl AddedHost {
    /// Reads `NAME:IP` or `NAME=IP`. An IPv6 address may stand in brackets.
    fn parse(text: &str) -> Result<AddedHost, String> {
        let halves = text.split_once('=').or_else(|| text.split_once(':'));
        let (name, address) = halves.ok_or("it is not NAME:IP")?;
        check(name)?;
        let name = name.to_owned();
        if address == HOST_GATEWAY {
            return Ok(AddedHost { name, address: None });
        }
        let bare = address.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        match bare.unwrap_or(address).parse() {
            Ok(address) => Ok(AddedHost { name, address: Some(address) }),
            Err(_) => Err(format!("{address:?} is neither an IP address nor {HOST_GATEWAY}")),
        }
    }
}

/// A space or a newline in a name would make another line of it.
fn check(name: &str) -> Result<(), String> {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let is_part = |part: &str| !part.is_empty() && part.bytes().all(is_inner);
    match name.len() {
        0 => Err("the name is empty".into()),
        1..=LONGEST_NAME if name.split('.').all(is_part) => Ok(()),
        1..=LONGEST_NAME => Err("a name has letters, digits, - and _, and . between them".into()),
        length => Err(format!("the name has {length} bytes, and {LONGEST_NAME} are the most")),
    }
}

/// What the options say, for one network.
#[derive(Debug)]
pub(crate) struct Names {
    resolvers: Vec<IpAddr>,
    hosts: Vec<(IpAddr, String)>,
}

impl NameArgs {
    /// Puts the address of the `host` where it is asked for.
    ///
    /// # Errors
    /// If it has none that the container could reach.
    pub(crate) fn resolve(&self, host: Option<IpAddr>) -> Result<Names> {
        let resolved = |AddedHost { name, address }: &AddedHost| {
            let address = address.or(host).with_context(|| {
                format!(
                    "cannot give the name {name:?} the address {HOST_GATEWAY}: this container has \
                     a loopback device only, and nothing leads to the host (it needs --net bridge \
                     or --net host)"
                )
            })?;
            Ok((address, name.clone()))
        };
        let hosts = self.add_host.iter().map(resolved).collect::<Result<_>>()?;
        Ok(Names { resolvers: self.dns.clone(), hosts })
    }
}

impl Names {
    /// A resolv.conf with these resolvers in place of its own, if there are some.
    pub(crate) fn in_resolv_conf(&self, text: Vec<u8>) -> Vec<u8> {
        if self.resolvers.is_empty() {
            return text;
        }
        let others = lines(&text).filter(|line| nameserver(line).is_none());
        let ours = self.resolvers.iter().map(|it| format!("nameserver {it}\n").into_bytes());
        others.map(<[u8]>::to_vec).chain(ours).flatten().collect()
    }

    /// The lines of /etc/hosts, and these behind them. Of two with one name, the first counts.
    pub(crate) fn in_hosts(&self, mut text: Vec<u8>) -> Vec<u8> {
        for (address, name) in &self.hosts {
            text.extend_from_slice(format!("{address}\t{name}\n").as_bytes());
        }
        text
    }
}

/// The lines of a file, each with its end. They are bytes: nobody says what encoding they are in.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|byte| *byte == b'\n')
}

/// The resolver that a line of resolv.conf(5) names.
pub(crate) fn nameserver(line: &[u8]) -> Option<&[u8]> {
    let words = line.split(u8::is_ascii_whitespace);
    let mut words = words.filter(|word| !word.is_empty());
    words.next().filter(|word| *word == b"nameserver").and(words.next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_and_addresses_as_docker_does() {
        for (text, name, address) in [
            ("a:192.0.2.1", "a", "192.0.2.1"),
            ("a=192.0.2.1", "a", "192.0.2.1"),
            ("a_b.c-d:::1", "a_b.c-d", "::1"),
            ("a:[2001:db8::1]", "a", "2001:db8::1"),
            ("a=2001:db8::1", "a", "2001:db8::1"),
        ] {
            let wanted = AddedHost { name: name.into(), address: Some(address.parse().unwrap()) };
            assert_eq!(AddedHost::parse(text), Ok(wanted), "{text}");
        }
        assert_eq!(AddedHost::parse("a:host-gateway").unwrap().address, None);
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, fault) in [
            ("a", "not NAME:IP"),
            (":192.0.2.1", "empty"),
            ("a:", "neither an IP address"),
            ("a:b", "neither an IP address"),
            ("a:1.2.3", "neither an IP address"),
            ("a b:192.0.2.1", "letters, digits"),
            ("a\n192.0.2.1\tb:192.0.2.1", "letters, digits"),
            ("a..b:192.0.2.1", "letters, digits"),
            ("#:192.0.2.1", "letters, digits"),
        ] {
            let told = AddedHost::parse(text);
            assert!(told.as_ref().is_err_and(|told| told.contains(fault)), "{text}: {told:?}");
        }
        assert!(AddedHost::parse(&format!("{}:::1", "a".repeat(254))).is_err());
    }
}
