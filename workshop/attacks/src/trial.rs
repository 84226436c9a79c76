//! One attack on one step, as one user, on a host that is made for it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail, ensure};
use launcher::command_line::Failure;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_dumpable;
use nix::sys::signal::SigSet;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};

use super::attack::Attack;
use super::attacker::FROM_HERE;
use super::attempt::attempt;
use super::cell::Cell;
use super::session::Session;
use super::terminal::Terminal;
use super::who::Who;
use crate::system_calls::give_up_capabilities;
use workshop::child;
use workshop::host::{Host, MountPoint};

/// The uid and gid of the ordinary user.
const USER: u32 = 1000;

/// The exit status of a session that has something to tell: the cell is the text.
const TOLD: u8 = 1;

/// What a trial needs of the machine.
pub(super) struct Programs {
    /// This program, which is the attacker.
    pub attacker: PathBuf,
    /// The directory of the steps.
    pub steps: PathBuf,
    /// A root file system with busybox in it.
    pub busybox_rootfs: PathBuf,
    /// Whether we are the machine's root, and can be an ordinary user too.
    pub is_root: bool,
}

/// Carries out an attack in a container of this step; on the host, if there is none.
///
/// # Errors
/// If it cannot be carried out: that says nothing about the step.
pub(super) fn carry_out(
    attack: &'static Attack,
    step: Option<&'static str>,
    who: Who,
    programs: &Programs,
) -> Result<Cell> {
    let mount_point = MountPoint::make()?;
    let ended = child::run(|| {
        let host = Host::make(&mount_point, &programs.busybox_rootfs)?;
        furnish(&host, step, programs)?;
        if programs.is_root {
            make_null()?;
        }
        let terminal = attack.needs_terminal.then(Terminal::make).transpose()?;
        let ended = child::run(|| {
            SigSet::empty().thread_set_mask().context("cannot unblock signals")?;
            become_user(who, programs.is_root)?;
            let session = Session::open(&host, step, who, terminal)?;
            let cell = attempt(&session, attack)?;
            Err(Failure { code: TOLD, text: cell.text().to_owned() }.into())
        })?;
        match ended {
            Ok(status) => bail!("the session ended with status {status}"),
            Err(failure) => Err(failure.into()),
        }
    })?;
    match ended {
        Err(Failure { code: TOLD, text }) => Ok(Cell::of(text)),
        Err(failure) => {
            let why = failure.text.split_whitespace().collect::<Vec<_>>().join(" ");
            Err(anyhow!("cannot try {} on {}: {why}", attack.id, step.unwrap_or("the host")))
        }
        Ok(status) => Err(anyhow!("the host of {} ended with status {status}", attack.id)),
    }
}

/// Copies the programs in: an attack that harms its launcher harms the copy. Then covers what the
/// host shares with the machine and a step may write to. (The programs may lie below that.)
fn furnish(host: &Host, step: Option<&str>, programs: &Programs) -> Result<()> {
    let bin = host.directory().join("bin");
    fs::create_dir(&bin).context("cannot make a directory")?;
    let first = step.map(|_| "v1-chroot"); // it makes the root file system
    let steps = first.into_iter().chain(step.filter(|step| Some(*step) != first));
    let steps = steps.map(|step| programs.steps.join(step));
    for program in steps.chain([programs.attacker.clone()]) {
        let name = program.file_name().context("a program has a name")?;
        let copied = fs::copy(&program, bin.join(name));
        copied.with_context(|| format!("cannot copy {}", program.display()))?;
    }
    for place in ["/run", "/var/cache", "/dev/shm", "/mnt"] {
        let (kind, flags) = (Some("tmpfs"), MsFlags::MS_NOSUID);
        mount(kind, place, kind, flags, Some("mode=1777"))
            .with_context(|| format!("cannot mount tmpfs on {place}"))?;
    }
    // On the host, too, the attacker has a place of its own.
    fs::create_dir(FROM_HERE)
        .and_then(|()| fs::set_permissions(FROM_HERE, Permissions::from_mode(0o777)))
        .with_context(|| format!("cannot make {FROM_HERE}"))?;
    let mut ip = Command::new(host.busybox());
    let set_up = ip.args(["ip", "link", "set", "lo", "up"]).status().context("cannot run ip")?;
    ensure!(set_up.success(), "cannot set up the loopback device of the host");
    Ok(())
}

/// Gives the host a /dev/null of its own, so that no attack reaches the machine's. (An ordinary
/// user may make no device, and do nothing to the machine's either.)
fn make_null() -> Result<()> {
    const NULL: (u64, u64) = (1, 3);
    let place = "/mnt/null";
    mknod(place, SFlag::S_IFCHR, Mode::S_IRUSR, makedev(NULL.0, NULL.1))
        .with_context(|| format!("cannot make {place}"))?;
    // Not by mknod: it leaves out what the umask has.
    fs::set_permissions(place, Permissions::from_mode(0o666))
        .with_context(|| format!("cannot change the mode of {place}"))?;
    mount(Some(place), "/dev/null", None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .context("cannot mount a device on /dev/null")
}

/// Whatever this process does from now on, it does as this user. (An ordinary user's host knows one
/// id only, and calls it root: there a second user namespace makes an ordinary one of it.)
fn become_user(who: Who, is_root: bool) -> Result<()> {
    match (who, is_root) {
        (Who::Root, true) => return Ok(()),
        (Who::Root, false) => bail!("an ordinary user has no root to be"),
        (Who::User, true) => {
            setgroups(&[]).context("cannot leave the groups of root")?;
            setgid(Gid::from_raw(USER)).context("cannot change the group")?;
            setuid(Uid::from_raw(USER)).context("cannot change the user")?;
        }
        (Who::User, false) => {
            unshare(CloneFlags::CLONE_NEWUSER).context("cannot make a user namespace")?;
            let files = [("setgroups", "deny"), ("uid_map", "1000 0 1"), ("gid_map", "1000 0 1")];
            for (name, text) in files {
                let path = format!("/proc/self/{name}");
                fs::write(&path, text).with_context(|| format!("cannot write to {path}"))?;
            }
            // Who makes a user namespace has all capabilities in it; an ordinary user has none.
            give_up_capabilities().context("cannot give up the capabilities")?;
        }
    }
    // Who has changed the user cannot be looked into; but this process is one of the victims.
    set_dumpable(true).context("cannot become dumpable")
}
