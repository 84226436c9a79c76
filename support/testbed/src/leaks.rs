//! The leak check: two looks at the host, and what differs between them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::host_cgroups;
use crate::mounts::OWN_VAR_LIB;
use crate::pace::slowed;

/// Where a launcher could leave files.
const WATCHED: [&str; 6] = ["/tmp", "/run", "/home", "/root", "/var/cache", "/dev"];

/// What the steps keep on purpose in their cache directory. A temporary file is not among it.
const KEPT_IN_CACHE: [&str; 4] = ["rootfs", "busybox", "layers", "upper"];

/// cgroups of the project have this in their names.
const CGROUP_NAME: &str = "container-steps";

/// The switch of all links at once: whoever changes it changes that of each link.
const IP_FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";

/// How long what is dying may take to be gone.
const GRACE: Duration = Duration::from_secs(1);

/// What a test may leave behind.
#[derive(Clone, Debug)]
pub struct Allowed {
    /// Paths the test itself made, with all below.
    pub own: BTreeSet<PathBuf>,
    /// The project's cache directory.
    pub cache: PathBuf,
    /// The host has the machine's cgroups: those of other hosts, of another run, of a person.
    pub cgroups_of_others: bool,
}

impl Allowed {
    fn covers(&self, path: &Path) -> bool {
        let var_lib = Path::new(OWN_VAR_LIB);
        self.own.iter().any(|own| path.starts_with(own))
            // What other people's tools keep in /var/lib is none of ours.
            || (path.starts_with(var_lib) && path != var_lib
                && !path.starts_with(var_lib.join("container-steps")))
            || KEPT_IN_CACHE.iter().any(|name| path.starts_with(self.cache.join(name)))
            // The first start makes the cache, and ~/.cache where there was none.
            || path == self.cache
            || path == self.cache.join("volumes") // and nothing in it
            || self.cache.parent() == Some(path)
    }
}

/// One kind of resource and how to list what there is of it.
type Look = (&'static str, fn() -> io::Result<BTreeSet<String>>);

const LOOKS: [Look; 8] = [
    ("mount", mounts),
    ("network link", network_links),
    ("nft table", nft_tables),
    ("process", processes),
    ("ipc object", ipc_objects),
    ("hostname", || lines_of("/proc/sys/kernel/hostname")),
    ("ip_forward", || lines_of(IP_FORWARD)),
    ("forwarding link", forwarding_links),
];

/// The state of a host: for each kind of resource, what there is.
pub struct Snapshot(BTreeMap<&'static str, BTreeSet<String>>);

impl Snapshot {
    /// Looks at the host this process is in.
    pub fn take(allowed: &Allowed) -> io::Result<Snapshot> {
        let mut seen = BTreeMap::from([("file", files(allowed)), ("cgroup", our_cgroups(allowed))]);
        for (kind, look) in LOOKS {
            seen.insert(kind, look()?);
        }
        Ok(Snapshot(seen))
    }

    /// What differs now, one line each. Waits a moment for what is about to go away.
    pub fn leaks_since(&self, allowed: &Allowed) -> io::Result<Vec<String>> {
        what_stays(|| Ok(self.differences(&Snapshot::take(allowed)?, allowed)))
    }

    /// The processes that are new and stay so, one line each. Waits a moment for those that end.
    pub fn processes_since(&self) -> io::Result<Vec<String>> {
        what_stays(|| Ok(processes()?.difference(&self.0["process"]).cloned().collect()))
    }

    fn differences(&self, now: &Snapshot, allowed: &Allowed) -> Vec<String> {
        let mut leaks = Vec::new();
        for (kind, before) in &self.0 {
            let after = &now.0[kind];
            let is_leak = |line: &&String| *kind != "file" || !allowed.covers(path_of(line));
            let new = after.difference(before).filter(is_leak);
            leaks.extend(new.map(|line| format!("new {kind}: {line}")));
            let gone = before.difference(after).filter(is_leak);
            leaks.extend(gone.map(|line| format!("gone {kind}: {line}")));
        }
        leaks
    }
}

/// Looks until there is nothing, or the moment is over for what is about to go away.
fn what_stays(look: impl Fn() -> io::Result<Vec<String>>) -> io::Result<Vec<String>> {
    let start = Instant::now();
    loop {
        let seen = look()?;
        if seen.is_empty() || start.elapsed() > slowed(GRACE) {
            return Ok(seen);
        }
        sleep(Duration::from_millis(10));
    }
}

fn lines_of(path: &str) -> io::Result<BTreeSet<String>> {
    Ok(fs::read_to_string(path)?.lines().map(str::to_owned).collect())
}

/// The mounts, but for our /etc/passwd and /etc/group: when the machine gets a new user meanwhile,
/// its old files go (man 2 rename), and with them what was mounted on them.
fn mounts() -> io::Result<BTreeSet<String>> {
    let mut lines = lines_of("/proc/self/mountinfo")?;
    lines.retain(|line| !line.contains(" /testbed/etc/"));
    Ok(lines)
}

/// The names of the links. /sys would show those of the machine.
fn network_links() -> io::Result<BTreeSet<String>> {
    let table = fs::read_to_string("/proc/self/net/dev")?;
    let names = table.lines().filter_map(|line| line.split_once(':'));
    Ok(names.map(|(name, _)| name.trim().to_owned()).collect())
}

/// The nft tables, where there is an `nft` to ask.
fn nft_tables() -> io::Result<BTreeSet<String>> {
    match Command::new("nft").args(["list", "tables"]).output() {
        Ok(output) => {
            Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(error) => Err(error),
    }
}

/// The links with a switch of their own that is on. If that of all links is, it tells of them.
fn forwarding_links() -> io::Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    if fs::read_to_string(IP_FORWARD)?.trim() != "0" {
        return Ok(found);
    }
    for entry in fs::read_dir("/proc/sys/net/ipv4/conf")? {
        let entry = entry?;
        let switch = fs::read_to_string(entry.path().join("forwarding"));
        if switch.is_ok_and(|switch| switch.trim() != "0") {
            found.insert(entry.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(found)
}

/// The cgroups with the project's name, in all hierarchies.
fn our_cgroups(allowed: &Allowed) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut to_visit = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(directory) = to_visit.pop() {
        // Any of them may be removed while we look.
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            let name = entry.file_name().to_string_lossy().into_owned();
            // A host without cgroups of its own sees those of the hosts beside it.
            if name.starts_with(host_cgroups::PREFIX) {
                continue;
            }
            let is_of_others = allowed.cgroups_of_others && has_processes(&entry.path());
            if name.contains(CGROUP_NAME) && !is_of_others {
                found.insert(entry.path().display().to_string());
            }
            to_visit.push(entry.path());
        }
    }
    found
}

/// Whether there are processes in a cgroup, or in one below it. Version 1 does not tell of those
/// in other PID namespaces, so there may be some. (There, who may make cgroups has a host with its
/// own.)
fn has_processes(cgroup: &Path) -> bool {
    match fs::read_to_string(cgroup.join("cgroup.events")) {
        Ok(events) => events.contains("populated 1"),
        Err(_) => cgroup.join("cgroup.procs").exists(),
    }
}

/// Everything alive in this PID namespace but its init and this process. A zombie counts.
fn processes() -> io::Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let is_other = name.parse::<u32>().is_ok_and(|pid| pid != 1 && pid != std::process::id());
        if !is_other {
            continue;
        }
        // "PID (COMMAND) STATE PARENT ...": man 5 proc_pid_stat. Gone by now is fine.
        if let Ok(stat) = fs::read_to_string(format!("/proc/{name}/stat")) {
            let end_of_parent = stat.rfind(')').map_or(0, |end| end + 4);
            found.insert(stat.get(..end_of_parent).unwrap_or(&stat).to_owned());
        }
    }
    Ok(found)
}

/// System V shared memory, semaphores and message queues (man 7 sysvipc).
fn ipc_objects() -> io::Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for kind in ["shm", "sem", "msg"] {
        let table = fs::read_to_string(format!("/proc/sysvipc/{kind}"))?;
        for line in table.lines().skip(1) {
            let columns: Vec<&str> = line.split_whitespace().take(2).collect();
            found.insert(format!("{kind} {}", columns.join(" ")));
        }
    }
    Ok(found)
}

/// Every file below the watched directories, with what a launcher could change about it.
fn files(allowed: &Allowed) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for root in WATCHED {
        let device = fs::symlink_metadata(root).map(|of_root| of_root.dev());
        let mut to_visit = vec![PathBuf::from(root)];
        while let Some(directory) = to_visit.pop() {
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                let path = entry.path();
                let Ok(of_file) = fs::symlink_metadata(&path) else {
                    continue;
                };
                // Another file system is mounted here: `mount` tells of it.
                if device.as_ref().is_ok_and(|device| *device != of_file.dev()) {
                    continue;
                }
                let is_allowed = allowed.covers(&path);
                if of_file.is_dir() && (!is_allowed || allowed.cache.starts_with(&path)) {
                    to_visit.push(path.clone());
                }
                if !is_allowed {
                    found.insert(describe(&path, &of_file));
                }
            }
        }
    }
    found
}

/// A directory's size says nothing; its entries are looked at one by one.
fn describe(path: &Path, of_file: &fs::Metadata) -> String {
    let size = if of_file.is_dir() { 0 } else { of_file.size() };
    let (mode, uid, gid) = (of_file.mode(), of_file.uid(), of_file.gid());
    format!("{}\tmode {mode:o}, owner {uid}:{gid}, {size} bytes", path.display())
}

fn path_of(line: &str) -> &Path {
    Path::new(line.split('\t').next().unwrap_or_default())
}
