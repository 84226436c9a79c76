//! A cgroup is removed when it is empty
//!
//! The launcher below makes a cgroup, runs its container in it, and removes it at the end. If the
//! command has left something running, that does not work: EBUSY, and both the process and the
//! cgroup stay, for ever. Try it as root (with cgroup v2; else in /sys/fs/cgroup/pids):
//!
//!     cd exercises && cargo root -q --bin last-one-out -- \
//!         --cgroup /sys/fs/cgroup sh -c 'sleep 100 & echo'
//!     cat /sys/fs/cgroup/container/cgroup.procs
//!
//! What is in the cgroup is the container. Let it end, and then remove the cgroup. (When that
//! works, `cat` finds no such file. What a failed run has left keeps the next one from starting.
//! When the sleep has ended, remove it: `sudo rmdir /sys/fs/cgroup/container`.)

use anyhow::{Context, Result};
use clap::Parser;
use launcher::{Container, become_root, exec, finish, parse};
//[ solution
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;
//[ starter
use std::fs;
use std::path::{Path, PathBuf};
//[ fault as-a-tree
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;
//[ fault moved-out
use std::fs;
use std::path::{Path, PathBuf};
//]
use v1_chroot::{ContainerArgs, enter_rootfs};

/// Run a command in a cgroup of its own
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    container: ContainerArgs,

    /// The cgroup above it, which exists
    #[arg(long)]
    cgroup: PathBuf,
}

fn main() {
    finish(run())
}

fn run() -> Result<u8> {
    let (args, caller) = parse::<Args>()?;
    let rootfs = rootfs::prepare(&caller, args.container.rootfs.as_deref())?;
    become_root(caller)?;
    let group = args.cgroup.join("container");
    fs::create_dir(&group).with_context(|| format!("cannot make {group:?}"))?;
    let container = Container::spawn(|| {
        enter(&group)?;
        enter_rootfs(&rootfs)?;
        exec(&args.container.command)
    })?;
    let status = container.wait()?;
    remove(&group)?;
    Ok(status)
}

/// Moves this process into the cgroup: 0 means "me" (cgroups(7)).
fn enter(group: &Path) -> Result<()> {
    let file = group.join("cgroup.procs");
    fs::write(&file, "0").with_context(|| format!("cannot write {file:?}"))
}

/// Removes the cgroup. Its files go with the directory, and cannot be removed one by one.
fn remove(group: &Path) -> Result<()> {
    //[ starter
    // YOUR TURN: who is in it?
    fs::remove_dir(group).with_context(|| format!("cannot remove {group:?}"))
    //[ solution
    loop {
        match fs::remove_dir(group) {
            Err(error) if error.kind() == ErrorKind::ResourceBusy => kill_all(group)?,
            result => return result.with_context(|| format!("cannot remove {group:?}")),
        }
        thread::sleep(Duration::from_millis(1));
    }
    //[ fault as-a-tree
    kill_all(group)?;
    thread::sleep(Duration::from_millis(100));
    fs::remove_dir_all(group).with_context(|| format!("cannot remove {group:?}"))
    //[ fault moved-out
    let above = group.parent().context("no cgroup above")?.join("cgroup.procs");
    let members = fs::read_to_string(group.join("cgroup.procs")).context("cannot read it")?;
    for member in members.lines() {
        fs::write(&above, member).with_context(|| format!("cannot write {above:?}"))?;
    }
    fs::remove_dir(group).with_context(|| format!("cannot remove {group:?}"))
    //]
}
//[ solution

/// Kills every process of the cgroup. One that has ended meanwhile is no error.
fn kill_all(group: &Path) -> Result<()> {
    let members = fs::read_to_string(group.join("cgroup.procs")).context("cannot read it")?;
    for member in members.lines() {
        let _ = kill(Pid::from_raw(member.parse()?), Signal::SIGKILL);
    }
    Ok(())
}
//[ fault moved-out
//]
