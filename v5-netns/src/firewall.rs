//! Other people's packet filters: those that throw away what containers send.
//!
//! An `accept` of ours would not help: every chain has its own say, and one drop is enough. So it
//! is the user who has to permit it, and is told how.

use crate::bridge::BRIDGE;
use crate::nft;
use launcher::program;

/// How to let our packets through, if somebody else's chain drops them. `chains` is what
/// `nft list chains` prints.
pub(crate) fn advice(chains: &str) -> Option<String> {
    dropping_chain(chains).and_then(|chain| chain.advice()).or_else(advice_for_old_iptables)
}

// ANCHOR: advice
/// A chain of somebody else that sees every forwarded packet, and drops what no rule accepts.
#[derive(Debug, PartialEq, Eq)]
struct DroppingChain<'a> {
    table: &'a str,
    chain: &'a str,
}

/// Finds such a chain in what `nft list chains` prints.
fn dropping_chain(chains: &str) -> Option<DroppingChain<'_>> {
    let (mut table, mut chain) = ("", "");
    for line in chains.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("table ") {
            table = name.trim_end_matches(" {");
        } else if let Some(name) = line.strip_prefix("chain ") {
            chain = name.trim_end_matches(" {");
        } else if line.contains("hook forward") && line.contains("policy drop") {
            let is_for_us = table.starts_with("ip ") || table.starts_with("inet ");
            if is_for_us {
                return Some(DroppingChain { table, chain });
            }
        }
    }
    None
}

impl DroppingChain<'_> {
    /// `None` if that table has rules about our bridge already.
    fn advice(&self) -> Option<String> {
        let DroppingChain { table, chain } = self;
        let rules = nft::run(&format!("list table {table}\n"));
        let rules = rules.ok().and_then(Result::ok).unwrap_or_default();
        if rules.contains(&format!("\"{BRIDGE}\"")) {
            return None;
        }
        let permit = match (*table, *chain) {
            ("ip filter", "FORWARD") if rules.contains("chain DOCKER-USER") => {
                with_iptables("DOCKER-USER")
            }
            ("ip filter", chain) => with_iptables(chain),
            (table, chain) => format!(
                "sudo nft insert rule {table} {chain} iifname {BRIDGE} accept; sudo nft insert \
                 rule {table} {chain} oifname {BRIDGE} accept"
            ),
        };
        Some(drops_forwarded(&format!("chain {chain} of the table {table}"), &permit))
    }
}
// ANCHOR_END: advice

/// The same for a host whose iptables is the old one, which nft does not see.
fn advice_for_old_iptables() -> Option<String> {
    let tables = std::fs::read_to_string("/proc/net/ip_tables_names").ok()?;
    tables.lines().find(|line| *line == "filter")?;
    let mut list = program::command("iptables-legacy").ok()?;
    let listed = list.args(["-S", "FORWARD"]).output().ok()?;
    let listed = String::from_utf8_lossy(&listed.stdout);
    let is_dropping = listed.lines().any(|line| line == "-P FORWARD DROP");
    if !is_dropping || listed.contains(&format!(" {BRIDGE} ")) {
        return None;
    }
    let permit = with_iptables("FORWARD").replace("iptables ", "iptables-legacy ");
    Some(drops_forwarded("chain FORWARD of iptables-legacy", &permit))
}

fn with_iptables(chain: &str) -> String {
    format!(
        "sudo iptables -I {chain} -i {BRIDGE} -j ACCEPT; sudo iptables -I {chain} -o {BRIDGE} -j \
         ACCEPT"
    )
}

fn drops_forwarded(chain: &str, permit: &str) -> String {
    format!(
        "this host drops forwarded packets ({chain} has policy drop; Docker sets that), so the \
         container may not reach anything; to permit it: {permit}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAINS: &str = "table ip filter {\n\tchain INPUT {\n\t\ttype filter hook input \
        priority filter; policy drop;\n\t}\n\tchain FORWARD {\n\t\ttype filter hook forward \
        priority filter; policy drop;\n\t}\n}\n";

    #[test]
    fn a_chain_that_drops_is_found() {
        let found = DroppingChain { table: "ip filter", chain: "FORWARD" };
        assert_eq!(dropping_chain(CHAINS), Some(found));
        assert_eq!(dropping_chain(&CHAINS.replace("hook forward", "hook output")), None);
        assert_eq!(dropping_chain(&CHAINS.replace("drop", "accept")), None);
        assert_eq!(dropping_chain(&CHAINS.replace("table ip ", "table bridge ")), None);
    }
}
