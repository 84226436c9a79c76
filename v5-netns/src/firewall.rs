//! Other people's packet filters: those that throw away what containers send.
//!
//! An `accept` of ours would not help: every chain has its own say, and one drop is enough. So it
//! is the user who has to permit it, and is told how.

use crate::bridge::BRIDGE;
use crate::nft::{self, TABLE};
use launcher::program;
use std::collections::{BTreeMap, BTreeSet};

/// How to let our packets through, if somebody else's chains drop them. `chains` is what
/// `nft list chains` prints.
pub(crate) fn advice(chains: &str) -> Option<String> {
    let (mut places, mut cures) = (Vec::new(), Vec::new());
    for (place, cure) in of_nft(chains).into_iter().chain(of_old_iptables()) {
        places.push(place);
        cures.push(cure);
    }
    if places.is_empty() {
        return None;
    }
    Some(format!(
        "this host drops forwarded packets that no rule accepts, as Docker and firewalls have it \
         ({}), so the container may not reach anything; to permit it: {}",
        places.join(", "),
        cures.join("; ")
    ))
}

/// The chains that drop, each with what permits.
fn of_nft(chains: &str) -> Vec<(String, String)> {
    let sees_forwarded = |table: &&Table| {
        (table.name.starts_with("ip ") || table.name.starts_with("inet "))
            && table.name != TABLE
            && table.chains.values().any(|chain| chain.is_at_forward)
    };
    let parsed = tables(chains);
    if !parsed.iter().any(|table| sees_forwarded(&table)) {
        return Vec::new();
    }
    // Without the rules, what is known is the policies.
    let listed = nft::list("list ruleset\n").ok().flatten();
    let tables = listed.as_deref().map_or(parsed, tables);
    tables.iter().filter(sees_forwarded).flat_map(Table::advice).collect()
}

// ANCHOR: advice
/// What becomes of a packet that meets no condition of any rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Accepted,
    Dropped,
    /// The chain has nothing to say of it.
    Open,
}

impl<'a> Table<'a> {
    /// Each chain that sees forwarded packets and drops such a one, with what permits it. None if
    /// the table has rules about our bridge already.
    fn advice(&self) -> Vec<(String, String)> {
        if self.names_bridge || self.is_dormant {
            return Vec::new();
        }
        let drops = |(name, chain): &(&&str, &Chain)| {
            chain.is_at_forward
                && match self.fate(name, &mut BTreeSet::new()) {
                    Fate::Open => chain.drops_by_policy,
                    fate => fate == Fate::Dropped,
                }
        };
        let place = |name| format!("chain {name} of the table {}", self.name);
        let chains = self.chains.iter().filter(drops);
        chains.map(|(name, _)| (place(name), self.cure(name))).collect()
    }

    /// Follows the rules without a condition. A chain that was `seen` had nothing to say.
    fn fate(&self, name: &'a str, seen: &mut BTreeSet<&'a str>) -> Fate {
        let Some(chain) = self.chains.get(name).filter(|_| seen.insert(name)) else {
            return Fate::Open;
        };
        for rule in &chain.rules {
            match unconditional(rule)[..] {
                ["accept", ..] => return Fate::Accepted,
                ["drop" | "reject", ..] => return Fate::Dropped,
                ["return", ..] => return Fate::Open,
                ["goto", other, ..] => return self.fate(other, seen),
                ["jump", other, ..] => match self.fate(other, seen) {
                    Fate::Open => {}
                    fate => return fate,
                },
                _ => {}
            }
        }
        Fate::Open
    }
}

/// The words of a rule from its verdict on, if it is for every packet: what counts and logs is left
/// out. Else something that is no verdict.
fn unconditional(rule: &str) -> Vec<&str> {
    // Between quotes there may be anything.
    let mut words: Vec<_> = rule.split('"').step_by(2).flat_map(str::split_whitespace).collect();
    loop {
        let skipped = match words[..] {
            ["counter", "packets", _, "bytes", _, ..] => 5,
            ["counter" | "log" | "prefix", ..] => 1,
            ["level" | "group" | "snaplen" | "queue-threshold", _, ..] => 2,
            ["flags", "all" | "skuid" | "ether", ..] => 2,
            ["flags", "tcp" | "ip", _, ..] => 3,
            ["xt", "target", ..] if rule.contains("\"REJECT\"") => return vec!["reject"],
            _ => return words,
        };
        words.drain(..skipped);
    }
}
// ANCHOR_END: advice

impl Table<'_> {
    fn cure(&self, chain: &str) -> String {
        match (self.name, chain) {
            ("ip filter", "FORWARD") if self.chains.contains_key("DOCKER-USER") => {
                with_iptables("DOCKER-USER")
            }
            ("ip filter", chain) => with_iptables(chain),
            // Nobody but firewalld can change that table then.
            ("inet firewalld", _) if self.has_owner => {
                format!("sudo firewall-cmd --zone=trusted --add-interface={BRIDGE}")
            }
            (table, chain) => format!(
                "sudo nft insert rule {table} {chain} iifname {BRIDGE} accept; sudo nft insert \
                 rule {table} {chain} oifname {BRIDGE} accept"
            ),
        }
    }
}

/// A table, as `nft` prints it.
#[derive(Debug, Default)]
struct Table<'a> {
    /// With its family: `ip filter`.
    name: &'a str,
    chains: BTreeMap<&'a str, Chain<'a>>,
    names_bridge: bool,
    is_dormant: bool,
    has_owner: bool,
}

#[derive(Debug, Default)]
struct Chain<'a> {
    is_at_forward: bool,
    drops_by_policy: bool,
    rules: Vec<&'a str>,
}

impl<'a> Chain<'a> {
    fn add(&mut self, line: &'a str) {
        if line.starts_with("type ") {
            self.is_at_forward = line.contains("hook forward ");
            self.drops_by_policy = line.contains("policy drop;");
        } else {
            self.rules.push(line);
        }
    }
}

fn tables(listed: &str) -> Vec<Table<'_>> {
    let mut tables: Vec<Table> = Vec::new();
    let mut within = None;
    for line in listed.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("table ").and_then(|it| it.strip_suffix(" {")) {
            tables.push(Table { name, ..Table::default() });
        }
        let Some(table) = tables.last_mut() else { continue };
        table.names_bridge |= line.contains(&format!("\"{BRIDGE}\""));
        if line.ends_with(" {") || line == "}" {
            within = line.strip_prefix("chain ").and_then(|it| it.strip_suffix(" {"));
        } else if let Some(name) = within {
            table.chains.entry(name).or_default().add(line);
        } else if let Some(flags) = line.strip_prefix("flags ") {
            table.is_dormant |= flags.contains("dormant");
            table.has_owner |= flags.contains("owner");
        }
    }
    tables
}

/// The same for a host whose iptables is the old one, which nft does not see.
fn of_old_iptables() -> Option<(String, String)> {
    let tables = std::fs::read_to_string("/proc/net/ip_tables_names").ok()?;
    tables.lines().find(|line| *line == "filter")?;
    let mut list = program::command("iptables-legacy").ok()?;
    let listed = list.args(["-S", "FORWARD"]).output().ok()?;
    let listed = String::from_utf8_lossy(&listed.stdout);
    let is_last_word =
        |line: &str| line.starts_with("-A FORWARD -j REJECT") || line == "-A FORWARD -j DROP";
    let is_dropping = listed.lines().any(|line| line == "-P FORWARD DROP" || is_last_word(line));
    if !is_dropping || listed.contains(&format!(" {BRIDGE} ")) {
        return None;
    }
    let permit = with_iptables("FORWARD").replace("iptables ", "iptables-legacy ");
    Some(("chain FORWARD of iptables-legacy".to_owned(), permit))
}

fn with_iptables(chain: &str) -> String {
    format!(
        "sudo iptables -I {chain} -i {BRIDGE} -j ACCEPT; sudo iptables -I {chain} -o {BRIDGE} -j \
         ACCEPT"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is at the hook and what becomes of a packet there.
    fn fates(listed: &str) -> Vec<(String, String)> {
        tables(listed).iter().flat_map(Table::advice).collect()
    }

    fn table(rules: &str) -> String {
        format!(
            "table inet wall {{\n\tset them {{\n\t\ttype ifname\n\t}}\n\tchain passing {{\n\t\t\
             type filter hook forward priority filter + 10; policy accept;\n\t\tct state {{ \
             established, related }} accept\n{rules}\n\t}}\n\tchain last {{\n\t\tcounter packets \
             7 bytes 588 log prefix \"no: drop \" level warn flags all reject with icmpx \
             admin-prohibited\n\t}}\n\tchain asks {{\n\t\ttcp dport 22 drop\n\t\tip saddr \
             10.0.0.0/8 log prefix \"a \" reject\n\t}}\n}}\n"
        )
    }

    #[test]
    fn the_rules_for_every_packet_decide() {
        for (rules, drops) in [
            ("", false),
            ("reject with icmpx admin-prohibited", true),
            ("drop comment \"the rest\"", true),
            ("counter packets 0 bytes 0 drop", true),
            ("xt target \"REJECT\"", true),
            ("ct state invalid drop", false),
            ("iifname \"eth0\" reject", false),
            ("jump last", true),
            ("goto last", true),
            ("jump asks", false),
            ("jump asks\njump asks\njump last", true),
            ("jump nobody", false),
            ("jump passing", false),
            ("accept\ndrop", false),
            ("return\ndrop", false),
            ("log prefix \"drop\" tcp dport 22 drop", false),
            ("iifname \"steps0\" accept\ndrop", false),
        ] {
            let listed = table(rules);
            assert_eq!(fates(&listed).len(), usize::from(drops), "{rules}");
            let of_policy = listed.replace("policy accept", "policy drop");
            let is_open = !drops && !rules.starts_with("accept") && !rules.contains("steps0");
            assert_eq!(fates(&of_policy).len(), usize::from(drops || is_open), "{rules}");
            let elsewhere = listed.replace("hook forward", "hook output");
            assert_eq!(fates(&elsewhere), [], "{rules}");
        }
        let flagged = |flags| table("drop").replacen('\n', &format!("\n\tflags {flags}\n"), 1);
        assert_eq!(fates(&flagged("dormant")), []);
        let firewalld = flagged("owner,persist").replace("wall", "firewalld");
        assert!(fates(&firewalld)[0].1.starts_with("sudo firewall-cmd "));
    }

    #[test]
    fn chains_without_rules_have_a_policy() {
        let chains = "table ip filter {\n\tchain INPUT {\n\t\ttype filter hook input priority \
            filter; policy drop;\n\t}\n\tchain FORWARD {\n\t\ttype filter hook forward priority \
            filter; policy drop;\n\t}\n}\n";
        let told = fates(chains);
        let [(place, cure)] = &told[..] else { panic!("{told:?}") };
        assert_eq!(place, "chain FORWARD of the table ip filter");
        assert!(cure.starts_with("sudo iptables -I FORWARD -i steps0 "), "{cure}");
    }
}
