//! Where the kernel refuses a user namespace: one clear error, with the cure for that cause.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::elsewhere::{Rule, When, bind, install_filter, mount_tmpfs};
use crate::{Host, Outcome, Suite};

pub fn add(suite: Suite) -> Suite {
    suite
        .user("refused_by_max_user_namespaces", refused_by_max_user_namespaces)
        .user("refused_by_unprivileged_userns_clone", refused_by_unprivileged_userns_clone)
        .user("refused_by_apparmor", refused_by_apparmor)
        .user("refused_inside_a_chroot", refused_inside_a_chroot)
        .user("refused_by_a_seccomp_filter", refused_by_a_seccomp_filter)
        .root("root_inside_a_chroot", root_inside_a_chroot)
        .root("root_of_a_docker_container_is_refused", root_of_a_docker_container)
}

/// Runs the launcher after `change`, with the rootfs there already.
fn run_elsewhere(
    host: &Host,
    change: impl Fn() -> io::Result<()> + Send + Sync + 'static,
) -> Outcome {
    host.warm_up();
    let mut launcher = host.launcher();
    host.elsewhere(&mut launcher, change);
    Outcome::of(launcher.arg("true"))
}

fn refused_by_max_user_namespaces(host: &Host) {
    // The limit counts per user namespace, so the machine's own stays as it is.
    let outcome = run_elsewhere(host, || fs::write("/proc/sys/user/max_user_namespaces", "0"));
    outcome.assert_refused(125, &["ENOSPC", "sudo sysctl -w user.max_user_namespaces="]);
}

/// Debian's sysctl is not in every kernel: a file with the right name, and a filter that does what
/// the sysctl does.
fn refused_by_unprivileged_userns_clone(host: &Host) {
    let outcome = run_elsewhere(host, || {
        mount_tmpfs("/proc/sys/kernel")?;
        fs::write("/proc/sys/kernel/unprivileged_userns_clone", "0\n")?;
        install_filter(&[Rule {
            call: libc::SYS_unshare,
            when: When::HasBits(0, libc::CLONE_NEWUSER.cast_unsigned()),
            errno: libc::EPERM,
        }])
    });
    outcome.assert_refused(125, &["EPERM", "sudo sysctl -w kernel.unprivileged_userns_clone=1"]);
}

/// As on Ubuntu 24.04: the namespace is made, but it may do nothing; here the write of uid_map
/// fails, which is the only write of eight bytes ("0 1000 1") at that time.
fn refused_by_apparmor(host: &Host) {
    let outcome = run_elsewhere(host, || {
        mount_tmpfs("/proc/sys/kernel")?;
        fs::write("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n")?;
        install_filter(&[Rule { call: libc::SYS_write, when: When::Is(2, 8), errno: libc::EPERM }])
    });
    // With a line to type, which is for this program.
    let profile = ["AppArmor", crate::BIN, "userns,", "| sudo tee /etc/apparmor.d/"];
    outcome.assert_refused(125, &profile);
    outcome.assert_refused(125, &["&& sudo apparmor_parser -r /etc/apparmor.d/"]);
}

fn refused_inside_a_chroot(host: &Host) {
    let outcome = run_elsewhere(host, enter_chroot);
    outcome.assert_refused(125, &["EPERM", "chroot", "pivot_root"]);
}

/// Root needs no user namespace, and v1 nothing else. But the mounts of a chroot are not the
/// process's to change.
fn root_inside_a_chroot(host: &Host) {
    let outcome = run_elsewhere(host, enter_chroot);
    if host.stage_facts().mount_namespace {
        outcome.assert_refused(125, &["chroot"]);
    } else {
        outcome.text();
    }
}

/// A directory with the whole machine in it, as a debootstrap would make one.
fn enter_chroot() -> io::Result<()> {
    mount_tmpfs("/mnt")?;
    fs::create_dir("/mnt/root")?;
    for entry in fs::read_dir("/")? {
        let (path, kind) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
        let inside = Path::new("/mnt/root").join(path.strip_prefix("/").map_err(io::Error::other)?);
        if kind.is_symlink() {
            symlink(fs::read_link(&path)?, inside)?;
        } else if kind.is_dir() && path != Path::new("/mnt") {
            fs::create_dir(&inside)?;
            bind(&path.to_string_lossy(), &inside.to_string_lossy())?;
        }
    }
    nix::unistd::chroot("/mnt/root")?;
    Ok(nix::unistd::chdir("/")?)
}

/// What Docker's default filter does to a container without CAP_SYS_ADMIN.
fn install_filter_of_docker() -> io::Result<()> {
    let refuse = |call| Rule { call, when: When::Always, errno: libc::EPERM };
    install_filter(&[
        refuse(libc::SYS_unshare),
        refuse(libc::SYS_setns),
        refuse(libc::SYS_mount),
        refuse(libc::SYS_umount2),
        refuse(libc::SYS_pivot_root),
        Rule {
            call: libc::SYS_clone,
            when: When::HasBits(0, 0x7e02_0000), // CLONE_NEWNS, CLONE_NEWCGROUP ... CLONE_NEWNET
            errno: libc::EPERM,
        },
        // Its flags are behind a pointer, where no filter can look: "not implemented" makes the
        // C library fall back to clone.
        Rule { call: libc::SYS_clone3, when: When::Always, errno: libc::ENOSYS },
    ])
}

fn refused_by_a_seccomp_filter(host: &Host) {
    let outcome = run_elsewhere(host, install_filter_of_docker);
    outcome.assert_refused(125, &["EPERM", "seccomp", "--security-opt seccomp=unconfined"]);
}

fn root_of_a_docker_container(host: &Host) {
    host.warm_up();
    let mut launcher: Command = host.launcher();
    let become_dockers_root = || {
        const CAP_SYS_ADMIN: libc::c_int = 21;
        // SAFETY: this prctl takes no pointer.
        let dropped = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, CAP_SYS_ADMIN, 0, 0, 0) };
        if dropped != 0 {
            return Err(io::Error::last_os_error());
        }
        install_filter_of_docker()
    };
    // SAFETY: a body has one thread, so its child may do anything.
    unsafe { launcher.pre_exec(become_dockers_root) };
    let outcome = Outcome::of(launcher.arg("true"));
    outcome.assert_refused(125, &["EPERM", "seccomp", "--security-opt seccomp=unconfined"]);
}
