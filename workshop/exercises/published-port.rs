//! A port of the host that leads inside
//!
//! The launcher below gives its container a network of its own, and starts a proxy: who connects to
//! port 8080 of the host shall be answered by port 80 of the container. From a second terminal the
//! port is closed, though:
//!
//!     cd exercises && cargo run -q --bin published-port -- httpd -f -p 80
//!     curl http://127.0.0.1:8080/
//!
//! Open it. Then the answer is `404 Not Found`, and that is success: the server inside answers, and
//! has no page yet.

use anyhow::{Context, Result, anyhow, ensure};
use clap::Parser;
use launcher::{Child, Container, Forked, become_root, exec, finish, parse};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::Signal;
use std::convert::Infallible;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;
use v1_chroot::{ContainerArgs, enter_rootfs};

/// Run a command with its own root directory and network, and a port that leads inside
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
    let namespace = make_namespace(&rootfs)?;
    let proxy = match Child::fork()? {
        Forked::Parent(proxy) => proxy,
        Forked::Child(bound) => {
            let Err(error) = bound.and_then(|()| be_proxy(&namespace));
            finish(Err(error))
        }
    };
    let container = Container::spawn(|| {
        setns(&namespace, CloneFlags::CLONE_NEWNET).context("cannot enter the network")?;
        enter_rootfs(&rootfs)?;
        exec(&args.container.command)
    })?;
    let status = container.wait();
    proxy.kill(Signal::SIGKILL)?;
    proxy.wait()?;
    status
}

/// A network namespace with its loopback up. A thread takes it, so that we stay where we are.
fn make_namespace(rootfs: &Path) -> Result<File> {
    let make = || {
        unshare(CloneFlags::CLONE_NEWNET).context("cannot make a network namespace")?;
        let mut ip = Command::new(rootfs.join("bin/busybox"));
        let status =
            ip.args(["ip", "link", "set", "lo", "up"]).status().context("cannot run ip")?;
        ensure!(status.success(), "cannot set lo up");
        File::open("/proc/thread-self/ns/net").context("cannot open the namespace")
    };
    let made = thread::scope(|scope| scope.spawn(make).join());
    made.map_err(|_| anyhow!("the thread panicked"))?
}

/// Carries connections from port 8080 of the host to port 80 of the container.
fn be_proxy(namespace: &File) -> Result<Infallible> {
    //[ starter
    // YOUR TURN: where does this proxy listen, and where does it connect?
    setns(namespace, CloneFlags::CLONE_NEWNET).context("cannot enter the network")?;
    let listener = listen()?;
    //[ solution
    let listener = listen()?;
    setns(namespace, CloneFlags::CLONE_NEWNET).context("cannot enter the network")?;
    //[ fault wrong-side
    let listener = listen()?;
    let _ = namespace;
    //]
    //[ starter
    loop {
        answer(&listener)?;
    }
    //[ solution
    loop {
        answer(&listener)?;
    }
    //[ fault only-one
    answer(&listener)?;
    loop {
        thread::park();
    }
    //]
}

/// Takes one connection.
fn answer(listener: &TcpListener) -> Result<()> {
    let (outside, _) = listener.accept().context("cannot accept a connection")?;
    // The server inside may not listen yet: then the connection ends without an answer.
    match TcpStream::connect((Ipv4Addr::LOCALHOST, 80)) {
        Ok(inside) => carry(outside, inside),
        Err(_) => Ok(()),
    }
}

fn listen() -> Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 8080)).context("cannot listen at port 8080")
}

/// Carries what comes from either side to the other, in two threads.
fn carry(outside: TcpStream, inside: TcpStream) -> Result<()> {
    let copies = (outside.try_clone()?, inside.try_clone()?);
    thread::spawn(move || carry_one_way(outside, inside));
    thread::spawn(move || carry_one_way(copies.1, copies.0));
    Ok(())
}

fn carry_one_way(mut from: TcpStream, mut to: TcpStream) {
    // An end on one side is the end of this direction on the other side.
    let _ = io::copy(&mut from, &mut to).and_then(|_| to.shutdown(Shutdown::Write));
}
