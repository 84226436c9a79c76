//! Who removes a cgroup, when, and whose.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::mount::umount;
use testbed::elsewhere::bind;
use testbed::running::{is_alive, within};
use testbed::{Host, Suite};

use crate::tree::{all, cgroup, either, is_unified, read, top, top_of_v2};

pub fn add(suite: Suite) -> Suite {
    suite
        .root("a_cgroup_ends_with_its_container", a_cgroup_ends_with_its_container)
        .root("nothing_is_left_after_a_failure", nothing_is_left_after_a_failure)
        .root("a_killed_launcher_is_swept_after", a_killed_launcher_is_swept_after)
        .root("a_process_without_owner_is_swept", a_process_without_owner_is_swept)
        .root("a_living_launcher_is_not_swept", a_living_launcher_is_not_swept)
        .root("cgroups_made_inside_go_too", cgroups_made_inside_go_too)
        .root("cgroups_with_a_long_way_go_too", cgroups_with_a_long_way_go_too)
        .root("what_cannot_be_removed_is_told", what_cannot_be_removed_is_told)
        .long()
        .root("a_hundred_at_once", a_hundred_at_once)
        .root("many_short_ones_at_once", many_short_ones_at_once)
}

const LIMITS: [&str; 6] = ["-m", "64m", "--cpus", "1", "--pids-limit", "9"];

fn assert_none() {
    assert_eq!(all(), Vec::<std::path::PathBuf>::new());
    for controller in ["memory", "cpu", "pids"] {
        assert!(!top(controller).join("container-steps").exists(), "{controller}");
    }
    assert!(!top_of_v2().join("container-steps").exists());
}

fn a_cgroup_ends_with_its_container(host: &Host) {
    assert_eq!(host.run(LIMITS.into_iter().chain(["sh", "-c", "exit 3"])).code(), 3);
    assert_none();
}

fn nothing_is_left_after_a_failure(host: &Host) {
    let run = |arguments: &[&str]| host.run(LIMITS.iter().chain(arguments));
    run(&["no-such-command"]).assert_refused(127, &["no-such-command"]);
    assert_none();
    run(&["-v", "/etc/hosts:/etc", "true"]).assert_refused(125, &["one is a file"]);
    assert_none();
    run(&["--hostname", "", "true"]).assert_refused(125, &["it is empty"]);
    assert_none();
    run(&["--rootfs", "/etc", "true"]).assert_refused(125, &["/proc"]);
    assert_none();
}

fn start_waiting(host: &Host) -> testbed::Running {
    start_waiting_and_tell(host, Stdio::inherit())
}

fn start_waiting_and_tell(host: &Host, notes: Stdio) -> testbed::Running {
    let mut launcher = host.launcher();
    launcher.stderr(notes);
    launcher.args(LIMITS).args(["sh", "-c", "echo ready; read line"]);
    let mut running = host.follow(launcher.stdin(Stdio::piped()));
    running.expect_line("ready");
    running
}

fn a_killed_launcher_is_swept_after(host: &Host) {
    let mut running = start_waiting(host);
    let (pid, command) = (running.pid(), running.command());
    running.supervisor.kill().unwrap();
    running.supervisor.wait().unwrap();
    within(Duration::from_secs(2), "the command ends", || !is_alive(command));
    assert!(cgroup("memory", pid).exists(), "there is nothing to sweep");
    // Another limit: what is not used this time is swept as well.
    host.run(["--pids-limit", "9", "true"]).text();
    assert_none();
}

fn a_process_without_owner_is_swept(host: &Host) {
    host.warm_up();
    let orphan = top("pids").join("container-steps/4711");
    fs::create_dir_all(&orphan).unwrap();
    let mut process = Command::new("sleep").arg("1000").spawn().unwrap();
    fs::write(orphan.join("cgroup.procs"), process.id().to_string()).unwrap();
    assert_eq!(read(&orphan, "cgroup.procs"), process.id().to_string());
    host.run(["-m", "64m", "true"]).text();
    assert!(!process.wait().unwrap().success());
    assert_none();
}

fn a_living_launcher_is_not_swept(host: &Host) {
    let mut running = start_waiting(host);
    host.run(["-m", "32m", "true"]).text();
    let memory = cgroup("memory", running.pid());
    assert_eq!(read(&memory, either("memory.max", "memory.limit_in_bytes")), "67108864");
    drop(running.supervisor.stdin.take());
    running.code();
    assert_none();
}

/// A container's root has all capabilities: it can make the mount writable.
fn cgroups_made_inside_go_too(host: &Host) {
    let place = if is_unified() { "/sys/fs/cgroup" } else { "/sys/fs/cgroup/pids" };
    let script = format!(
        "mount -o remount,bind,rw {place} && mkdir -p {place}/a/b && sleep 1000 & sleep 0.2; \
         echo $! >{place}/a/b/cgroup.procs && echo made"
    );
    let outcome = host.run(LIMITS.into_iter().chain(["sh", "-c", script.as_str()]));
    assert_eq!(outcome.text(), "made\n");
    assert_none();
}

/// Also if their path is longer than the kernel takes one. (The container's root could make them as
/// above; a shell cannot.)
fn cgroups_with_a_long_way_go_too(host: &Host) {
    let mut running = start_waiting(host);
    std::env::set_current_dir(cgroup("pids", running.pid())).unwrap();
    for _ in 0..30 {
        let name = "a".repeat(200);
        fs::create_dir(&name).unwrap();
        fs::create_dir("beside").unwrap();
        std::env::set_current_dir(&name).unwrap();
    }
    std::env::set_current_dir("/").unwrap();
    drop(running.supervisor.stdin.take());
    running.code();
    assert_none();
}

/// A mount point is one of those, and so is what it is in. All others go, and it is told of each
/// that stays; of what it is in only at the top.
fn what_cannot_be_removed_is_told(host: &Host) {
    let notes = host.dir("told").join("stderr");
    let mut running = start_waiting_and_tell(host, File::create(&notes).unwrap().into());
    let path = cgroup("pids", running.pid());
    let staying = ["a/b/first", "c/second"].map(|name| path.join(name));
    for directory in &staying {
        fs::create_dir_all(directory).unwrap();
        bind(directory.to_str().unwrap(), directory.to_str().unwrap()).unwrap();
    }
    for number in 0..8 {
        for above in ["a", "a/b", "c", ""] {
            fs::create_dir(path.join(above).join(format!("going{number}"))).unwrap();
        }
    }
    drop(running.supervisor.stdin.take());
    assert_eq!(running.code(), 1);
    let mut told: Vec<_> = fs::read_to_string(&notes).unwrap().lines().map(str::to_owned).collect();
    told.sort_unstable();
    let busy = "EBUSY: Device or resource busy";
    assert_eq!(
        told,
        [
            format!("Note: cannot remove the cgroup {path:?}: {busy}"),
            format!("Note: cannot remove the cgroup \"first\" in {path:?}: {busy}"),
            format!("Note: cannot remove the cgroup \"second\" in {path:?}: {busy}"),
        ]
    );
    let is_left = |name: &str| path.join(name).exists();
    assert!(is_left("a/b/first") && is_left("c/second"));
    for above in ["a", "a/b", "c", ""] {
        assert!((0..8).all(|number| !is_left(&format!("{above}/going{number}"))), "{above:?}");
    }
    assert_eq!(all(), [path], "the other trees");
    for directory in &staying {
        umount(directory).unwrap();
    }
    host.run(["--pids-limit", "9", "true"]).text();
    assert_none();
}

fn a_hundred_at_once(host: &Host) {
    host.warm_up();
    let start = |_| {
        let mut launcher = host.launcher();
        launcher.args(["--net", "none", "-m", "16m", "--cpus", "0.1", "--pids-limit", "5"]);
        launcher.args(["sh", "-c", "echo ready; read line"]).stdin(Stdio::piped());
        host.follow(&mut launcher)
    };
    let mut running: Vec<_> = (0..100).map(start).collect();
    for one in &mut running {
        one.expect_line("ready");
    }
    for one in &mut running {
        let memory = cgroup("memory", one.pid());
        assert_eq!(read(&memory, either("memory.max", "memory.limit_in_bytes")), "16777216");
        assert_eq!(read(&cgroup("pids", one.pid()), "pids.max"), "5");
        assert_eq!(read(&cgroup("pids", one.pid()), "pids.current"), "1");
        let used = read(&memory, either("memory.current", "memory.usage_in_bytes"));
        assert!(used.parse::<u64>().unwrap() <= 16 << 20, "{used}");
        drop(one.supervisor.stdin.take());
    }
    for one in &mut running {
        assert_eq!(one.code(), 1);
    }
    assert_none();
}

/// Cgroups come and go, and with the last the one above them: each start may meet that moment.
fn many_short_ones_at_once(host: &Host) {
    host.warm_up();
    let start =
        |_| host.launcher().args(["--net", "none", "--pids-limit", "5", "true"]).spawn().unwrap();
    for _ in 0..8 {
        let launchers: Vec<_> = (0..15).map(start).collect();
        for mut launcher in launchers {
            assert!(launcher.wait().unwrap().success());
        }
        assert!(!Path::new(&top("pids")).join("container-steps").exists());
    }
}
