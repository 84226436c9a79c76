//! Which pods run, and the numbers of their processes: a directory for each pod in the runtime
//! directory, named by the number of pause, with a file in it. `exec` looks there. (In two PID
//! namespaces two pods can have one number. One of them gets a longer name then.)
//!
//! Whoever made a pod holds a lock on its directory, which ends with the process. So a directory
//! without a lock has no owner any more, and the next start removes it.

use anyhow::{Context, Result, bail};
use launcher::command_line::{note, one_line, tell_left_behind};
use launcher::locked_directory::{Attempt, LockedDirectory, Turn, without_owner};
use launcher::{bounded, remove_tree};
use nix::fcntl::{AT_FDCWD, ResolveFlag};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::fs::{self, DirBuilder, DirEntry};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A larger file is not one of ours: it names the containers of one manifest.
const MAX_STATE: u64 = 8 << 20;

/// What stands in the file.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Record {
    /// The name of the pod.
    pub pod: String,
    /// The PID namespace in which the numbers count, by the number of its file (namespaces(7)).
    pid_namespace: u64,
    /// The containers that run.
    pub containers: Vec<Running>,
}

impl Record {
    /// That of a pod of this PID namespace.
    ///
    /// # Errors
    /// If there is no /proc.
    pub fn new(pod: &str, containers: Vec<Running>) -> Result<Record> {
        Ok(Record { pod: pod.to_owned(), pid_namespace: own_pid_namespace()?, containers })
    }

    fn read(directory: &Path) -> Result<Record> {
        let path = directory.join("state");
        let text = bounded::read_file(&path, ResolveFlag::empty(), MAX_STATE);
        let text = text.with_context(|| format!("cannot read {path:?}"))?;
        serde_json::from_slice(&text).with_context(|| format!("cannot understand {path:?}"))
    }
}

fn own_pid_namespace() -> Result<u64> {
    let found = fs::metadata("/proc/self/ns/pid").context("cannot look at the own namespace")?;
    Ok(found.ino())
}

/// A container that runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Running {
    /// Its name.
    pub name: String,
    /// The number of its first process.
    pub pid: i32,
    /// As which user its command was started, if not as root: as the manifest or the image has it.
    pub user: Option<String>,
    /// Where it was started, if not in `/`: as the manifest or the image has it.
    pub workdir: Option<PathBuf>,
    /// When it was started (field 22 of proc_pid_stat(5)): its number may be another's by now.
    pub started: u64,
}

/// The directory of a pod. Dropped, it is removed.
#[derive(Debug)]
pub struct State {
    parent: PathBuf,
    path: PathBuf,
    _lock: LockedDirectory,
    is_gone: Cell<bool>,
}

impl State {
    // ANCHOR: create
    /// Makes the directory of the pod with this pause, and removes those of dead owners.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn create(parent: &Path, pause: Pid) -> Result<State> {
        if let Some(above) = parent.parent() {
            fs::create_dir_all(above).with_context(|| format!("cannot make {above:?}"))?;
        }
        let turn = Turn::take(parent)?;
        sweep(parent, &turn)?;
        let path = make(parent, pause)?;
        let locked = LockedDirectory::try_take(AT_FDCWD, &path)?.taken();
        let lock = locked.with_context(|| format!("somebody else has locked {path:?}"))?;
        Ok(State { parent: parent.to_owned(), path, _lock: lock, is_gone: Cell::new(false) })
    }
    // ANCHOR_END: create

    // ANCHOR: write
    /// Writes the file anew, such that a reader sees either the old text or the new one.
    ///
    /// Somebody may have removed the directory: for an ordinary user that is done at the end of the
    /// last session. The pod lives on, and that `exec` does not find it any more is told once.
    ///
    /// # Errors
    /// Those of writing a file.
    pub fn write(&self, record: &Record) -> Result<()> {
        let (new, path) = (self.path.join("state.new"), self.path.join("state"));
        let text = serde_json::to_string(record).context("cannot write down the state")?;
        match fs::write(&new, text + "\n").and_then(|()| fs::rename(&new, &path)) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if !self.is_gone.replace(true) {
                    note(format_args!(
                        "somebody has removed {:?}: exec does not find this pod any more",
                        self.path
                    ));
                }
                Ok(())
            }
            result => result.with_context(|| format!("cannot write {path:?}")),
        }
    }
    // ANCHOR_END: write
}

impl Drop for State {
    fn drop(&mut self) {
        if matches!(self.parent.try_exists(), Ok(false)) {
            return; // somebody was faster
        }
        let removed = Turn::take(&self.parent).and_then(|_turn| remove_tree(&self.path));
        tell_left_behind(removed);
    }
}

/// Makes a directory that has the number of pause in its name.
fn make(parent: &Path, pause: Pid) -> Result<PathBuf> {
    // In another PID namespace, another pause may have the same number.
    let mut other = 0;
    loop {
        let name = if other == 0 { pause.to_string() } else { format!("{pause}-{other}") };
        let path = parent.join(name);
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => other += 1,
            made => {
                made.with_context(|| format!("cannot make {path:?}"))?;
                return Ok(path);
            }
        }
    }
}

// ANCHOR: sweep
/// Removes the directories of pods whose owner is dead. Nothing is mounted in them: a container's
/// mounts are in its own mount namespace.
fn sweep(parent: &Path, turn: &Turn) -> Result<()> {
    for dead in without_owner(turn, is_of_a_pod)?.flatten() {
        if let Err(error) = remove_tree(&parent.join(dead.path())) {
            note(format_args!("a dead pod has left something: {}", one_line(&error)));
        }
    }
    Ok(())
}
// ANCHOR_END: sweep

/// Whether this is the name of a pod's directory.
fn is_of_a_pod(path: &Path) -> bool {
    number_in(path).is_some()
}

/// The number of pause in the name of a pod's directory.
fn number_in(path: &Path) -> Option<i32> {
    let name = path.file_name()?.to_str()?;
    let (number, other) = name.split_once('-').unwrap_or((name, "0"));
    other.parse::<u32>().ok().and_then(|_| number.parse().ok())
}

/// The directories of pods; none if nobody has made their parent.
fn entries(parent: &Path) -> Result<Vec<PathBuf>> {
    let cannot = || format!("cannot read {parent:?}");
    let entries = match fs::read_dir(parent) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        result => result.with_context(cannot)?,
    };
    let entries = entries.collect::<io::Result<Vec<_>>>().with_context(cannot)?;
    Ok(entries.iter().map(DirEntry::path).filter(|path| is_of_a_pod(path)).collect())
}

/// Whether the pod of this directory runs: then its owner has the lock.
fn is_running(path: &Path) -> Result<bool> {
    Ok(matches!(LockedDirectory::try_take(AT_FDCWD, path)?, Attempt::Busy))
}

/// What is known of the pod of this directory, if it runs, and its numbers count in here.
fn record_of(path: &Path) -> Result<Option<Record>> {
    if !is_running(path)? {
        return Ok(None);
    }
    let (record, own) = (Record::read(path)?, own_pid_namespace()?);
    Ok(Some(record).filter(|record| record.pid_namespace == own))
}

/// The running pod with this pause.
fn find_pod(parent: &Path, pause: i32) -> Result<Record> {
    let (asked, others): (Vec<_>, Vec<_>) =
        entries(parent)?.into_iter().partition(|path| number_in(path) == Some(pause));
    let mut failed = None;
    for path in asked {
        match record_of(&path) {
            Ok(Some(record)) => return Ok(record),
            Ok(None) => {}
            Err(error) => failed = Some(error),
        }
    }
    if let Some(error) = failed {
        return Err(error);
    }
    let others = others.iter().filter(|path| matches!(record_of(path), Ok(Some(_))));
    let others: Vec<_> = others.filter_map(|path| Some(number_in(path)?.to_string())).collect();
    let others = if others.is_empty() { "none".to_owned() } else { others.join(", ") };
    bail!("no pod of yours has the pause process {pause} (running: {others})")
}

/// The container of this name in a running pod; without a name its first one, and if it has others
/// that is told.
///
/// # Errors
/// If there is no such pod, or no such container runs in it.
pub fn find(parent: &Path, pause: i32, container: Option<&str>) -> Result<Running> {
    let record = find_pod(parent, pause)?;
    let names: Vec<_> = record.containers.iter().map(|it| it.name.as_str()).collect();
    let found = match container {
        None => {
            if let [first, _, ..] = &names[..] {
                let all = names.join(", ");
                note(format_args!(
                    "took the container {first:?}, out of {all} (-c NAME takes another)"
                ));
            }
            record.containers.first()
        }
        Some(name) => record.containers.iter().find(|it| it.name == name),
    };
    found.cloned().with_context(|| {
        let name = container.map_or("any container".into(), |name| format!("a container {name:?}"));
        format!("the pod {:?} does not run {name} (running: {})", record.pod, names.join(", "))
    })
}
