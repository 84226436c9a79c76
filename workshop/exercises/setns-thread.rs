//! Entering namespaces, and who is in them
//!
//! The program below is a small `docker exec`: it takes the number of a process and a command, and
//! shall run the command in the UTS and network namespaces of that process. Try it as root, with a
//! container in a second terminal:
//!
//!     cd exercises && cargo root -q --bin setns-thread -- PID hostname
//!
//! It prints the name of the host. Let the command run where it belongs. (The check needs no root.
//! PID is that of the container's shell, as you see it from outside: `pgrep -n -x sh`.)

use anyhow::{Context, Result};
use clap::Parser;
use launcher::{exec, finish, parse};
use nix::sched::{CloneFlags, setns};
use std::ffi::OsString;
use std::fs::File;
//[ starter
use std::thread;
//[ solution
//]

/// Run a command in the UTS and network namespaces of a process
#[derive(Parser)]
struct Args {
    /// Number of the process
    pid: u32,
    /// Command to run, with its arguments
    #[arg(trailing_var_arg = true, required = true)]
    command: Vec<OsString>,
}

fn main() {
    finish(run())
}

fn run() -> Result<u8> {
    let (args, _) = parse::<Args>()?;
    //[ starter
    // YOUR TURN: namespaces belong to threads, and one call enters one namespace.
    let entered = thread::scope(|scope| scope.spawn(|| enter(args.pid, "uts")).join());
    entered.unwrap_or_else(|_| anyhow::bail!("the thread panicked"))?;
    //[ solution
    enter(args.pid, "uts")?;
    enter(args.pid, "net")?;
    //[ fault name-only
    enter(args.pid, "uts")?;
    //[ fault network-only
    enter(args.pid, "net")?;
    //]
    match exec(&args.command)? {}
}

/// setns(2): moves this thread into a namespace of the process `pid`.
fn enter(pid: u32, kind: &str) -> Result<()> {
    let path = format!("/proc/{pid}/ns/{kind}");
    let file = File::open(&path).with_context(|| format!("cannot open {path}"))?;
    setns(file, CloneFlags::empty()).with_context(|| format!("cannot enter {path}"))
}
