//! The name of an image, as everybody who pulls one writes it: `nginx`, `ghcr.io/owner/app:1.2`.
//!
//! The grammar is that of the registries' clients (github.com/distribution/reference), and so are
//! the parts that may be left out: `nginx` is `docker.io/library/nginx:latest`.

use crate::digest::Digest;
use anyhow::{Result, bail, ensure};
use std::fmt;
use std::str::FromStr;

/// The registry that is meant if none is named.
pub const DOCKER_HUB: &str = "docker.io";

/// Where the images are that Docker Hub itself answers for.
const OFFICIAL: &str = "library/";

/// The tag that is meant if none is given.
const LATEST: &str = "latest";

/// As many bytes may a name have, without its tag.
const MAX_NAME: usize = 255;

/// The name of an image in a registry. The default is none: it stands where one could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reference {
    /// `docker.io`, `localhost:5000`.
    pub registry: String,
    /// `library/nginx`, `owner/app`.
    pub repository: String,
    /// Which of the images in the repository.
    pub version: Version,
}

/// Which of the images of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// The one that has this name today.
    Tag(String),
    /// The one with this content.
    Digest(Digest),
}

impl Default for Version {
    fn default() -> Version {
        Version::Tag(LATEST.to_owned())
    }
}

impl Reference {
    /// Registry and repository, without what every tool leaves out: `nginx`, `ghcr.io/owner/app`.
    pub fn name(&self) -> String {
        let Reference { registry, repository, .. } = self;
        let official = repository.strip_prefix(OFFICIAL).filter(|rest| !rest.contains('/'));
        let short = official.unwrap_or(repository);
        // What would be taken for the name of a registry cannot stand alone.
        if registry == DOCKER_HUB && !has_registry(short) {
            short.to_owned()
        } else {
            format!("{registry}/{repository}")
        }
    }

    /// Whether this is what `NAME` means, or `NAME:latest`.
    pub fn is_latest_of(&self, name: &str) -> bool {
        self.name() == name && self.version == Version::default()
    }
}

impl FromStr for Reference {
    type Err = anyhow::Error;

    /// Reads a reference. With a tag and a digest, the digest counts.
    ///
    /// # Errors
    /// What is wrong with it.
    fn from_str(text: &str) -> Result<Reference> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(Digest::try_from(digest.to_owned())?)),
            None => (text, None),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        let (registry, path) = match name.split_once('/') {
            Some((registry, path)) if has_registry(name) => (registry, path),
            _ => (DOCKER_HUB, name),
        };
        let is_name = is_registry(registry) && path.split('/').all(is_component);
        if !is_name || !tag.is_none_or(is_tag) {
            bail!("{text:?} is no image reference, such as nginx:1.27{}", what_is_meant(text));
        }
        let length = name.len();
        ensure!(length <= MAX_NAME, "a name of {length} bytes is too long: it may have {MAX_NAME}");
        let registry = if registry == "index.docker.io" { DOCKER_HUB } else { registry };
        let is_official = registry == DOCKER_HUB && !path.contains('/');
        let official = if is_official { OFFICIAL } else { "" };
        let tag = || Version::Tag(tag.unwrap_or(LATEST).to_owned());
        Ok(Reference {
            registry: registry.to_owned(),
            repository: format!("{official}{path}"),
            version: digest.map_or_else(tag, Version::Digest),
        })
    }
}

impl FromStr for Version {
    type Err = anyhow::Error;

    /// Reads a tag or a digest, as an index has it.
    fn from_str(text: &str) -> Result<Version> {
        match Digest::try_from(text.to_owned()) {
            Ok(digest) => Ok(Version::Digest(digest)),
            Err(_) if is_tag(text) => Ok(Version::Tag(text.to_owned())),
            Err(_) => bail!("{text:?} is no tag"),
        }
    }
}

impl fmt::Display for Reference {
    /// As short as it can be written, but always with the tag.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if matches!(self.version, Version::Tag(_)) { ':' } else { '@' };
        write!(f, "{}{separator}{}", self.name(), self.version)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Version::Tag(tag) => f.write_str(tag),
            Version::Digest(digest) => digest.fmt(f),
        }
    }
}

/// What is wrong with a reference, where that can be guessed.
fn what_is_meant(text: &str) -> &'static str {
    if text.contains("://") {
        " (without what stands before ://)"
    } else if text.starts_with(['.', '/', '~']) {
        " (a path needs no pulling: v7-overlay --image PATH)"
    } else if text.contains(|c: char| c.is_ascii_uppercase()) {
        " (in small letters)"
    } else {
        ""
    }
}

/// Whether a name begins with a registry: with what can be no directory of Docker Hub.
fn has_registry(name: &str) -> bool {
    let first = name.split_once('/').map(|(first, _)| first);
    let is_host = |first: &str| {
        first == "localhost"
            || first.contains(['.', ':'])
            || first.contains(|c: char| c.is_ascii_uppercase())
    };
    first.is_some_and(is_host)
}

/// `HOST` or `HOST:PORT`; the host is a name, an address, or an address in brackets.
fn is_registry(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_label = |label: &str| {
        let is_inside = |c: char| c.is_ascii_alphanumeric() || c == '-';
        !label.is_empty()
            && label.chars().all(is_inside)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_host = match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.split('.').all(is_label),
    };
    let is_port =
        |port: &str| port.parse::<u16>().is_ok() && port.starts_with(|c| matches!(c, '1'..='9'));
    is_host && port.is_none_or(is_port)
}

/// A part of a path: small letters and digits, with one `.`, one or two `_`, or `-` between them.
fn is_component(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let mut separators = text.split(is_word).filter(|separator| !separator.is_empty());
    let is_separator =
        |text: &str| matches!(text, "." | "_" | "__") || text.bytes().all(|byte| byte == b'-');
    text.starts_with(is_word) && text.ends_with(is_word) && separators.all(is_separator)
}

fn is_tag(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (1..=128).contains(&text.len())
        && text.starts_with(is_word)
        && text.chars().all(|c| is_word(c) || c == '.' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn what_is_left_out_is_docker_hubs() {
        let pinned = format!("nginx@{DIGEST}");
        for (text, registry, repository, version, short) in [
            ("nginx", "docker.io", "library/nginx", "latest", "nginx:latest"),
            ("nginx:1.27", "docker.io", "library/nginx", "1.27", "nginx:1.27"),
            ("docker.io/nginx", "docker.io", "library/nginx", "latest", "nginx:latest"),
            (
                "index.docker.io/library/nginx",
                "docker.io",
                "library/nginx",
                "latest",
                "nginx:latest",
            ),
            ("grafana/grafana:11", "docker.io", "grafana/grafana", "11", "grafana/grafana:11"),
            ("library/a/b", "docker.io", "library/a/b", "latest", "library/a/b:latest"),
            ("ghcr.io/o/a:v1.2-3", "ghcr.io", "o/a", "v1.2-3", "ghcr.io/o/a:v1.2-3"),
            ("localhost/a", "localhost", "a", "latest", "localhost/a:latest"),
            ("localhost:5000/a", "localhost:5000", "a", "latest", "localhost:5000/a:latest"),
            ("[::1]:5000/a:b", "[::1]:5000", "a", "b", "[::1]:5000/a:b"),
            ("docker.io/a.b/c", "docker.io", "a.b/c", "latest", "docker.io/a.b/c:latest"),
            (&format!("nginx@{DIGEST}"), "docker.io", "library/nginx", DIGEST, &pinned),
            (&format!("nginx:1.27@{DIGEST}"), "docker.io", "library/nginx", DIGEST, &pinned),
        ] {
            let found: Reference = text.parse().unwrap();
            let parts = (&*found.registry, &*found.repository, &*found.version.to_string());
            assert_eq!(parts, (registry, repository, version), "{text}");
            assert_eq!(found.to_string(), short, "{text}");
            assert_eq!(found.to_string().parse::<Reference>().unwrap(), found, "{text}");
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        let long = format!("{}/a", "a".repeat(254));
        for text in [
            "",
            ":",
            "@",
            "nginx:",
            "nginx@",
            "nginx@sha256:12",
            "nginx@sha512:12",
            "Nginx",
            "a//b",
            "/a",
            "a/",
            "../a",
            "a/../b",
            "a/.b",
            "a/b.",
            "a..b",
            "a___b",
            "a.-b",
            "a b",
            "a\nb",
            "nginx:a/b:c",
            "nginx:-a",
            "a.b:0/c",
            "a.b:x/c",
            "a.b:70000/c",
            "a.b:+5000/c",
            "a.b:05000/c",
            "-a.b/c",
            "a.b-/c",
            "[::1/a",
            "[x]/a",
            "ä",
            "docker.io/",
            "http://a.b/c",
            "C:/a",
            &long,
            &format!("a:{}", "x".repeat(129)),
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_index_has_tags_and_digests() {
        assert_eq!("1.2-x".parse::<Version>().unwrap(), Version::Tag("1.2-x".into()));
        assert!(matches!(DIGEST.parse::<Version>().unwrap(), Version::Digest(_)));
        for none in ["", "a:b", "sha256:12", "a b", "-a", "\u{202e}"] {
            assert!(none.parse::<Version>().is_err(), "{none:?}");
        }
    }

    #[test]
    fn latest_need_not_be_said() {
        let is_it = |text: &str| text.parse::<Reference>().unwrap().is_latest_of("busybox");
        assert!(["busybox", "busybox:latest", "docker.io/library/busybox"].into_iter().all(is_it));
        assert!(!["busybox:1", "a/busybox", "quay.io/busybox"].into_iter().any(is_it));
    }
}
