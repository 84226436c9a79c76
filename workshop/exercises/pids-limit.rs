//! The limit that was never written
//!
//! The launcher below takes a number, `--pids`, and puts its container into a cgroup that may have
//! that many processes and no more. Or so it seems. Try it as root, with a cgroup of your own (on a
//! machine with cgroup v2; on an older one it lies in /sys/fs/cgroup/pids):
//!
//!     sudo mkdir /sys/fs/cgroup/mine
//!     cd exercises && cargo root -q --bin pids-limit -- \
//!         --cgroup /sys/fs/cgroup/mine --pids 5 sh -c 'cat | cat | cat | cat | cat | cat'
//!     cat /sys/fs/cgroup/mine/pids.max
//!
//! All six start, and the file says "max". Let the limit hold, and let an error be one. (When it
//! holds, the shell says "can't fork", and the file says 5.)

use anyhow::{Context, Result};
use clap::Parser;
use launcher::{Container, become_root, exec, finish, parse};
use std::fs;
use std::path::{Path, PathBuf};
use v1_chroot::{ContainerArgs, enter_rootfs};

/// Run a command that may have so many processes
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    container: ContainerArgs,

    /// The cgroup, which exists
    #[arg(long)]
    cgroup: PathBuf,

    /// Most processes that it may have
    #[arg(long)]
    pids: u64,
}

fn main() {
    finish(run())
}

fn run() -> Result<u8> {
    let (args, caller) = parse::<Args>()?;
    let rootfs = rootfs::prepare(&caller, args.container.rootfs.as_deref())?;
    become_root(caller)?;
    limit(&args.cgroup, args.pids)?;
    let container = Container::spawn(|| {
        //[ solution
        enter(&args.cgroup)?;
        //[ starter
        enter(&args.cgroup)?;
        //[ fault wrong-process
        //]
        enter_rootfs(&rootfs)?;
        exec(&args.container.command)
    })?;
    //[ fault wrong-process
    enter(&args.cgroup)?;
    //[ solution
    //]
    container.wait()
}

/// Sets the most processes that the cgroup may have.
fn limit(cgroup: &Path, processes: u64) -> Result<()> {
    //[ starter
    // YOUR TURN: did this work?
    let _ = fs::write(cgroup.join("pids.limit"), processes.to_string());
    Ok(())
    //[ solution
    let file = cgroup.join("pids.max");
    fs::write(&file, processes.to_string()).with_context(|| format!("cannot write {file:?}"))
    //[ fault fixed
    let file = cgroup.join("pids.max");
    fs::write(&file, processes.max(64).to_string())
        .with_context(|| format!("cannot write {file:?}"))
    //]
}

/// Moves this process into the cgroup: 0 means "me" (cgroups(7)).
fn enter(cgroup: &Path) -> Result<()> {
    let file = cgroup.join("cgroup.procs");
    fs::write(&file, "0").with_context(|| format!("cannot write {file:?}"))
}
