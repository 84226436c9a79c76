//! Limits, and who is in a cgroup.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::exercises::exercise::{Exercise, Fault};
use crate::exercises::judged::Judged;
use crate::exercises::verdict::expect;

pub(in crate::exercises) const PIDS_LIMIT: Exercise = Exercise {
    id: "pids-limit",
    was: &[],
    step: "v6-cgroups",
    title: "The limit that was never written",
    minutes: 15,
    source: include_str!("../../../exercises/pids-limit.rs"),
    hints: [
        "An error that is thrown away is still an error. What does this write return?",
        "The files of a cgroup are there already, and none can be made. ls in the cgroup: which \
         one holds the most processes that it may have?",
        "pids.max. And let the error out: fs::write(...).with_context(...)?",
    ],
    starter_fails: "pids.max says max",
    faults: &[
        Fault { name: "fixed", fails: "pids.max says 64" },
        Fault { name: "wrong-process", fails: "the command is not in the cgroup" },
    ],
    needs_cgroup: true,
    check: pids_limit,
};

fn pids_limit(judged: &Judged) -> Result<()> {
    let cgroup = judged.cgroup()?;
    let launcher = |words: &[&str]| {
        let mut command = judged.program();
        command.arg("--rootfs").arg(judged.rootfs()).arg("--cgroup").arg(cgroup);
        command.args(["--pids", "5"]).args(words);
        command
    };
    let running = judged.start_command(launcher(&["sh", "-c", "echo $$; exec sleep 100"]))?;
    let most = read(&cgroup.join("pids.max"))?;
    let expected = "with --pids 5 the cgroup's pids.max is 5";
    let seen = format!("pids.max says {}", most.trim());
    expect(most.trim() == "5", expected, &seen, "what is written, where, and whether it works")?;
    let members = read(&cgroup.join("cgroup.procs"))?;
    let expected = "the command is in the cgroup, so that the limit is its own";
    let seen = "the command is not in the cgroup";
    let look = "which process writes itself into cgroup.procs, and when";
    expect(members.lines().any(|pid| pid == running.first), expected, seen, look)?;
    drop(running);
    let script = "for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; echo all";
    let ended = judged.run_to_end(&mut launcher(&["sh", "-c", script]), "eight times sleep")?;
    let expected = "a container that may have 5 processes cannot start 8 more";
    expect(ended.stdout != "all", expected, "it has started them", look)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {path:?}"))
}

pub(in crate::exercises) const LAST_ONE_OUT: Exercise = Exercise {
    id: "last-one-out",
    was: &[],
    step: "v6-cgroups",
    title: "A cgroup is removed when it is empty",
    minutes: 25,
    source: include_str!("../../../exercises/last-one-out.rs"),
    hints: [
        "rmdir(2) of a cgroup gives EBUSY as long as a process is in it. Who is, when the command \
         has ended?",
        "cgroup.procs lists them. They are the container's, so they are to end with it; and a \
         process that was killed needs a moment. (cgroup.kill ends all at once, on v2 only.)",
        "loop: remove_dir; on ErrorKind::ResourceBusy send SIGKILL to each number in cgroup.procs, \
         sleep a millisecond, and again.",
    ],
    starter_fails: "the cgroup is still there, with 1 process in it",
    faults: &[
        Fault { name: "as-a-tree", fails: "the cgroup is still there, and empty" },
        Fault { name: "moved-out", fails: "1 process of the container lives on" },
    ],
    needs_cgroup: true,
    check: last_one_out,
};

fn last_one_out(judged: &Judged) -> Result<()> {
    let cgroup = judged.cgroup()?;
    let mut launcher = judged.program();
    launcher.arg("--rootfs").arg(judged.rootfs()).arg("--cgroup").arg(cgroup);
    launcher.args(["sh", "-c", "sleep 100 & cat /dev/null; exit 7"]);
    let ended = judged.run_beside(&mut launcher, "sh -c 'sleep 100 & exit 7'")?;
    let expected = "the command runs, and the launcher ends as it ends, with status 7";
    let seen = format!("status {}: {}", ended.status, ended.stderr);
    expect(ended.status == 7 || ended.status == 125, expected, &seen, "how the launcher ends")?;
    let expected = "when the launcher has ended, its cgroup is gone, and so is all that was in it";
    let look = "what rmdir wants of a cgroup, and what cgroup.procs tells";
    let group = cgroup.join("container");
    if group.exists() {
        let members = match read(&group.join("cgroup.procs"))?.lines().count() {
            0 => "and empty".to_owned(),
            1 => "with 1 process in it".to_owned(),
            count => format!("with {count} processes in it"),
        };
        // Why may stand there: cgroup.kill, say, is not in every kind of cgroup.
        let said = &ended.stderr;
        let seen = format!("the cgroup is still there, {members}. {said}");
        expect(false, expected, seen.trim_end(), look)?;
    }
    let alive = read(&cgroup.join("cgroup.procs"))?.lines().count();
    let seen = format!("{alive} process of the container lives on");
    expect(alive == 0, expected, &seen, look)?;
    let seen = format!("status {}: {}", ended.status, ended.stderr);
    expect(ended.status == 7, "the launcher ends as the command, with status 7", &seen, look)
}
