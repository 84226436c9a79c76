//! Where a registry is: `HOST` or `HOST:PORT`.

use std::net::IpAddr;

/// Whether `HOST[:PORT]` is this machine, whatever the network says.
pub(crate) fn is_this_machine(registry: &str) -> bool {
    let (host, _) = host_and_port(registry);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The two parts of `HOST[:PORT]`, an address without its brackets.
pub(crate) fn host_and_port(text: &str) -> (&str, Option<u16>) {
    let with_port = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let (host, port) = match with_port {
        // An address of version 6 has colons, too.
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    (host.trim_start_matches('[').trim_end_matches(']'), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_few_names() {
        for here in
            ["localhost", "localhost:5000", "127.0.0.1:5000", "127.1.2.3", "[::1]:5000", "[::1]"]
        {
            assert!(is_this_machine(here), "{here}");
        }
        for elsewhere in ["localhost.example", "docker.io", "10.0.0.1:5000", "[fd00::1]:443"] {
            assert!(!is_this_machine(elsewhere), "{elsewhere}");
        }
    }
}
