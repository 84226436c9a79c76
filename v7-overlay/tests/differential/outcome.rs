//! What the tools made of each case, compared.

use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::process::Command;
use std::time::SystemTime;

use testbed::{Host, extent};

use crate::case::Case;
use crate::table::{ROWS, Row};
use crate::tools::{Image, Unpacked};
use crate::tree::{Facts, NOW};

/// The short run takes one case of so many.
const SHORT: usize = 8;

/// Of so many cases a failure lists the entries.
const LISTED: usize = 10;

/// One thing in which two trees differ.
pub struct Difference<'a> {
    pub case: &'a str,
    pub tool: &'static str,
    pub path: String,
    /// Which fact: `there`, `refused: WHY`, `mode`...
    pub fact: String,
    pub ours: String,
    pub theirs: String,
}

impl Display for Difference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { case, tool, path, fact, ours, theirs } = self;
        write!(f, "{case} | {tool} | {path} | {fact} | {ours} | {theirs}")
    }
}

/// Unpacks each case with all tools, and fails if they differ in what no row is about.
pub fn compare(host: &Host, group: &str, cases: &[Case]) {
    if host.has_user_namespace() {
        host.skip("the other tools need root");
    }
    for tool in ["umoci", "containers-storage"] {
        if Command::new(tool).arg("--version").output().is_err() {
            host.skip(format!("no {tool} on this machine"));
        }
    }
    let step = if extent::is_whole() { 1 } else { SHORT };
    let directory = host.dir("differential");
    host.own("/var/cache/container-steps"); // root's, also where the test is about another user
    let start = SystemTime::now();
    let mut seen = Vec::new();
    for (number, case) in cases.iter().enumerate().step_by(step) {
        let image = Image::new(host, directory.join(number.to_string()), case, start);
        seen.extend(differences_of_case(host, case, &image));
    }
    let is_about = |difference: &_| ROWS.iter().position(|row| row.is_about(group, difference));
    let rows: Vec<_> = seen.iter().map(is_about).collect();
    let unknown = seen.iter().zip(&rows).filter(|(_, row)| row.is_none()).map(|(it, _)| it);
    let unknown: Vec<_> = unknown.map(|it| format!("{group} | {it}")).collect();
    host.figure(format!("{} cases, {} differences", cases.len().div_ceil(step), seen.len()));
    let names: BTreeSet<_> = unknown.iter().filter_map(|it| it.split(" | ").nth(1)).collect();
    let listed = cases.iter().filter(|case| names.contains(&*case.name)).take(LISTED);
    let listed: String = listed.map(Case::list).collect();
    assert!(unknown.is_empty(), "no row is about:\n{}\n{listed}", unknown.join("\n"));
    let needed: BTreeSet<_> = rows.into_iter().flatten().collect();
    let is_unneeded = |(number, row): &(usize, &Row)| {
        step == 1 && row.is_for(group, host) && !needed.contains(number)
    };
    let unneeded: Vec<_> = ROWS.iter().enumerate().filter(is_unneeded).map(|it| it.1).collect();
    assert!(unneeded.is_empty(), "nothing needs: {unneeded:#?}");
}

/// In what v7 differs from the others.
fn differences_of_case<'a>(host: &Host, case: &'a Case, image: &Image) -> Vec<Difference<'a>> {
    let ours = image.by_us();
    let others = if host.is_root() {
        vec![("umoci", image.by_umoci()), ("storage", image.by_storage())]
    } else {
        vec![("root", image.by_our_root())]
    };
    let of_tool =
        |(tool, theirs): &(&'static str, Unpacked)| differences(&case.name, tool, &ours, theirs);
    let found: Vec<_> = others.iter().flat_map(of_tool).collect();
    // The time of a directory in which a higher layer, without an entry for it, changes something:
    // nobody says. (umoci forgets that of one in which it makes a directory without an entry.)
    let is_open = |it: &Difference| {
        it.fact == "mtime" && (it.theirs == NOW || it.ours == NOW && case.layers.len() > 1)
    };
    let is_open: Vec<_> = found.iter().map(is_open).collect();
    found.into_iter().zip(is_open).filter(|(_, is_open)| !is_open).map(|(it, _)| it).collect()
}

fn differences<'a>(
    case: &'a str,
    tool: &'static str,
    ours: &Unpacked,
    theirs: &Unpacked,
) -> Vec<Difference<'a>> {
    let difference = |path: &str, fact: &str, ours: &str, theirs: &str| Difference {
        case,
        tool,
        path: path.into(),
        fact: fact.into(),
        ours: ours.into(),
        theirs: theirs.into(),
    };
    let (ours, theirs) = match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => (ours, theirs),
        (Err(_), Err(_)) => return vec![],
        (Err(error), Ok(_)) => {
            return vec![difference("", &format!("refused by v7: {error}"), "", "")];
        }
        (Ok(_), Err(error)) => return vec![difference("", &format!("refused: {error}"), "", "")],
    };
    let paths: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
    let mut found = Vec::new();
    for path in paths {
        let (ours, theirs) = (ours.get(path), theirs.get(path));
        let (Some(ours), Some(theirs)) = (ours, theirs) else {
            let [ours, theirs] =
                [ours, theirs].map(|facts| facts.map_or("-", |it| it["type"].as_str()));
            let is_left_out = tool == "root" && ["char", "block"].contains(&theirs);
            if !is_left_out {
                found.push(difference(path, "there", ours, theirs));
            }
            continue;
        };
        let facts: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
        for fact in facts {
            let get = |facts: &Facts| facts.get(fact).map_or("-", String::as_str).to_owned();
            let (ours, theirs) = (get(ours), get(theirs));
            if ours != theirs && !(tool == "root" && is_lost_as_user(fact)) {
                found.push(difference(path, fact, &ours, &theirs));
            }
        }
    }
    found
}

/// What a container of an ordinary user does not have.
fn is_lost_as_user(fact: &str) -> bool {
    ["uid", "gid"].contains(&fact)
        || fact.starts_with("xattr trusted.")
        || fact.starts_with("xattr security.")
        || fact.starts_with("xattr system.posix_acl")
}
