//! The root directory: the busybox rootfs made on first use, or the caller's own.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use crate::running::link;
use crate::{Host, Outcome, Stage, Suite};

pub fn add(suite: Suite) -> Suite {
    let suite = match suite.stage().writable_layer {
        // Without root, overlayfs refuses a layer in which the host has mounted something.
        true => suite.root("the_hosts_root_may_be_the_rootfs", the_hosts_root_may_be_the_rootfs),
        false => suite
            .both("what_is_written_stays", what_is_written_stays)
            .both("the_hosts_root_may_be_the_rootfs", the_hosts_root_may_be_the_rootfs),
    };
    suite
        .both("first_start_makes_a_rootfs", first_start_makes_a_rootfs)
        .both("every_applet_has_a_link", every_applet_has_a_link)
        .both("the_root_is_the_rootfs_and_nothing_else", the_root_is_the_rootfs)
        .both("first_runs_at_the_same_moment", first_runs_at_the_same_moment)
        .both("the_callers_umask_does_not_matter", the_callers_umask_does_not_matter)
        .both("the_commands_umask_is_the_usual_one", the_commands_umask_is_the_usual_one)
        .both("own_rootfs", own_rootfs)
        .short_at(&[&Stage::V1, &Stage::V7], |suite| {
            suite.both("a_damaged_rootfs_is_mended", a_damaged_rootfs_is_mended)
        })
        .user("xdg_cache_home_is_respected", xdg_cache_home_is_respected)
        .root("roots_cache_is_never_in_home", roots_cache_is_never_in_home)
        .short_at(&[&Stage::V1, &Stage::V7], |suite| {
            suite.both("a_cache_of_somebody_else_is_refused", a_cache_of_somebody_else_is_refused)
        })
}

fn first_start_makes_a_rootfs(host: &Host) {
    assert!(!host.cache().exists());
    assert_eq!(host.run(["echo", "hello"]).text(), "hello\n");
    assert_eq!(in_cache(host), ["rootfs"], "nothing else is left in the cache");
}

/// What is in the cache, but for the place of writable layers, where the kernel wants one on disk:
/// that must be empty.
fn in_cache(host: &Host) -> Vec<String> {
    let cache = host.cache();
    if !cache.exists() {
        return Vec::new();
    }
    let is_left = |name: &String| name != "upper" || !entries(&cache.join(name)).is_empty();
    entries(&cache).into_iter().filter(is_left).collect()
}

fn entries(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

fn every_applet_has_a_link(host: &Host) {
    host.warm_up();
    let list = Outcome::of(host.command(host.busybox()).arg("--list"));
    let applets = list.text();
    assert!(applets.lines().count() > 100, "{applets}");
    let bin = host.rootfs().join("bin");
    for applet in applets.lines().filter(|applet| *applet != "busybox") {
        assert!(link(bin.join(applet)).ends_with("busybox"), "{applet}");
    }
    let of_busybox = fs::symlink_metadata(bin.join("busybox")).unwrap();
    assert!(of_busybox.is_file(), "the list holds `busybox` too; it must not become a link");
    assert_eq!(host.sh("ls /sbin/init /usr/bin/env /usr/sbin/chroot | wc -l").text(), "3\n");
}

fn the_root_is_the_rootfs(host: &Host) {
    host.warm_up();
    fs::write(host.rootfs().join("marker"), "").unwrap();
    assert_eq!(
        host.run(["ls", "-a", "/"])
            .text()
            .lines()
            .filter(|name| !name.starts_with('.'))
            .collect::<Vec<_>>(),
        entries(&host.rootfs())
    );
    assert_eq!(host.sh("ls /../../marker; cd ..; pwd").text(), "/../../marker\n/\n");
}

fn what_is_written_stays(host: &Host) {
    host.sh("echo written >/root/file; mkdir /new").text();
    assert_eq!(host.sh("cat /root/file; rm /root/file; rmdir /new").text(), "written\n");
}

fn a_damaged_rootfs_is_mended(host: &Host) {
    host.warm_up();
    fs::write(host.rootfs().join("home/kept"), "mine\n").unwrap();
    for damage in [
        "rm bin/sh",
        "rm bin/busybox",
        "echo broken >tmp/x; mv tmp/x bin/busybox",
        "rm bin/ls; mkdir bin/ls; touch bin/ls/full",
        "rm -r tmp root proc dev",
        "rmdir proc; ln -s /nowhere proc",
        "rm sbin",
        "rm etc/passwd",
        "rm -r bin etc",
        "chmod 0 tmp root",
        "rm bin/sh; mkfifo bin/sh",
        "rm etc/passwd; mkfifo etc/passwd",
    ] {
        // As a container could do it, but that has /proc and /dev mounted.
        let mut shell = host.command("/bin/sh");
        shell.args(["-e", "-c", damage]).current_dir(host.rootfs());
        Outcome::of(&mut shell).text();
        let check = "cat /home/kept; ls /bin/ls /sbin/sh >/dev/null; id -un; cd /tmp; cd /root";
        assert_eq!(host.sh(check).text(), "mine\nroot\n", "after {damage}");
    }
}

fn first_runs_at_the_same_moment(host: &Host) {
    let mut all: Vec<_> = (0..8).map(|n| host.start(["sh", "-c", &format!("echo {n}")])).collect();
    for (n, running) in all.iter_mut().enumerate() {
        running.expect_line(&n.to_string());
        assert_eq!(running.code(), 0);
    }
    assert_eq!(in_cache(host), ["rootfs"]);
}

fn the_callers_umask_does_not_matter(host: &Host) {
    for umask in ["000", "077"] {
        let mut shell = host.command("/bin/sh");
        let script = format!("umask {umask}; exec \"$0\" stat -c %a / /bin /tmp /root /etc/passwd");
        shell.args(["-c", &script]).arg(host.launcher().get_program());
        assert_eq!(Outcome::of(&mut shell).text(), "755\n755\n1777\n700\n644\n", "umask {umask}");
        fs::remove_dir_all(host.cache()).unwrap();
    }
}

/// What is made for the container is for everybody in it to read, and only for root to change.
fn the_commands_umask_is_the_usual_one(host: &Host) {
    let stage = host.stage_facts();
    let volume = if stage.mount_namespace { "-v /usr/share:/made/for/it" } else { "" };
    let mut files = vec![("/", "755"), ("/etc", "755")];
    if stage.mount_namespace {
        files.extend([
            ("/made", "755"),
            ("/made/for", "755"),
            ("/dev", "755"),
            ("/dev/pts", "755"),
        ]);
    }
    if stage.network_namespace {
        let etc = ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];
        files.extend(etc.map(|file| (file, "644")));
    }
    let (paths, modes): (Vec<_>, Vec<_>) = files.into_iter().unzip();
    for umask in ["000", "027", "077", "777"] {
        let script = format!(
            "umask {umask}; exec \"$0\" {volume} sh -c 'umask; stat -c %a $0 $*' {}",
            paths.join(" ")
        );
        let mut shell = host.command("/bin/sh");
        shell.args(["-c", &script]).arg(host.launcher().get_program());
        let outcome = Outcome::of(&mut shell);
        let expected = format!("0022\n{}\n", modes.join("\n"));
        assert_eq!(outcome.text(), expected, "umask {umask}");
        fs::remove_dir_all(host.cache()).unwrap();
    }
}

fn the_hosts_root_may_be_the_rootfs(host: &Host) {
    let stage = host.stage_facts();
    let is_missing = |file: &&str| !Path::new("/etc").join(file).exists();
    let missing = ["hosts", "hostname", "resolv.conf"].into_iter().find(is_missing);
    if let Some(file) = missing.filter(|_| stage.network_namespace && !stage.writable_layer) {
        // Nothing can be made in a read-only root, and there would be nothing to mount on.
        host.skip(format!("this machine has no /etc/{file}"));
    }
    let outcome = host.run(["--rootfs", "/", "/bin/sh", "-c", "echo started"]);
    assert_eq!(outcome.text(), "started\n");
}

fn own_rootfs(host: &Host) {
    let rootfs = host.own_rootfs();
    let parent = rootfs.parent().unwrap();
    symlink(&rootfs, parent.join("link to it")).unwrap();
    let home = host.home();
    symlink(&rootfs, home.join("in-home")).unwrap();
    host.own(home.join("in-home"));
    fs::write(rootfs.join("marker"), "mine\n").unwrap();
    for directory in [
        rootfs.to_str().unwrap(),
        &format!("{}/", rootfs.display()),
        &format!("{}/link to it", parent.display()),
        "in-home",
        "./in-home/.",
    ] {
        let outcome = host.run(["--rootfs", directory, "/bin/busybox", "cat", "/marker"]);
        assert_eq!(outcome.text(), "mine\n", "{directory}");
        let outcome = host.run([&format!("--rootfs={directory}"), "/bin/busybox", "cat", "marker"]);
        assert_eq!(outcome.text(), "mine\n", "{directory}");
    }
    assert_eq!(in_cache(host), [""; 0], "the cache is not needed then");
}

fn xdg_cache_home_is_respected(host: &Host) {
    let caches = host.dir("caches");
    let mut launcher = host.launcher();
    assert_eq!(
        Outcome::of(launcher.env("XDG_CACHE_HOME", &caches).args(["echo", "x"])).text(),
        "x\n"
    );
    assert!(caches.join("container-steps/rootfs/bin/busybox").exists());
    assert!(!host.cache().exists());
}

fn roots_cache_is_never_in_home(host: &Host) {
    let caches = host.dir("caches");
    let mut launcher = host.launcher();
    let launcher = launcher.env("XDG_CACHE_HOME", &caches).env("HOME", "/home/learner");
    assert_eq!(Outcome::of(launcher.args(["echo", "x"])).text(), "x\n");
    assert_eq!(entries(&caches), Vec::<String>::new());
    assert_eq!(entries(Path::new("/home/learner")), Vec::<String>::new());
    let mode = fs::metadata(host.rootfs()).unwrap().permissions().mode();
    assert_eq!(mode & 0o022, 0, "others may not write root's rootfs");
}

/// Whoever it belongs to could put anything into it, for us to run.
fn a_cache_of_somebody_else_is_refused(host: &Host) {
    if host.has_user_namespace() {
        host.skip("whoever runs the tests has one id");
    }
    host.warm_up();
    let cache = host.cache();
    let path = cache.to_str().unwrap();
    for (owner, name) in [(12345, "12345"), (u32::from(host.is_root()), "")] {
        chown(&cache, Some(owner), None).unwrap();
        let outcome = host.run(["true"]);
        outcome.assert_refused(125, &[&format!("cannot use {path:?}: it belongs to user"), name]);
        // The advice works.
        let cure = outcome.stderr.rsplit_once("(remove it: sudo ").unwrap().1;
        let cure = cure.trim_end().trim_end_matches(')');
        assert_eq!(cure, format!("rm -r {path:?}"));
    }
    fs::remove_dir_all(&cache).unwrap();
    assert_eq!(host.run(["echo", "again"]).text(), "again\n");
}
