//! The cgroup namespace, and /sys/fs/cgroup inside.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;

use testbed::{Host, Suite};

use crate::tree::{PLACE, all, cgroup, is_unified, read, top_of_v2};

pub fn add(suite: Suite) -> Suite {
    suite
        .both("without_limits_there_is_no_cgroup", without_limits_there_is_no_cgroup)
        .root("inside_the_cgroup_is_the_root", inside_the_cgroup_is_the_root)
        .root("the_command_is_in_it_and_who_waits_is_not", the_command_is_in_it)
        .root("every_tree_that_is_shown_has_a_cgroup", every_tree_that_is_shown_has_a_cgroup)
        .root("sys_fs_cgroup_is_read_only", sys_fs_cgroup_is_read_only)
        .root("the_rootfs_gets_empty_mount_points", the_rootfs_gets_empty_mount_points)
        .root("a_link_in_place_of_sys_is_refused", a_link_in_place_of_sys_is_refused)
}

fn without_limits_there_is_no_cgroup(host: &Host) {
    let mut running = host.start_sh("cat /proc/self/cgroup >/tmp/cgroup; echo ready; sleep 1000");
    assert_eq!(all(), Vec::<std::path::PathBuf>::new());
    let inside = fs::read_to_string(host.rootfs().join("tmp/cgroup")).unwrap();
    assert!(inside.lines().all(|line| line.ends_with(":/")), "{inside}");
    running.supervisor.kill().unwrap();
    running.supervisor.wait().unwrap();
}

fn inside_the_cgroup_is_the_root(host: &Host) {
    let script = "cat /proc/self/cgroup >/tmp/cgroup; echo ready; read line";
    let mut launcher = host.launcher();
    launcher.args(["-m", "64m", "sh", "-c", script]).stdin(std::process::Stdio::piped());
    let mut running = host.follow(&mut launcher);
    running.expect_line("ready");
    let inside = fs::read_to_string(host.rootfs().join("tmp/cgroup")).unwrap();
    assert!(inside.lines().any(|line| line == "0::/"), "{inside}");
    assert!(inside.lines().all(|line| line.ends_with(":/")), "{inside}");
    // The same process, seen from the host.
    let outside = fs::read_to_string(format!("/proc/{}/cgroup", running.command())).unwrap();
    let name = format!("/container-steps/{}", running.pid());
    let place = if is_unified() { format!("0::{name}") } else { format!(":memory:{name}") };
    assert!(outside.lines().any(|line| line.ends_with(&place)), "{outside}");
    drop(running.supervisor.stdin.take());
    running.code();
}

fn the_command_is_in_it(host: &Host) {
    let mut launcher = host.launcher();
    launcher.args(["-m", "64m", "--pids-limit", "9", "sh", "-c", "sleep 999 & echo ready; read x"]);
    let mut running = host.follow(launcher.stdin(std::process::Stdio::piped()));
    running.expect_line("ready");
    let command = running.command();
    let expected: BTreeSet<u32> =
        testbed::running::children(command).into_iter().chain([command]).collect();
    assert_eq!(expected.len(), 2);
    for controller in ["memory", "pids"] {
        let procs = read(&cgroup(controller, running.pid()), "cgroup.procs");
        let procs: BTreeSet<u32> = procs.lines().map(|pid| pid.parse().unwrap()).collect();
        assert_eq!(procs, expected, "{controller}");
    }
    drop(running.supervisor.stdin.take());
    running.code();
}

fn every_tree_that_is_shown_has_a_cgroup(host: &Host) {
    // A link is a second name of a tree: of one with two controllers, or of version 2's.
    let script = "cd /sys/fs/cgroup; for name in *; do [ -L $name ] || echo $name; done; \
                  echo ready; read line";
    let mut launcher = host.launcher();
    launcher.args(["-m", "64m", "--cpus", "1", "--pids-limit", "9", "sh", "-c", script]);
    let mut running = host.follow(launcher.stdin(std::process::Stdio::piped()));
    let mut shown = BTreeSet::new();
    loop {
        let line = running.line();
        if line == "ready" {
            break;
        }
        shown.extend(line.split_whitespace().map(str::to_owned));
    }
    if is_unified() {
        assert!(shown.contains("memory.max") && shown.contains("pids.max"), "{shown:?}");
        assert!(!shown.contains("container-steps"), "{shown:?}");
    } else {
        let trees = all().into_iter().map(|path| {
            let tree = path.strip_prefix(PLACE).unwrap().components().next().unwrap();
            tree.as_os_str().to_string_lossy().into_owned()
        });
        assert_eq!(shown, trees.collect());
        let expected = ["cpu", "memory", "pids"];
        assert!(expected.iter().all(|name| shown.contains(*name)), "{shown:?}");
        assert!(!shown.contains("unified"), "it has no controllers: {shown:?}");
    }
    drop(running.supervisor.stdin.take());
    running.code();
}

fn sys_fs_cgroup_is_read_only(host: &Host) {
    let places = if is_unified() { "." } else { ". memory pids" };
    let script = format!(
        "cd /sys/fs/cgroup; for i in {places}; do mkdir $i/x 2>/dev/null && echo made; \
         echo 1 2>/dev/null >$i/cgroup.procs && echo written; done; \
         cat {}cgroup.procs; true",
        if is_unified() { "" } else { "pids/" }
    );
    let outcome = host.run(["-m", "64m", "--pids-limit", "9", "sh", "-c", &script]);
    let pids: Vec<u32> = outcome.text().lines().map(|pid| pid.parse().unwrap()).collect();
    // The shell and its cat. Whoever is not of our PID namespace would be shown as 0.
    assert_eq!(pids.len(), 2, "{outcome:?}");
    assert_eq!(pids[0], 1, "{outcome:?}");
}

fn the_rootfs_gets_empty_mount_points(host: &Host) {
    let rootfs = host.own_rootfs();
    let rootfs_text = rootfs.to_str().unwrap();
    host.run(["--net", "host", "--rootfs", rootfs_text, "-m", "64m", "sh", "-c", "exit"]).text();
    assert_eq!(fs::read_dir(rootfs.join("sys/fs/cgroup")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(rootfs.join("sys/fs")).unwrap().count(), 1);
    assert!(top_of_v2().exists());
}

fn a_link_in_place_of_sys_is_refused(host: &Host) {
    let rootfs = host.own_rootfs();
    symlink("/tmp/own", rootfs.join("sys")).unwrap();
    let outcome = host.run([
        "--net",
        "host",
        "--rootfs",
        rootfs.to_str().unwrap(),
        "-m",
        "64m",
        "sh",
        "-c",
        "exit",
    ]);
    outcome.assert_refused(125, &["cannot use /sys", "ELOOP", "symbolic link"]);
}
