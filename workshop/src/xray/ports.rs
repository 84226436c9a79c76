//! The open ports of a network namespace, from the tables in /proc/PID/net (proc_pid_net(5)).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Context, Result};
use nix::errno::Errno;

use super::process::Directory;

/// TCP_LISTEN, and TCP_CLOSE, which is a UDP socket that is connected to nobody (net/tcp_states.h).
const LISTENS: &str = "0A";
const UNCONNECTED: &str = "07";

/// What can be connected to, or sent to, in the network of this process.
pub(super) fn list(process: &Directory, of_host: bool) -> Result<Vec<String>> {
    let tables = [("tcp", LISTENS), ("tcp6", LISTENS), ("udp", UNCONNECTED), ("udp6", UNCONNECTED)];
    let mut lines = Vec::new();
    for (protocol, state) in tables {
        let file = format!("net/{protocol}");
        let table = match process.text(&file) {
            Err(Errno::ENOENT) if protocol.ends_with('6') => continue, // a kernel without IPv6
            result => result.with_context(|| process.reading(&file))?,
        };
        let mut addresses: Vec<_> = table.lines().filter_map(|line| open(line, state)).collect();
        addresses.sort_by_key(|address| (address.port(), address.ip()));
        addresses.dedup();
        lines.extend(addresses.into_iter().map(|address| format!("{protocol:5}{address}")));
    }
    match (of_host, lines.is_empty()) {
        (_, true) => lines.push("none".to_owned()),
        (true, false) => lines.insert(0, "the host's:".to_owned()),
        (false, false) => {}
    }
    Ok(lines)
}

/// Number, own address, other address, state, and more.
fn open(line: &str, wanted: &str) -> Option<SocketAddr> {
    let mut fields = line.split_whitespace().skip(1);
    let (own, _, state) = (fields.next()?, fields.next()?, fields.next()?);
    let (address, port) = own.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    (state == wanted).then_some(SocketAddr::new(parse(address)?, port))
}

/// An address is printed as one or four numbers of this machine, which hold it in the network's
/// order of bytes.
fn parse(address: &str) -> Option<IpAddr> {
    let words = address
        .as_bytes()
        .chunks(8)
        .map(|word| u32::from_str_radix(str::from_utf8(word).ok()?, 16).ok().map(u32::to_ne_bytes));
    let bytes = words.collect::<Option<Vec<_>>>()?.concat();
    match bytes.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into()),
        16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn reads_lines_of_both_families() {
        let line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000";
        assert_eq!(open(line, LISTENS), Some("127.0.0.1:8080".parse().unwrap()));
        assert_eq!(open(line, UNCONNECTED), None);
        let line = "   0: 00000000000000000000000001000000:0050 0:0000 0A 00000000:00000000";
        assert_eq!(open(line, LISTENS), Some("[::1]:80".parse().unwrap()));
        assert_eq!(open("  sl  local_address rem_address   st tx_queue", LISTENS), None);
    }
}
