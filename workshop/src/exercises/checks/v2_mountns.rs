//! Mounts that leak, and a root that stays.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use launcher::mountinfo::mounts_of;

use crate::exercises::exercise::{Exercise, Fault};
use crate::exercises::judged::Judged;
use crate::exercises::verdict::expect;

pub(in crate::exercises) const LEAKED_MOUNT: Exercise = Exercise {
    id: "leaked-mount",
    was: &[],
    step: "v2-mountns",
    title: "A mount that leaks out of its namespace",
    minutes: 20,
    source: include_str!("../../../exercises/leaked-mount.rs"),
    hints: [
        "A new mount namespace is a copy, and the copies of a shared mount keep each other up to \
         date. On a machine with systemd every mount is shared: findmnt -o TARGET,PROPAGATION.",
        "mount(2) can change the propagation of mounts that are there already: see MS_PRIVATE and \
         MS_REC in mount_namespaces(7).",
        "mount(None::<&str>, \"/\", None::<&str>, MS_REC | MS_PRIVATE, None::<&str>), in the \
         namespace that is yours, before the first mount of yours.",
    ],
    starter_fails: "2 mounts of the container are on the host",
    faults: &[
        Fault { name: "too-late", fails: "1 mount of the container is on the host" },
        Fault { name: "too-early", fails: "the host's own mounts are private now" },
    ],
    needs_cgroup: false,
    check: leaked_mount,
};

fn leaked_mount(judged: &Judged) -> Result<()> {
    let before = mount_points()?;
    let ended =
        judged.run(&["sh", "-c", "echo x > /tmp/x && echo x > /run/x && cat /tmp/x /run/x"])?;
    let expected = "the container has a /tmp and a /run of its own, and can write there";
    expect(ended.stdout == "x\nx", expected, &ended.stderr, "whether they are mounted at all")?;
    let after = mount_points()?;
    let own = after.get(judged.rootfs().parent().unwrap_or(&judged.rootfs()));
    expect(
        own.is_some_and(|is_shared| *is_shared),
        "the mounts of the host stay shared: they are not yours",
        "the host's own mounts are private now",
        "which process makes them private, and in which mount namespace it is at that moment",
    )?;
    let leaked: Vec<_> = after.keys().filter(|path| !before.contains_key(*path)).collect();
    let seen = match leaked.len() {
        1 => format!("1 mount of the container is on the host: {}", leaked[0].display()),
        count => format!("{count} mounts of the container are on the host: {leaked:?}"),
    };
    let expected = "when the container has ended, the host has the mounts that it had before";
    let look = "the propagation of the mounts, and when it is changed";
    expect(leaked.is_empty(), expected, &seen, look)?;
    let inside = judged.run(&["ls", "/tmp"])?;
    let expected = "each container begins with an empty /tmp";
    expect(inside.stdout.is_empty(), expected, &inside.stdout, "what is mounted on /tmp")
}

/// The mount points of the host, and whether each is shared.
fn mount_points() -> Result<BTreeMap<PathBuf, bool>> {
    let mounts = mounts_of("self")?;
    Ok(mounts.iter().map(|mount| (mount.mount_point.clone(), mount.is_shared())).collect())
}

pub(in crate::exercises) const OLD_ROOT: Exercise = Exercise {
    id: "old-root",
    was: &[],
    step: "v2-mountns",
    title: "The old root stays",
    minutes: 20,
    source: include_str!("../../../exercises/old-root.rs"),
    hints: [
        "pivot_root(2) *moves* the old root, it does not take it away. Where is it now?",
        "umount2(2) takes it away. It is busy, though: this very program was started from a file \
         in there. Which flag says \"as soon as nobody needs it\"?",
        "umount2(\"/old\", MntFlags::MNT_DETACH), behind the chdir.",
    ],
    starter_fails: "the files of the host are in /old",
    faults: &[
        Fault { name: "busy", fails: "EBUSY" },
        Fault { name: "covered", fails: "come back when /old is unmounted" },
        Fault { name: "still-inside", fails: "the working directory is outside" },
    ],
    needs_cgroup: false,
    check: old_root,
};

fn old_root(judged: &Judged) -> Result<()> {
    let expected = "nothing of the host can be reached from inside the container";
    let old = judged.run(&["sh", "-c", "ls /old 2>/dev/null; true"])?;
    let shown = old.stdout.lines().collect::<Vec<_>>().join(" ");
    let seen = format!("the files of the host are in /old: {shown}");
    expect(old.stdout.is_empty(), expected, &seen, "what pivot_root does with the old root")?;
    let here = judged.run(&["sh", "-c", "ls; true"])?;
    let shown = here.stdout.lines().collect::<Vec<_>>().join(" ");
    let seen = format!("the working directory is outside: {shown}");
    let look = "which call moves the process itself";
    expect(!here.stdout.contains("file-of-the-host"), expected, &seen, look)?;
    let below = judged.run(&["sh", "-c", "umount /old 2>/dev/null; ls /old 2>/dev/null; true"])?;
    let seen = "the files of the host come back when /old is unmounted";
    let look = "whether something was taken away, or only covered";
    expect(below.stdout.is_empty(), expected, seen, look)
}
