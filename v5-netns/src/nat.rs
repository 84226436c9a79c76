//! Address translation: one nft table of ours, as text for `nft -f -` (nft(8)).

use crate::bridge::BRIDGE;
use anyhow::{Context, Result, anyhow, bail};
use launcher::program;
use std::collections::BTreeSet;
use std::io::{self, ErrorKind, Read, Write};
use std::process::Stdio;

/// The table. Nobody else's is touched, and to remove ours is one command.
pub(crate) const TABLE: &str = "ip container-steps";

/// Why a kernel may refuse it.
pub(crate) const NO_MODULES: &str = "does this kernel have nf_tables? After an upgrade of the \
                                     kernel its modules load only after a reboot";

// ANCHOR: table
/// The rules, in the text that `nft list ruleset` shows too.
fn table(uplinks: &BTreeSet<String>) -> String {
    let add = |name| format!("add element {TABLE} uplinks {{ \"{name}\" }}\n");
    let elements: String = uplinks.iter().map(add).collect();
    format!(
        r#"table {TABLE} {{
            # The host's links that forward because we told them to.
            set uplinks {{ type ifname; }}
            chain forward {{
                type filter hook forward priority filter; policy accept;
                # Answers may come in. Nobody outside starts anything towards a container.
                oifname "{BRIDGE}" iifname != "{BRIDGE}" ct state != {{ established, related }} drop
                # And such a link forwards for the containers, not for the neighbours.
                iifname @uplinks oifname != "{BRIDGE}" ct state new ct status & dnat == 0 drop
            }}
            chain postrouting {{
                type nat hook postrouting priority srcnat; policy accept;
                # What leaves gets the host's address, and what is answered to it goes back.
                iifname "{BRIDGE}" oifname != "{BRIDGE}" masquerade
            }}
        }}
        {elements}"#
    )
}
// ANCHOR_END: table

/// Makes the table, in place of what there is of it, and looks for others that throw away what
/// containers send. The uplinks of the one before are added to these.
///
/// Returns what to tell the user about that.
///
/// # Errors
/// If there is no `nft`, or the kernel lacks what the rules need.
pub(crate) fn make_table(uplinks: &mut BTreeSet<String>) -> Result<Option<String>> {
    // One transaction: no packet finds half of it, or nothing. `create` is refused if there is such
    // a table. To delete it first in any case would take longer than all the rest.
    let chains = match run_nft(&format!("create table {TABLE}\n{}", with_chains(uplinks)))? {
        Ok(chains) => chains,
        Err(_there_is_one) => {
            uplinks.extend(uplinks_of_table()?);
            nft(&format!("{}{}", no_table(), with_chains(uplinks)))?
        }
    };
    Ok(dropping_chain(&chains).and_then(|chain| chain.advice()).or_else(advice_for_old_iptables))
}

/// The table, and the question for everybody's chains.
fn with_chains(uplinks: &BTreeSet<String>) -> String {
    format!("{}list chains\n", table(uplinks))
}

/// The links in the table, none if it is not there.
pub(crate) fn uplinks_of_table() -> Result<Vec<String>> {
    let listed = run_nft(&format!("list set {TABLE} uplinks\n"))?.unwrap_or_default();
    let elements = listed.split_once("elements =").map_or("", |(_, elements)| elements);
    Ok(elements.split('"').skip(1).step_by(2).map(str::to_owned).collect())
}

/// Removes the table, if it is there.
pub(crate) fn remove_table() -> Result<()> {
    nft(&no_table()).map(drop)
}

/// What removes the table whether it is there or not: only what is there can be deleted.
fn no_table() -> String {
    format!("add table {TABLE}\ndelete table {TABLE}\n")
}

/// Gives `nft` a text to carry out, and returns what it printed.
fn nft(text: &str) -> Result<String> {
    run_nft(text)?
        .map_err(|reason| anyhow!("nft refused our table {TABLE:?}: {reason} ({NO_MODULES})"))
}

/// The same, or the first line of what it said if it refused.
fn run_nft(text: &str) -> Result<Result<String, String>> {
    let cannot = "cannot run nft";
    let mut command = match program::command("nft") {
        Err(error) if error.kind() == ErrorKind::NotFound => bail!(
            "{cannot}: ENOENT: No such file or directory (address translation needs it: install \
             the package nftables, or do without the outside: --net none)"
        ),
        result => result.context(cannot)?,
    };
    let (mut answer, answerer) = io::pipe().context(cannot)?;
    command.args(["-f", "-"]).stdin(Stdio::piped());
    command.stdout(answerer.try_clone().context(cannot)?).stderr(answerer);
    let mut child = command.spawn().context(cannot)?;
    drop(command); // it holds our copies of the pipe's end: with them there, it would not end
    if let Some(mut stdin) = child.stdin.take() {
        match stdin.write_all(text.as_bytes()) {
            // It has ended early, and says why.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            result => result.context(cannot)?,
        }
    }
    let mut words = Vec::new();
    answer.read_to_end(&mut words).context(cannot)?;
    let words = String::from_utf8_lossy(&words).into_owned();
    if child.wait().context(cannot)?.success() {
        return Ok(Ok(words));
    }
    let first = words.lines().find(|line| !line.trim().is_empty()).unwrap_or("no reason given");
    Ok(Err(first.to_owned()))
}

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
    /// How to let our packets through. An `accept` of ours would not help: every chain has its own
    /// say, and one drop is enough. `None` if that table has rules about our bridge already.
    fn advice(&self) -> Option<String> {
        let DroppingChain { table, chain } = self;
        let rules = nft(&format!("list table {table}\n")).unwrap_or_default();
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
