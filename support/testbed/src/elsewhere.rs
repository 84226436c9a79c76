//! Launchers on a machine that differs from the host: other mounts, limits, a seccomp filter.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::host::Host;

impl Host {
    /// Lets `change` change the machine for this command alone: it is in a mount namespace of its
    /// own then. For the ordinary user it is in a user namespace too, which maps the user to
    /// itself: `change` has all capabilities over it, and the command, after execve, has none.
    pub fn elsewhere(
        &self,
        command: &mut Command,
        change: impl Fn() -> io::Result<()> + Send + Sync + 'static,
    ) {
        let is_user = !self.is_root();
        let enter = move || {
            if is_user {
                let id = nix::unistd::getuid();
                unshare(CloneFlags::CLONE_NEWUSER)?;
                // A change of ids made our /proc/self root's (man 2 prctl, PR_SET_DUMPABLE).
                nix::sys::prctl::set_dumpable(true)?;
                fs::write("/proc/self/setgroups", "deny")?;
                fs::write("/proc/self/uid_map", format!("{id} {id} 1"))?;
                fs::write("/proc/self/gid_map", format!("{id} {id} 1"))?;
            }
            unshare(CloneFlags::CLONE_NEWNS)?;
            let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
            mount(None::<&str>, "/", None::<&str>, flags, None::<&str>)?;
            change()
        };
        // SAFETY: a body has one thread, so its child may do anything.
        unsafe { command.pre_exec(enter) };
    }
}

/// Mounts an empty file system.
pub fn mount_tmpfs(path: &str) -> io::Result<()> {
    Ok(mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::empty(), None::<&str>)?)
}

/// Mounts `source` with all below it at `target`.
pub fn bind(source: &str, target: &str) -> io::Result<()> {
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    Ok(mount(Some(source), target, None::<&str>, flags, None::<&str>)?)
}

/// Lets a command have so much address space: enough for every launcher, and no room for what has
/// no end.
pub fn limit_memory(command: &mut Command) {
    set_limit(command, libc::RLIMIT_AS, 256 << 20);
}

/// Lets a command have so much memory of its own, all its threads together.
pub fn limit_data(command: &mut Command, bytes: libc::rlim_t) {
    set_limit(command, libc::RLIMIT_DATA, bytes);
}

fn set_limit(command: &mut Command, resource: libc::__rlimit_resource_t, value: libc::rlim_t) {
    let limit = move || {
        let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
        // SAFETY: the pointer is to a valid structure, which the call only reads.
        Errno::result(unsafe { libc::setrlimit(resource, &raw const limit) })?;
        Ok(())
    };
    // SAFETY: the closure makes a system call only.
    unsafe { command.pre_exec(limit) };
}

/// What a filter answers for one system call.
#[derive(Clone, Copy)]
pub struct Rule {
    /// The number of the system call.
    pub call: libc::c_long,
    /// The condition on its arguments; none is always.
    pub when: When,
    /// The errno it fails with.
    pub errno: libc::c_int,
}

/// A condition on the arguments of a system call.
#[derive(Clone, Copy)]
pub enum When {
    /// Whatever the arguments are.
    Always,
    /// The argument of this number has one of these bits.
    HasBits(u8, u32),
    /// The argument of this number is this.
    Is(u8, u32),
}

/// Installs a seccomp filter (man 2 seccomp): calls that match a rule fail, the others work.
pub fn install_filter(rules: &[Rule]) -> io::Result<()> {
    let mut program = Vec::new();
    for rule in rules {
        program.extend(compile(rule)?);
    }
    program.push(statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW));
    let length = u16::try_from(program.len()).map_err(io::Error::other)?;
    let filter = libc::sock_fprog { len: length, filter: program.as_mut_ptr() };
    nix::sys::prctl::set_no_new_privs()?;
    // SAFETY: the pointer is to a valid program that lives during the call.
    let result =
        unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) };
    if result != 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Load the call's number; unless it is ours, skip to the next rule; test the argument; fail.
fn compile(rule: &Rule) -> io::Result<Vec<libc::sock_filter>> {
    let number = u32::try_from(rule.call).map_err(io::Error::other)?;
    let fail = libc::SECCOMP_RET_ERRNO | rule.errno.cast_unsigned();
    let test = match rule.when {
        When::Always => vec![],
        When::HasBits(argument, bits) => {
            vec![load_argument(argument), jump(libc::BPF_JSET, bits, 0, 1)]
        }
        When::Is(argument, value) => {
            vec![load_argument(argument), jump(libc::BPF_JEQ, value, 0, 1)]
        }
    };
    let rest = u8::try_from(test.len() + 1).map_err(io::Error::other)?;
    let load = statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0);
    let mut program = vec![load, jump(libc::BPF_JEQ, number, 0, rest)];
    program.extend(test);
    program.push(statement(libc::BPF_RET | libc::BPF_K, fail));
    Ok(program)
}

/// The lower half of an argument: `struct seccomp_data` has the arguments at byte 16.
fn load_argument(number: u8) -> libc::sock_filter {
    let low = if cfg!(target_endian = "big") { 4 } else { 0 };
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 16 + 8 * u32::from(number) + low)
}

fn statement(code: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

fn jump(condition: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    let code = (libc::BPF_JMP | condition | libc::BPF_K) as u16;
    libc::sock_filter { code, jt, jf, k }
}
