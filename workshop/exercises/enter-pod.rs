//! To join is not to be there
//!
//! The launcher below starts a container whose process 1 does nothing, and then runs the command in
//! the same namespaces, as `exec` of the last step does. Ask the command for its number:
//!
//!     cd exercises && cargo run -q --bin enter-pod -- sh -c 'hostname; echo $$'
//!
//! The hostname is the container's, so it has joined. But its number is one of the host: inside,
//! where one process was before, it would be number 2. Let the command be born in the container.

use anyhow::{Context, Result};
use clap::Parser;
use launcher::child::children_of;
use launcher::{Container, become_root, exec, finish, parse};
use nix::sched::{CloneFlags, setns};
use std::fs::File;
use v1_chroot::{ContainerArgs, enter_rootfs};
use v2_mountns::unshare;
//[ solution
use v3_pidns::{fork_and_stand_between, fork_into_pid_namespace};
//[ starter
use v3_pidns::fork_into_pid_namespace;
//[ fault another
use v3_pidns::fork_into_pid_namespace;
//[ fault lost-status
use v3_pidns::fork_into_pid_namespace;
//]
use v4_utsns::set_hostname;

/// Run a command in a container that runs
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    container: ContainerArgs,
}

fn main() {
    finish(run())
}

fn run() -> Result<u8> {
    let (args, caller) = parse::<Args>()?;
    let rootfs = rootfs::prepare(&caller, args.container.rootfs.as_deref())?;
    become_root(caller)?;
    // This child ends with us, and with it its own child, which is process 1.
    let in_between = Container::spawn(|| {
        fork_into_pid_namespace()?;
        unshare(CloneFlags::CLONE_NEWUTS)?;
        set_hostname("pod")?;
        enter_rootfs(&rootfs)?;
        exec(&["sleep".into(), "1000000".into()])
    })?;
    let process_1 = children_of(in_between.child().pid())?.pop().context("process 1 has ended")?;
    let open = |kind: &str| {
        let path = format!("/proc/{process_1}/ns/{kind}");
        File::open(&path).with_context(|| format!("cannot open {path}"))
    };
    let namespaces = [open("uts")?, open("pid")?];
    let command = Container::spawn(|| {
        //[ starter
        for namespace in &namespaces {
            setns(namespace, CloneFlags::empty()).context("cannot join a namespace")?;
        }
        // YOUR TURN: no process ever changes its number.
        //[ solution
        for namespace in &namespaces {
            setns(namespace, CloneFlags::empty()).context("cannot join a namespace")?;
        }
        fork_and_stand_between()?;
        //[ fault another
        setns(&namespaces[0], CloneFlags::empty()).context("cannot join a namespace")?;
        fork_into_pid_namespace()?;
        //[ fault lost-status
        for namespace in &namespaces {
            setns(namespace, CloneFlags::empty()).context("cannot join a namespace")?;
        }
        if let launcher::Forked::Parent(child) = launcher::Child::fork()? {
            child.wait()?;
            launcher::exit_now(0);
        }
        //]
        enter_rootfs(&rootfs)?;
        exec(&args.container.command)
    })?;
    command.wait()
}
