//! The names of the system calls, and what can be plausible for each to fail with.

use nix::errno::Errno;

macro_rules! names {
    ($($name:ident)*) => {
        &[$((libc::$name, stringify!($name))),*]
    };
}

/// Those that a launcher has been seen to make. Another one has a number for a name.
const NAMES: &[(libc::c_long, &str)] = names![
    SYS_accept4 SYS_access SYS_arch_prctl SYS_bind SYS_brk SYS_capget SYS_capset SYS_chdir
    SYS_chmod SYS_chown SYS_chroot SYS_clock_gettime SYS_clock_nanosleep SYS_clone SYS_clone3
    SYS_close SYS_close_range SYS_connect SYS_copy_file_range SYS_dup SYS_dup2 SYS_dup3
    SYS_epoll_create1 SYS_epoll_ctl SYS_epoll_wait SYS_eventfd2 SYS_execve SYS_execveat SYS_exit
    SYS_exit_group
    SYS_faccessat SYS_faccessat2 SYS_fchdir SYS_fchmod SYS_fchmodat SYS_fchown SYS_fchownat
    SYS_fcntl SYS_fgetxattr SYS_flock SYS_fsconfig SYS_fsetxattr SYS_fsmount SYS_fsopen
    SYS_fstat SYS_fstatfs SYS_fsync SYS_ftruncate SYS_futex SYS_getcwd SYS_getdents64 SYS_getegid
    SYS_geteuid SYS_getgid SYS_getgroups SYS_getpeername SYS_getpgid SYS_getpgrp SYS_getpid
    SYS_getppid SYS_getrandom SYS_getresuid SYS_getresgid SYS_getrlimit SYS_getsid
    SYS_getsockname SYS_getsockopt SYS_gettid SYS_getuid SYS_getxattr SYS_inotify_add_watch
    SYS_inotify_init1 SYS_ioctl SYS_kill SYS_lchown SYS_lgetxattr SYS_link SYS_linkat
    SYS_listen SYS_listxattr SYS_llistxattr SYS_lremovexattr SYS_lseek SYS_lsetxattr SYS_lstat
    SYS_madvise SYS_memfd_create SYS_mkdir SYS_mkdirat SYS_mknod SYS_mknodat SYS_mmap SYS_mount
    SYS_mount_setattr SYS_move_mount SYS_mprotect SYS_mremap SYS_munmap SYS_nanosleep
    SYS_newfstatat SYS_open SYS_open_tree SYS_openat SYS_openat2 SYS_pidfd_getfd SYS_pidfd_open
    SYS_pidfd_send_signal SYS_pipe SYS_pipe2 SYS_pivot_root SYS_poll SYS_ppoll SYS_prctl
    SYS_pread64 SYS_prlimit64 SYS_pwrite64 SYS_read SYS_readlink SYS_readlinkat SYS_readv
    SYS_recvfrom SYS_recvmsg SYS_rename SYS_renameat SYS_renameat2 SYS_rmdir SYS_rseq
    SYS_rt_sigaction SYS_rt_sigprocmask SYS_rt_sigreturn SYS_rt_sigtimedwait
    SYS_sched_getaffinity SYS_sched_yield SYS_seccomp SYS_sendfile SYS_sendmsg SYS_sendto
    SYS_set_robust_list SYS_set_tid_address SYS_setgid SYS_setgroups SYS_sethostname SYS_setns
    SYS_setpgid SYS_setresgid SYS_setresuid SYS_setrlimit SYS_setsid SYS_setsockopt SYS_setuid
    SYS_setxattr SYS_shutdown SYS_sigaltstack SYS_signalfd4 SYS_socket SYS_socketpair SYS_splice
    SYS_stat SYS_statfs SYS_statx SYS_symlink SYS_symlinkat SYS_sysinfo SYS_tgkill
    SYS_timerfd_create SYS_timerfd_settime SYS_umask SYS_umount2 SYS_uname SYS_unlink
    SYS_unlinkat SYS_unshare SYS_utimensat SYS_vfork SYS_fork SYS_wait4 SYS_waitid SYS_write
    SYS_writev
];

/// The name of a system call.
pub(super) fn name(number: libc::c_long) -> String {
    let found = NAMES.iter().find(|(known, _)| *known == number);
    found.map_or_else(|| format!("call {number}"), |(_, name)| name["SYS_".len()..].to_owned())
}

/// Which argument of a call is a path, if one is.
pub(super) fn has_path(call: &str) -> Option<u8> {
    match call {
        "access" | "chdir" | "chmod" | "chown" | "chroot" | "execve" | "getxattr" | "lchown"
        | "lgetxattr" | "link" | "lsetxattr" | "lstat" | "memfd_create" | "mkdir" | "mknod"
        | "open" | "pivot_root" | "readlink" | "rename" | "rmdir" | "setxattr" | "stat"
        | "statfs" | "symlink" | "sethostname" | "umount2" | "unlink" => Some(0),
        "execveat" | "faccessat" | "faccessat2" | "fchmodat" | "fchownat" | "linkat"
        | "mkdirat" | "mknodat" | "mount" | "newfstatat" | "openat" | "openat2" | "open_tree"
        | "readlinkat" | "renameat" | "renameat2" | "statx" | "symlinkat" | "unlinkat"
        | "utimensat" | "write" => Some(1),
        _ => None,
    }
}

/// Whether the first argument is the descriptor that the call is about.
pub(super) fn has_descriptor(call: &str) -> bool {
    matches!(
        call,
        "bind"
            | "fchdir"
            | "fchmod"
            | "fchown"
            | "fcntl"
            | "flock"
            | "fstat"
            | "fsync"
            | "ftruncate"
            | "getdents64"
            | "ioctl"
            | "listen"
            | "lseek"
            | "pread64"
            | "pwrite64"
            | "read"
            | "recvfrom"
            | "recvmsg"
            | "sendmsg"
            | "sendto"
            | "setns"
            | "setsockopt"
            | "statx"
            | "newfstatat"
            | "fsetxattr"
            | "copy_file_range"
            | "sendfile"
    )
}

/// What a call fails with, whatever it is: a filter of system calls or a security module refuses
/// it, there is no memory, the kernel is too old.
pub(super) const ANY: [Errno; 3] = [Errno::EPERM, Errno::ENOMEM, Errno::ENOSYS];

/// What this one can also fail with (man 2), at least.
pub(super) fn own(call: &str) -> Option<Errno> {
    Some(match call {
        "clone" | "clone3" | "fork" | "vfork" => Errno::EAGAIN,
        "rmdir" | "umount2" | "pivot_root" => Errno::EBUSY,
        "open" | "openat" | "openat2" | "pipe2" | "socket" | "dup" | "open_tree" | "pidfd_open"
        | "memfd_create" | "socketpair" => Errno::EMFILE,
        "mkdir" | "mkdirat" | "write" | "symlink" | "symlinkat" | "mknodat" | "rename"
        | "renameat" | "mount" | "move_mount" | "unshare" | "ftruncate" | "fsync" => Errno::ENOSPC,
        "read" | "getdents64" | "statx" | "newfstatat" | "pread64" => Errno::EIO,
        "unlink" | "unlinkat" | "chmod" | "fchmod" | "chown" | "fchownat" | "utimensat"
        | "setxattr" | "lsetxattr" => Errno::EROFS,
        "kill" => Errno::ESRCH,
        _ => return None,
    })
}
