//! How a registry is reached: TLS and whose certificates count, proxies, patience.

use std::time::Duration;

use anyhow::Result;
use launcher::command_line::note;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, RequestBuilder};

use crate::proxy::proxy_for;

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
