//! How a registry is reached: TLS and whose certificates count, proxies, patience.

use std::env;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Result, anyhow};
use launcher::command_line::note;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Proxy, RequestBuilder};

/// As often may a registry send us elsewhere: to where its blobs lie.
const REDIRECTS: u32 = 5;

/// As many times the longest silence may a whole answer take that is small: all but a blob. Else
/// one that comes byte by byte, or with trailers without end, would never be there.
const PATIENCE: u32 = 10;

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
            .proxy(proxy(self.scheme(), registry)?)
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

/// A request whose answer is small.
pub(crate) fn soon<B>(agent: &Agent, request: RequestBuilder<B>) -> RequestBuilder<B> {
    let most = agent.config().timeout_per_read().map(|silence| silence * PATIENCE);
    request.config().timeout_global(most).build()
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

/// The proxy for a registry, if the environment names one: curl(1), ENVIRONMENT. To this machine
/// itself no proxy leads.
fn proxy(scheme: &str, registry: &str) -> Result<Option<Proxy>> {
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
    for host in without.split(',').map(str::trim).filter(|host| !host.is_empty()) {
        let host = host.trim_start_matches('.');
        // As everywhere else: the host, and all below it.
        proxy = proxy.no_proxy(host).no_proxy(&format!(".{host}"));
    }
    proxy.build().map(Some).map_err(wrong)
}

/// A variable, with its name, in small letters or in large ones.
fn variable(name: &str) -> Option<(String, String)> {
    let names = [name.to_owned(), name.to_uppercase()];
    let mut found = names.into_iter().filter_map(|name| Some((env::var(&name).ok()?, name)));
    found.find(|(value, _)| !value.is_empty()).map(|(value, name)| (name, value))
}

/// Whether `HOST[:PORT]` is this machine, whatever the network says.
pub(crate) fn is_this_machine(registry: &str) -> bool {
    let host = match registry.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => host,
        _ => registry,
    };
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_few_names() {
        for here in ["localhost", "localhost:5000", "127.0.0.1:5000", "127.1.2.3", "[::1]:5000"] {
            assert!(is_this_machine(here), "{here}");
        }
        for elsewhere in ["localhost.example", "docker.io", "10.0.0.1:5000", "[fd00::1]:443"] {
            assert!(!is_this_machine(elsewhere), "{elsewhere}");
        }
    }
}
