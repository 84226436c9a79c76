//! The exceptions: calls whose failure is rightly ignored, and faults that a launcher gets around.
//!
//! Each row names a trial that needs it, by step, scenario and variant. There it is tried without
//! the row, and if everything is in order without it, that trial fails.

use nix::errno::Errno;

use super::point::Point;

/// A call that does not fail here.
pub(super) struct Ignored {
    pub(super) needed: &'static str,
    pub(super) call: &'static str,
    /// Why its failure says nothing about the launcher.
    #[expect(dead_code, reason = "it is for who reads this")]
    reason: &'static str,
}

const fn ignored(needed: &'static str, call: &'static str, reason: &'static str) -> Ignored {
    Ignored { needed, call, reason }
}

/// Never let one fail. (At most 15.)
pub(super) const IGNORED: [Ignored; 14] = [
    ignored("v1 start root", "close", "it gives the descriptor back in any case (close(2))"),
    ignored("v1 start root", "exit_group", "it does not return"),
    ignored("v5 loopback root", "futex", "locks: the C library ends a program if they fail"),
    ignored("v1 start user", "getegid", "it cannot fail, as all that asks who one is"),
    ignored("v1 start root", "geteuid", "the same"),
    ignored("v1 start root", "getpid", "the same"),
    ignored("v3 start root", "getppid", "the same"),
    ignored("v7 unpack root", "getrandom", "it cannot fail once the machine is up"),
    ignored("v5 loopback root", "mmap", "memory: Rust ends a program that gets none"),
    ignored("v5 loopback root", "mprotect", "memory: Rust ends a program that gets none"),
    ignored("v1 start root", "rt_sigprocmask", "it can only fail for a wrong address"),
    ignored("v8 pod root", "rt_sigtimedwait", "only for a wrong argument; EINTR begins anew"),
    ignored("v2 start root", "umask", "it cannot fail"),
    ignored("v6 limits root", "unlock", "flock(LOCK_UN) of a lock that one has cannot fail"),
];

/// A fault that is an exception to what must be so.
#[derive(Debug)]
pub(super) struct Exception {
    pub(super) needed: &'static str,
    call: &'static str,
    /// What the path begins or ends with.
    path: &'static str,
    /// None is all.
    pub(super) errnos: &'static [Errno],
    /// What the launcher says or does instead.
    pub(super) told: &'static str,
}

impl Exception {
    pub(super) fn is_about(&self, point: &Point, path: &str, errno: Errno) -> bool {
        self.matches(point, path) && (self.errnos.is_empty() || self.errnos.contains(&errno))
    }

    pub(super) fn matches(&self, point: &Point, path: &str) -> bool {
        self.call == point.call && (path.starts_with(self.path) || path.ends_with(self.path))
    }
}

const fn exception(
    needed: &'static str,
    call: &'static str,
    path: &'static str,
    errnos: &'static [Errno],
    told: &'static str,
) -> Exception {
    Exception { needed, call, path, errnos, told }
}

/// What a launcher gets around: what it does instead, with the same result.
#[rustfmt::skip]
pub(super) const FALL_BACKS: &[Exception] = &[
    exception("v1 start root", "newfstatat", "rootfs/bin/busybox", &[], "a rootfs is mended"),
    exception("v1 start root", "newfstatat", "container-steps/rootfs/.", &[], "the same"),
    exception("v1 start root", "newfstatat", "container-steps/rootfs/bin", &[], "the same"),
    exception("v1 start root", "newfstatat", "container-steps/rootfs/etc", &[], "the same"),
    exception("v1 start root", "newfstatat", "container-steps/rootfs/usr", &[], "the same"),
    exception("v1 start root", "statx", "/run/testbed/busybox", &[], "the same: it may be another"),
    exception("v1 first_start root", "readlinkat", "", &[], "the same: the link is made anew"),
    exception("v1 start root", "openat", "/dev/tty", &[], "it is not taken back at the end"),
    exception("v2 start user", "write", "Note: ", &[], "nobody is there to be told"),
    exception("v1 start root", "fcntl", "", &[], "std looks at a descriptor, in a debug build"),
    exception("v1 first_start root", "prlimit64", "", &[], "the C library needs no answer"),
    exception("v1 first_start root", "clone3", "", &[Errno::ENOSYS], "the C library takes clone"),
    exception("v1 first_start root", "statx", "", &[Errno::ENOSYS], "std takes stat"),
    exception("v1 first_start root", "munmap", "", &[], "memory that is not given back stays"),
    exception("v1 start root", "set_robust_list", "", &[], "it is about locks between processes"),
    exception("v7 unpack root", "madvise", "", &[], "advice of the C library about memory"),
    exception("v7 unpack root", "openat", "overcommit_memory", &[], "the C library does without"),
    exception("v7 unpack root", "read", "overcommit_memory", &[], "the same"),
    exception("v6 limits root", "lseek", "", &[], "std wants the size to get as much memory"),
    exception("v4 start root", "mknodat", "", &[Errno::EPERM], "the host's device is bound"),
    exception("v2 start root", "fsopen", "", &[Errno::EPERM], "/proc of the host is bound"),
    exception("v2 start root", "fsconfig", "", &[Errno::EPERM], "the same"),
    exception("v2 start root", "fsmount", "", &[Errno::EPERM], "the same"),
    exception("v5 loopback root", "recvfrom", "open socket:", &[Errno::EPERM], "as without root"),
    exception("v5 loopback root", "sendto", "open socket:", &[Errno::EPERM], "the same"),
    exception("v5 loopback root", "ioctl", "open socket:", &[], "of a link netlink is asked too"),
    exception("v5 loopback root", "socket", "", &[], "the same"),
    exception("v5 loopback root", "statx", "/run/container-steps", &[], "it is looked for later"),
    exception("v5 loopback root", "rt_sigaction", "", &[], "the C library's, for threads"),
    exception("v6 limits root", "statx", "open /", &[], "std wants the size, as with lseek"),
    exception("v6 limits root", "unlinkat", "/container-steps", &[], "the next start uses it"),
    exception("v6 limits root", "access", "/sys/fs/cgroup/", &[], "the own cgroup may do"),
    exception("v6 limits root", "statfs", "/sys/fs/cgroup", &[], "it is no v2"),
    exception("v5 bridge root", "faccessat2", "", &[Errno::ENOSYS], "the C library asks otherwise"),
    exception("v5 bridge root", "openat", "ip_tables_names", &[], "it is only for a warning"),
    exception("v5 bridge root", "read", "ip_tables_names", &[], "the same"),
    exception("v5 bridge root", "statx", "disable_ipv6", &[], "it is written in any case"),
    exception("v5 bridge root", "openat", "disable_ipv6", &[], "the same"),
    exception("v5 bridge root", "read", "disable_ipv6", &[], "the same"),
    exception("v5 bridge root", "rmdir", "/run/container-steps", &[], "the next start uses it"),
    exception("v5 bridge root", "newfstatat", "/run/container-steps", &[], "the same"),
    exception("v6 limits root", "openat", "cpu/online", &[], "the C library asks another way"),
    exception("v6 limits root", "read", "cpu/online", &[], "the same"),
    exception("v7 unpack root", "getdents64", ".unfinished", &[], "the layer is begun anew"),
    exception("v7 unpack root", "sched_getaffinity", "", &[], "one layer is unpacked at a time"),
    exception("v7 layers user", "uname", "", &[], "the writes go to disk, as with an old kernel"),
    exception("v8 pod root", "setsid", "", &[], "it leads a process group, made for it"),
    exception("v8 pod user", "rmdir", "/pods", &[], "an empty directory; the next start uses it"),
    exception("v8 pod root", "execveat", "", &[Errno::ENOSYS], "the C library takes execve"),
    exception("v8 pod root", "ioctl", "(deleted)", &[], "what is no terminal gets no colours"),
];

/// What is told under another name.
#[rustfmt::skip]
pub(super) const TOLD_AS: &[Exception] = &[
    // std, create_dir_all: what is there already and cannot be looked at is in the way
    exception("v1 first_start root", "statx", "container-steps", &[], "EEXIST"),
    exception("v8 pod root", "statx", "/run", &[], "EEXIST"),
    // The C library says so of a thread, whatever the reason.
    exception("v5 loopback root", "clone3", "", &[], "EAGAIN"),
];
