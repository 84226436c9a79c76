//! A network namespace, made without leaving the own one.

use anyhow::{Context, Result, anyhow};
use netlink::{LOOPBACK, Netlink};
use nix::sched::{CloneFlags, setns};
use std::fs::File;
use std::thread;
use v2_mountns::unshare;

/// A network namespace, held open, and a socket to change it from outside.
#[derive(Debug)]
pub(crate) struct Namespace {
    file: File,
    netlink: Netlink,
}

impl Namespace {
    // ANCHOR: create
    /// Makes a network namespace, with its loopback device up.
    ///
    /// Namespaces belong to threads, not to processes. So a thread of its own takes the new one and
    /// ends; what it opened in there stays open. We never leave the host's network: coming back
    /// needs CAP_SYS_ADMIN over the host's namespace, which an ordinary user does not have.
    ///
    /// # Errors
    /// Those of unshare(2), open(2) and rtnetlink(7).
    pub(crate) fn create() -> Result<Namespace> {
        let thread = thread::Builder::new().name("netns".into()).spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            let path = "/proc/thread-self/ns/net";
            let file = File::open(path).with_context(|| format!("cannot open {path}"))?;
            let netlink = Netlink::open().context("cannot open a netlink socket")?;
            netlink.link_set_up(LOOPBACK).context("cannot set lo up")?;
            Ok(Namespace { file, netlink })
        });
        let thread = thread.context("cannot start a thread")?;
        thread.join().map_err(|_| anyhow!("the thread that made a network namespace panicked"))?
    }
    // ANCHOR_END: create

    /// setns(2): moves this thread into the namespace.
    ///
    /// # Errors
    /// EPERM without CAP_SYS_ADMIN over it.
    pub(crate) fn enter(&self) -> Result<()> {
        setns(&self.file, CloneFlags::CLONE_NEWNET).context("cannot enter the network namespace")
    }

    /// The file that stands for the namespace. It lives as long as this is open.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// The way to its links, addresses and routes.
    pub(crate) fn netlink(&self) -> &Netlink {
        &self.netlink
    }
}
