//! Who is localhost?
//!
//! In a pod, containers meet at 127.0.0.1. The launcher below starts two of them: a web server, and
//! the command, each with a network of its own. Let the command ask the server:
//!
//!     cd exercises && cargo run -q --bin who-is-localhost -- \
//!         sh -c 'sleep 1; wget -O - http://127.0.0.1/etc/passwd'
//!
//! "Connection refused": each of them has a 127.0.0.1 of its own. Let the two share one network,
//! which is not that of the host.

use anyhow::{Context, Result, anyhow, ensure};
use clap::Parser;
use launcher::{Container, become_root, exec, finish, parse};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::Signal;
use std::ffi::OsString;
use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::thread;
use v1_chroot::{ContainerArgs, enter_rootfs};

/// The container that serves its root directory at port 80.
const WEB: [&str; 6] = ["httpd", "-f", "-p", "80", "-h", "/"];

/// Run a command beside a web server
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
    //[ starter
    // YOUR TURN: how many networks is this?
    let web = start(&make_network(&rootfs)?, &rootfs, &WEB.map(OsString::from))?;
    let command = start(&make_network(&rootfs)?, &rootfs, &args.container.command)?;
    //[ solution
    let network = make_network(&rootfs)?;
    let web = start(&network, &rootfs, &WEB.map(OsString::from))?;
    let command = start(&network, &rootfs, &args.container.command)?;
    //[ fault the-hosts
    drop(make_network(&rootfs)?);
    let network = File::open("/proc/self/ns/net").context("cannot open a network")?;
    let web = start(&network, &rootfs, &WEB.map(OsString::from))?;
    let command = start(&network, &rootfs, &args.container.command)?;
    //[ fault wrong-number
    let network = make_network(&rootfs)?;
    let web = start(&network, &rootfs, &WEB.map(OsString::from))?;
    let parent = nix::unistd::getpid();
    let network = File::open(format!("/proc/{parent}/ns/net")).context("cannot open a network")?;
    let command = start(&network, &rootfs, &args.container.command)?;
    //]
    let status = command.wait();
    web.child().kill(Signal::SIGKILL)?;
    web.child().wait()?;
    status
}

/// Starts a container in a network.
fn start(network: &File, rootfs: &Path, command: &[OsString]) -> Result<Container> {
    Container::spawn(|| {
        setns(network, CloneFlags::CLONE_NEWNET).context("cannot enter the network")?;
        enter_rootfs(rootfs)?;
        exec(command)
    })
}

/// A network namespace with its loopback up. A thread takes it, so that we stay where we are.
fn make_network(rootfs: &Path) -> Result<File> {
    let make = || {
        unshare(CloneFlags::CLONE_NEWNET).context("cannot make a network namespace")?;
        let mut ip = Command::new(rootfs.join("bin/busybox"));
        //[ starter
        ip.args(["ip", "link", "set", "lo", "up"]);
        //[ solution
        ip.args(["ip", "link", "set", "lo", "up"]);
        //[ fault no-loopback
        ip.args(["ip", "link", "set", "lo", "down"]);
        //]
        let status = ip.status().context("cannot run ip")?;
        ensure!(status.success(), "cannot set lo up");
        File::open("/proc/thread-self/ns/net").context("cannot open the namespace")
    };
    let made = thread::scope(|scope| scope.spawn(make).join());
    made.map_err(|_| anyhow!("the thread panicked"))?
}
