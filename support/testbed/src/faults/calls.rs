//! The names of the system calls, and what can be plausible for each to fail with.

use nix::errno::Errno;

use super::processor::NAMES;

/// The name of a system call.
pub(super) fn name(number: libc::c_long) -> String {
    let found = NAMES.iter().copied().flatten().find(|(known, _)| *known == number);
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
        "open" | "openat" | "openat2" | "pipe2" | "socket" | "dup" | "open_tree" | "fsopen"
        | "fsmount" | "pidfd_open" | "memfd_create" | "socketpair" => Errno::EMFILE,
        "mkdir" | "mkdirat" | "write" | "symlink" | "symlinkat" | "mknodat" | "rename"
        | "renameat" | "mount" | "move_mount" | "unshare" | "ftruncate" | "fsync" => Errno::ENOSPC,
        "read" | "getdents64" | "statx" | "newfstatat" | "pread64" => Errno::EIO,
        "unlink" | "unlinkat" | "chmod" | "fchmod" | "chown" | "fchownat" | "utimensat"
        | "setxattr" | "lsetxattr" => Errno::EROFS,
        "kill" => Errno::ESRCH,
        _ => return None,
    })
}
