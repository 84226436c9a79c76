//! From v2 on: `--volume HOST:CONTAINER[:ro]`.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use nix::mount::umount;

use crate::elsewhere::mount_tmpfs;
use crate::{Host, Outcome, Suite};

pub fn add(suite: Suite) -> Suite {
    if !suite.stage().mount_namespace {
        return suite;
    }
    suite
        .both("volume_of_a_directory", volume_of_a_directory)
        .both("volume_of_a_file", volume_of_a_file)
        .both("volume_owner_is_the_caller", volume_owner_is_the_caller)
        .both("volume_read_only", volume_read_only)
        .both("volume_read_only_with_what_is_mounted_below", volume_read_only_recursively)
        .both("volumes_can_be_many", volumes_can_be_many)
        .both("volumes_may_be_given_inner_first", volumes_given_inner_first)
        .both("volume_target_is_made", volume_target_is_made)
        .both("volume_target_through_a_link_stays_inside", volume_target_through_a_link)
        .both("volume_target_at_a_device", volume_target_at_a_device)
        .both("volume_source_may_be_relative", volume_source_may_be_relative)
        .both("volume_refused", volume_refused)
}

fn volume_of_a_directory(host: &Host) {
    let dir = host.dir("volume");
    fs::write(dir.join("file"), "of the host\n").unwrap();
    for option in ["-v", "--volume"] {
        let volume = format!("{}:/mnt", dir.display());
        let script = "cat /mnt/file; echo of the container >/mnt/new";
        assert_eq!(host.run([option, &volume, "sh", "-c", script]).text(), "of the host\n");
        assert_eq!(fs::read_to_string(dir.join("new")).unwrap(), "of the container\n");
        fs::remove_file(dir.join("new")).unwrap();
    }
    assert_eq!(host.run(["ls", "/mnt"]).text(), "", "nothing of it is in the rootfs");
}

fn volume_of_a_file(host: &Host) {
    let file = host.dir("volume").join("file");
    fs::write(&file, "of the host\n").unwrap();
    host.give(&file);
    let volume = format!("{}:/etc/passwd", file.display());
    let script = "cat /etc/passwd; echo changed >/etc/passwd";
    assert_eq!(host.run(["-v", &volume, "sh", "-c", script]).text(), "of the host\n");
    assert_eq!(fs::read_to_string(&file).unwrap(), "changed\n");
    let passwd = fs::read_to_string(host.rootfs().join("etc/passwd")).unwrap();
    assert!(passwd.starts_with("root:"), "the rootfs has its own still: {passwd}");
}

fn volume_owner_is_the_caller(host: &Host) {
    let dir = host.dir("volume");
    let volume = format!("{}:/mnt", dir.display());
    let script = "touch /mnt/file; mkdir /mnt/dir; stat -c %u /mnt/file /mnt/dir /mnt";
    assert_eq!(host.run(["-v", &volume, "sh", "-c", script]).text(), "0\n0\n0\n");
    for name in ["file", "dir"] {
        let of_file = fs::metadata(dir.join(name)).unwrap();
        assert_eq!((of_file.uid(), of_file.gid()), (host.uid(), host.uid()), "{name}");
    }
}

fn volume_read_only(host: &Host) {
    let dir = host.dir("volume");
    let file = dir.join("file");
    fs::write(&file, "kept\n").unwrap();
    host.give(&file);
    let directory = format!("{}:/mnt:ro", dir.display());
    let single = format!("{}:/home/file:ro", file.display());
    let script = "cat /mnt/file /home/file
        echo x >/mnt/new || echo refused
        echo x >/mnt/file || echo refused
        echo x >/home/file || echo refused
        rm /mnt/file || echo refused
        mount -o remount,rw /mnt || echo refused";
    let outcome = host.run(["-v", &directory, "-v", &single, "sh", "-c", script]);
    let output = String::from_utf8_lossy(&outcome.stdout);
    assert!(output.starts_with("kept\nkept\nrefused\nrefused\nrefused\nrefused\n"), "{outcome:?}");
    assert!(outcome.stderr.contains("Read-only file system"), "{outcome:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "kept\n");
    assert!(!dir.join("new").exists());
}

fn volume_read_only_recursively(host: &Host) {
    let dir = host.dir("volume");
    let below = dir.join("below");
    fs::create_dir(&below).unwrap();
    mount_tmpfs(below.to_str().unwrap()).unwrap();
    fs::set_permissions(&below, Permissions::from_mode(0o777)).unwrap();
    fs::write(below.join("file"), "mounted below\n").unwrap();

    let read_write = format!("{}:/mnt", dir.display());
    let outcome =
        host.run(["-v", &read_write, "sh", "-c", "cat /mnt/below/file; touch /mnt/below/new"]);
    assert_eq!(outcome.text(), "mounted below\n");
    let script = "cat /mnt/below/file; touch /mnt/below/newer || echo refused";
    let outcome = host.run(["-v", &format!("{read_write}:ro"), "sh", "-c", script]);
    let is_writable = below.join("newer").exists();
    umount(&below).unwrap();
    assert_eq!(outcome.stdout, b"mounted below\nrefused\n", "{outcome:?}");
    assert!(!is_writable);
}

fn volumes_can_be_many(host: &Host) {
    let dir = host.dir("volume");
    let mut launcher = host.launcher();
    for n in 0..20 {
        fs::write(dir.join(format!("{n}")), format!("{n}\n")).unwrap();
        launcher.arg("-v").arg(format!("{}/{n}:/mnt/{n}", dir.display()));
    }
    let outcome = Outcome::of(launcher.args(["sh", "-c", "cat /mnt/*| sort -n"]));
    assert_eq!(outcome.text().lines().count(), 20);
    // The later one is on top of the earlier one, and inside it.
    fs::create_dir_all(dir.join("a/inner")).unwrap();
    fs::create_dir(dir.join("b")).unwrap();
    fs::write(dir.join("b/file"), "b\n").unwrap();
    let (outer, inner) =
        (format!("{}/a:/mnt", dir.display()), format!("{}/b:/mnt/inner", dir.display()));
    assert_eq!(host.run(["-v", &outer, "-v", &inner, "cat", "/mnt/inner/file"]).text(), "b\n");
    host.sh("rm -f /mnt/*").text();
}

/// The outer one would hide the inner. What is equally deep stays in the order given.
fn volumes_given_inner_first(host: &Host) {
    let dir = host.dir("volume");
    for name in ["a/inner", "b/deepest", "c"] {
        fs::create_dir_all(dir.join(name)).unwrap();
        fs::write(dir.join(name).join("file"), format!("{name}\n")).unwrap();
        host.give(&dir.join(name));
    }
    fs::write(dir.join("b/file"), "b\n").unwrap();
    let volume = |name: &str, target: &str| format!("{}/{name}:{target}", dir.display());
    let (a, b, c) =
        (volume("a", "/mnt"), volume("b", "/mnt/inner"), volume("c", "/mnt/./inner/deepest/"));
    let read = "cat /mnt/inner/file /mnt/inner/deepest/file";
    for order in [["-v", &c, "-v", &b, "-v", &a], ["-v", &b, "-v", &c, "-v", &a]] {
        let outcome = host.run(order.iter().chain(&["sh", "-c", read]));
        assert_eq!(outcome.text(), "b\nc\n", "{order:?}");
    }
    let on_tmpfs = ["-v", &b, "--tmpfs", "/mnt", "cat", "/mnt/inner/file"];
    assert_eq!(host.run(on_tmpfs).text(), "b\n");
    let tmpfs_on = ["--tmpfs", "/mnt/inner", "-v", &a, "ls", "-A", "/mnt/inner"];
    assert_eq!(host.run(tmpfs_on).text(), "");
    let same = ["-v", &volume("b", "/mnt"), "-v", &volume("c", "/mnt"), "cat", "/mnt/file"];
    assert_eq!(host.run(same).text(), "c\n", "the later one is on top");
}

fn volume_target_is_made(host: &Host) {
    let rootfs = host.own_rootfs();
    let dir = host.dir("volume");
    fs::write(dir.join("file"), "x\n").unwrap();
    let directory = format!("{}:/a/b/c", dir.display());
    let file = format!("{}/file:/d/e", dir.display());
    let rootfs = rootfs.to_str().unwrap();
    let outcome =
        host.run(["--rootfs", rootfs, "-v", &directory, "-v", &file, "cat", "/a/b/c/file", "/d/e"]);
    assert_eq!(outcome.text(), "x\nx\n");
}

/// A hostile rootfs: a link in it leads to a directory of the host.
fn volume_target_through_a_link(host: &Host) {
    let rootfs = host.own_rootfs();
    let outside = host.dir("outside");
    let dir = host.dir("volume");
    fs::write(dir.join("file"), "of the volume\n").unwrap();
    symlink(&outside, rootfs.join("absolute")).unwrap();
    symlink("../../outside", rootfs.join("relative")).unwrap();
    for target in ["/absolute", "/relative", "/absolute/new", "/relative/new"] {
        let volume = format!("{}:{target}", dir.display());
        let command = ["sh", "-c", "cat $0/file 2>/dev/null", target];
        let outcome =
            host.run(["--rootfs", rootfs.to_str().unwrap(), "-v", &volume].iter().chain(&command));
        // Refused, or mounted where the link leads *inside*.
        assert!(
            outcome.code() == 125 || outcome.stdout == b"of the volume\n",
            "{target}: {outcome:?}"
        );
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "{target} reached the host");
    }
    // A link that stays inside is followed, as in Docker.
    fs::create_dir(rootfs.join("real")).unwrap();
    symlink("/real", rootfs.join("link")).unwrap();
    let volume = format!("{}:/link", dir.display());
    let outcome =
        host.run(["--rootfs", rootfs.to_str().unwrap(), "-v", &volume, "cat", "/real/file"]);
    assert_eq!(outcome.text(), "of the volume\n");
}

fn volume_target_at_a_device(host: &Host) {
    let file = host.dir("volume").join("file");
    fs::write(&file, "not null\n").unwrap();
    let volume = format!("{}:/dev/null", file.display());
    assert_eq!(host.run(["-v", &volume, "cat", "/dev/null"]).text(), "not null\n");
}

fn volume_source_may_be_relative(host: &Host) {
    let home = host.home();
    fs::create_dir(home.join("data")).unwrap();
    host.own(home.join("data"));
    fs::write(home.join("data/file"), "x\n").unwrap();
    for source in ["data", "./data", "data/../data"] {
        let outcome = host.run(["-v", &format!("{source}:/mnt"), "cat", "/mnt/file"]);
        assert_eq!(outcome.text(), "x\n", "{source}");
    }
}

fn volume_refused(host: &Host) {
    let dir = host.dir("volume");
    let dir = dir.to_str().unwrap();
    for (volume, words) in [
        (dir.to_owned(), "HOST:CONTAINER"),
        (String::new(), "HOST:CONTAINER"),
        (":".into(), "HOST:CONTAINER"),
        (format!("{dir}:"), "HOST:CONTAINER"),
        (":/mnt".into(), "HOST:CONTAINER"),
        (format!("{dir}:/mnt:rw:ro"), "HOST:CONTAINER"),
        (format!("{dir}:/mnt:readonly"), "readonly"),
        (format!("{dir}/missing:/mnt"), "/missing\" on the host: ENOENT"),
        (format!("{dir}/missing:/mnt"), "(it is not made for you: mkdir -p)"),
        (format!("{dir}:/etc/passwd/below"), "(a part of its path is a file)"),
        (format!("{dir}:/mnt/../../etc"), ".."),
        (format!("{dir}:/.."), ".."),
        (format!("{dir}:../x"), ".."),
        (format!("{dir}:relative"), "relative"),
    ] {
        let outcome = host.run(["-v", &volume, "sh"]);
        outcome.assert_refused(125, &[words]);
    }
    host.run(["-v"]).assert_refused(125, &["--volume"]);
    // A file on a directory, a directory on a file.
    fs::write(format!("{dir}/file"), "").unwrap();
    host.run(["-v", &format!("{dir}/file:/tmp"), "sh"]).assert_refused(125, &["/tmp"]);
    host.run(["-v", &format!("{dir}:/etc/passwd"), "sh"]).assert_refused(125, &["/etc/passwd"]);
    if !host.is_root() {
        fs::create_dir(format!("{dir}/closed")).unwrap();
        fs::set_permissions(format!("{dir}/closed"), Permissions::from_mode(0o000)).unwrap();
        host.run(["-v", &format!("{dir}/closed/x:/mnt"), "sh"])
            .assert_refused(125, &["EACCES", "(this user may not enter a directory on its path)"]);
    }
}
