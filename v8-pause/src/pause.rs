//! Starts pause, the process that holds the namespaces of a pod.

use crate::hardening::give_up_all_capabilities;
use crate::shared::Namespaces;
use anyhow::{Context, Result};
use launcher::child::children_of;
use launcher::command_line::tell_left_behind;
use launcher::in_memory::{execute, sealed};
use launcher::terminal::leave_terminal;
use launcher::{Child, Container, close_on_exec_from_3};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::mount::MsFlags;
use nix::sys::signal::SigSet;
use nix::unistd::Pid;
use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use v2_mountns::{CloneFlags, NewRoot, private_mounts, unshare};
use v3_pidns::{KILL, fork_into_pid_namespace};
use v4_utsns::set_hostname;
use v5_netns::Network;
use v6_cgroups::{Cgroup, Limits};

/// The program: see `pause/pause.rs` and `build.rs`.
pub const PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/pause"));

/// The pause process of a pod. Dropped, it is killed, and with it whatever is in its PID namespace.
#[derive(Debug)]
pub struct Pause {
    in_between: Container,
    pid: Pid,
    namespaces: Namespaces,
    _cgroup: Cgroup,
}

/// The name of its cgroup in the pod's. No container can have it: of the API server's letters for
/// names, `_` is none.
const CGROUP: &str = "_pause";

impl Pause {
    // ANCHOR: start
    /// Starts pause in the network of the pod, in a cgroup in the pod's, and in new UTS, IPC and
    /// PID namespaces.
    ///
    /// # Errors
    /// Those of the system calls in it.
    pub fn start(network: &Network, hostname: &str, pod: &Cgroup) -> Result<Pause> {
        let cgroup = pod.create_inner(CGROUP, &Limits::default())?;
        let in_between = Container::spawn(|| {
            leave_terminal()?;
            network.enter()?;
            fork_into_pid_namespace()?;
            cgroup.enter()?;
            unshare(CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWNS)?;
            set_hostname(hostname)?;
            private_mounts()?;
            let program = sealed(c"pause", |memory| memory.write_all(PROGRAM))?;
            enter_empty_root()?;
            give_up_all_capabilities()?;
            become_pause(&program)
        })?;
        let pid = main_process(in_between.child())?;
        Ok(Pause { in_between, pid, namespaces: Namespaces::of(pid)?, _cgroup: cgroup })
    }
    // ANCHOR_END: start

    /// Its number, as this process sees it.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Prints it: who wants to `exec` needs it.
    ///
    /// # Errors
    /// Those of write(2).
    pub fn print_pid(&self) -> Result<()> {
        writeln!(io::stdout(), "PAUSE_PID={}", self.pid).context("cannot print the number of pause")
    }

    /// The namespaces that it holds.
    pub fn namespaces(&self) -> &Namespaces {
        &self.namespaces
    }

    /// Its exit status, if it has ended.
    ///
    /// # Errors
    /// Those of waitpid(2).
    pub fn try_wait(&self) -> Result<Option<u8>> {
        self.in_between.child().try_wait()
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        tell_left_behind(self.in_between.child().end(KILL).context("pause"));
    }
}

/// The process that the one in between waits for.
///
/// # Errors
/// If it has ended already.
fn main_process(in_between: &Child) -> Result<Pid> {
    children_of(in_between.pid())?.pop().context("the process has ended at once")
}

// ANCHOR: become_pause
/// Makes an empty directory in memory the root of this process: pause needs none of the host's
/// files, so it shall keep none of its mounts in use, and show none to who looks at /proc/1/root.
fn enter_empty_root() -> Result<()> {
    // Any directory would do as the place for it: this mount namespace is ours.
    let place = Path::new("/proc");
    let flags = MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    nix::mount::mount(Some("tmpfs"), place, Some("tmpfs"), flags, Some("size=4k,mode=755"))
        .context("cannot mount an empty tmpfs")?;
    NewRoot::bind(place)?.pivot_with_descriptors()
}

/// execve(2) of pause. It needs no file, so it keeps none: where processes are shared, whatever it
/// has is open to all of them by /proc/1/fd, and its stderr is our caller's terminal.
///
/// All signals are blocked for it already: whoever asks it to end before it has begun is not
/// overheard.
fn become_pause(program: &File) -> Result<Infallible> {
    SigSet::all().thread_set_mask().context("cannot block signals")?;
    let close = || FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC);
    close_on_exec_from_3()
        .and_then(|()| fcntl(io::stdin(), close()))
        .and_then(|_| fcntl(io::stdout(), close()))
        .and_then(|_| fcntl(io::stderr(), close()))
        .context("cannot mark descriptors close-on-exec")?;
    execute(program, &[c"/pause".to_owned()], &[])
}
// ANCHOR_END: become_pause
