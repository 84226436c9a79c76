//! A root directory, and how a launcher ends.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result};

use crate::exercises::exercise::{Exercise, Fault};
use crate::exercises::judged::Judged;
use crate::exercises::verdict::expect;

pub(in crate::exercises) const CLOSE_THE_DOOR: Exercise = Exercise {
    id: "close-the-door",
    was: &[],
    step: "v1-chroot",
    title: "A new root, and the old working directory",
    minutes: 10,
    source: include_str!("../../../exercises/close-the-door.rs"),
    hints: [
        "chroot(2) says what it does *not* change, in a paragraph that begins with \"This call \
         does not\".",
        "A path that does not start with / starts in the working directory. Which call moves a \
         process there, and where is \"there\" once the root has changed?",
        "chdir(\"/\"), and its place is behind the chroot: before it, / is still the host's.",
    ],
    starter_fails: "the directory that the launcher was started in",
    faults: &[
        Fault { name: "before", fails: "the root directory of the host" },
        Fault { name: "old-path", fails: "cannot enter the new root" },
    ],
    needs_cgroup: false,
    check: close_the_door,
};

fn close_the_door(judged: &Judged) -> Result<()> {
    // proc_pid_cwd(5): the directory itself, wherever the process sees it.
    let identity = |path: &Path| {
        let found = fs::metadata(path).with_context(|| format!("cannot look at {path:?}"))?;
        Ok::<_, anyhow::Error>((found.dev(), found.ino()))
    };
    let running = judged.start(&["sh", "-c", "echo $$; exec sleep 100"])?;
    let found = identity(&Path::new("/proc").join(&running.first).join("cwd"))?;
    let expected = "the command stands in the root directory of the container";
    let look = "what chroot(2) does not change, and which call does";
    let seen = "it stands in the directory that the launcher was started in, on the host";
    expect(found != identity(&judged.outside())?, expected, seen, look)?;
    let order = "the order of the two calls: where is / at that moment?";
    let seen = "it stands in the root directory of the host";
    expect(found != identity(Path::new("/"))?, expected, seen, order)?;
    let seen = "it stands somewhere else";
    expect(found == identity(&judged.rootfs())?, expected, seen, look)
}

pub(in crate::exercises) const EXIT_STATUS: Exercise = Exercise {
    id: "exit-status",
    was: &[],
    step: "v1-chroot",
    title: "How did it end?",
    minutes: 15,
    source: include_str!("../../../exercises/exit-status.rs"),
    hints: [
        "A process ends in one of two ways: it calls exit, or a signal kills it. wait(2) tells \
         which.",
        "What does your shell show in $? for a command that `kill -9` has ended? Try it: \
         sh -c 'kill -9 $$'; echo $?",
        "128 plus the number of the signal. nix gives a Signal; `signal as i32` is its number.",
    ],
    starter_fails: "it ended with status 0",
    faults: &[
        Fault { name: "bare-number", fails: "it ended with status 9" },
        Fault { name: "failure", fails: "it ended with status 1" },
        Fault { name: "wait-status", fails: "`exit 3` ended with status 0" },
    ],
    needs_cgroup: false,
    check: exit_status,
};

fn exit_status(judged: &Judged) -> Result<()> {
    for (script, expected, look) in [
        ("exit 3", 3, "what waitpid gives, and what of it is the exit status"),
        ("kill -KILL $$", 137, "what a shell makes of a death by a signal: 128 and its number"),
        ("kill -TERM $$", 143, "what a shell makes of a death by a signal: 128 and its number"),
    ] {
        let ended = judged.run(&["sh", "-c", script])?;
        let what = format!("a container that runs `{script}` ends with status {expected}");
        let script = if script == "exit 3" { "`exit 3`" } else { "it" };
        let seen = format!("{script} ended with status {}", ended.status);
        expect(ended.status == expected, &what, &seen, look)?;
    }
    let ended = judged.run(&["no-such-command"])?;
    let what = "a command that is not there gives status 127";
    let seen = format!("status {}", ended.status);
    expect(ended.status == 127, what, &seen, "how the child ends when exec fails")
}
