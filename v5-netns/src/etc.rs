//! The three files of /etc that name things: resolv.conf, hosts, hostname.
//!
//! They are ours, not the image's: which resolver to ask and what the own address is, only the
//! launcher knows. So they lie in memory and are mounted over the container's own, as Docker does.

use crate::names::{Names, lines, nameserver};
use anyhow::{Context, Result};
use launcher::bounded;
use launcher::command_line::{note, one_line};
use nix::fcntl::{OFlag, ResolveFlag, openat};
use nix::mount::MsFlags;
use nix::sys::stat::Mode;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use v2_mountns::{Mount, NewRoot};

/// Where programs of the host find whom to ask for the address of a name.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Where programs of the host look first for the address of a name.
const HOSTS: &str = "/etc/hosts";

/// As much as we take over of one of the host's files. (Lists of names to block have megabytes.)
const MAX_SIZE: u64 = 8 << 20;

/// Where systemd-resolved writes down whom it asks itself. To everybody else it says: ask me, at
/// 127.0.0.53. In a network namespace of one's own there is nobody at that address.
const UPSTREAMS: &str = "/run/systemd/resolve/resolv.conf";

/// What a container finds in the three files.
#[derive(Debug)]
pub(crate) struct EtcFiles {
    resolv_conf: Vec<u8>,
    /// The first lines of /etc/hosts; the container's own name comes behind them.
    hosts: Vec<u8>,
    own_address: Ipv4Addr,
}

/// Names that a container can look up without a resolver.
const LOOPBACK_HOSTS: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";

/// The address of a host's own name when there is no better one, as Debian has it.
const OWN_NAME: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 1);

impl EtcFiles {
    /// For a container in the host's network: what the host has, and what `names` say.
    pub(crate) fn of_host(names: &Names) -> EtcFiles {
        let hosts = read(HOSTS);
        let hosts = if hosts.is_empty() { LOOPBACK_HOSTS.into() } else { hosts };
        EtcFiles {
            resolv_conf: names.in_resolv_conf(read(RESOLV_CONF)),
            hosts: names.in_hosts(hosts),
            own_address: OWN_NAME,
        }
    }

    /// For a container with a network of its own, and perhaps an `address` in it.
    pub(crate) fn of_own_network(address: Option<Ipv4Addr>, names: &Names) -> EtcFiles {
        let resolv_conf = reachable(&read(RESOLV_CONF), &read(UPSTREAMS));
        let resolv_conf = names.in_resolv_conf(resolv_conf);
        let resolves = lines(&resolv_conf).any(|line| nameserver(line).is_some());
        if address.is_some() && !resolves {
            note(format_args!(
                "the host's resolver cannot be reached from the container, so names outside have \
                 no addresses in there (give it another one: --dns IP)"
            ));
        }
        EtcFiles {
            resolv_conf,
            hosts: names.in_hosts(LOOPBACK_HOSTS.into()),
            own_address: address.unwrap_or(OWN_NAME),
        }
    }

    // ANCHOR: mount_into
    /// Mounts the three files over those of the new root.
    ///
    /// # Errors
    /// If a place for one of them can neither be found nor made, or the kernel refuses a mount.
    pub(crate) fn mount_into(&self, root: &NewRoot, hostname: &str) -> Result<()> {
        // A file system in memory, for a moment at a place that is ours anyway. The files stay when
        // it goes, since they are mounted elsewhere by then.
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        let directory = root.mount_new("sys", "tmpfs", flags, "mode=755,size=20m")?;
        let own_name = format!("{}\t{hostname}\n", self.own_address);
        for (name, content) in [
            ("resolv.conf", &self.resolv_conf),
            ("hosts", &[&self.hosts[..], own_name.as_bytes()].concat()),
            ("hostname", &format!("{hostname}\n").into_bytes()),
        ] {
            let file = write_new(&directory, name, content)
                .with_context(|| format!("cannot write {name}"))?;
            root.mount_file(&file, &Path::new("/etc").join(name))?;
        }
        directory.detach().context("cannot unmount the tmpfs on /sys")
    }
    // ANCHOR_END: mount_into
}

/// Writes a file that is not there yet. No link is followed.
fn write_new(directory: &Mount, name: &str, content: &[u8]) -> io::Result<File> {
    let new = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW;
    let flags = new | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    let mut file = File::from(openat(directory, name, flags, Mode::from_bits_truncate(0o644))?);
    file.write_all(content)?;
    Ok(file)
}

// ANCHOR: read
/// A file of the host, or nothing. That one does not exist is no fault: then nobody is to be asked.
fn read(path: &str) -> Vec<u8> {
    match bounded::read_file(Path::new(path), ResolveFlag::empty(), MAX_SIZE) {
        Ok(content) => plain_lines(path, &content),
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            let error = one_line(&error.into());
            note(format_args!("the container has nothing of {path}: cannot read it: {error}"));
            Vec::new()
        }
    }
}

/// The lines without a control character: no program makes sense of one that has some, and a
/// terminal, of a reader inside, does. The others stay as they are, in whatever encoding.
fn plain_lines(path: &str, content: &[u8]) -> Vec<u8> {
    let is_control = |letter: char| letter.is_control() && letter != '\t';
    let is_plain = |line: &&[u8]| !String::from_utf8_lossy(line).contains(is_control);
    let all = lines(content).map(|line| {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        line.strip_suffix(b"\r").unwrap_or(line)
    });
    let (plain, others): (Vec<&[u8]>, Vec<_>) = all.partition(is_plain);
    if !others.is_empty() {
        note(format_args!(
            "the container has {} of the {} lines of {path}: the others have control characters \
             (see cat -A)",
            plain.len(),
            others.len() + plain.len()
        ));
    }
    plain.iter().flat_map(|line| [*line, b"\n"]).flatten().copied().collect()
}
// ANCHOR_END: read

// ANCHOR: reachable
/// `resolv_conf` without the resolvers that a network namespace of its own cannot reach: those of
/// the host's loopback, and IPv6, which our containers do not have. If none is left, the same from
/// `upstreams`.
fn reachable(resolv_conf: &[u8], upstreams: &[u8]) -> Vec<u8> {
    let is_reachable = |resolver: &[u8]| match String::from_utf8_lossy(resolver).parse() {
        Ok(IpAddr::V4(address)) => !address.is_loopback(),
        _ => false,
    };
    let resolves = |text| lines(text).filter_map(nameserver).any(is_reachable);
    let text = if !resolves(resolv_conf) && resolves(upstreams) { upstreams } else { resolv_conf };
    let kept = lines(text).filter(|line| nameserver(line).is_none_or(is_reachable));
    kept.flatten().copied().collect()
}
// ANCHOR_END: reachable

#[cfg(test)]
mod tests {
    fn reachable(resolv_conf: &str, upstreams: &str) -> String {
        let text = super::reachable(resolv_conf.as_bytes(), upstreams.as_bytes());
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn resolvers_of_the_host_s_loopback_are_left_out() {
        let own = "# mine\nnameserver 192.0.2.1\nnameserver 127.0.0.1\nsearch example.org\n";
        assert_eq!(reachable(own, ""), "# mine\nnameserver 192.0.2.1\nsearch example.org\n");
    }

    #[test]
    fn systemd_resolved_hides_the_real_ones() {
        let stub = "nameserver 127.0.0.53\noptions edns0 trust-ad\n";
        let upstreams = "nameserver 192.0.2.7\nnameserver fe80::1%eth0\nsearch lan\n";
        assert_eq!(reachable(stub, upstreams), "nameserver 192.0.2.7\nsearch lan\n");
        assert_eq!(reachable(stub, ""), "options edns0 trust-ad\n");
        assert_eq!(reachable(stub, "nameserver ::1\n"), "options edns0 trust-ad\n");
    }
}
