//! From v2 on: mounts of its own, a root nobody gets out of, /proc and /dev.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use launcher::mountinfo::{mounts_of, parse};
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use nix::mount::{MsFlags, mount, umount};

use crate::elsewhere::mount_tmpfs;
use crate::faults::descriptors;
use crate::{Host, Outcome, Suite};

pub fn add(suite: Suite) -> Suite {
    if !suite.stage().mount_namespace {
        return suite;
    }
    // overlayfs looks below what is mounted in a layer.
    let suite = match suite.stage().writable_layer {
        true => suite,
        false => suite
            .both("the_rootfs_may_be_a_mount_point_itself", rootfs_on_a_mount)
            .both("directories_that_are_exchanged_lead_nowhere", exchanged_directories),
    };
    suite
        .both("mounts_do_not_reach_the_host", mounts_do_not_reach_the_host)
        .both("mounts_of_the_host_do_not_reach_the_container", mounts_of_the_host_stay_out)
        .both("no_mount_of_the_host_is_left_inside", no_mount_of_the_host_is_left)
        .both("the_chroot_escape_fails", the_chroot_escape_fails)
        .both("no_path_leads_to_the_hosts_root", no_path_leads_to_the_hosts_root)
        .both("dev_has_the_usual_nodes", dev_has_the_usual_nodes)
        .both("devices_work", devices_work)
        .both("what_is_mounted_may_do_little", what_is_mounted_may_do_little)
        .both("missing_mount_points_are_made", missing_mount_points_are_made)
        .both("links_in_place_of_mount_points_are_refused", links_are_refused)
}

fn host_mounts() -> String {
    fs::read_to_string("/proc/self/mountinfo").unwrap()
}

fn mounts_do_not_reach_the_host(host: &Host) {
    let before = host_mounts();
    assert!(before.lines().all(|line| line.contains(" shared:")), "the host's mounts are shared");
    let volume = host.dir("volume");
    let volume = format!("{}:/mnt", volume.display());
    let script =
        "mount -t tmpfs inner /home && mount -t tmpfs inner /mnt && echo ready; sleep 1000";
    let mut running = host.start(["--volume", &volume, "sh", "-c", script]);
    running.expect_line("ready");
    let mut inside = mounts_of(&running.command().to_string()).unwrap();
    inside.retain(|mount| mount.file_system == "tmpfs" && mount.source == "inner");
    assert_eq!(inside.len(), 2, "{inside:?}");
    assert_eq!(host_mounts(), before);
}

/// A container that shares the rootfs exchanges directories while the next one starts, at every
/// look-up: what is mounted on the one is not sought in the other. Nothing is written into either,
/// and no link there is followed on the host.
fn exchanged_directories(host: &Host) {
    host.warm_up();
    let rootfs = host.own_rootfs();
    let precious = host.dir("outside").join("precious");
    fs::write(&precious, "of the host").unwrap();
    host.give(&precious);
    for place in ["sys", "dev", "sys/fs/cgroup"] {
        let pair = [rootfs.join(place), rootfs.join("exchanged")];
        for directory in &pair {
            let _ = fs::remove_dir_all(directory);
            fs::create_dir_all(directory).unwrap();
            host.give(directory);
            for name in ["resolv.conf", "hosts", "hostname"] {
                symlink(&precious, directory.join(name)).unwrap();
            }
        }
        let flags = RenameFlags::RENAME_EXCHANGE;
        let exchange = || renameat2(AT_FDCWD, &pair[0], AT_FDCWD, &pair[1], flags).unwrap();
        let mut launcher = host.launcher();
        launcher.args(["--rootfs", rootfs.to_str().unwrap()]);
        if host.stage_facts().cgroups && host.is_root() && host.has_own_cgroups() {
            launcher.args(["-m", "64m", "--pids-limit", "20"]);
        }
        launcher.args(["echo", "started"]);
        let (_, outcome) = descriptors::look_and(host, &mut launcher, Some(("openat2", &exchange)));
        if outcome.code() != 0 {
            // Half of a path was in the one, and half is sought in the other.
            outcome.assert_refused(125, &["of the rootfs", "ENOENT"]);
        }
        assert_eq!(fs::read_to_string(&precious).unwrap(), "of the host", "{outcome:?}");
        for directory in &pair {
            let mut names: Vec<_> = fs::read_dir(directory).unwrap().flatten().collect();
            names.retain(|entry| !entry.file_type().unwrap().is_symlink());
            assert!(place == "sys" || names.is_empty(), "{directory:?}: {names:?}");
        }
    }
}

fn mounts_of_the_host_stay_out(host: &Host) {
    let volume = host.dir("volume");
    fs::create_dir(volume.join("later")).unwrap();
    let argument = format!("{}:/mnt", volume.display());
    let script = "echo ready; read line; ls /mnt/later; echo end";
    let mut launcher = host.launcher();
    launcher.stdin(std::process::Stdio::piped());
    let mut running = host.follow(launcher.args(["-v", &argument, "sh", "-c", script]));
    running.expect_line("ready");
    let later = volume.join("later");
    mount_tmpfs(later.to_str().unwrap()).unwrap();
    fs::write(later.join("of the host"), "").unwrap();
    drop(running.supervisor.stdin.take());
    running.expect_line("end");
    assert_eq!(running.code(), 0);
    umount(&later).unwrap();
}

fn no_mount_of_the_host_is_left(host: &Host) {
    let mounts = host.run(["cat", "/proc/self/mountinfo"]);
    let mounts = parse(mounts.text().as_bytes());
    let places: BTreeSet<_> =
        mounts.iter().map(|mount| mount.mount_point.to_str().unwrap()).collect();
    let mut expected = vec!["/", "/proc", "/dev", "/dev/pts", "/dev/shm"];
    if host.stage_facts().network_namespace {
        expected.extend(["/sys", "/etc/resolv.conf", "/etc/hosts", "/etc/hostname"]);
    }
    for place in &expected {
        assert!(places.contains(place), "{place} is no mount: {places:?}");
    }
    for place in places {
        // Without root, devices are binds, and the bound /proc of v2 has mounts of its own.
        let is_below = ["/dev/", "/proc/"].iter().any(|parent| place.starts_with(parent));
        assert!(expected.contains(&place) || is_below, "a mount of the host: {place}");
    }
    let hears = |field: &String| ["shared:", "master:"].iter().any(|mark| field.starts_with(mark));
    let shared = mounts.iter().find(|mount| mount.optional_fields.iter().any(hears));
    assert_eq!(shared, None, "the container hears of the host's mounts");
}

fn the_chroot_escape_fails(host: &Host) {
    let rootfs = host.own_rootfs();
    let probe = host.install_probe(&rootfs, "escape");
    let outcome = Outcome::of(host.launcher().arg("--rootfs").arg(&rootfs).args(probe));
    assert_eq!(outcome.text(), "inside\n");
}

fn no_path_leads_to_the_hosts_root(host: &Host) {
    let script = "for way in / /.. /proc/1/root /proc/self/root /proc/self/cwd/..; do
        [ ! -e $way/run/testbed ] || echo $way
    done";
    let ways = host.sh(script);
    // Where the processes are the host's, so is process 1: a PID namespace cures that. (Without
    // root, the kernel does not let us look.)
    let has_own_pid_one = host.stage_facts().pid_namespace;
    let expected = if has_own_pid_one || !host.is_root() { "" } else { "/proc/1/root\n" };
    assert_eq!(ways.text(), expected);
}

fn dev_has_the_usual_nodes(host: &Host) {
    let nodes = "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero";
    assert_eq!(host.sh("echo $(ls /dev)").text().trim(), nodes);
    let numbers = host.sh("cd /dev; stat -c '%n %F %t:%T %a' null zero full random urandom tty");
    let expected: String =
        ["null 1:3", "zero 1:5", "full 1:7", "random 1:8", "urandom 1:9", "tty 5:0"]
            .map(|node| node.replace(' ', " character special file ") + " 666\n")
            .concat();
    assert_eq!(numbers.text(), expected);
    let links = host
        .sh("cd /dev; for n in fd stdin stdout stderr ptmx; do readlink $n; done; stat -c %a shm");
    let expected =
        "/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\npts/ptmx\n1777\n";
    assert_eq!(links.text(), expected);
}

fn devices_work(host: &Host) {
    for (script, expected) in [
        ("echo gone >/dev/null; cat /dev/null", ""),
        ("head -c 4 /dev/zero | od -An -tx1 | tr -d ' '", "00000000\n"),
        (
            "head -c 2 /dev/full | od -An -tx1; echo x 2>/dev/null >/dev/full || echo full",
            " 00 00\nfull\n",
        ),
        ("head -c 64 /dev/urandom | wc -c; head -c 64 /dev/random | wc -c", "64\n64\n"),
        (
            "(echo out >/dev/stdout) | cat; echo in | cat /dev/stdin; echo fd | cat /dev/fd/0",
            "out\nin\nfd\n",
        ),
        ("echo shared >/dev/shm/x; cat /dev/shm/x", "shared\n"),
        // A pseudo-terminal of the container's own: script(1) is not in busybox, a plain open is.
        ("exec 3<>/dev/ptmx && ls /dev/pts", "0\nptmx\n"),
        ("[ -c /dev/tty ] && echo device", "device\n"),
    ] {
        assert_eq!(host.sh(script).text(), expected, "{script}");
    }
    assert!(!Path::new("/dev/shm/x").exists(), "/dev/shm is the container's own");
}

/// No program starts from a file system of the kernel's, none there is set-uid, and a device is one
/// of those in /dev.
fn what_is_mounted_may_do_little(host: &Host) {
    // With a limit, a container of v6 has its cgroup.
    let has_cgroup = host.has_own_cgroups() && host.is_root();
    let limit = if has_cgroup { &["--pids-limit", "50"][..] } else { &[] };
    let mounts = host.run([limit, &["cat", "/proc/self/mountinfo"]].concat());
    let mounts = parse(mounts.text().as_bytes());
    let mut seen = Vec::new();
    for mount in &mounts {
        let place = mount.mount_point.to_str().unwrap();
        // An ordinary user's devices are the host's, each bound.
        let is_device = place.starts_with("/dev/") && !["/dev/pts", "/dev/shm"].contains(&place);
        if place == "/" || is_device {
            continue;
        }
        let of_devices = ["/dev", "/dev/pts"].contains(&place);
        let flags =
            if of_devices { &["nosuid", "noexec"][..] } else { &["nosuid", "nodev", "noexec"] };
        for flag in flags {
            assert!(mount.options.iter().any(|option| option == flag), "{flag}: {mount:?}");
        }
        seen.push(place);
    }
    for place in ["/proc", "/dev", "/dev/pts", "/dev/shm"] {
        assert!(seen.contains(&place), "{place}: {seen:?}");
    }
    let sees_cgroup = seen.iter().any(|place| place.starts_with("/sys/fs/cgroup"));
    assert_eq!(sees_cgroup, has_cgroup, "{seen:?}");
}

fn rootfs_on_a_mount(host: &Host) {
    let rootfs = host.own_rootfs();
    let parent = rootfs.parent().unwrap();
    let place = parent.join("place");
    fs::create_dir(&place).unwrap();
    mount(Some(&rootfs), &place, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
    mount_tmpfs(place.join("home").to_str().unwrap()).unwrap();
    fs::write(place.join("home/file"), "on another file system\n").unwrap();
    let outcome = host.run(["--rootfs", place.to_str().unwrap(), "cat", "/home/file"]);
    umount(&place.join("home")).unwrap();
    umount(&place).unwrap();
    assert_eq!(outcome.text(), "on another file system\n");
}

fn missing_mount_points_are_made(host: &Host) {
    let rootfs = host.own_rootfs();
    fs::remove_dir(rootfs.join("proc")).unwrap();
    fs::remove_dir(rootfs.join("dev")).unwrap();
    let outcome =
        host.run(["--rootfs", rootfs.to_str().unwrap(), "ls", "/proc/self/stat", "/dev/null"]);
    assert_eq!(outcome.text(), "/dev/null\n/proc/self/stat\n");
}

fn links_are_refused(host: &Host) {
    let outside = host.dir("outside");
    fs::write(outside.join("file"), "untouched").unwrap();
    for name in ["proc", "dev"] {
        for target in [outside.to_str().unwrap(), "../../outside", "etc"] {
            let rootfs = host.own_rootfs();
            fs::remove_dir(rootfs.join(name)).unwrap();
            symlink(target, rootfs.join(name)).unwrap();
            let outcome = host.run(["--rootfs", rootfs.to_str().unwrap(), "sh"]);
            outcome.assert_refused(125, &[&format!("/{name}"), "symbolic link"]);
            fs::remove_dir_all(rootfs.parent().unwrap()).unwrap();
        }
    }
    let left: Vec<_> = fs::read_dir(&outside).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(left, ["file"]);
    for name in ["proc", "dev"] {
        let rootfs = host.own_rootfs();
        fs::remove_dir(rootfs.join(name)).unwrap();
        fs::write(rootfs.join(name), "").unwrap();
        let outcome = host.run(["--rootfs", rootfs.to_str().unwrap(), "sh"]);
        outcome.assert_refused(125, &[&format!("/{name}"), "ENOTDIR"]);
        fs::remove_dir_all(rootfs.parent().unwrap()).unwrap();
    }
}
