//! The exceptions: calls whose failure is rightly ignored, and faults that a launcher gets around.

use nix::errno::Errno;

use super::tracer::Point;

/// A call that does not fail here.
pub(super) struct Ignored {
    pub(super) call: &'static str,
    /// Why its failure says nothing about the launcher.
    #[expect(dead_code, reason = "it is for who reads this")]
    pub(super) reason: &'static str,
}

const fn ignored(call: &'static str, reason: &'static str) -> Ignored {
    Ignored { call, reason }
}

/// Never let one fail.
pub(super) const IGNORED: [Ignored; 14] = [
    ignored("brk", "memory: Rust ends a program that gets none (std::alloc)"),
    ignored("close", "it gives the descriptor back in any case (close(2))"),
    ignored("exit_group", "it does not return"),
    ignored("futex", "locks: the C library ends a program whose locks fail"),
    ignored("getegid", "it cannot fail, as all that asks who one is (credentials(7))"),
    ignored("geteuid", "the same"),
    ignored("getpid", "the same"),
    ignored("getpgrp", "the same"),
    ignored("getrandom", "it cannot fail once the machine is up"),
    ignored("mmap", "memory, as brk"),
    ignored("mprotect", "memory, as brk"),
    ignored("rt_sigprocmask", "it can only fail for a wrong address"),
    ignored("rt_sigtimedwait", "it can only fail for a wrong argument; EINTR begins anew"),
    ignored("umask", "it cannot fail"),
];

/// A fault that is an exception to what must be so.
pub(super) struct Exception {
    call: &'static str,
    /// What the path begins or ends with.
    path: &'static str,
    /// None is all.
    errnos: &'static [Errno],
    /// What the launcher says or does instead.
    pub(super) told: &'static str,
}

impl Exception {
    pub(super) fn is_about(&self, point: &Point, path: &str, errno: Errno) -> bool {
        self.call == point.call
            && (path.starts_with(self.path) || path.ends_with(self.path))
            && (self.errnos.is_empty() || self.errnos.contains(&errno))
    }
}

const fn exception(
    call: &'static str,
    path: &'static str,
    errnos: &'static [Errno],
    told: &'static str,
) -> Exception {
    Exception { call, path, errnos, told }
}

/// What a launcher gets around: what it does instead, with the same result.
pub(super) const FALL_BACKS: &[Exception] = &[
    // v1
    exception("newfstatat", "rootfs/bin/busybox", &[], "a damaged rootfs is mended"),
    exception("newfstatat", "container-steps/rootfs/.", &[], "the same"),
    exception("newfstatat", "container-steps/rootfs/bin", &[], "the same"),
    exception("newfstatat", "container-steps/rootfs/etc", &[], "the same"),
    exception("newfstatat", "container-steps/rootfs/usr", &[], "the same"),
    exception("statx", "/run/testbed/busybox", &[], "the same: it may be another BUSYBOX"),
    exception("readlinkat", "", &[], "the same: the link is made anew"),
    exception("openat", "/dev/tty", &[], "it is not taken back from the container at the end"),
    exception("write", "Note: ", &[], "nobody is there to be told"),
    exception("fcntl", "", &[], "std looks at a descriptor before it closes it, in a debug build"),
    exception("prlimit64", "", &[], "the C library wants it before posix_spawn, and needs it not"),
    exception("clone3", "", &[Errno::ENOSYS], "the C library takes clone"),
    exception("statx", "", &[Errno::ENOSYS], "std takes stat"),
    exception("munmap", "", &[], "memory that is not given back stays"),
    exception("set_robust_list", "", &[], "the C library has no locks between processes here"),
    exception("madvise", "", &[], "advice that the C library gives about memory"),
    exception("openat", "overcommit_memory", &[], "the C library gives back less memory"),
    exception("read", "overcommit_memory", &[], "the same"),
    exception("lseek", "", &[], "std wants the size of a file to get as much memory"),
    // v2
    exception("mknodat", "", &[Errno::EPERM], "the device of the host is bound"),
    exception("mount", ".", &[Errno::EPERM], "v2: /proc of the host is bound, which is told"),
    // v5
    exception("kill", "", &[], "the proxy dies with the launcher"),
    exception("recvfrom", "socket:", &[Errno::EPERM], "without root there is no bridge"),
    exception("sendto", "socket:", &[Errno::EPERM], "the same"),
    exception("rmdir", "/run/container-steps", &[], "an empty directory; the next start uses it"),
    exception("ioctl", "socket:", &[], "whether there is a link: netlink is asked too"),
    // v6
    exception("openat", "cpu/online", &[], "the C library asks another way (sysconf(3))"),
    exception("read", "cpu/online", &[], "the same"),
    // v7
    exception("statx", "/tmp/image", &[], "it is taken for a name with a tag"),
    exception("getdents64", ".unfinished", &[], "a layer that cannot be listed is begun anew"),
    exception("sched_getaffinity", "", &[], "one layer is unpacked at a time"),
    exception("uname", "", &[], "the writes go to disk, as with an old kernel"),
    // v8
    exception("execveat", "", &[Errno::ENOSYS], "the C library executes /proc/self/fd/N"),
    exception("copy_file_range", "", &[], "std copies in another way"),
    exception("sendfile", "", &[], "the same"),
    exception("statx", "bin/v8-pause", &[], "the same"),
    exception("ioctl", "(deleted)", &[], "what is no terminal gets no colours"),
    exception("setsid", "", &[], "it leads a process group already, made for it"),
    exception("getdents64", "/pods", &[], "what dead pods have left the next start removes"),
    exception("getdents64", "/container-steps", &[], "the same"),
    exception("rmdir", "/pods", &[], "an empty directory; the next start uses it"),
];

/// What is told under another name.
pub(super) const TOLD_AS: &[Exception] = &[
    // std, create_dir_all: what is there already and cannot be looked at is in the way
    exception("statx", "container-steps", &[], "EEXIST"),
    // The C library says so of a thread, whatever the reason.
    exception("clone3", "", &[], "EAGAIN"),
];
