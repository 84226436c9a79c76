//! From v2 on: `--read-only`.

use std::fs;

use crate::{Host, Suite};

pub fn add(suite: Suite) -> Suite {
    if !suite.stage().mount_namespace {
        return suite;
    }
    suite
        .both("the_root_can_be_read_only", the_root_can_be_read_only)
        .both("a_read_only_root_has_what_is_mounted_in_it", mounted_in_a_read_only_root)
        .both("only_this_container_s_root_is_read_only", only_this_container_s_root)
}

fn the_root_can_be_read_only(host: &Host) {
    let script = "touch /file || echo refused
        rm /etc/passwd || echo refused
        mkdir /proc-2 || echo refused
        echo x >/bin/new || echo refused";
    let outcome = host.run(["--read-only", "sh", "-c", script]);
    assert_eq!(outcome.stdout, b"refused\n".repeat(4), "{outcome:?}");
    assert_eq!(outcome.stderr.matches("Read-only file system").count(), 4, "{outcome:?}");
    let mounts = host.run(["--read-only", "sh", "-c", "grep ' / ' /proc/self/mountinfo"]);
    assert!(mounts.text().contains(" / / ro,") || mounts.text().contains(" / ro,"), "{mounts:?}");
}

fn mounted_in_a_read_only_root(host: &Host) {
    let rootfs = host.own_rootfs();
    let dir = host.dir("volume");
    let volume = format!("{}:/a/b", dir.display());
    // Its mount points, also those of the network's files, are made before.
    for name in ["hosts", "resolv.conf", "hostname"] {
        let _ = fs::remove_file(rootfs.join("etc").join(name));
    }
    fs::remove_dir(rootfs.join("proc")).unwrap();
    let script = "set -e; touch /a/b/file /run-2/file /dev/shm/file; echo x >/dev/null
        exec 3<>/dev/ptmx; ls /dev/pts; ls -d /proc/self";
    let options = ["--read-only", "--rootfs", rootfs.to_str().unwrap(), "-v", &volume];
    let outcome = host.run(options.iter().chain(&["--tmpfs", "/run-2", "sh", "-c", script]));
    assert_eq!(outcome.text(), "0\nptmx\n/proc/self\n");
    assert!(dir.join("file").exists());
}

/// The mount is, not the file system: next to it, and on the host, it is as before.
fn only_this_container_s_root(host: &Host) {
    let mut running = host.start(["--read-only", "sh", "-c", "echo ready; sleep 1000"]);
    running.expect_line("ready");
    assert_eq!(host.sh("touch /home/file && rm /home/file && echo written").text(), "written\n");
    let file = host.rootfs().join("home/file");
    fs::write(&file, "of the host").unwrap();
    fs::remove_file(file).unwrap();
}
