//! Number 0 that is less than the machine's root: of a user namespace, and without a capability.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::waitpid;
use nix::unistd::{
    ForkResult, Gid, Uid, fork, getpid, pipe, read, setgid, setgroups, setuid, write,
};

use crate::identity::become_root_of_new_user_namespace;
use crate::{Host, Outcome, Suite};

pub fn add(suite: Suite) -> Suite {
    suite
        .user("root_of_a_user_namespace_has_the_users_cache", root_of_a_user_namespace)
        .root("root_of_a_range_of_ids_has_a_cache_of_its_own", root_of_a_range_of_ids)
        .root("what_root_lacks_is_named_or_not_needed", what_root_lacks)
}

/// As `unshare -Ur` makes one: /var/cache is not its own, and what the user has set counts.
fn root_of_a_user_namespace(host: &Host) {
    if host.has_user_namespace() {
        host.skip("in a host with one id, that one has all, /var/cache too");
    }
    let chosen = host.dir("chosen");
    for (cache, directory) in
        [(None, host.cache()), (Some(&chosen), chosen.join("container-steps"))]
    {
        let mut launcher = host.launcher();
        launcher.envs(cache.map(|cache| ("XDG_CACHE_HOME", cache)));
        // A change of ids made our /proc/self root's (man 2 prctl, PR_SET_DUMPABLE).
        let become_root = || {
            Ok(nix::sys::prctl::set_dumpable(true)?)
                .and_then(|()| become_root_of_new_user_namespace())
        };
        // SAFETY: a body has one thread, so its child may do anything.
        unsafe { launcher.pre_exec(become_root) };
        let outcome = Outcome::of(launcher.args(["echo", "fine"]));
        assert_eq!(outcome.text(), "fine\n", "{outcome:?}");
        assert!(directory.join("rootfs").is_dir(), "{}", directory.display());
    }
    assert!(!Path::new("/var/cache/container-steps").exists());
}

/// As `podman unshare` makes one: root and others, none of which is the machine's root.
fn root_of_a_range_of_ids(host: &Host) {
    if host.has_user_namespace() {
        host.skip("whoever runs the tests has one id");
    }
    const FIRST: u32 = 100_000;
    let home = host.dir("home");
    std::os::unix::fs::chown(&home, Some(FIRST), Some(FIRST)).unwrap();
    let mut launcher = host.launcher();
    launcher.env("HOME", &home);
    // SAFETY: a body has one thread, so its child may do anything.
    unsafe { launcher.pre_exec(|| enter_range(FIRST)) };
    let outcome = Outcome::of(launcher.args(["echo", "fine"]));
    assert_eq!(outcome.text(), "fine\n", "{outcome:?}");
    assert!(home.join(".cache/container-steps/rootfs").is_dir());
    assert!(!Path::new("/var/cache/container-steps").exists());
}

/// A user namespace whose ids begin at `first`. Who is not in it has to write its maps.
fn enter_range(first: u32) -> io::Result<()> {
    let directory = format!("/proc/{}", getpid());
    let (ready, tell) = pipe()?;
    // SAFETY: this process has one thread, so the child may do anything.
    match unsafe { fork() }? {
        ForkResult::Child => {
            let maps = ["uid_map", "gid_map"];
            let is_read = read(&ready, &mut [0]).is_ok();
            let is_written = maps.iter().all(|map| {
                fs::write(format!("{directory}/{map}"), format!("0 {first} 65536")).is_ok()
            });
            std::process::exit(i32::from(!(is_read && is_written)));
        }
        ForkResult::Parent { child } => {
            unshare(CloneFlags::CLONE_NEWUSER)?;
            write(&tell, b"x")?;
            waitpid(child, None)?;
        }
    }
    setgroups(&[])?;
    setgid(Gid::from_raw(0))?;
    Ok(setuid(Uid::from_raw(0))?)
}

/// The capabilities of capabilities(7) that some step needs, with the kernel's numbers.
const CAPABILITIES: [(&str, libc::c_ulong); 10] = [
    ("CAP_CHOWN", 0),
    ("CAP_DAC_OVERRIDE", 1),
    ("CAP_FOWNER", 3),
    ("CAP_SETGID", 6),
    ("CAP_SETUID", 7),
    ("CAP_SETPCAP", 8),
    ("CAP_NET_ADMIN", 12),
    ("CAP_SYS_CHROOT", 18),
    ("CAP_SYS_ADMIN", 21),
    ("CAP_MKNOD", 27),
];

/// A launcher of a root that has lost one capability for ever.
fn launcher_without(host: &Host, capability: libc::c_ulong) -> Command {
    let mut launcher = host.launcher();
    let lose = move || {
        // SAFETY: this prctl takes no pointer.
        let lost = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
        Errno::result(lost).map(drop).map_err(io::Error::from)
    };
    // SAFETY: the closure makes a system call only.
    unsafe { launcher.pre_exec(lose) };
    launcher
}

/// The container starts, perhaps in a user namespace, where root has all; or the error says what is
/// missing.
fn what_root_lacks(host: &Host) {
    host.warm_up();
    for (name, number) in CAPABILITIES {
        let outcome = Outcome::of(launcher_without(host, number).args(["echo", "fine"]));
        if outcome.code() == 0 {
            assert_eq!(outcome.text(), "fine\n", "{name}: {outcome:?}");
        } else {
            outcome.assert_refused(125, &[&format!("this root lacks {name}; in a container? ")]);
        }
        let is_needed = match host.stage_facts() {
            stage if stage.writable_layer => ["CAP_DAC_OVERRIDE", "CAP_SETPCAP"].contains(&name),
            stage if stage.mount_namespace => false,
            _ => name == "CAP_SYS_CHROOT",
        };
        assert!(is_needed || outcome.code() == 0, "{name}: {outcome:?}");
    }
    if host.stage_facts().network_namespace {
        without_net_admin(host);
    }
}

fn without_net_admin(host: &Host) {
    let without = || launcher_without(host, 12);
    let outcome = Outcome::of(without().args(["ls", "/sys/class/net"]));
    assert_eq!(outcome.text(), "lo\n", "{outcome:?}");
    let told = "Note: without CAP_NET_ADMIN the container has a loopback device only: ";
    assert!(outcome.stderr.starts_with(told), "{outcome:?}");
    let outcome = Outcome::of(without().args(["--net", "none", "ls", "/sys/class/net"]));
    assert_eq!(outcome.text(), "lo\n", "{outcome:?}");
    // A port is the host's, where this root may still have the low ones.
    let outcome = Outcome::of(without().args(["--net", "none", "-p", "81:80", "echo", "fine"]));
    assert_eq!(outcome.text(), "fine\n", "{outcome:?}");
    let outcome = Outcome::of(without().args(["--net", "bridge", "true"]));
    outcome.assert_refused(125, &["cannot make a bridge", "EPERM", "lacks CAP_NET_ADMIN"]);
}
