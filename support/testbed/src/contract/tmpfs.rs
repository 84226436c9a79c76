//! From v2 on: `--tmpfs DIR[:OPTIONS]`.

use std::fs;
use std::os::unix::fs::symlink;

use launcher::mountinfo::parse;

use crate::{Host, Suite};

pub fn add(suite: Suite) -> Suite {
    if !suite.stage().mount_namespace {
        return suite;
    }
    suite
        .both("tmpfs_has_dockers_flags_and_a_limit", tmpfs_has_dockers_flags)
        .both("tmpfs_takes_options", tmpfs_takes_options)
        .both("tmpfs_target_is_made", tmpfs_target_is_made)
        .both("tmpfs_target_through_a_link_stays_inside", tmpfs_target_through_a_link)
        .both("tmpfs_refused", tmpfs_refused)
}

fn tmpfs_has_dockers_flags(host: &Host) {
    host.warm_up();
    fs::write(host.rootfs().join("mnt/below"), "").unwrap();
    let script = "ls -A /mnt; touch /mnt/file; stat -c '%a %u' /mnt; cat /proc/self/mountinfo";
    let outcome = host.run(["--tmpfs", "/mnt", "sh", "-c", script]);
    let (seen, mounts) = outcome.text().split_once('\n').unwrap();
    assert_eq!(seen, "1777 0");
    let mounts = parse(mounts.as_bytes());
    let mount = mounts.iter().find(|mount| mount.mount_point.to_str() == Some("/mnt")).unwrap();
    for option in ["nosuid", "nodev", "noexec", "rw"] {
        assert!(mount.options.iter().any(|it| it == option), "{option}: {mount:?}");
    }
    assert!(outcome.text().contains("size=65536k"), "{outcome:?}");
    fs::remove_file(host.rootfs().join("mnt/below")).unwrap();
    assert_eq!(host.run(["ls", "-A", "/mnt"]).text(), "", "nothing of it is in the rootfs");
}

fn tmpfs_takes_options(host: &Host) {
    for (options, script, expected) in [
        ("mode=700", "stat -c %a /mnt", "700\n"),
        ("size=1m", "dd if=/dev/zero of=/mnt/x bs=64k 2>/dev/null; stat -c %s /mnt/x", "1048576\n"),
        ("ro", "touch /mnt/x 2>/dev/null || echo refused", "refused\n"),
        ("", "cp /bin/busybox /mnt/echo; /mnt/echo x 2>/dev/null || echo refused", "refused\n"),
        ("exec,size=8m", "cp /bin/busybox /mnt/echo; /mnt/echo ran", "ran\n"),
    ] {
        let tmpfs = format!("/mnt:{options}");
        assert_eq!(host.run(["--tmpfs", &tmpfs, "sh", "-c", script]).text(), expected, "{options}");
    }
}

fn tmpfs_target_is_made(host: &Host) {
    let rootfs = host.own_rootfs();
    let options = ["--rootfs", rootfs.to_str().unwrap(), "--tmpfs", "/a/b", "--tmpfs", "/c:ro"];
    let script = "echo x >/a/b/file; cat /a/b/file; ls -A /c";
    assert_eq!(host.run(options.iter().chain(&["sh", "-c", script])).text(), "x\n");
}

/// A hostile rootfs: a link in it leads to a directory of the host.
fn tmpfs_target_through_a_link(host: &Host) {
    let rootfs = host.own_rootfs();
    let outside = host.dir("outside");
    symlink(&outside, rootfs.join("absolute")).unwrap();
    symlink("../../outside", rootfs.join("relative")).unwrap();
    for target in ["/absolute", "/relative", "/absolute/new", "/relative/new"] {
        let script =
            format!("touch {target}/file; grep -c ' tmpfs .*size=1024k' /proc/self/mounts");
        let tmpfs = format!("{target}:size=1m");
        let options = ["--rootfs", rootfs.to_str().unwrap(), "--tmpfs", &tmpfs];
        let outcome = host.run(options.iter().chain(&["sh", "-c", &script]));
        assert_eq!(outcome.text(), "1\n", "{target}");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "{target}: something on the host");
    }
}

fn tmpfs_refused(host: &Host) {
    for (tmpfs, words) in [
        ("", "does not start with /"),
        ("relative", "does not start with /"),
        ("/", "the rootfs itself"),
        ("/mnt/../../etc", "goes through .."),
        ("/mnt:huge=always", "\"huge=always\" is none of size=, mode=, ro, rw, nosuid, suid,"),
        ("/mnt:size=0", "leave it out"),
        ("/mnt:size=1x", "no unit"),
        ("/mnt:mode=9", "not octal"),
        ("/etc/passwd", "one is a file, the other a directory"),
        ("/etc/passwd/below", "(a part of its path is a file)"),
    ] {
        host.run(["--tmpfs", tmpfs, "sh"]).assert_refused(125, &[words]);
    }
}
