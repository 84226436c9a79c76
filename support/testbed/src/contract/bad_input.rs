//! Bad input: one line that starts with `Error: `, the right exit status, nothing left behind.
//! (That nothing is left, the leak check sees.)

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MsFlags, mount, umount};
use nix::sys::stat::Mode;

use crate::elsewhere::{bind, limit_memory, mount_tmpfs};
use crate::{Host, Outcome, Suite};

pub fn add(suite: Suite) -> Suite {
    suite
        .both("rootfs_that_cannot_be_one", rootfs_that_cannot_be_one)
        .user("rootfs_unreadable", rootfs_unreadable)
        .both("option_that_does_not_exist", option_that_does_not_exist)
        .both("command_not_found", command_not_found)
        .both("command_not_executable", command_not_executable)
        .both("busybox_that_cannot_be_used", busybox_that_cannot_be_used)
        .both("no_busybox_and_no_package_manager", no_busybox_and_no_package_manager)
        .both("no_busybox_and_no_network", no_busybox_and_no_network)
        .both("cache_on_a_read_only_file_system", cache_read_only)
        .user("cache_unwritable", cache_unwritable)
        .both("disk_full_while_preparing", disk_full_while_preparing)
}

fn rootfs_that_cannot_be_one(host: &Host) {
    let dir = host.dir("bad");
    fs::write(dir.join("file"), "x").unwrap();
    fs::create_dir(dir.join("empty")).unwrap();
    symlink("nowhere", dir.join("dangling")).unwrap();
    for (name, words, cure) in [
        ("missing", "ENOENT", "leave --rootfs out)"),
        ("file", "ENOTDIR", "(a rootfs is a directory"),
        ("file/below", "ENOTDIR", "(a rootfs is a directory"),
        ("dangling", "ENOENT", "leave --rootfs out)"),
        ("empty", "empty", "the command to run)"),
    ] {
        let rootfs = dir.join(name);
        let outcome = host.run(["--rootfs", rootfs.to_str().unwrap(), "sh"]);
        outcome.assert_refused(125, &[rootfs.to_str().unwrap(), words, cure]);
    }
    host.run(["--rootfs", "", "sh"]).assert_refused(125, &["rootfs"]);
    host.run(["--rootfs"]).assert_refused(125, &["rootfs"]);
}

fn rootfs_unreadable(host: &Host) {
    let rootfs = host.own_rootfs();
    fs::set_permissions(&rootfs, Permissions::from_mode(0o000)).unwrap();
    let rootfs = rootfs.to_str().unwrap();
    host.run(["--rootfs", rootfs, "sh"]).assert_refused(125, &[rootfs, "EACCES", "(this user may"]);
}

fn option_that_does_not_exist(host: &Host) {
    for option in ["--no-such-option", "-x", "--rootfss=/x"] {
        let outcome = host.run([option, "sh"]);
        outcome.assert_refused(125, &[option.split('=').next().unwrap(), "--help"]);
        let is_typo = option.starts_with("--rootfs");
        assert_eq!(outcome.stderr.contains("a similar argument exists: '--rootfs' (see"), is_typo);
    }
    assert!(!host.cache().exists());
}

fn command_not_found(host: &Host) {
    for command in ["no-such-command", "/no/such/command", "./no", "", "/bin/ls/below"] {
        host.run([command, "argument"]).assert_refused(127, &[command]);
    }
}

fn command_not_executable(host: &Host) {
    host.warm_up();
    let bin = host.rootfs().join("tmp");
    let executable = |name: &str, content: &[u8], mode| {
        fs::write(bin.join(name), content).unwrap();
        fs::set_permissions(bin.join(name), Permissions::from_mode(mode)).unwrap();
    };
    executable("no-x", b"#!/bin/sh\n", 0o644);
    executable("no-interpreter", b"#!/no/such/interpreter\n", 0o755);
    executable("no-format", b"neither ELF nor script\n", 0o755);
    executable("other-architecture", &for_another_architecture(host.busybox()), 0o755);
    for (command, words) in [
        ("/tmp/no-x", "EACCES"),
        ("/tmp", "EACCES"),
        ("/tmp/no-interpreter", "/no/such/interpreter"),
        ("/tmp/no-format", "ENOEXEC"),
        ("/tmp/other-architecture", "ENOEXEC"),
    ] {
        host.run([command]).assert_refused(126, &[command, words]);
    }
    for name in ["no-x", "no-interpreter", "no-format", "other-architecture"] {
        fs::remove_file(bin.join(name)).unwrap();
    }
}

/// The ELF file with another machine in its header (man 5 elf, e_machine).
fn for_another_architecture(path: &Path) -> Vec<u8> {
    const EM_S390: u16 = 22;
    let mut elf = fs::read(path).unwrap();
    elf[18..20].copy_from_slice(&EM_S390.to_le_bytes());
    elf
}

fn busybox_that_cannot_be_used(host: &Host) {
    let dir = host.dir("busyboxes");
    let other = dir.join("other-architecture");
    fs::write(&other, for_another_architecture(host.busybox())).unwrap();
    fs::write(dir.join("text"), "#!/bin/sh\necho sh\n").unwrap();
    let fifo = dir.join("fifo");
    nix::unistd::mkfifo(&fifo, Mode::from_bits_truncate(0o777)).unwrap();
    let yes = dir.join("yes"); // prints its arguments for ever
    symlink(host.busybox(), &yes).unwrap();
    for (busybox, words) in [
        (fifo, "not a file"),
        (yes, "EFBIG"),
        (other, "architecture"),
        (PathBuf::from("/bin/sh"), "dynamically linked"),
        (dir.join("text"), "architecture"),
        (dir.join("missing"), "No such file"),
        (dir.clone(), "not a file"),
    ] {
        let mut launcher = host.launcher();
        limit_memory(&mut launcher);
        let outcome = Outcome::of(launcher.env("BUSYBOX", &busybox).arg("sh"));
        outcome.assert_refused(125, &[busybox.to_str().unwrap(), words]);
    }
    assert_empty_cache(host);
}

/// After a refusal the cache directory may be there, but there is nothing in it.
#[track_caller]
fn assert_empty_cache(host: &Host) {
    let left: Vec<_> = fs::read_dir(host.cache()).into_iter().flatten().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

/// A launcher on a machine where nothing is in the directories of programs.
fn without_programs(host: &Host) -> Command {
    let mut launcher = host.launcher();
    host.elsewhere(&mut launcher, || {
        ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/bin", "/sbin"]
            .into_iter()
            .filter(|directory| Path::new(directory).exists())
            .try_for_each(mount_tmpfs)
    });
    launcher.env_remove("BUSYBOX");
    launcher
}

fn no_busybox_and_no_package_manager(host: &Host) {
    let outcome = Outcome::of(without_programs(host).arg("sh"));
    outcome.assert_refused(125, &["no static busybox", "BUSYBOX"]);
    assert_empty_cache(host);
}

fn no_busybox_and_no_network(host: &Host) {
    if !Path::new("/usr/bin/apt-get").exists() {
        host.skip("there is no apt-get here");
    }
    let mut launcher = host.launcher();
    host.elsewhere(&mut launcher, || {
        // What is no program hides the machine's busybox, if there is one.
        ["/bin/busybox", "/usr/bin/busybox", "/sbin/busybox", "/usr/local/bin/busybox"]
            .into_iter()
            .filter(|path| Path::new(path).exists())
            .try_for_each(|path| bind("/dev/null", path))
    });
    // apt waits seven seconds in all before it gives up.
    let settings = host.dir("apt").join("apt.conf");
    fs::write(&settings, "Acquire::Retries \"0\";\n").unwrap();
    let outcome = Outcome::of(launcher.env_remove("BUSYBOX").env("APT_CONFIG", settings).arg("sh"));
    outcome.assert_refused(125, &["cannot fetch busybox", "apt-get install busybox-static"]);
    assert_empty_cache(host);
}

/// Mounts a small file system as the cache.
fn mount_cache(host: &Host, size: &str, flags: MsFlags) {
    fs::create_dir_all(host.cache()).unwrap();
    if !host.is_root() {
        host.give(host.cache().parent().unwrap());
    }
    let options = format!("mode=755,size={size},uid={0},gid={0}", host.uid());
    mount(Some("small"), &host.cache(), Some("tmpfs"), flags, Some(options.as_str())).unwrap();
}

fn cache_read_only(host: &Host) {
    mount_cache(host, "10m", MsFlags::MS_RDONLY);
    host.run(["sh"]).assert_refused(125, &[host.cache().to_str().unwrap(), "EROFS"]);
    umount(&host.cache()).unwrap();
}

fn cache_unwritable(host: &Host) {
    let caches = host.home().join(".cache");
    fs::create_dir(&caches).unwrap();
    host.give(&caches);
    fs::set_permissions(&caches, Permissions::from_mode(0o555)).unwrap();
    host.run(["sh"]).assert_refused(125, &[host.cache().to_str().unwrap(), "EACCES"]);
    let outcome = Outcome::of(host.launcher().env("XDG_CACHE_HOME", "/proc").arg("sh"));
    outcome.assert_refused(125, &["/proc/container-steps"]);
}

fn disk_full_while_preparing(host: &Host) {
    for size in ["256k", "1m"] {
        mount_cache(host, size, MsFlags::empty());
        host.run(["sh"]).assert_refused(125, &[host.cache().to_str().unwrap(), "ENOSPC"]);
        assert_empty_cache(host);
        // With space it works, as if nothing had been.
        let more = Some("size=10m");
        mount(None::<&str>, &host.cache(), None::<&str>, MsFlags::MS_REMOUNT, more).unwrap();
        assert_eq!(host.run(["echo", "x"]).text(), "x\n");
        umount(&host.cache()).unwrap();
    }
}
