//! The proxy that leads to a registry, if the environment names one: curl(1), ENVIRONMENT.

use std::env;
use std::net::IpAddr;

use anyhow::{Result, anyhow};
use ureq::http::Uri;
use ureq::{Agent, Proxy};

use crate::connection::{host_and_port, is_this_machine};

/// The proxy for `HOST[:PORT]`. To this machine itself none leads.
pub(crate) fn proxy_for(scheme: &str, registry: &str) -> Result<Option<Proxy>> {
    if is_this_machine(registry) {
        return Ok(None);
    }
    let names = [format!("{scheme}_proxy"), "all_proxy".to_owned()];
    let Some((name, value)) = names.iter().find_map(|name| variable(name)) else {
        return Ok(None);
    };
    let wrong = |_| anyhow!("{name} is no address of a proxy, such as http://proxy:3128");
    let found = Proxy::new(&value).map_err(wrong)?;
    let mut proxy = Proxy::builder(found.protocol()).host(found.host()).port(found.port());
    if let Some(user) = found.username() {
        proxy = proxy.username(user);
    }
    if let Some(password) = found.password() {
        proxy = proxy.password(password);
    }
    let (_, without) = variable("no_proxy").unwrap_or_default();
    let (host, port) = host_and_port(registry);
    let port = port.unwrap_or(if scheme == "https" { 443 } else { 80 });
    for entry in without.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        if needs_none(entry, host, port) {
            proxy = proxy.no_proxy(host).no_proxy(&format!("[{host}]"));
        }
        // The registry can send us to other hosts. As everywhere else: this one, and all below it.
        let name = entry.trim_start_matches("*.").trim_matches('.');
        proxy = proxy.no_proxy(name).no_proxy(&format!(".{name}"));
    }
    proxy.build().map(Some).map_err(wrong)
}

/// Whether an entry of NO_PROXY means this host: `*`, a name or what is below it, an address or a
/// network; some of them with a port.
fn needs_none(entry: &str, host: &str, port: u16) -> bool {
    let (name, only) = host_and_port(entry);
    let is_below = |name: &str| {
        let rest = host.strip_suffix(name).or_else(|| host.strip_suffix(&name.to_lowercase()));
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    let is_meant = match (host.parse::<IpAddr>(), name.split_once('/')) {
        _ if name == "*" => true,
        (Ok(address), Some((network, length))) => is_in(address, network, length).unwrap_or(false),
        (Ok(address), None) => name.parse() == Ok(address),
        (Err(_), _) => is_below(name.trim_start_matches("*.").trim_matches('.')),
    };
    is_meant && only.is_none_or(|only| only == port)
}

/// Whether an address is in a network: RFC 4632, `10.0.0.0/8`.
fn is_in(address: IpAddr, network: &str, length: &str) -> Option<bool> {
    let (network, length) = (network.parse::<IpAddr>().ok()?, length.parse::<u32>().ok()?);
    let (bits, of_network, most) = match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
        _ => return None,
    };
    let rest = most - Some(length).filter(|length| *length <= most)?;
    let start = |bits: u128| bits.checked_shr(rest).unwrap_or(0);
    Some(start(bits) == start(of_network))
}

/// The way to an URL, if it leads by a proxy, as an error says it.
pub(crate) fn by_proxy(agent: &Agent, url: &str) -> String {
    let url = url.parse::<Uri>().unwrap_or_default();
    match agent.config().proxy().filter(|proxy| !proxy.is_no_proxy(&url)) {
        Some(proxy) => format!(" by the proxy {}:{}", proxy.host(), proxy.port()),
        None => String::new(),
    }
}

/// A variable, with its name, in small letters or in large ones.
fn variable(name: &str) -> Option<(String, String)> {
    let names = [name.to_owned(), name.to_uppercase()];
    let mut found = names.into_iter().filter_map(|name| Some((env::var(&name).ok()?, name)));
    found.find(|(value, _)| !value.is_empty()).map(|(value, name)| (name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_means_a_host_and_what_is_below_it() {
        for (entry, host) in [
            ("*", "a.example"),
            ("a.example", "a.example"),
            ("example", "a.example"),
            (".example", "a.example"),
            ("*.example", "a.example"),
            ("A.Example", "a.example"),
            ("a.example:443", "a.example"),
            ("10.1.2.3", "10.1.2.3"),
            ("10.1.2.3:443", "10.1.2.3"),
            ("10.0.0.0/8", "10.1.2.3"),
            ("0.0.0.0/0", "10.1.2.3"),
            ("fd00::/8", "fd00::1"),
            ("::/0", "fd00::1"),
            ("fd00::1", "fd00::1"),
            ("[fd00::1]:443", "fd00::1"),
        ] {
            assert!(needs_none(entry, host, 443), "{entry} {host}");
        }
        for (entry, host) in [
            ("b.example", "a.example"),
            ("a.example", "ba.example"),
            ("xample", "a.example"),
            ("a.example:80", "a.example"),
            ("10.1.2.4", "10.1.2.3"),
            ("3", "10.1.2.3"),
            ("10.2.0.0/16", "10.1.2.3"),
            ("10.0.0.0/33", "10.1.2.3"),
            ("10.0.0.0/x", "10.1.2.3"),
            ("0.0.0.0/0", "fd00::1"),
            ("10.0.0.0/8", "a.example"),
        ] {
            assert!(!needs_none(entry, host, 443), "{entry} {host}");
        }
    }
}
