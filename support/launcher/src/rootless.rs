//! Root without root: a user namespace (user_namespaces(7)). Skip this file on first reading.
//!
//! Every system call of this course wants a capability: chroot(2) wants CAP_SYS_CHROOT, the
//! namespaces want CAP_SYS_ADMIN. An ordinary user has none. But any user may make a *user
//! namespace*, and its first process has all capabilities, over what belongs to that namespace.

use crate::Caller;
use crate::capabilities::Capability;
use crate::command_line::{errno_of, one_line};
use crate::mountinfo::mounts_of;
use crate::subordinate_ids::{Mapper, SubordinateIds};
use anyhow::{Context, Result, anyhow, bail};
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid, getegid, geteuid};
use std::fmt;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::OnceLock;

// ANCHOR: become_root
/// Gives this process the capabilities of root, if it has not got them already: by a user namespace
/// in which the caller's own user and group have the number 0. What is made from here on (other
/// namespaces too) belongs to that one.
///
/// # Errors
/// Where the kernel (or who configured it) forbids user namespaces: why, and how to allow them.
pub fn become_root(_caller: Caller) -> Result<AsRoot> {
    if !is_root_already()? {
        enter_user_namespace()?;
    }
    Ok(AsRoot(()))
}

fn is_root_already() -> Result<bool> {
    Ok(geteuid().is_root() && Capability::SysAdmin.is_ours()?)
}

fn enter_user_namespace() -> Result<()> {
    let (user, group) = (geteuid(), getegid()); // inside they would read as 65534, "nobody"
    unshare_users()?;
    map_one_id(user, group)
}

fn unshare_users() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWUSER)
        .map_err(|errno| refusal(&Attempt::Unshare, errno, &Policy::look()))
}

fn map_one_id(user: Uid, group: Gid) -> Result<()> {
    write("uid_map", &format!("0 {user} 1"))?;
    // Giving up setgroups(2) is the price of a group map without privilege: a group can also be
    // there to take access *away* (chmod 705), and leaving it must not be free.
    write("setgroups", "deny")?;
    write("gid_map", &format!("0 {group} 1"))
}
// ANCHOR_END: become_root

// ANCHOR: become_root_with_subordinate_ids
/// [`become_root`], with all the ids that the caller may map beside their own: for a root directory
/// whose files belong to many. Without such ids, root is alone.
///
/// # Errors
/// As [`become_root`]; and if only one of the two maps could be written.
pub fn become_root_with_subordinate_ids(caller: Caller) -> Result<AsRoot> {
    if geteuid().is_root() {
        return become_root(caller);
    }
    let ids = match SubordinateIds::of_caller()? {
        Ok(ids) => ids,
        Err(how_to_get) => {
            LACKS_IDS.get_or_init(|| how_to_get);
            return become_root(caller);
        }
    };
    let (user, group) = (geteuid(), getegid());
    let mapper = Mapper::fork(&ids)?;
    unshare_users()?;
    let Err(error) = mapper.map() else { return Ok(AsRoot(())) };
    if !fs::read_to_string("/proc/self/uid_map").context("cannot read the map of ids")?.is_empty() {
        bail!("cannot map more groups than your own: {}", one_line(&error));
    }
    LACKS_IDS.get_or_init(|| one_line(&error));
    map_one_id(user, group)?;
    Ok(AsRoot(()))
}
// ANCHOR_END: become_root_with_subordinate_ids

/// Why root is alone, in this process and in those that it forks.
static LACKS_IDS: OnceLock<String> = OnceLock::new();

/// Why no other user than root can be here, and how to get more, if this process has tried:
/// [`become_root_with_subordinate_ids`].
pub fn lacks_ids() -> Option<&'static str> {
    LACKS_IDS.get().map(String::as_str)
}

/// Proof that this process has become root, for what only root can make.
#[derive(Debug)]
pub struct AsRoot(());

// ANCHOR: with
impl AsRoot {
    /// Sees to a capability that not every step needs. A root that has given it up has all of them
    /// in a user namespace. What was made before does not belong to that one, so it is asked for
    /// before anything is made.
    ///
    /// # Errors
    /// Where the kernel forbids user namespaces.
    pub fn with(&self, capability: Capability) -> Result<()> {
        if capability.is_ours()? {
            return Ok(());
        }
        enter_user_namespace()
            .with_context(|| format!("cannot do without {capability}, which this root lacks"))
    }
}
// ANCHOR_END: with

/// Writes one of the files that describe a new user namespace. Each takes one write(2).
fn write(name: &str, text: &str) -> Result<()> {
    let path = format!("/proc/self/{name}");
    let written = File::options()
        .write(true)
        .open(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| {
        refusal(&Attempt::Write { text, path: &path }, errno_of(&error), &Policy::look())
    })
}

/// What was refused.
enum Attempt<'a> {
    Unshare,
    Write { text: &'a str, path: &'a str },
}

impl fmt::Display for Attempt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Attempt::Unshare => f.write_str("unshare(CLONE_NEWUSER)"),
            Attempt::Write { text, path } => write!(f, "write {text:?} to {path}"),
        }
    }
}

/// What on this host can refuse a user namespace.
#[derive(Debug, Default)]
struct Policy {
    max_user_namespaces: Option<String>,
    unprivileged_userns_clone: Option<String>,
    apparmor_restrict: Option<String>,
    seccomp_filter: bool,
    root_is_a_mount_point: bool,
    program: String,
}

impl Policy {
    /// Reads what there is to know. A file that does not exist is an answer too.
    fn look() -> Policy {
        let sysctl = |name: &str| {
            let text = fs::read_to_string(Path::new("/proc/sys").join(name)).ok()?;
            Some(text.trim().to_owned())
        };
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mounts = mounts_of("self").unwrap_or_default();
        let program = std::env::current_exe().unwrap_or_default();
        Policy {
            max_user_namespaces: sysctl("user/max_user_namespaces"),
            unprivileged_userns_clone: sysctl("kernel/unprivileged_userns_clone"),
            apparmor_restrict: sysctl("kernel/apparmor_restrict_unprivileged_userns"),
            seccomp_filter: status.lines().any(|line| line == "Seccomp:\t2"),
            root_is_a_mount_point: mounts.iter().any(|it| it.mount_point == Path::new("/")),
            program: program.display().to_string(),
        }
    }
}

/// Says why there is no user namespace to be had, and which of the known causes it is.
fn refusal(attempt: &Attempt, errno: Errno, policy: &Policy) -> anyhow::Error {
    let is = |sysctl: &Option<String>, value: &str| sysctl.as_deref() == Some(value);
    let is_apparmor =
        matches!(errno, Errno::EPERM | Errno::EACCES) && is(&policy.apparmor_restrict, "1");
    let advice = match errno {
        Errno::ENOSPC if is(&policy.max_user_namespaces, "0") => {
            "user namespaces are switched off: sudo sysctl -w user.max_user_namespaces=15000"
        }
        Errno::ENOSPC | Errno::EUSERS => {
            "too many user namespaces, or nested too deep: see /proc/sys/user/max_user_namespaces"
        }
        Errno::EINVAL => "this kernel was built without user namespaces: run it with sudo",
        _ if is_apparmor => {
            "AppArmor forbids it to programs without a profile; this line permits it:"
        }
        Errno::EPERM if is(&policy.unprivileged_userns_clone, "0") => {
            "they are for root only here: sudo sysctl -w kernel.unprivileged_userns_clone=1"
        }
        Errno::EPERM if !policy.root_is_a_mount_point => {
            "the kernel refuses it inside a chroot: enter the directory with pivot_root instead, \
             as bwrap and systemd-nspawn do, or run this as root"
        }
        Errno::EPERM if matches!(attempt, Attempt::Write { text: "0 0 1", .. }) => {
            "this root lacks CAP_SETFCAP too, without which its number cannot be mapped; in a \
             container? Start that one with --privileged"
        }
        Errno::EPERM if policy.seccomp_filter => {
            "a seccomp filter forbids it, as in a Docker container: start that one with \
             --security-opt seccomp=unconfined --security-opt apparmor=unconfined, or use a \
             virtual machine; more: book/src/setup.md#inside-a-container-or-a-dev-container"
        }
        _ => {
            "inside a chroot or a container? Leave it, or run this with sudo; more: \
             book/src/troubleshooting.md#root-without-root"
        }
    };
    // A line to type stands behind the parenthesis: so it can be marked to the end, and copied.
    let line =
        if is_apparmor { format!(" {}", line_for_apparmor(&policy.program)) } else { "".into() };
    anyhow!("cannot become root in a user namespace: {attempt}: {errno} ({advice}){line}")
}

/// The commands that give our programs an AppArmor profile (Ubuntu 23.10 and newer).
fn line_for_apparmor(program: &str) -> String {
    let profile = "/etc/apparmor.d/container-steps";
    // The directory of the program holds all steps, and that of the tests: target/debug.
    let directory = Path::new(program).parent().unwrap_or(Path::new("/")).display();
    format!(
        "echo 'abi <abi/4.0>, profile container-steps \"{directory}/{{v[1-8]-*,deps/*}}\" \
         flags=(unconfined) {{ userns, }}' | sudo tee {profile} \
         && sudo apparmor_parser -r {profile}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        Policy { root_is_a_mount_point: true, program: "/x/v3-pidns".into(), ..Policy::default() }
    }

    fn some(value: &str) -> Option<String> {
        Some(value.to_owned())
    }

    fn told(errno: Errno, policy: &Policy) -> String {
        refusal(&Attempt::Unshare, errno, policy).to_string()
    }

    #[test]
    fn each_cause_has_its_own_cure() {
        let off = Policy { max_user_namespaces: some("0"), ..policy() };
        assert!(told(Errno::ENOSPC, &off).contains("user.max_user_namespaces=15000"));
        let debian = Policy { unprivileged_userns_clone: some("0"), ..policy() };
        assert!(told(Errno::EPERM, &debian).contains("kernel.unprivileged_userns_clone=1"));
        let chroot = Policy { root_is_a_mount_point: false, ..policy() };
        assert!(told(Errno::EPERM, &chroot).contains("inside a chroot"));
        let docker = Policy { seccomp_filter: true, ..policy() };
        assert!(told(Errno::EPERM, &docker).contains("seccomp=unconfined"));
        let map = Attempt::Write { text: "0 0 1", path: "/proc/self/uid_map" };
        let lessened = refusal(&map, Errno::EPERM, &policy()).to_string();
        assert!(lessened.contains("write \"0 0 1\" to /proc/self/uid_map: EPERM"), "{lessened}");
        assert!(lessened.contains("--privileged"), "{lessened}");
    }

    #[test]
    fn ubuntu_gets_a_line_to_type() {
        let ubuntu = Policy { apparmor_restrict: some("1"), ..policy() };
        let text = told(Errno::EPERM, &ubuntu);
        let (_, line) = text.split_once("this line permits it:) ").unwrap();
        assert!(line.contains("\"/x/{v[1-8]-*,deps/*}\" flags=(unconfined) { userns, }"), "{line}");
        assert!(line.ends_with(" && sudo apparmor_parser -r /etc/apparmor.d/container-steps"));
    }
}
