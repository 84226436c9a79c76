//! The throw-away host that a check runs in.
//!
//! It is made of what the course teaches, so that a faulty program spoils nothing: namespaces of
//! its own for mounts, processes, network, names and shared memory; all its mounts are shared, as
//! systemd makes them; the check is its process 1, and when that one ends, the kernel kills the
//! rest. An ordinary user is root in it.

use std::convert::Infallible;
use std::fmt::{self, Display};
use std::fs::{self, DirBuilder, File};
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, poll};
use nix::sched::CloneFlags;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, sethostname, setsid};
use v1_chroot::command_line::{Failure, note};
use v1_chroot::{become_root, exit_now, rootfs};
use v2_mountns::{private_mounts, unshare};
use v3_pidns::fork_into_pid_namespace;

use super::exercise::Exercise;

/// How the directory of a check is called, in the temporary directory; its process number follows.
pub(crate) const CHECK_DIRECTORY: &str = "workshop-check-";

/// The name of every host.
pub const NAME: &str = "host";

/// How long a program may take that is run to its end, or that is to say something.
const TIME_LIMIT: Duration = Duration::from_secs(10);
const TIME_LIMIT_OF_POLL: u16 = 10_000;

/// What the check saw first that is not as it should be.
#[derive(Debug)]
pub struct CheckFailed(pub String);

impl Display for CheckFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CheckFailed {}

/// The exit status of a check whose program is not right yet.
const NOT_RIGHT: u8 = 1;

/// Checks `program` on a new host.
///
/// # Errors
/// If the host cannot be made, or the check itself cannot be carried out.
pub fn judge(exercise: &Exercise, program: &Path) -> Result<Result<(), CheckFailed>> {
    let program = fs::canonicalize(program).with_context(|| format!("cannot find {program:?}"))?;
    let busybox_rootfs = rootfs::prepare(None)?;
    let place = Place::make()?;
    let ended = crate::child::run(|| {
        let host = Host::make(&place.0, &busybox_rootfs, program)?;
        check(exercise, &host)
    })?;
    match ended {
        Ok(0) => Ok(Ok(())),
        Ok(status) => Err(anyhow!("the check of {} ended with status {status}", exercise.id)),
        Err(Failure { code: NOT_RIGHT, text }) => Ok(Err(CheckFailed(text))),
        Err(failure) => Err(anyhow!("cannot check {}: {failure}", exercise.id)),
    }
}

fn check(exercise: &Exercise, host: &Host) -> Result<Infallible> {
    match (exercise.check)(host) {
        Ok(()) => exit_now(0),
        Err(error) => match error.downcast::<CheckFailed>() {
            Ok(failed) => Err(Failure { code: NOT_RIGHT, text: failed.0 }.into()),
            Err(error) => Err(error),
        },
    }
}

/// An empty directory of the machine, on which the host mounts its files.
struct Place(PathBuf);

impl Place {
    fn make() -> Result<Place> {
        let path = std::env::temp_dir().join(format!("{CHECK_DIRECTORY}{}", std::process::id()));
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("cannot make {path:?}"))?;
        Ok(Place(path))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir(&self.0) {
            note(format_args!("left behind: {}: {error}", self.0.display()));
        }
    }
}

/// The host, as a check sees it from its process 1.
pub struct Host {
    directory: PathBuf,
    program: PathBuf,
}

impl Host {
    /// Makes the host; returns in its process 1.
    fn make(directory: &Path, busybox_rootfs: &Path, program: PathBuf) -> Result<Host> {
        become_root()?;
        fork_into_pid_namespace()?;
        // No terminal: a program that takes it for itself would stop the learner's shell.
        setsid().context("cannot leave the session")?;
        SigSet::empty().thread_set_mask().context("cannot unblock signals")?;
        unshare(
            CloneFlags::CLONE_NEWNS
                | CloneFlags::CLONE_NEWNET
                | CloneFlags::CLONE_NEWUTS
                | CloneFlags::CLONE_NEWIPC,
        )?;
        sethostname(NAME).context("cannot set the hostname")?;
        private_mounts()?;
        mount_new("proc", Path::new("/proc"))?;
        mount_new("tmpfs", directory)?;
        let host = Host { directory: directory.to_owned(), program };
        host.make_rootfs(busybox_rootfs)?;
        fs::create_dir(host.outside()).context("cannot make a directory")?;
        fs::write(host.outside().join("file-of-the-host"), "x\n").context("cannot write a file")?;
        let flags = MsFlags::MS_REC | MsFlags::MS_SHARED;
        mount(None::<&str>, "/", None::<&str>, flags, None::<&str>)
            .context("cannot make the mounts shared")?;
        Ok(host)
    }

    /// A rootfs of the host's own: busybox, a link for each command, some directories.
    fn make_rootfs(&self, busybox_rootfs: &Path) -> Result<()> {
        let cannot = || format!("cannot make a rootfs in {:?}", self.directory);
        for name in ["bin", "dev", "etc", "proc", "run", "sys", "tmp", "www"] {
            fs::create_dir_all(self.rootfs().join(name)).with_context(cannot)?;
        }
        // Shells read from it for what they start in the background; nothing more is needed.
        File::create(self.rootfs().join("dev/null")).with_context(cannot)?;
        fs::copy(busybox_rootfs.join("bin/busybox"), self.busybox()).with_context(cannot)?;
        for entry in fs::read_dir(busybox_rootfs.join("bin")).with_context(cannot)? {
            let name = entry.with_context(cannot)?.file_name();
            if name != "busybox" {
                symlink("busybox", self.rootfs().join("bin").join(name)).with_context(cannot)?;
            }
        }
        Ok(())
    }

    /// The rootfs that programs get by `--rootfs`.
    pub fn rootfs(&self) -> PathBuf {
        self.directory.join("rootfs")
    }

    /// The busybox in it, which the host itself can run too.
    pub fn busybox(&self) -> PathBuf {
        self.rootfs().join("bin/busybox")
    }

    /// The directory in which programs are started. It holds one file, and is not in the rootfs.
    pub fn outside(&self) -> PathBuf {
        self.directory.join("outside")
    }

    /// The learner's program, without arguments.
    pub fn program(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(self.outside()).stdin(Stdio::null());
        command
    }

    /// The learner's program as the launcher of a command in the rootfs.
    pub fn launcher(&self, words: &[&str]) -> Command {
        let mut command = self.program();
        command.arg("--rootfs").arg(self.rootfs()).args(words);
        command
    }

    /// Runs a command in the learner's container, to its end.
    ///
    /// # Errors
    /// [`CheckFailed`] if it does not end, or the container does not even start.
    pub fn run(&self, words: &[&str]) -> Result<Ended> {
        let ended = self.run_to_end(&mut self.launcher(words), &words.join(" "))?;
        let what = format!("a container that runs `{}`", words.join(" "));
        expect(ended.status != 125, &what, &ended.stderr, "the step that the message names")?;
        Ok(ended)
    }

    /// Runs any command of the host to its end, and ends what it has left. `name` is for the
    /// message.
    ///
    /// # Errors
    /// [`CheckFailed`] if it does not end.
    pub fn run_to_end(&self, command: &mut Command, name: &str) -> Result<Ended> {
        let ended = self.run_beside(command, name);
        kill_all()?;
        ended
    }

    /// Runs any command of the host to its end, while other processes go on.
    ///
    /// # Errors
    /// [`CheckFailed`] if it does not end.
    pub fn run_beside(&self, command: &mut Command, name: &str) -> Result<Ended> {
        // Files, not pipes: whoever inherits a pipe and lives on would keep it open.
        let (out, err) = (self.directory.join("stdout"), self.directory.join("stderr"));
        let create = |path: &Path| File::create(path).context("cannot make a file for the output");
        let mut child = command
            .stdout(create(&out)?)
            .stderr(create(&err)?)
            .spawn()
            .with_context(|| format!("cannot run {name}"))?;
        let start = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().context("cannot wait for the program")? {
                break status;
            }
            let seen = format!("it still runs after {} seconds", TIME_LIMIT.as_secs());
            let is_in_time = start.elapsed() < TIME_LIMIT;
            expect(is_in_time, &format!("`{name}` ends"), &seen, "who waits for whom")?;
            sleep(Duration::from_millis(5));
        };
        let read = |path: &Path| fs::read(path).context("cannot read the output");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim_end().to_owned();
        Ok(Ended {
            status: status.code().unwrap_or(-1),
            stdout: text(read(&out)?),
            stderr: text(read(&err)?),
        })
    }

    /// Starts a command in the learner's container, and returns when it has printed its first line.
    ///
    /// # Errors
    /// [`CheckFailed`] if it ends without a word.
    pub fn start(&self, words: &[&str]) -> Result<Running> {
        let err = self.directory.join("stderr");
        let file = File::create(&err).context("cannot make a file for the output")?;
        let mut command = self.launcher(words);
        let child = command.stdout(Stdio::piped()).stderr(file).spawn();
        let mut child = child.context("cannot start the program")?;
        let stdout = child.stdout.take().context("the program has no output")?;
        let mut running = Running { child, stdout, unread: Vec::new(), first: String::new() };
        running.first = running.line()?;
        let said = fs::read_to_string(&err).context("cannot read the output")?;
        let what = format!("a container that runs `{}`", words.join(" "));
        expect(!running.first.is_empty(), &what, said.trim_end(), "the step that it names")?;
        Ok(running)
    }

    /// Runs an applet of busybox on the host, and returns what it printed.
    ///
    /// # Errors
    /// If it fails.
    pub fn applet(&self, words: &[&str]) -> Result<String> {
        let ended = self.run_to_end(Command::new(self.busybox()).args(words), &words.join(" "))?;
        match ended.status {
            0 => Ok(ended.stdout),
            status => Err(anyhow!("{} ended with {status}: {}", words.join(" "), ended.stderr)),
        }
    }
}

/// Mounts a new file system of this type.
fn mount_new(kind: &str, target: &Path) -> Result<()> {
    mount(Some(kind), target, Some(kind), MsFlags::MS_NOSUID, None::<&str>).map_err(|errno| {
        anyhow!(
            "cannot mount {kind} on {target:?}: {errno} (in a container? Start that one with \
             --privileged)"
        )
    })
}

/// Kills every process of the host but the check itself, and reaps what can be reaped.
fn kill_all() -> Result<()> {
    match kill(Pid::from_raw(-1), Signal::SIGKILL) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(errno) => return Err(errno).context("cannot kill what is left of the program"),
    }
    loop {
        match waitpid(None, Some(WaitPidFlag::empty())) {
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(()),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno).context("cannot wait for what was killed"),
        }
    }
}

/// How a program ended, and what it said.
#[derive(Debug)]
pub struct Ended {
    /// The exit status; -1 if a signal ended it.
    pub status: i32,
    /// Standard output, without white space at its end.
    pub stdout: String,
    /// Standard error, likewise.
    pub stderr: String,
}

/// A container that runs while the check looks at it. Dropped, everything in the host is killed.
pub struct Running {
    child: Child,
    stdout: ChildStdout,
    unread: Vec<u8>,
    /// The first line that it printed.
    pub first: String,
}

impl Running {
    /// The next line that it prints; empty at its end.
    ///
    /// # Errors
    /// [`CheckFailed`] if it prints none, and does not end either.
    pub fn line(&mut self) -> Result<String> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<_> = self.unread.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            let mut ready = [PollFd::new(self.stdout.as_fd(), PollFlags::POLLIN)];
            let count = poll(&mut ready, TIME_LIMIT_OF_POLL).context("cannot wait for output")?;
            let seen = format!("nothing for {} seconds", TIME_LIMIT.as_secs());
            expect(count > 0, "the command prints something", &seen, "whether it is started")?;
            let mut bytes = [0; 1024];
            let length = self.stdout.read(&mut bytes).context("cannot read the output")?;
            if length == 0 {
                let rest = std::mem::take(&mut self.unread);
                return Ok(String::from_utf8_lossy(&rest).trim_end().to_owned());
            }
            self.unread.extend_from_slice(&bytes[..length]);
        }
    }

    /// The number of the learner's program.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // If it fails, the end of the host does it.
        let _ = kill_all();
    }
}

/// Requires something, in plain words.
///
/// # Errors
/// [`CheckFailed`] unless `is_so`: what was expected, what was seen, and where to look.
pub fn expect(is_so: bool, expected: &str, seen: &str, look_at: &str) -> Result<()> {
    if is_so {
        return Ok(());
    }
    let seen = if seen.is_empty() { "nothing" } else { seen };
    Err(CheckFailed(format!("  expected: {expected}\n  seen:     {seen}\n  look at:  {look_at}"))
        .into())
}
