//! Who joins a PID namespace can be looked at from inside: with CAP_SYS_PTRACE it works, and no
//! container has that.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};
use testbed::{Host, Outcome, Suite};

use crate::pod::{Pod, scripts};

pub fn add(suite: Suite) -> Suite {
    suite
        .both("a_joining_process_cannot_be_looked_at", a_joining_process_cannot_be_looked_at)
        .long()
}

const ATTACKER: &str = "--attacker";

/// What the attacker prints when it begins.
const LOOKS: &str = "looks";

pub fn is_attacker() -> bool {
    std::env::args().nth(1).is_some_and(|first| first == ATTACKER)
}

/// Looks at every new process of its PID namespace, as fast as it can: whether its executable or
/// its root directory can be reached while it still is a process of the host. Tells how many it
/// has seen before they executed anything, and how many of them it could look into.
pub fn attack() -> ! {
    println!("{LOOKS}");
    let (mut seen, mut reached) = (BTreeSet::new(), BTreeSet::new());
    let mut held = BTreeSet::new();
    let end = Instant::now() + Duration::from_secs(6);
    let all = || {
        fs::read_dir("/proc").unwrap().flatten().filter_map(|it| it.file_name().into_string().ok())
    };
    while Instant::now() < end {
        for pid in all().filter(|name| name.starts_with(|c: char| c.is_ascii_digit())) {
            let name = fs::read_to_string(format!("/proc/{pid}/comm"));
            if !name.is_ok_and(|name| name.trim() == "v8-pause") {
                continue; // one of the container's
            }
            let exe = fs::read_link(format!("/proc/{pid}/exe"));
            let is_reached = exe.is_ok_and(|exe| exe.to_string_lossy().contains("v8-pause"))
                || fs::metadata(format!("/proc/{pid}/root/run/testbed")).is_ok()
                || fs::File::open(format!("/proc/{pid}/mem")).is_ok()
                || fs::read_link(format!("/proc/{pid}/fd/0")).is_ok();
            // Still the same process, which has not executed anything?
            let name = fs::read_to_string(format!("/proc/{pid}/comm"));
            if name.is_ok_and(|name| name.trim() == "v8-pause") {
                if is_reached {
                    reached.insert(pid.clone());
                }
                held.extend(open_files(&pid).filter(|target| !target.starts_with("pipe:")));
                seen.insert(pid);
            }
        }
    }
    println!("held {held:?}");
    println!("seen {} reached {}", seen.len(), reached.len());
    std::process::exit(0);
}

/// What the descriptors of a process lead to, as far as it can be seen.
fn open_files(pid: &str) -> impl Iterator<Item = String> {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let targets = files.filter_map(|file| fs::read_link(file.path()).ok());
    targets.map(|target| target.to_string_lossy().into_owned())
}

/// Starts the attacker in the PID namespace of the pod: with or without the one capability.
fn attacker(pod: &Pod, with_ptrace: bool) -> Command {
    let namespaces = ["user", "pid"]
        .map(|kind| (kind, fs::File::open(format!("/proc/{}/ns/{kind}", pod.pause)).unwrap()));
    let own = fs::read_link("/proc/self/ns/user").unwrap();
    let is_other = fs::read_link(format!("/proc/{}/ns/user", pod.pause)).unwrap() != own;
    let mut command = Command::new("unshare");
    // A child of this is born in the PID namespace, and mounts its /proc.
    command.args(["--mount", "--fork", "--mount-proc", "setpriv"]);
    if !with_ptrace {
        command.args(["--bounding-set=-sys_ptrace", "--inh-caps=-all"]);
    }
    command.args([testbed::EXE, ATTACKER]).stdout(Stdio::piped());
    let join = move || {
        for (kind, file) in &namespaces {
            if *kind == "pid" {
                setns(file, CloneFlags::CLONE_NEWPID)?;
            } else if is_other {
                setns(file, CloneFlags::CLONE_NEWUSER)?;
                nix::unistd::setgid(0.into())?;
                nix::unistd::setuid(0.into())?;
            }
        }
        Ok(())
    };
    // SAFETY: a body has one thread, so its child may do anything.
    unsafe { command.pre_exec(join) };
    command
}

fn a_joining_process_cannot_be_looked_at(host: &Host) {
    if Command::new("setpriv").arg("--version").output().is_err() {
        host.skip("no setpriv on this machine: install util-linux");
    }
    let more = "  shareProcessNamespace: true\n";
    let mut pod = Pod::start_ready(host, &scripts(more, &[("a", "echo ready; sleep 1000")]), 1);
    let mut results = Vec::new();
    for with_ptrace in [true, false] {
        let mut child = attacker(&pod, with_ptrace).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut text = String::new();
        output.read_line(&mut text).unwrap();
        assert_eq!(text.trim(), LOOKS);
        for _ in 0..20 {
            Outcome::of(&mut pod.exec_command(&["--", "true"])).text();
        }
        output.read_to_string(&mut text).unwrap();
        child.wait().unwrap();
        let line = text.lines().last().unwrap_or_default().to_owned();
        let numbers: Vec<u32> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
        let [seen, reached] = numbers[..] else { panic!("{text}") };
        results.push((seen, reached));
        for kind in ["user", "cgroup", "ipc", "uts", "net", "pid"] {
            assert!(!text.contains(&format!("{kind}:[")), "a namespace is still open: {text}");
        }
    }
    let [(_, with), (seen, without)] = results[..] else { panic!("{results:?}") };
    // Of a user's pod, the memory of the joining process belongs to the namespace outside: no
    // capability of the inside is enough.
    assert_eq!(with > 0, host.is_root(), "the attack works with the capability: {results:?}");
    assert!(seen > 0 && without == 0, "and not without: {results:?}");
    pod.stop();
}
