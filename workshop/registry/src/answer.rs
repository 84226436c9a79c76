//! What comes from a registry, and what went wrong on the way, in words.

use std::convert::Infallible;
use std::fmt;
use std::io::{self, Read};

use anyhow::{Result, anyhow, ensure};
use launcher::Advise;
use launcher::command_line::errno_in;
use nix::errno::Errno;
use ureq::{Body, Error, Timeout, http};

/// Nothing came for so long as the user wants to wait.
#[derive(Debug)]
pub(crate) struct Silence;

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "nothing has come for too long (is the network there? --timeout SECONDS waits longer)",
        )
    }
}

impl std::error::Error for Silence {}

/// What to do where there is no way to a registry.
pub(crate) const NO_NETWORK: &str = "is there a network, and a proxy to say: HTTPS_PROXY? A room \
     without gets images from a stick: book/src/instructors.md#a-room-without-internet";

/// Reads an answer whole.
pub(crate) fn read_all(answer: &mut http::Response<Body>, limit: u64) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    let mut body = answer.body_mut().as_reader().take(limit + 1);
    body.read_to_end(&mut content).map_err(broken_off)?;
    ensure!(content.len() as u64 <= limit, "its answer is longer than {limit} bytes");
    Ok(content)
}

/// Why the rest of an answer does not come.
pub(crate) fn broken_off(error: io::Error) -> anyhow::Error {
    cannot_reach(Error::from(error))
}

/// Why there is no answer.
pub(crate) fn cannot_reach(error: Error) -> anyhow::Error {
    match error {
        Error::Timeout(Timeout::Global) => {
            anyhow!("its answer takes too long (--timeout SECONDS waits longer)")
        }
        Error::Timeout(_) => Silence.into(),
        Error::HostNotFound => no_address(),
        // getaddrinfo(3) has errors of its own, and std has no kind for them.
        Error::Io(error) if error.to_string().contains("failed to lookup address") => no_address(),
        Error::RequireHttpsOnly(url) => {
            anyhow!("it sends us to {url:?}, where everybody on the way can read and change all")
        }
        Error::TooManyRedirects => anyhow!("it sends us from place to place"),
        Error::LargeResponseHeader(..) => anyhow!("its answer has too long a header"),
        Error::ConnectProxyFailed(why) => anyhow!("the proxy does not let us through: {why:?}"),
        Error::Io(error) => broken_tls(error),
        Error::Rustls(error) => tls(error.to_string()),
        other => anyhow!("{other}"),
    }
}

fn no_address() -> anyhow::Error {
    anyhow!("this name has no address here ({NO_NETWORK})")
}

/// An error of TLS can be hidden in one of reading or writing.
fn broken_tls(error: io::Error) -> anyhow::Error {
    match error.raw_os_error() {
        None if error.kind() == io::ErrorKind::InvalidData => tls(error.to_string()),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            io::Error::new(error.kind(), "the connection ends too early").into()
        }
        _ => {
            let Err(error) = Err::<Infallible, _>(error).advise(cure);
            error
        }
    }
}

fn cure(errno: Errno) -> &'static str {
    match errno {
        Errno::ENETUNREACH | Errno::EHOSTUNREACH | Errno::ENETDOWN => NO_NETWORK,
        Errno::ECONNREFUSED => "nobody listens there: does it run, and is its port right?",
        _ => "",
    }
}

fn tls(text: String) -> anyhow::Error {
    let cure = if text.contains("UnknownIssuer") {
        "who has signed its certificate is not known here: SSL_CERT_FILE=FILE names an authority"
    } else if text.contains("InvalidContentType") || text.contains("corrupt message") {
        "it does not speak TLS: --plain-http, if it is one of your own"
    } else if text.contains("Expired") || text.contains("NotValidYet") {
        "is the clock of this machine right?"
    } else {
        ""
    };
    let error = anyhow!("TLS: {text}");
    if cure.is_empty() { error } else { anyhow!("{error} ({cure})") }
}

/// Whether it is worth another try: a connection that was cut, a server that has a bad moment.
pub(crate) fn may_pass(error: &anyhow::Error) -> bool {
    use Errno::{ECONNABORTED, ECONNRESET, EPIPE};
    let ends = |it: &io::Error| it.kind() == io::ErrorKind::UnexpectedEof;
    errno_in(error).is_some_and(|errno| [ECONNABORTED, ECONNRESET, EPIPE].contains(&errno))
        || error.chain().any(|it| it.downcast_ref().is_some_and(ends) || it.is::<BadMoment>())
}

/// A server says that it cannot answer now (5xx).
#[derive(Debug)]
pub(crate) struct BadMoment(pub(crate) String);

impl fmt::Display for BadMoment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadMoment {}

/// A header, if it is text.
pub(crate) fn header<'a>(answer: &'a http::Response<Body>, name: &str) -> Option<&'a str> {
    answer.headers().get(name)?.to_str().ok()
}
