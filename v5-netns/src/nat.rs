//! Address translation: one nft table of ours, as text for `nft -f -` (nft(8)).

use crate::bridge::BRIDGE;
use crate::firewall;
use crate::nft::{self, NO_MODULES, TABLE};
use anyhow::{Result, anyhow};
use nix::net::if_::if_nametoindex;
use std::collections::BTreeSet;

// ANCHOR: table
/// The rules, in the text that `nft list ruleset` shows too.
fn table(uplinks: &BTreeSet<u32>) -> String {
    // A name may be all digits, and nft looks for that first. None has 16 bytes (IFNAMSIZ).
    let add = |index| format!("add element {TABLE} uplinks {{ \"{index:016}\" }}\n");
    let elements: String = uplinks.iter().map(add).collect();
    format!(
        r#"table {TABLE} {{
            # The host's links that forward because we told them to, by their numbers.
            set uplinks {{ type iface_index; }}
            chain forward {{
                type filter hook forward priority filter; policy accept;
                # Answers may come in. Nobody outside starts anything towards a container.
                oifname "{BRIDGE}" iifname != "{BRIDGE}" ct state != {{ established, related }} drop
                # And such a link forwards for the containers, not for the neighbours: nothing that
                # belongs to no connection (which has no status either), and nothing new.
                iif @uplinks oifname != "{BRIDGE}" ct state {{ invalid, untracked }} drop
                iif @uplinks oifname != "{BRIDGE}" ct state new ct status & dnat == 0 drop
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

// ANCHOR: make_table
/// Makes the table, in place of what there is of it, and looks for others that throw away what
/// containers send. The uplinks of the one before are added to these.
///
/// Returns what to tell the user about that.
///
/// # Errors
/// If there is no `nft`, or the kernel lacks what the rules need.
pub(crate) fn make_table(uplinks: &mut BTreeSet<u32>) -> Result<Option<String>> {
    // One transaction: no packet finds half of it, or nothing. `create` is refused if there is such
    // a table. To delete it first in any case would take longer than all the rest.
    let chains = match nft::run(&format!("create table {TABLE}\n{}", with_chains(uplinks)))? {
        Ok(chains) => chains,
        Err(_there_is_one) => {
            uplinks.extend(uplinks_of_table()?);
            nft(&format!("{}{}", no_table(), with_chains(uplinks)))?
        }
    };
    Ok(firewall::advice(&chains))
}
// ANCHOR_END: make_table

/// The table, and the question for everybody's chains.
fn with_chains(uplinks: &BTreeSet<u32>) -> String {
    format!("{}list chains\n", table(uplinks))
}

/// The links in the table that are still there, none if it is not. (nft prints the number of one
/// that is gone, and the name of one that is not, in quotation marks.)
pub(crate) fn uplinks_of_table() -> Result<Vec<u32>> {
    let listed = nft::run(&format!("list set {TABLE} uplinks\n"))?.unwrap_or_default();
    let elements = listed.split_once("elements =").map_or("", |(_, elements)| elements);
    let names = elements.split('"').skip(1).step_by(2);
    Ok(names.filter_map(|name| if_nametoindex(name).ok()).collect())
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
    nft::run(text)?
        .map_err(|reason| anyhow!("nft refused our table {TABLE:?}: {reason} ({NO_MODULES})"))
}
