//! Who a command of a test runs as.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::sched::CloneFlags;

/// The uid and gid of the ordinary user `learner`, as that user sees itself.
pub const LEARNER: u32 = 1000;

/// Whether this process can make a host with a real root in it: it is root, may mount, and knows
/// the id of `learner`. (In a container or after `unshare --map-root-user` one is less than that.)
pub fn is_real_root() -> bool {
    nix::unistd::geteuid().is_root() && has_cap_sys_admin() && knows_learner()
}

fn has_cap_sys_admin() -> bool {
    const CAP_SYS_ADMIN: u32 = 21;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << CAP_SYS_ADMIN) != 0)
}

/// Each line of the map: first id inside, first id outside, count (man 7 user_namespaces).
fn knows_learner() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.lines().any(|line| {
        let numbers: Vec<u32> = line.split_whitespace().flat_map(str::parse).collect();
        let [first, _, count] = numbers[..] else { return false };
        first <= LEARNER && LEARNER - first < count
    })
}

/// Makes `command` run as the ordinary user.
///
/// As real root we change the ids. A host made by an ordinary user knows one id only, so
/// there a second user namespace maps it to 1000; `execve` then takes the capabilities away,
/// because the new uid is not 0 (man 7 capabilities).
pub fn drop_to_learner(command: &mut Command, host_has_user_namespace: bool) {
    let drop = if host_has_user_namespace { enter_namespace_of_learner } else { change_ids };
    if host_has_user_namespace {
        NAMESPACE_OF_LEARNER.get_or_init(|| namespace_of_learner().expect("learner's namespace"));
    }
    // SAFETY: both functions make system calls and allocate nothing that another thread of the
    // parent could hold a lock on, so they may run between fork and exec.
    unsafe { command.pre_exec(drop) };
}

/// The user namespace of all commands of `learner`. It is one for all: only then may one command
/// look into the containers of another, as it may on a host without such a namespace.
static NAMESPACE_OF_LEARNER: OnceLock<File> = OnceLock::new();

fn namespace_of_learner() -> io::Result<File> {
    // It waits for the end of its input, and with it goes the namespace, but for our file.
    let mut first = Command::new("cat");
    first.stdin(Stdio::piped()).stdout(Stdio::piped());
    // SAFETY: the function makes system calls and writes to files.
    unsafe { first.pre_exec(map_to_learner) };
    let mut first = first.spawn()?;
    // Its answer shows that execve is over. Before, nobody without CAP_SYS_PTRACE may look into it.
    let (stdin, stdout) = (first.stdin.as_mut(), first.stdout.as_mut());
    stdin.ok_or(Errno::EBADF)?.write_all(b"\n")?;
    stdout.ok_or(Errno::EBADF)?.read_exact(&mut [0])?;
    let namespace = File::open(format!("/proc/{}/ns/user", first.id()));
    first.wait()?;
    namespace
}

fn enter_namespace_of_learner() -> io::Result<()> {
    let Some(namespace) = NAMESPACE_OF_LEARNER.get() else { return Err(Errno::ENOENT.into()) };
    Ok(nix::sched::setns(namespace, CloneFlags::CLONE_NEWUSER)?)
}

fn change_ids() -> io::Result<()> {
    nix::unistd::setgroups(&[])?;
    nix::unistd::setgid(LEARNER.into())?;
    nix::unistd::setuid(LEARNER.into())?;
    Ok(())
}

fn map_to_learner() -> io::Result<()> {
    nix::sched::unshare(CloneFlags::CLONE_NEWUSER)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", "1000 0 1")?;
    fs::write("/proc/self/gid_map", "1000 0 1")
}

/// Enters a user namespace where the caller is root. The error is the kernel's refusal.
pub fn become_root_of_new_user_namespace() -> io::Result<()> {
    let uid = nix::unistd::getuid();
    let gid = nix::unistd::getgid();
    nix::sched::unshare(CloneFlags::CLONE_NEWUSER)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {gid} 1"))
}
