//! The three files of /etc that name things: resolv.conf, hosts, hostname.
//!
//! They are ours, not the image's: which resolver to ask and what the own address is, only the
//! launcher knows. So they lie in memory and are mounted over the container's own, as Docker does.

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
    resolv_conf: String,
    /// The first lines of /etc/hosts; the container's own name comes behind them.
    hosts: String,
    own_address: Ipv4Addr,
}

/// Names that a container can look up without a resolver.
const LOOPBACK_HOSTS: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";

/// The address of a host's own name when there is no better one, as Debian has it.
const OWN_NAME: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 1);

impl EtcFiles {
    /// For a container in the host's network: what the host has.
    pub(crate) fn of_host() -> EtcFiles {
        let hosts = read(HOSTS);
        let hosts = if hosts.is_empty() { LOOPBACK_HOSTS.to_owned() } else { hosts };
        EtcFiles { resolv_conf: read(RESOLV_CONF), hosts, own_address: OWN_NAME }
    }

    /// For a container with a network of its own, and perhaps an `address` in it.
    pub(crate) fn of_own_network(address: Option<Ipv4Addr>) -> EtcFiles {
        let resolv_conf = reachable(&read(RESOLV_CONF), &read(UPSTREAMS));
        let resolves = resolv_conf.lines().any(|line| nameserver(line).is_some());
        if address.is_some() && !resolves {
            note(format_args!(
                "the host's resolver cannot be reached from the container, so names outside have \
                 no addresses in there (give it another one: -v FILE:{RESOLV_CONF})"
            ));
        }
        EtcFiles {
            resolv_conf,
            hosts: LOOPBACK_HOSTS.to_owned(),
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
            ("resolv.conf", self.resolv_conf.clone()),
            ("hosts", format!("{}{own_name}", self.hosts)),
            ("hostname", format!("{hostname}\n")),
        ] {
            let file = write_new(&directory, name, &content)
                .with_context(|| format!("cannot write {name}"))?;
            root.mount_file(&file, &Path::new("/etc").join(name))?;
        }
        directory.detach().context("cannot unmount the tmpfs on /sys")
    }
    // ANCHOR_END: mount_into
}

/// Writes a file that is not there yet. No link is followed.
fn write_new(directory: &Mount, name: &str, content: &str) -> io::Result<File> {
    let new = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW;
    let flags = new | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    let mut file = File::from(openat(directory, name, flags, Mode::from_bits_truncate(0o644))?);
    file.write_all(content.as_bytes())?;
    Ok(file)
}

// ANCHOR: read
/// A file of the host, or nothing. That one does not exist is no fault: then nobody is to be asked.
fn read(path: &str) -> String {
    match bounded::read_file(Path::new(path), ResolveFlag::empty(), MAX_SIZE) {
        Ok(content) => plain_lines(&String::from_utf8_lossy(&content)),
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => {
            let error = one_line(&error.into());
            note(format_args!("the container has nothing of {path}: cannot read it: {error}"));
            String::new()
        }
    }
}

/// The lines without a control character: no program makes sense of one that has some, and a
/// terminal, of a reader inside, does.
fn plain_lines(text: &str) -> String {
    let is_plain = |line: &&str| !line.contains(|it: char| it.is_control() && it != '\t');
    text.lines().filter(is_plain).map(|line| format!("{line}\n")).collect()
}
// ANCHOR_END: read

/// The resolver that a line of resolv.conf(5) names.
fn nameserver(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    words.next().filter(|word| *word == "nameserver").and(words.next())
}

// ANCHOR: reachable
/// `resolv_conf` without the resolvers that a network namespace of its own cannot reach: those of
/// the host's loopback, and IPv6, which our containers do not have. If none is left, the same from
/// `upstreams`.
fn reachable(resolv_conf: &str, upstreams: &str) -> String {
    let is_reachable = |resolver: &str| match resolver.parse() {
        Ok(IpAddr::V4(address)) => !address.is_loopback(),
        _ => false,
    };
    let resolves = |text: &str| text.lines().filter_map(nameserver).any(is_reachable);
    let text = if !resolves(resolv_conf) && resolves(upstreams) { upstreams } else { resolv_conf };
    text.lines()
        .filter(|line| nameserver(line).is_none_or(is_reachable))
        .map(|line| format!("{line}\n"))
        .collect()
}
// ANCHOR_END: reachable

#[cfg(test)]
mod tests {
    use super::*;

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
