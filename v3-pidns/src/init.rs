//! `--init`: a small process 1, with the command as its child.
//!
//! A command that is process 1 has duties that most programs do not know of. An **init** does them
//! for it: it passes signals on, waits for orphans, and ends as the command ends.

use anyhow::{Context, Result, ensure};
use launcher::in_memory::{execute, sealed};
use launcher::{Child, Forked, close_on_exec_from_3};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::unistd::{Pid, setpgid};
use std::convert::Infallible;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// The program: see `init/init.rs` and `build.rs`.
const PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/init"));

/// The number of the command then, in its own PID namespace.
const COMMAND: Pid = Pid::from_raw(2);

// ANCHOR: init
/// `--init`, for the command lines of all steps from here on.
#[derive(Debug, clap::Args)]
pub struct InitArgs {
    /// A small init as process 1, which reaps orphans
    #[arg(long)]
    pub init: bool,
}

impl InitArgs {
    /// Forks once more, and returns only in the new process, which becomes the command. The caller
    /// is process 1, and becomes an init.
    ///
    /// # Errors
    /// Those of [`Child::fork`], memfd_create(2) and execve(2).
    pub fn fork(&self) -> Result<()> {
        if !self.init {
            return Ok(());
        }
        let program = sealed(c"init", |memory| memory.write_all(PROGRAM))?;
        let (end_of_pipe, pipe) = io::pipe().context("cannot make a pipe")?;
        match Child::fork()? {
            Forked::Child(bound) => {
                drop((program, pipe));
                // Its other end is closed by execve(2): then there is an init.
                io::read_to_string(end_of_pipe).context("cannot wait for the init")?;
                bound
            }
            Forked::Parent(command) => {
                ensure!(command.pid() == COMMAND, "the command is process {}", command.pid());
                // What is sent to the command's whole group, Ctrl-C say, reaches it without us.
                setpgid(Pid::from_raw(0), Pid::from_raw(0)).context("cannot leave the group")?;
                match become_init(&program)? {}
            }
        }
    }
}

/// execve(2). It needs no file, so it keeps none. Signals that are blocked stay so: none is lost.
fn become_init(program: &File) -> Result<Infallible> {
    let close = || FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC);
    close_on_exec_from_3()
        .and_then(|()| fcntl(io::stdin(), close()))
        .and_then(|_| fcntl(io::stdout(), close()))
        .and_then(|_| fcntl(io::stderr(), close()))
        .context("cannot mark descriptors close-on-exec")?;
    execute(program, &[c"/init".to_owned()], &[])
}
// ANCHOR_END: init

/// Whether the process with this number is our init: its program is the one in memory.
pub(crate) fn is_at(pid: Pid) -> bool {
    let program = fs::read_link(format!("/proc/{pid}/exe"));
    program.is_ok_and(|program| program == Path::new("/memfd:init (deleted)"))
}
