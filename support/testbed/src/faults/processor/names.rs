//! The names of the system calls that all known processors have.

use super::Names;

/// The numbers of system calls, with their names.
macro_rules! names {
    ($($name:ident)*) => {
        &[$((libc::$name, stringify!($name))),*]
    };
}
/// Those that a launcher has been seen to make. Another one has a number for a name.
pub(super) const SHARED: Names = names![
    SYS_accept4 SYS_bind SYS_brk SYS_capget SYS_capset SYS_chdir SYS_chroot SYS_clock_gettime
    SYS_clock_nanosleep SYS_clone SYS_clone3 SYS_close SYS_close_range SYS_connect
    SYS_copy_file_range SYS_dup SYS_dup3 SYS_epoll_create1 SYS_epoll_ctl SYS_eventfd2 SYS_execve
    SYS_execveat SYS_exit SYS_exit_group SYS_faccessat SYS_faccessat2 SYS_fchdir SYS_fchmod
    SYS_fchmodat SYS_fchown SYS_fchownat SYS_fcntl SYS_fgetxattr SYS_flock SYS_fsconfig
    SYS_fsetxattr SYS_fsmount SYS_fsopen SYS_fstat SYS_fstatfs SYS_fsync SYS_ftruncate SYS_futex
    SYS_getcwd SYS_getdents64 SYS_getegid SYS_geteuid SYS_getgid SYS_getgroups SYS_getpeername
    SYS_getpgid SYS_getpid SYS_getppid SYS_getrandom SYS_getresgid SYS_getresuid SYS_getsid
    SYS_getsockname SYS_getsockopt SYS_gettid SYS_getuid SYS_getxattr SYS_inotify_add_watch
    SYS_inotify_init1 SYS_ioctl SYS_kill SYS_lgetxattr SYS_linkat SYS_listen SYS_listxattr
    SYS_llistxattr SYS_lremovexattr SYS_lseek SYS_lsetxattr SYS_madvise SYS_memfd_create SYS_mkdirat
    SYS_mknodat SYS_mmap SYS_mount SYS_mount_setattr SYS_move_mount SYS_mprotect SYS_mremap
    SYS_munmap SYS_nanosleep SYS_newfstatat SYS_open_tree SYS_openat SYS_openat2 SYS_pidfd_getfd
    SYS_pidfd_open SYS_pidfd_send_signal SYS_pipe2 SYS_pivot_root SYS_ppoll SYS_prctl SYS_pread64
    SYS_prlimit64 SYS_pwrite64 SYS_read SYS_readlinkat SYS_readv SYS_recvfrom SYS_recvmsg
    SYS_renameat2 SYS_rseq SYS_rt_sigaction SYS_rt_sigprocmask SYS_rt_sigreturn SYS_rt_sigtimedwait
    SYS_sched_getaffinity SYS_sched_yield SYS_seccomp SYS_sendfile SYS_sendmsg SYS_sendto
    SYS_set_robust_list SYS_set_tid_address SYS_setgid SYS_setgroups SYS_sethostname SYS_setns
    SYS_setpgid SYS_setresgid SYS_setresuid SYS_setsid SYS_setsockopt SYS_setuid SYS_setxattr
    SYS_shutdown SYS_sigaltstack SYS_signalfd4 SYS_socket SYS_socketpair SYS_splice SYS_statfs
    SYS_statx SYS_symlinkat SYS_sysinfo SYS_tgkill SYS_timerfd_create SYS_timerfd_settime SYS_umask
    SYS_umount2 SYS_uname SYS_unlinkat SYS_unshare SYS_utimensat SYS_wait4 SYS_waitid SYS_write
    SYS_writev
];
