//! The tree of all containers: who started whom, and who took or joined which namespace.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::iter;

use launcher::printable;
use nix::unistd::geteuid;

use super::machine::{Contained, Machine, Process};
use super::picture::Picture;
use super::shortened::shortened;

/// Deeper than this, all stand in one column: a tree as deep as it is long is no picture.
const DEEPEST: usize = 30;

/// As much of a command as is shown.
const MOST_OF_COMMAND: usize = 100;

/// One line of the tree.
struct Line {
    pid: String,
    inside: String,
    own: String,
    command: String,
}

/// Draws every process that is in a container, below the one that started it.
pub(super) fn draw(machine: &Machine) -> Picture {
    let mut lines = vec![Line {
        pid: "PID".into(),
        inside: "INSIDE".into(),
        own: "OF ITS OWN".into(),
        command: "COMMAND".into(),
    }];
    let mut first = HashMap::new();
    for (depth, member) in in_order(machine) {
        let indent = match depth.min(DEEPEST) {
            0 => String::new(),
            depth => format!("{:1$}└ ", "", 2 * depth - 2),
        };
        lines.push(Line {
            pid: member.process.pid.to_string(),
            inside: numbers_inside(&member.process.numbers_inside),
            own: own(machine, member, &mut first),
            command: indent + &shortened(&member.contained.command, MOST_OF_COMMAND),
        });
    }
    let text = if lines.len() > 1 {
        in_columns(&lines)
    } else {
        "No container: all processes have the namespaces and the root of the host.\n".to_owned()
    };
    Picture { text, notes: note_about_hidden(machine).into_iter().collect() }
}

/// The numbers of a process in the namespaces inside, as in `3/1`: 3 in the outer, 1 in the inner.
pub(super) fn numbers_inside(numbers: &[u32]) -> String {
    let numbers: Vec<_> = numbers.iter().map(u32::to_string).collect();
    if numbers.is_empty() { "-".into() } else { numbers.join("/") }
}

/// What root may do about a refusal.
pub(super) fn advice(arguments: &str) -> String {
    if geteuid().is_root() {
        return String::new();
    }
    format!(" (as root: cargo root -p workshop xray{arguments})")
}

fn note_about_hidden(machine: &Machine) -> Option<String> {
    let (hidden, all) = (machine.hidden(), machine.processes.len());
    (hidden > 0).then(|| {
        format!(
            "{hidden} of {all} processes may not be looked into (EACCES); of those, you see only \
             the ones with process numbers of their own{}",
            advice("")
        )
    })
}

/// Each process in a container with its depth, parents before children.
fn in_order(machine: &Machine) -> Vec<(usize, Member<'_>)> {
    let members: BTreeMap<_, _> = machine
        .processes
        .values()
        .filter_map(|process| Some((process.pid, Member::of(process, machine)?)))
        .collect();
    let mut below: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (pid, member) in &members {
        below.entry(member.above.map(|above| above.pid)).or_default().push(*pid);
    }
    let tops = below.get(&None).into_iter().flatten();
    let (mut order, mut seen) = (Vec::new(), BTreeSet::new());
    // Numbers that are used again while we read can make a ring of parents, which has no top:
    // so behind the tops stand all.
    for top in tops.chain(members.keys()) {
        let mut waiting = vec![(0, *top)];
        while let Some((depth, pid)) = waiting.pop() {
            let Some(member) = members.get(&pid).filter(|_| seen.insert(pid)) else { continue };
            order.push((depth, *member));
            let children = below.get(&Some(pid)).into_iter().flatten().rev();
            waiting.extend(children.map(|pid| (depth + 1, *pid)));
        }
    }
    order
}

/// A process in a container.
#[derive(Clone, Copy)]
struct Member<'a> {
    process: &'a Process,
    contained: &'a Contained,
    /// The nearest above it that is in a container too. Those in between may not be looked into.
    above: Option<&'a Process>,
}

impl<'a> Member<'a> {
    fn of(process: &'a Process, machine: &'a Machine) -> Option<Member<'a>> {
        let contained = process.contained.as_ref()?;
        let parent = |it: &&Process| machine.processes.get(&it.parent);
        let mut above = iter::successors(parent(&process), parent).take(machine.processes.len());
        let stops = |it: &&Process| it.contained.is_some() || it.namespaces.is_ok();
        let above = above.find(stops).filter(|it| it.contained.is_some());
        Some(Member { process, contained, above })
    }
}

/// What a process has that the one above it has not: new namespaces by their kind, those of
/// another container with the number of the first process that was seen in them.
fn own(
    machine: &Machine,
    member: Member<'_>,
    first: &mut HashMap<(&'static str, u64), u32>,
) -> String {
    let Member { process, contained, above } = member;
    let Ok(namespaces) = process.namespaces else { return "? (EACCES)".into() };
    let host = machine.host.namespaces;
    let above_it = above.and_then(|above| above.namespaces.ok()).unwrap_or(host);
    // In the order of the kinds: process numbers are others each time.
    let (mut new, mut joined) = (Vec::new(), Vec::<(String, Vec<_>)>::new());
    for (kind, inode) in namespaces.different_from(above_it) {
        let whose = match first.get(&(kind, inode)) {
            _ if host.inode(kind) == Some(inode) => "the host's".to_owned(),
            Some(pid) => format!("{pid}'s"),
            None => {
                new.push(kind);
                continue;
            }
        };
        match joined.iter_mut().find(|(known, _)| *known == whose) {
            Some((_, kinds)) => kinds.push(kind),
            None => joined.push((whose, vec![kind])),
        }
    }
    for (kind, inode) in namespaces.all() {
        first.entry((kind, inode)).or_insert(process.pid);
    }
    let root = &contained.root;
    let root_above = above.and_then(|above| above.contained.as_ref()?.root.as_ref());
    let root = root.as_ref().filter(|root| Some(*root) != root_above);
    let root = root.map(|root| format!("root {}", printable(root.as_encoded_bytes())));
    let new = (!new.is_empty()).then(|| new.join(" "));
    let joined = joined.into_iter().map(|(whose, kinds)| format!("{whose} {}", kinds.join(" ")));
    new.into_iter().chain(joined).chain(root).collect::<Vec<_>>().join(", ")
}

fn in_columns(lines: &[Line]) -> String {
    let widest = |column: fn(&Line) -> &str| {
        lines.iter().map(|line| column(line).chars().count()).max().unwrap_or_default()
    };
    let (pid, inside) = (widest(|line| &line.pid), widest(|line| &line.inside));
    let own = widest(|line| &line.own);
    let line = |line: &Line| {
        format!(
            "{:>pid$}  {:>inside$}  {:own$}  {}\n",
            line.pid, line.inside, line.own, line.command
        )
    };
    lines.iter().map(line).collect()
}
