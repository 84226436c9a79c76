//! Layers by hand: `--layer`, `--upper`, `--changes`, and the busybox rootfs as the one layer.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::mount::{MsFlags, mount, umount};
use nix::sys::signal::Signal;
use testbed::elsewhere::{bind, limit_memory, mount_tmpfs};
use testbed::running::{is_alive, within};
use testbed::{Host, Outcome, Suite};

pub fn add(suite: Suite) -> Suite {
    suite
        .both("what_is_written_is_gone", what_is_written_is_gone)
        .both("containers_do_not_spoil_each_other", containers_do_not_spoil_each_other)
        .both("the_first_layer_wins", the_first_layer_wins)
        .both("upper_keeps_what_is_written", upper_keeps_what_is_written)
        .both("upper_is_used_by_one_container_at_a_time", upper_is_used_by_one)
        .both("upper_that_cannot_be_one", upper_that_cannot_be_one)
        .both("upper_survives_a_killed_launcher", upper_survives_a_killed_launcher)
        .both("upper_beside_somebody_else_s_work_is_refused", upper_beside_work_of_others)
        .both("upper_that_others_can_enter_is_told", upper_that_others_can_enter)
        .both("deleted_and_made_again", deleted_and_made_again)
        .user("an_old_kernel_has_the_upper_on_disk", an_old_kernel_has_the_upper_on_disk)
        .both("changes_lists_all_three_kinds", changes_lists_all_three_kinds)
        .both("changes_of_a_kept_upper", changes_of_a_kept_upper)
        .both("changes_without_a_bottom", changes_without_a_bottom)
        .long()
        .both("changes_come_after_a_failure_too", changes_come_after_a_failure_too)
        .both("names_that_a_terminal_obeys_are_escaped", names_are_escaped)
        .both("up_to_500_layers", up_to_500_layers)
        .long()
        .both("501_layers_say_so", layers_501_say_so)
        .both("paths_with_separators", paths_with_separators)
        .both("a_missing_layer_is_named", a_missing_layer_is_named)
        .both("upper_on_overlayfs_says_so", upper_on_overlayfs_says_so)
        .user("a_mount_in_a_layer_says_so", a_mount_in_a_layer_says_so)
        .both("the_root_directory_is_like_the_top_layers", the_root_is_like_the_top_layers)
        .both("volumes_of_anywhere_work", volumes_of_anywhere_work)
        .both("env_workdir_user", env_workdir_user)
        .user("another_user_needs_root", another_user_needs_root)
        .root("a_user_with_groups", a_user_with_groups)
        .user("a_user_with_groups_with_a_range", Host::with_subordinate_ids(a_user_with_groups))
        .root("a_command_of_another_user_ends_with_its_launcher", another_user_ends_too)
        .user(
            "a_command_of_another_user_ends_with_its_launcher_with_a_range",
            Host::with_subordinate_ids(another_user_ends_too),
        )
}

/// A directory of the test with files in it.
pub fn layer(host: &Host, name: &str, files: &[(&str, &str)]) -> PathBuf {
    let directory = host.dir(name);
    for (name, content) in files {
        let path = directory.join(name);
        let parent = path.parent().unwrap();
        if !parent.exists() {
            fs::create_dir(parent).unwrap();
            host.give(parent);
        }
        fs::write(&path, content).unwrap();
        host.give(&path);
    }
    directory
}

/// `--layer` for each, and busybox at the bottom.
fn with_busybox(host: &Host, layers: &[&Path]) -> Vec<String> {
    host.warm_up();
    let rootfs = host.rootfs();
    let mut arguments = Vec::new();
    for layer in layers.iter().copied().chain([rootfs.as_path()]) {
        arguments.extend(["--layer".into(), layer.to_str().unwrap().to_owned()]);
    }
    arguments
}

/// Runs a script with these options.
fn run(host: &Host, options: &[String], script: &str) -> Outcome {
    let mut launcher = host.launcher();
    Outcome::of(launcher.args(options).args(["sh", "-c", script]))
}

/// Everything about a tree, to see whether it changes.
fn state(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut to_visit = vec![directory.to_owned()];
    while let Some(path) = to_visit.pop() {
        let of_file = fs::symlink_metadata(&path).unwrap();
        let content = if of_file.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        let (mode, time) = (of_file.mode(), of_file.mtime_nsec());
        found.push(format!("{} {mode:o} {time} {content:?}", path.display()));
        if of_file.is_dir() {
            to_visit.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found.sort_unstable();
    found
}

fn what_is_written_is_gone(host: &Host) {
    host.warm_up();
    let before = state(&host.rootfs());
    let script = "echo written >/root/file; mkdir /new; rm /bin/ls; chmod 0 /etc; cat /root/file";
    assert_eq!(host.sh(script).text(), "written\n");
    assert_eq!(host.sh("ls /root; cat /etc/passwd | wc -l").text(), "2\n");
    assert_eq!(state(&host.rootfs()), before, "the lower layer never changes");
}

fn containers_do_not_spoil_each_other(host: &Host) {
    let mut one = host.start(["sh", "-c", "rm -r /bin; echo ready; read line </dev/zero"]);
    one.expect_line("ready");
    assert_eq!(host.sh("ls -d /bin").text(), "/bin\n");
}

/// What the seeds show.
fn the_first_layer_wins(host: &Host) {
    let first = layer(host, "first", &[("file.txt", "from_first\n")]);
    let second = layer(host, "second", &[("file.txt", "from_second\n"), ("only.txt", "2nd\n")]);
    let upper = private(host, "upper");
    let (before_first, before_second) = (state(&first), state(&second));
    let mut options = with_busybox(host, &[&first, &second]);
    assert_eq!(run(host, &options, "cat file.txt only.txt").text(), "from_first\n2nd\n");
    options.extend(["--upper".into(), upper.to_str().unwrap().into()]);
    let script = "echo from_merged >file.txt; cat file.txt; rm only.txt";
    assert_eq!(run(host, &options, script).text(), "from_merged\n");
    assert_eq!(fs::read_to_string(upper.join("file.txt")).unwrap(), "from_merged\n");
    assert_eq!((state(&first), state(&second)), (before_first, before_second));
}

/// A directory of the test that nobody else can enter, as one for `--upper` should be in.
fn private(host: &Host, name: &str) -> PathBuf {
    let directory = host.dir(name);
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
    directory
}

fn upper_keeps_what_is_written(host: &Host) {
    let parent = private(host, "kept");
    // It is made if it is missing.
    let options = ["--upper".to_owned(), parent.join("up,per:x").to_str().unwrap().to_owned()];
    let script = "echo kept >/root/file; rm /etc/group; mkdir /srv; id >/tmp/id";
    assert_eq!(run(host, &options, script).text(), "");
    assert_eq!(
        run(host, &options, "cat /root/file; ls /etc /srv").text(),
        "kept\n/etc:\nhostname\nhosts\npasswd\nresolv.conf\n\n/srv:\n"
    );
    assert_eq!(host.sh("ls /root").text(), "", "another container does not see it");
    let of_file = fs::metadata(parent.join("up,per:x/root/file")).unwrap();
    assert_eq!((of_file.uid(), of_file.gid()), (host.uid(), host.uid()));
    let entries: Vec<_> =
        fs::read_dir(&parent).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(entries, ["up,per:x"], "the work directory is gone");
}

fn upper_that_cannot_be_one(host: &Host) {
    let file = host.dir("no-upper").join("file");
    fs::write(&file, "x").unwrap();
    let refused = |upper: &str, words: &[&str]| {
        host.run(["--upper", upper, "true"]).assert_refused(125, &[&[upper], words].concat());
    };
    refused("/no/such/upper", &["ENOENT", "(the directory around it is missing: mkdir -p)"]);
    refused(file.to_str().unwrap(), &["it is no directory (give one"]);
    refused("/usr/upper", &["EROFS", "(give one where this user may write)"]);
}

fn upper_is_used_by_one(host: &Host) {
    let upper = private(host, "kept").join("upper");
    let upper = upper.to_str().unwrap();
    let mut first = host.start(["--upper", upper, "sh", "-c", "echo ready; sleep 1000"]);
    first.expect_line("ready");
    host.run(["--upper", upper, "true"]).assert_refused(125, &[upper, "a container is using it"]);
    first.signal(Signal::SIGKILL);
    assert!(first.supervisor.wait().is_ok());
    within(Duration::from_secs(5), "the lock is free", || {
        host.run(["--upper", upper, "true"]).code() == 0
    });
}

fn upper_survives_a_killed_launcher(host: &Host) {
    let parent = private(host, "kept");
    let upper = parent.join("upper");
    let upper = upper.to_str().unwrap();
    let script = "echo one >/root/file; echo ready; sleep 1000";
    let mut running = host.start(["--upper", upper, "sh", "-c", script]);
    running.expect_line("ready");
    let command = running.command();
    running.signal(Signal::SIGKILL);
    assert!(running.supervisor.wait().is_ok());
    within(Duration::from_secs(5), "the container is gone", || !is_alive(command));
    assert_eq!(host.run(["--upper", upper, "cat", "/root/file"]).text(), "one\n");
    let entries: Vec<_> =
        fs::read_dir(&parent).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(entries, ["upper"], "the next start removes the work directory");
}

/// In a directory like /tmp somebody else can have put something at the name of our work directory,
/// which overlayfs would empty, and we remove.
fn upper_beside_work_of_others(host: &Host) {
    let victim = host.dir("victim");
    fs::create_dir(victim.join("work")).unwrap();
    fs::write(victim.join("work/file"), "precious\n").unwrap();
    for path in [victim.join("work"), victim.join("work/file")] {
        host.give(&path);
    }
    let parent = private(host, "kept");
    let (upper, work) = (parent.join("upper"), parent.join(".upper.work"));
    let upper = upper.to_str().unwrap();
    symlink(&victim, &work).unwrap();
    host.run(["--upper", upper, "true"])
        .assert_refused(125, &[".upper.work", "ELOOP", "symbolic link"]);
    assert_eq!(fs::read_to_string(victim.join("work/file")).unwrap(), "precious\n");
    fs::remove_file(&work).unwrap();

    fs::write(&work, "a file\n").unwrap();
    host.run(["--upper", upper, "true"]).assert_refused(125, &[".upper.work", "ENOTDIR"]);
    fs::remove_file(&work).unwrap();

    fs::create_dir(&work).unwrap();
    fs::set_permissions(&work, fs::Permissions::from_mode(0o777)).unwrap();
    // An ordinary user's host has one uid: there, what is root's is somebody else's.
    let given = chown(&work, Some(4321), Some(4321));
    if given.is_err() {
        bind("/usr", work.to_str().unwrap()).unwrap();
    }
    host.run(["--upper", upper, "true"]).assert_refused(125, &[".upper.work", "somebody else's"]);
    assert!(work.exists());
    if given.is_err() {
        umount(&work).unwrap();
    }
    fs::remove_dir(&work).unwrap();
    assert_eq!(host.run(["--upper", upper, "true"]).text(), "");
}

/// A set-uid program in there belongs to the launcher's user, and everybody could run it.
fn upper_that_others_can_enter(host: &Host) {
    let parent = host.dir("kept");
    let upper = parent.join("upper");
    let upper = upper.to_str().unwrap();
    for _made_and_found in 0..2 {
        let script = "cp /bin/busybox /id; chmod 4755 /id";
        let outcome = host.run(["--net", "none", "--upper", upper, "sh", "-c", script]);
        assert_eq!(outcome.code(), 0, "{outcome:?}");
        let parts = ["Note: ", upper, "set-uid", "mkdir -m 700"];
        assert!(parts.iter().all(|part| outcome.stderr.contains(part)), "{outcome:?}");
        assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
    }
    fs::set_permissions(&parent, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(host.run(["--upper", upper, "stat", "-c", "%a", "/id"]).text(), "4755\n");
}

/// Without `userxattr` this fails in a user namespace, though the mount succeeds.
fn deleted_and_made_again(host: &Host) {
    let script = "rm -r /usr && mkdir /usr && ls /usr && rmdir /usr && mkdir /usr && echo again";
    assert_eq!(host.sh(script).text(), "again\n");
}

/// setarch(8) lets a kernel call itself old.
fn an_old_kernel_has_the_upper_on_disk(host: &Host) {
    let upper = host.cache().join("upper");
    let count = || fs::read_dir(&upper).unwrap().count();
    let old = |script: &str| {
        let mut setarch = host.command("setarch");
        setarch.args(["--uname-2.6", host.launcher().get_program().to_str().unwrap()]);
        setarch.args(["--changes", "sh", "-c", script]);
        setarch
    };
    let script = "rm -r /usr && mkdir -m 0 /usr && echo again";
    let expected = "again\nC /usr\nD /usr/bin\nD /usr/local\nD /usr/sbin\n";
    assert_eq!(Outcome::of(&mut old(script)).text(), expected);
    assert_eq!(count(), 0, "it goes at the end");
    let mut first = host.follow(&mut old("echo ready; sleep 1000"));
    let mut second = host.follow(&mut old("echo ready; sleep 1000"));
    first.expect_line("ready");
    second.expect_line("ready");
    assert_eq!(count(), 2);
    first.signal(Signal::SIGKILL);
    assert!(first.supervisor.wait().is_ok());
    assert_eq!(Outcome::of(&mut old("echo third")).text(), "third\n");
    assert_eq!(count(), 1, "the dead one's is gone, the living one's is not");
    second.signal(Signal::SIGKILL);
    assert!(second.supervisor.wait().is_ok());
    assert_eq!(Outcome::of(&mut old("true")).text(), "");
    assert_eq!(count(), 0);
}

fn changes_lists_all_three_kinds(host: &Host) {
    let script = "echo x >/etc/new; echo >>/etc/passwd; rm /etc/group /bin/ls; \
                  mkdir /srv; echo >/srv/x; touch /tmp/gone; rm /tmp/gone; \
                  rm -r /usr; mkdir /usr; touch /usr/new; exit 3";
    let outcome = host.run(["--changes", "sh", "-c", script]);
    assert_eq!(outcome.code(), 3);
    let expected = "C /bin\nD /bin/ls\nC /etc\nD /etc/group\nA /etc/new\nC /etc/passwd\n\
                    A /srv\nA /srv/x\nC /tmp\nC /usr\nD /usr/bin\nD /usr/local\nA /usr/new\n\
                    D /usr/sbin\n";
    assert_eq!(String::from_utf8_lossy(&outcome.stdout), expected, "{outcome:?}");
    assert_eq!(host.run(["--changes", "true"]).text(), "");
}

fn changes_of_a_kept_upper(host: &Host) {
    let top = layer(host, "top", &[("hidden/x", ""), ("both", "")]);
    let mut options = with_busybox(host, &[&top]);
    let upper = private(host, "kept").join("upper");
    options.extend(["--changes".into(), "--upper".into(), upper.to_str().unwrap().into()]);
    let script = "rm -r /hidden; echo x >both";
    let expected = "C /both\nD /hidden\n";
    assert_eq!(run(host, &options, script).text(), expected);
    assert_eq!(run(host, &options, "true").text(), expected, "all that is in there");
}

/// A container can make directories deeper than any path. What can be named is listed, the rest is
/// told; the exit status is the command's.
fn changes_without_a_bottom(host: &Host) {
    let upper = private(host, "kept").join("upper");
    fs::create_dir(&upper).unwrap();
    host.give(&upper);
    host.dig(&upper, 20_000);
    fs::write(upper.join("b"), "").unwrap();
    host.give(&upper.join("b"));
    let mut launcher = host.launcher();
    limit_memory(&mut launcher);
    launcher.args(["--changes", "--upper", upper.to_str().unwrap(), "sh", "-c", "exit 3"]);
    let outcome = Outcome::of(&mut launcher);
    assert_eq!(outcome.code(), 3, "{}", outcome.stderr);
    let text = str::from_utf8(&outcome.stdout).unwrap();
    assert!(text.starts_with("A /a\nA /a/a\nA /a/a/a\n") && text.ends_with("/a/a\nA /b\n"));
    assert!(outcome.stderr.contains("not complete") && outcome.stderr.len() < 1000);
    launcher::remove_tree(&upper).unwrap();
}

fn changes_come_after_a_failure_too(host: &Host) {
    let outcome = host.run(["--changes", "/no/such/command"]);
    outcome.assert_refused(127, &["/no/such/command"]);
    let outcome = host.run(["--changes", "sh", "-c", "touch /tmp/x; kill -9 $$; echo not reached"]);
    assert!(outcome.stdout.ends_with(b"C /tmp\nA /tmp/x\n"), "{outcome:?}");
}

fn names_are_escaped(host: &Host) {
    let script = "touch \"$(printf '/tmp/a\\033[31mb\\nc')\" /tmp/ä";
    let outcome = host.run(["--changes", "sh", "-c", script]);
    assert_eq!(outcome.text(), "C /tmp\nA /tmp/a\\u{1b}[31mb\\nc\nA /tmp/ä\n");
}

/// Many layers, one file in each. mount(2) would cut the text of its options after 4095 bytes: at
/// 40 layers with names of this length.
fn many(host: &Host, count: usize) -> Vec<PathBuf> {
    let parent = host.dir(&format!("many{count}"));
    let make = |number: usize| {
        let directory = parent.join(format!("{number:064}"));
        fs::create_dir(&directory).unwrap();
        host.give(&directory);
        let file = directory.join(format!("in-{number}"));
        fs::write(&file, "").unwrap();
        host.give(&file);
        directory
    };
    (1..count).map(make).collect()
}

fn up_to_500_layers(host: &Host) {
    for count in [1, 2, 40, 127, 500] {
        let layers = many(host, count);
        let layers: Vec<&Path> = layers.iter().map(PathBuf::as_path).collect();
        let options = with_busybox(host, &layers);
        let outcome = run(host, &options, "ls -d /in-* 2>/dev/null | wc -l; echo x >/in-1");
        assert_eq!(outcome.text(), format!("{}\n", count - 1), "{count} layers");
    }
}

fn layers_501_say_so(host: &Host) {
    let layers = many(host, 501);
    let layers: Vec<&Path> = layers.iter().map(PathBuf::as_path).collect();
    let options = with_busybox(host, &layers);
    run(host, &options, "true").assert_refused(125, &["501 layers are too many", "500"]);
}

fn paths_with_separators(host: &Host) {
    let parent = private(host, "parent");
    let layer = parent.join("a:b,c\\d\"e\nf");
    fs::create_dir(&layer).unwrap();
    fs::write(layer.join("here"), "found\n").unwrap();
    host.give(&layer);
    host.give(&layer.join("here"));
    let upper = parent.join("u:p,p\\e\"r\n");
    let mut options = with_busybox(host, &[&layer]);
    options.extend(["--upper".into(), upper.to_str().unwrap().into()]);
    assert_eq!(run(host, &options, "cat /here; echo x >/here").text(), "found\n");
    assert_eq!(fs::read_to_string(upper.join("here")).unwrap(), "x\n");
}

fn a_missing_layer_is_named(host: &Host) {
    let file = layer(host, "directory", &[("file", "")]).join("file");
    host.run(["--layer", "/no/such/layer", "true"])
        .assert_refused(125, &["/no/such/layer", "ENOENT"]);
    host.run(["--layer", file.to_str().unwrap(), "true"])
        .assert_refused(125, &[file.to_str().unwrap(), "ENOTDIR", "goes with --image)"]);
    host.run(["--layer", "/tmp", "--rootfs", "/", "true"])
        .assert_refused(125, &["--layer", "--rootfs", "cannot be used with"]);
}

fn upper_on_overlayfs_says_so(host: &Host) {
    host.warm_up();
    let upper = "/tmp/on-overlay";
    let mut launcher = host.launcher();
    let is_user = !host.is_root();
    host.elsewhere(launcher.args(["--upper", upper, "true"]), move || {
        mount_tmpfs("/mnt")?;
        for name in ["lower", "upper", "work"] {
            fs::create_dir(Path::new("/mnt").join(name))?;
        }
        fs::create_dir("/mnt/lower/on-overlay")?;
        let more = if is_user { ",userxattr" } else { "" };
        let options = format!("lowerdir=/mnt/lower,upperdir=/mnt/upper,workdir=/mnt/work{more}");
        let none = MsFlags::empty();
        Ok(mount(Some("overlay"), "/tmp", Some("overlay"), none, Some(options.as_str()))?)
    });
    Outcome::of(&mut launcher)
        .assert_refused(125, &[upper, "overlayfs", "ext4, xfs, btrfs or tmpfs"]);
}

fn a_mount_in_a_layer_says_so(host: &Host) {
    let rootfs = host.own_rootfs();
    let home = rootfs.join("home");
    mount_tmpfs(home.to_str().unwrap()).unwrap();
    let outcome = host.run(["--rootfs", rootfs.to_str().unwrap(), "true"]);
    umount(&home).unwrap();
    outcome.assert_refused(125, &["EINVAL", home.to_str().unwrap(), "is a mount point"]);
}

fn the_root_is_like_the_top_layers(host: &Host) {
    let top = layer(host, "top", &[]);
    fs::set_permissions(&top, fs::Permissions::from_mode(0o711)).unwrap();
    let mut options = with_busybox(host, &[&top]);
    assert_eq!(run(host, &options, "stat -c %a-%u /").text(), "711-0\n");
    let upper = private(host, "kept").join("upper");
    options.extend(["--upper".into(), upper.to_str().unwrap().into()]);
    assert_eq!(run(host, &options, "stat -c %a-%u /").text(), "711-0\n");
}

/// The layers are covered while the root directory is put together; the host's other files are not.
fn volumes_of_anywhere_work(host: &Host) {
    let volume = layer(host, "volume", &[("file", "of the host\n")]);
    host.warm_up();
    let link = host.home().join("link");
    symlink(&volume, &link).unwrap();
    host.own(&link);
    for source in [volume.to_str().unwrap(), link.to_str().unwrap()] {
        let volume = format!("{source}:/mnt/here");
        let outcome = host.run(["--changes", "-v", &volume, "cat", "/mnt/here/file"]);
        assert_eq!(outcome.text(), "of the host\nC /mnt\nA /mnt/here\n");
    }
}

fn env_workdir_user(host: &Host) {
    let forged = host.run(["-e", "A\nB=1", "env"]);
    forged.assert_refused(125, &["--env", "control character"]);
    let mut launcher = host.launcher();
    launcher.env("OF_THE_CALLER", "yes").args(["-e", "A=1", "-e", "OF_THE_CALLER", "-e", "UNSET"]);
    launcher.args(["--env", "A=2", "-w", "/deep/er", "-u", "0"]);
    let script = "pwd; id -u; echo $A $OF_THE_CALLER; env | grep -c UNSET";
    assert_eq!(Outcome::of(launcher.args(["sh", "-c", script])).stdout, b"/deep/er\n0\n2 yes\n0\n");
    host.run(["-e", "=x", "true"]).assert_refused(125, &["--env", "name is empty"]);
    host.run(["-w", "/etc/passwd", "true"])
        .assert_refused(125, &["/etc/passwd", "working directory"]);
    let missing = host.run(["--read-only", "-w", "/missing", "true"]);
    missing.assert_refused(
        125,
        &["\"/missing\": EROFS", "(it is missing, and the directory that it would be made in is"],
    );
    assert_eq!(host.run(["--read-only", "-w", "/tmp", "pwd"]).text(), "/tmp\n");
    let cure = "(a number needs no entry)";
    host.run(["-u", "nosuch", "true"]).assert_refused(125, &["nosuch", "/etc/passwd", cure]);
    host.run(["-u", "0:nosuch", "true"]).assert_refused(125, &["nosuch", "/etc/group", cure]);
    let own_path = host.run(["-e", "PATH=/nowhere", "ls"]);
    own_path.assert_refused(127, &["ls", "no such command"]);
}

fn another_user_needs_root(host: &Host) {
    host.run(["-u", "nobody", "id"]).assert_refused(125, &["65534", "give 0 as user"]);
}

fn a_user_with_groups(host: &Host) {
    let accounts = layer(
        host,
        "accounts",
        &[
            ("etc/passwd", "root:x:0:0::/root:/bin/sh\napp:x:100:101::/srv/app:/bin/sh\n"),
            ("etc/group", "root:x:0:\nother:x:7:x,app\nmore:x:9:app\n"),
        ],
    );
    let options = with_busybox(host, &[&accounts]);
    let id = |user: &str| {
        let options = [&options[..], &["-u".into(), user.into()]].concat();
        run(host, &options, "id -u; id -g; id -G; echo $HOME; grep NoNewPrivs -c /proc/self/status")
            .text()
            .replace('\n', " ")
    };
    assert_eq!(id("app"), "100 101 101 7 9 /srv/app 1 ");
    assert_eq!(id("app:other"), "100 7 7 /srv/app 1 ");
    assert_eq!(id("55:66"), "55 66 66 / 1 ");
    let mut stdin = host.launcher();
    stdin.args(&options).args(["-u", "app", "sh", "-c", "echo x 2>&1 >/etc/passwd"]);
    let outcome = Outcome::of(&mut stdin);
    assert!(String::from_utf8_lossy(&outcome.stdout).contains("denied") || outcome.code() == 1);
}

fn another_user_ends_too(host: &Host) {
    let mut running = host.start(["-u", "65534", "sh", "-c", "echo ready; sleep 1000"]);
    running.expect_line("ready");
    let command = running.command();
    running.signal(Signal::SIGKILL);
    assert!(running.supervisor.wait().is_ok());
    within(Duration::from_secs(5), "the command is gone", || !is_alive(command));
}
