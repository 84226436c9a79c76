//! The tree of all containers: who started whom, and who took or joined which namespace.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use nix::unistd::geteuid;

use super::Picture;
use super::machine::{Contained, Machine, Process};
use super::printable::{printable, shortened};

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
    for (depth, process, contained) in in_order(machine) {
        let above = machine.processes.get(&process.parent).filter(|_| depth > 0);
        let indent = match depth.min(DEEPEST) {
            0 => String::new(),
            depth => format!("{:1$}└ ", "", 2 * depth - 2),
        };
        lines.push(Line {
            pid: process.pid.to_string(),
            inside: numbers_inside(&process.numbers_inside),
            own: own(machine, process, contained, above, &mut first),
            command: indent + &shortened(&contained.command, MOST_OF_COMMAND),
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
            "{hidden} of {all} processes may not be looked into: EACCES: of those, you see only \
             what has process numbers of its own{}",
            advice("")
        )
    })
}

/// Each process in a container with its depth, parents before children.
fn in_order(machine: &Machine) -> Vec<(usize, &Process, &Contained)> {
    let contained: BTreeMap<_, _> = machine
        .processes
        .values()
        .filter_map(|process| Some((process.pid, (process, process.contained.as_ref()?))))
        .collect();
    let mut children: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (process, _) in contained.values() {
        children.entry(process.parent).or_default().push(process.pid);
    }
    let tops = contained.values().filter(|(process, _)| !contained.contains_key(&process.parent));
    let tops: Vec<_> = tops.map(|(process, _)| process.pid).collect();
    let (mut order, mut seen) = (Vec::new(), BTreeSet::new());
    // Numbers that are used again while we read can make a ring of parents, which has no top:
    // so behind the tops stand all.
    for top in tops.into_iter().chain(contained.keys().copied()) {
        let mut waiting = vec![(0, top)];
        while let Some((depth, pid)) = waiting.pop() {
            let Some((process, how)) = contained.get(&pid).filter(|_| seen.insert(pid)) else {
                continue;
            };
            order.push((depth, *process, *how));
            let below = children.get(&pid).into_iter().flatten().rev();
            waiting.extend(below.map(|pid| (depth + 1, *pid)));
        }
    }
    order
}

/// What a process has that the one above it has not: new namespaces by their kind, those of
/// another container with the number of the first process that was seen in them.
fn own(
    machine: &Machine,
    process: &Process,
    contained: &Contained,
    above: Option<&Process>,
    first: &mut HashMap<(&'static str, u64), u32>,
) -> String {
    let Ok(namespaces) = process.namespaces else { return "? (EACCES)".into() };
    let host = machine.host.namespaces;
    let above_it = above.and_then(|above| above.namespaces.ok()).unwrap_or(host);
    let (mut new, mut joined) = (Vec::new(), BTreeMap::<_, Vec<_>>::new());
    for (kind, inode) in namespaces.different_from(above_it) {
        let before = first.get(&(kind, inode));
        match (host.inode(kind) == Some(inode), before) {
            (true, _) => joined.entry("the host's".to_owned()).or_default().push(kind),
            (false, Some(pid)) => joined.entry(format!("{pid}'s")).or_default().push(kind),
            (false, None) => new.push(kind),
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
