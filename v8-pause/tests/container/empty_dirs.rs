//! Volumes that are made with a pod and go with it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use testbed::running::{descendants, is_alive, within};
use testbed::{Host, Suite};

use crate::pod::{Pod, run, scripts};

pub fn add(suite: Suite) -> Suite {
    suite
        .both("an_empty_dir_is_shared_and_goes", an_empty_dir_is_shared_and_goes)
        .user(
            "an_empty_dir_is_shared_and_goes_with_a_range",
            Host::with_subordinate_ids(an_empty_dir_is_shared_and_goes),
        )
        .both("an_empty_dir_without_a_bottom_goes_too", an_empty_dir_without_a_bottom)
        .long()
        .both("an_empty_dir_lies_on_disk", an_empty_dir_lies_on_disk)
        .user("what_a_dead_pod_has_left_keeps_nobody_with_a_range", what_a_dead_pod_has_left)
        .both("an_empty_dir_can_be_in_memory", an_empty_dir_can_be_in_memory)
        .both("one_in_memory_lives_as_long_as_the_pod", one_in_memory_lives_as_long_as_the_pod)
        .both("one_in_memory_goes_with_a_killed_supervisor", one_in_memory_goes_with_a_killed)
        .both("without_a_size_it_is_half_of_the_memory", without_a_size_it_is_half_of_the_memory)
        .root("it_holds_no_more_than_the_pod_may_take", it_holds_no_more_than_the_pod_may_take)
        .root("what_is_in_memory_counts_for_who_writes_it", what_is_in_memory_counts)
        .both("a_size_limit_on_disk_is_told", a_size_limit_on_disk_is_told)
}

const READY: &str = "echo ready; exec sleep 1000";
const MEMORY: &str = "  volumes: [{name: v, emptyDir: {medium: Memory, sizeLimit: 1Mi}}]\n";
const MOUNT: &str = "    volumeMounts: [{name: v, mountPath: /v}]\n";

/// Where the volumes of the only pod are.
#[track_caller]
pub fn directory(host: &Host) -> PathBuf {
    let mut entries = fs::read_dir(host.cache().join("volumes")).unwrap();
    entries.next().unwrap().unwrap().path()
}

fn an_empty_dir_is_shared_and_goes(host: &Host) {
    let write = scripts("  volumes: [{name: v, emptyDir: {}}]\n", &[("a", READY)]);
    let read = "  - {name: b, image: busybox, command: [sh, -c, echo ready; sleep 1000],\n    \
                volumeMounts: [{name: v, mountPath: /there, readOnly: true}]}\n";
    let mut pod = Pod::start_ready(host, &(write + MOUNT + read), 2);
    let mode = pod
        .sh("echo hello > /v/file; stat -c %a /v; mkdir -p /v/of/5; touch /v/of/5/file; chmod \
             700 /v/of/5; chown -R 5 /v/of/5 /v/file 2>/dev/null; true");
    assert_eq!(mode, "777\n");
    assert_eq!(pod.sh_in("b", "cat /there/file"), "hello\n");
    let refused = pod.exec(&["-c", "b", "--", "touch", "/there/file"]);
    assert!(refused.code() == 1 && refused.stderr.contains("Read-only"), "{refused:?}");
    let volumes = directory(host);
    assert_eq!(fs::metadata(&volumes).unwrap().mode() & 0o777, 0o700, "nobody else may enter");
    pod.stop(); // the leak check looks for the directory
    assert!(!volumes.exists());
}

/// Deeper than there are descriptors, or stack, for one who walks down; and longer than a path.
fn an_empty_dir_without_a_bottom(host: &Host) {
    let spec = scripts("  volumes: [{name: v, emptyDir: {}}]\n", &[("a", READY)]);
    let mut pod = Pod::start_ready(host, &(spec + MOUNT), 1);
    let volumes = directory(host);
    host.dig(&volumes.join("v"), 30_000);
    fs::write(volumes.join("v/removed1"), "a name that our own might have").unwrap();
    pod.stop();
    assert!(!volumes.exists(), "left behind");
}

/// Where the cache is. What is in /run would be in memory, and could fill it for all others.
fn an_empty_dir_lies_on_disk(host: &Host) {
    let spec = scripts("  volumes: [{name: v}]\n", &[("a", READY)]) + MOUNT;
    let mut pod = Pod::start_ready(host, &spec, 1);
    let device = fs::metadata(host.cache()).unwrap().dev();
    assert_eq!(pod.sh("stat -c %d /v"), format!("{device}\n"));
    pod.sh("echo x > /v/file");
    assert_eq!(fs::read_to_string(directory(host).join("v/file")).unwrap(), "x\n");
    pod.stop();
}

/// Files of ids that this user has had, and has no more.
fn what_a_dead_pod_has_left(host: &Host) {
    host.give_subordinate_ids();
    let spec = scripts("  volumes: [{name: v}]\n", &[("a", READY)]) + MOUNT;
    let mut pod = Pod::start_ready(host, &spec, 1);
    pod.sh("mkdir /v/of-5; touch /v/of-5/file; chown 5 /v/of-5");
    let left = directory(host);
    pod.running.supervisor.kill().unwrap();
    pod.running.supervisor.wait().unwrap();
    for file in ["subuid", "subgid"] {
        host.write_subordinate_ids(file, "");
    }
    for more in ["  volumes: [{name: v}]\n", ""] {
        let outcome =
            run(host, &scripts(&format!("  restartPolicy: Never\n{more}"), &[("a", "true")]));
        assert_eq!(outcome.code(), 0, "{outcome:?}");
        let told = "Note: a dead container has left something: cannot remove \"";
        assert_eq!(outcome.stderr.matches(told).count(), 1, "{outcome:?}");
    }
    host.own(left);
}

fn an_empty_dir_can_be_in_memory(host: &Host) {
    let two = scripts(MEMORY, &[("a", READY)]) + MOUNT;
    let second = "  - {name: b, image: busybox, command: [sh, -c, echo ready; sleep 1000],\n    \
                  volumeMounts: [{name: v, mountPath: /there, readOnly: true}]}\n";
    let mut pod = Pod::start_ready(host, &(two + second), 2);
    assert_eq!(pod.sh("grep -c '^tmpfs /v tmpfs rw' /proc/mounts; stat -c %a /v"), "1\n777\n");
    let fill = pod.exec(&["-c", "a", "--", "dd", "if=/dev/zero", "of=/v/zeros", "bs=64k"]);
    assert!(fill.stderr.contains("No space left"), "{fill:?}");
    assert_eq!(pod.sh("stat -c %s /v/zeros"), format!("{}\n", 1 << 20));
    assert_eq!(pod.sh_in("b", "stat -c %s /there/zeros"), format!("{}\n", 1 << 20));
    let refused = pod.exec(&["-c", "b", "--", "touch", "/there/file"]);
    assert!(refused.code() == 1 && refused.stderr.contains("Read-only"), "{refused:?}");
    // Nobody on the host sees it, or what is in it.
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains("/volumes/"), "{mounts}");
    assert_eq!(fs::read_dir(directory(host).join("v")).unwrap().count(), 0);
    pod.stop();
}

/// What an init container has put there, and one that was started again, is there still.
fn one_in_memory_lives_as_long_as_the_pod(host: &Host) {
    let init = "  initContainers:\n  - {name: i, image: busybox, command: [sh, -c, echo init > \
                /v/lines],\n    volumeMounts: [{name: v, mountPath: /v}]}\n";
    let script = "echo x >> /v/lines; cat /v/lines; [ $(wc -l < /v/lines) = 3 ]";
    let more = format!("{MEMORY}  restartPolicy: OnFailure\n{init}");
    let outcome = run(host, &(scripts(&more, &[("a", script)]) + MOUNT));
    assert!(outcome.text().ends_with("a | init\na | x\na | init\na | x\na | x\n"), "{outcome:?}");
}

fn one_in_memory_goes_with_a_killed(host: &Host) {
    let spec = scripts(MEMORY, &[("a", READY)]) + MOUNT;
    let mut pod = Pod::start_ready(host, &spec, 1);
    let (all, left) = (descendants(pod.running.pid()), directory(host));
    pod.running.supervisor.kill().unwrap();
    pod.running.supervisor.wait().unwrap();
    within(Duration::from_secs(1), "all are gone", || !all.iter().copied().any(is_alive));
    let mut next = Pod::start_ready(host, &spec, 1);
    assert!(!left.exists(), "left behind");
    next.stop();
}

/// How many bytes the volume says that it holds, in a pod with `more`.
#[track_caller]
fn size(host: &Host, empty: &str, more: &str) -> u64 {
    let volumes = format!("  volumes: [{{name: v, emptyDir: {{{empty}}}}}]\n");
    let mut pod = Pod::start_ready(host, &(scripts(&volumes, &[("a", READY)]) + MOUNT + more), 1);
    let found = pod.sh("df -k /v | tail -n 1 | awk '{ print $2 }'");
    pod.stop();
    found.trim().parse::<u64>().unwrap() << 10
}

fn without_a_size_it_is_half_of_the_memory(host: &Host) {
    let info = fs::read_to_string("/proc/meminfo").unwrap();
    let total = info.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10;
    let found = size(host, "medium: Memory", "");
    assert!(found.abs_diff(total / 2) < total / 20, "{found} of {total}");
}

fn it_holds_no_more_than_the_pod_may_take(host: &Host) {
    let limit = "    resources: {limits: {memory: 32Mi}}\n";
    assert_eq!(size(host, "medium: Memory", limit), 32 << 20);
    assert_eq!(size(host, "medium: Memory, sizeLimit: 64Mi", limit), 32 << 20);
    assert_eq!(size(host, "medium: Memory, sizeLimit: 8Mi", limit), 8 << 20);
}

fn what_is_in_memory_counts(host: &Host) {
    let fill = "dd if=/dev/zero of=/v/zeros bs=1M count=40 2>/dev/null; echo $?";
    let limited = "    resources: {limits: {memory: 16Mi}}\n";
    for (volume, expected) in [("medium: Memory, sizeLimit: 64Mi", 137), ("", 0)] {
        if volume.is_empty() && is_in_memory(host) {
            continue; // then there is no disk here to lie on
        }
        let more =
            format!("  restartPolicy: Never\n  volumes: [{{name: v, emptyDir: {{{volume}}}}}]\n");
        let free = "  - {name: b, image: busybox, command: ['true']}\n";
        let spec = scripts(&more, &[("a", fill)]) + MOUNT + limited + free;
        let outcome = run(host, &spec);
        let text = String::from_utf8_lossy(&outcome.stdout);
        assert!(text.contains(&format!("a | {expected}\n")), "{volume} {outcome:?}");
    }
}

/// Whether this host has its cache on a tmpfs.
fn is_in_memory(host: &Host) -> bool {
    let kind = nix::sys::statfs::statfs(&host.cache()).unwrap().filesystem_type();
    kind == nix::sys::statfs::TMPFS_MAGIC
}

fn a_size_limit_on_disk_is_told(host: &Host) {
    let more = "  restartPolicy: Never\n  volumes: [{name: v, emptyDir: {sizeLimit: 1Mi}}]\n";
    let outcome = run(host, &(scripts(more, &[("a", "true")]) + MOUNT));
    assert_eq!(outcome.code(), 0, "{outcome:?}");
    let told = "Note: nothing keeps the volume \"v\" below its sizeLimit: it lies on disk";
    assert_eq!(outcome.stderr.matches(told).count(), 1, "{outcome:?}");
}
