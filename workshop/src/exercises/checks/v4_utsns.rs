//! A hostname, and whose it is.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use nix::sched::{CloneFlags, setns};
use nix::unistd::{gethostname, sethostname};
use v2_mountns::unshare;

use crate::exercises::exercise::{Exercise, Fault};
use crate::exercises::judged::Judged;
use crate::exercises::verdict::expect;
use crate::host::NAME;

pub(in crate::exercises) const WHOSE_NAME: Exercise = Exercise {
    id: "whose-name",
    was: &[],
    step: "v4-utsns",
    title: "Whose name is it?",
    minutes: 10,
    source: include_str!("../../../exercises/whose-name.rs"),
    hints: [
        "sethostname(2) sets the name of the UTS namespace that its caller is in. Which one is \
         that, at this moment, in this process?",
        "The child takes the new namespace. So the child, and not the launcher, has to set the \
         name.",
        "set_hostname(\"container\")? belongs into the closure, behind unshare.",
    ],
    starter_fails: "the host is called \"container\" now, and so is the container",
    faults: &[
        Fault { name: "wrong-process", fails: "and the container still \"host\"" },
        Fault { name: "nobody", fails: "the container is called \"host\", like the host" },
    ],
    needs_cgroup: false,
    check: whose_name,
};

fn whose_name(judged: &Judged) -> Result<()> {
    let inside = judged.run(&["sh", "-c", "sleep 0.2; hostname"])?.stdout;
    let outside = gethostname().context("cannot ask for the hostname")?;
    let outside = outside.to_string_lossy();
    let expected = "the container is called \"container\", and the host keeps its name";
    let seen = match (inside == "container", outside == NAME) {
        (true, true) => return Ok(()),
        (true, false) => format!("the host is called {outside:?} now, and so is the container"),
        (false, true) => format!("the container is called {inside:?}, like the host"),
        (false, false) => {
            format!("the host is called {outside:?}, and the container still {inside:?}")
        }
    };
    expect(false, expected, &seen, "which process sets the name, and in which UTS namespace it is")
}

pub(in crate::exercises) const SETNS_THREAD: Exercise = Exercise {
    id: "setns-thread",
    was: &[],
    step: "v4-utsns",
    title: "Entering namespaces, and who is in them",
    minutes: 15,
    source: include_str!("../../../exercises/setns-thread.rs"),
    hints: [
        "setns(2) speaks of the calling *thread*. Which thread executes the command?",
        "One call moves the thread into one namespace: that of the file. A container has several, \
         and each has its own file in /proc/PID/ns.",
        "Leave the thread out, and call enter for \"uts\" and for \"net\" in main's own thread.",
    ],
    starter_fails: "the command is in the host's UTS and network namespaces",
    faults: &[
        Fault { name: "name-only", fails: "the command is in the host's network namespace" },
        Fault { name: "network-only", fails: "the command is in the host's UTS namespace" },
    ],
    needs_cgroup: false,
    check: setns_thread,
};

fn setns_thread(judged: &Judged) -> Result<()> {
    let container = Container::start(judged)?;
    let mut lacking = Vec::new();
    for (file, name) in [("uts", "UTS"), ("net", "network")] {
        let mut command = judged.program();
        command.arg(container.0.id().to_string()).arg(judged.busybox());
        command.args(["readlink", &format!("/proc/self/ns/{file}")]);
        let ended = judged.run_beside(&mut command, "setns-thread PID readlink")?;
        let expected = "the command runs in the UTS and network namespaces of the process";
        expect(!ended.stdout.is_empty(), expected, &ended.stderr, "the step that it names")?;
        if ended.stdout != namespace_of(&container.0.id().to_string(), file)? {
            lacking.push(name);
        }
    }
    let seen = match lacking[..] {
        [] => return Ok(()),
        [one] => format!("the command is in the host's {one} namespace"),
        _ => "the command is in the host's UTS and network namespaces".to_owned(),
    };
    let expected = "the command runs in the UTS and network namespaces of the process";
    expect(false, expected, &seen, "which thread enters, and how many namespaces one call is for")
}

fn namespace_of(pid: &str, file: &str) -> Result<String> {
    let path = PathBuf::from("/proc").join(pid).join("ns").join(file);
    let link = fs::read_link(&path).with_context(|| format!("cannot read {path:?}"))?;
    Ok(link.display().to_string())
}

/// A process with a UTS and a network namespace of its own.
struct Container(Child);

impl Container {
    fn start(judged: &Judged) -> Result<Container> {
        let kinds = CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWNET;
        let home = ["uts", "net"].map(|file| File::open(format!("/proc/self/ns/{file}")));
        unshare(kinds)?;
        sethostname("container").context("cannot set the hostname")?;
        let mut sleep = Command::new(judged.busybox());
        let sleep = sleep.args(["sleep", "100"]).stdin(Stdio::null()).spawn();
        for file in home {
            let file = file.context("cannot open a namespace")?;
            setns(file, CloneFlags::empty()).context("cannot return")?;
        }
        Ok(Container(sleep.context("cannot run sleep")?))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // If it fails, the end of the host does it.
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}
