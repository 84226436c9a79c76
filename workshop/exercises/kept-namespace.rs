//! Who keeps the process numbers?
//!
//! The launcher below makes one PID namespace and runs a command in it, `--times` over: the runs
//! shall see each other's numbers go up. The first run works. The second one does not:
//!
//!     cd exercises && cargo run -q --bin kept-namespace -- --times 3 sh -c 'echo $$'
//!
//! "Cannot allocate memory", says the kernel. The namespace is still there, and a file or a bind
//! mount of /proc/PID/ns/pid would keep it for as long as you like, but nobody can be born in it
//! any more. Find out who has died, and put somebody there who stays, and who costs nothing.

//[ solution
use anyhow::{Context, Result};
//[ starter
use anyhow::{Context, Result};
//[ fault awake
use anyhow::{Context, Result};
//[ fault each-its-own
use anyhow::Result;
//]
use clap::Parser;
use launcher::{Child, Forked, become_root, exec, finish, parse};
//[ solution
use nix::sched::{CloneFlags, unshare};
use nix::unistd::pause;
//[ starter
use nix::sched::{CloneFlags, unshare};
//[ fault awake
use nix::sched::{CloneFlags, unshare};
//[ fault each-its-own
//]
use std::path::Path;
use v1_chroot::{ContainerArgs, enter_rootfs};

/// Run a command several times in one PID namespace
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    container: ContainerArgs,

    /// How often
    #[arg(long, default_value_t = 2)]
    times: u32,
}

fn main() {
    finish(run())
}

fn run() -> Result<u8> {
    let (args, caller) = parse::<Args>()?;
    let rootfs = rootfs::prepare(&caller, args.container.rootfs.as_deref())?;
    become_root(caller)?;
    //[ starter
    unshare(CloneFlags::CLONE_NEWPID).context("cannot make a PID namespace")?;
    // YOUR TURN: the first child from here on is process 1 of the namespace.
    //[ solution
    unshare(CloneFlags::CLONE_NEWPID).context("cannot make a PID namespace")?;
    let _process_1 = match Child::fork()? {
        Forked::Parent(process_1) => process_1,
        Forked::Child(Err(error)) => finish(Err(error)),
        Forked::Child(Ok(())) => loop {
            pause(); // pause(2): until a signal comes. It is killed when its parent ends.
        },
    };
    //[ fault each-its-own
    //[ fault awake
    unshare(CloneFlags::CLONE_NEWPID).context("cannot make a PID namespace")?;
    let _process_1 = match Child::fork()? {
        Forked::Parent(process_1) => process_1,
        Forked::Child(_) => loop {
            std::hint::spin_loop();
        },
    };
    //]
    let mut status = 0;
    for _ in 0..args.times {
        status = match Child::fork()? {
            //[ starter
            Forked::Child(bound) => finish(bound.and_then(|()| start(&rootfs, &args.container))),
            //[ solution
            Forked::Child(bound) => finish(bound.and_then(|()| start(&rootfs, &args.container))),
            //[ fault awake
            Forked::Child(bound) => finish(bound.and_then(|()| start(&rootfs, &args.container))),
            //[ fault each-its-own
            Forked::Child(bound) => finish(bound.and_then(|()| {
                v3_pidns::fork_into_pid_namespace()?;
                start(&rootfs, &args.container)
            })),
            //]
            Forked::Parent(child) => child.wait()?,
        };
    }
    Ok(status)
}

/// Becomes the command, in its root directory.
fn start(rootfs: &Path, container: &ContainerArgs) -> Result<u8> {
    enter_rootfs(rootfs)?;
    match exec(&container.command)? {}
}
