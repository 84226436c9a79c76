//! How a registry is reached: TLS and whose certificates count, proxies, patience.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::Result;
use launcher::command_line::note;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::proxy::proxy_for;

/// As often may a registry send us elsewhere: to where its blobs lie.
const REDIRECTS: u32 = 5;

/// How to reach a registry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    /// Without TLS.
    pub(crate) is_plain: bool,
    /// Whoever says nothing for so long will not say anything any more. What keeps coming may take
    /// as long as it likes.
    pub(crate) silence: Duration,
}

impl Way {
    pub(crate) fn scheme(self) -> &'static str {
        if self.is_plain { "http" } else { "https" }
    }

    /// The client for a registry, `HOST[:PORT]`. Its connections are used again.
    pub(crate) fn agent(self, registry: &str) -> Result<Agent> {
        let roots = if self.is_plain { RootCerts::WebPki } else { authorities() };
        let config = Agent::config_builder()
            .http_status_as_error(false) // what a registry says then is told
            .https_only(!self.is_plain) // also where it sends us
            .max_redirects(REDIRECTS)
            .proxy(proxy_for(self.scheme(), registry)?)
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .timeout_resolve(Some(self.silence))
            .timeout_connect(Some(self.silence))
            .timeout_per_read(Some(self.silence))
            .timeout_per_write(Some(self.silence))
            .timeout_await_100(None)
            .user_agent(concat!("container-steps/", env!("CARGO_PKG_VERSION")));
        Ok(config.build().into())
    }
}

/// The authorities that this machine trusts, or those of SSL_CERT_FILE and SSL_CERT_DIR. A machine
/// that has none (no ca-certificates) gets those that Mozilla trusts.
fn authorities() -> RootCerts {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        note(format_args!("cannot read some of the authorities' certificates: {error}"));
    }
    if found.certs.is_empty() {
        return RootCerts::WebPki;
    }
    let certificates = found.certs.iter().map(|it| Certificate::from_der(it).to_owned());
    RootCerts::new_with_certs(&certificates.collect::<Vec<_>>())
}

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
