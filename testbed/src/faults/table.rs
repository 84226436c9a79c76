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
pub(super) const IGNORED: [Ignored; 10] = [
    ignored("close", "it gives the descriptor back in any case (close(2))"),
    ignored("exit_group", "it does not return"),
    ignored("geteuid", "it cannot fail, like all that asks who one is (credentials(7))"),
    ignored("getegid", "the same"),
    ignored("getpid", "the same"),
    ignored("getpgrp", "the same"),
    ignored("umask", "it cannot fail"),
    ignored("munmap", "the allocator gives memory back: if not, it stays"),
    ignored("rt_sigprocmask", "it can only fail for a wrong address"),
    ignored("set_robust_list", "the C library's, about locks between threads"),
];

/// A fault that the launcher gets around.
pub(super) struct FallBack {
    call: &'static str,
    /// What the path ends in.
    path: &'static str,
    errnos: &'static [Errno],
    #[expect(dead_code, reason = "it is for who reads this")]
    instead: &'static str,
}

impl FallBack {
    pub(super) fn is_about(&self, point: &Point, path: &str, errno: Errno) -> bool {
        self.call == point.call
            && path.ends_with(self.path)
            && (self.errnos.is_empty() || self.errnos.contains(&errno))
    }
}

/// What the launcher does instead, with the same result.
pub(super) const FALL_BACKS: [FallBack; 9] = [
    FallBack {
        call: "newfstatat",
        path: "container-steps/rootfs/.",
        errnos: &[],
        instead: "a rootfs that cannot be looked at is mended, as if it were damaged",
    },
    FallBack {
        call: "newfstatat",
        path: "container-steps/rootfs/bin/busybox",
        errnos: &[],
        instead: "the same",
    },
    FallBack {
        call: "newfstatat",
        path: "container-steps/rootfs/bin",
        errnos: &[],
        instead: "the same",
    },
    FallBack {
        call: "newfstatat",
        path: "container-steps/rootfs/etc",
        errnos: &[],
        instead: "the same",
    },
    FallBack {
        call: "newfstatat",
        path: "container-steps/rootfs/usr",
        errnos: &[],
        instead: "the same",
    },
    FallBack {
        call: "statx",
        path: "/run/testbed/busybox",
        errnos: &[],
        instead: "the same: what BUSYBOX says is compared with the busybox of the rootfs",
    },
    FallBack {
        call: "openat",
        path: "/dev/tty",
        errnos: &[],
        instead: "who cannot open its terminal does not take it back at the end",
    },
    FallBack {
        call: "mknodat",
        path: "",
        errnos: &[Errno::EPERM],
        instead: "where no device can be made, that of the host is bound",
    },
    FallBack {
        call: "fcntl",
        path: "",
        errnos: &[],
        instead: "F_GETFD: with debug assertions, std asks before it closes a descriptor",
    },
];
