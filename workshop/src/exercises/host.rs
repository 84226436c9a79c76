//! The throw-away host that a check runs in.
//!
//! It is made of what the course teaches, so that a faulty program spoils nothing: namespaces of
//! its own for mounts, processes, network, names and shared memory; all its mounts are shared, as
//! systemd makes them; the check is its process 1, and when that one ends, the kernel kills the
//! rest. An ordinary user is root in it.

mod program;

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use launcher::{Caller, become_root};
use nix::mount::{MsFlags, mount};
use nix::sched::CloneFlags;
use nix::sys::signal::SigSet;
use nix::unistd::{sethostname, setsid};
use v2_mountns::{private_mounts, unshare};
use v3_pidns::fork_into_pid_namespace;

use super::verdict::expect;
pub use program::{Ended, Running};
use program::{TIME_LIMIT, kill_all};

/// The name of every host.
pub const NAME: &str = "host";

/// The host, as a check sees it from its process 1.
pub struct Host {
    directory: PathBuf,
    program: PathBuf,
    cgroup: Option<PathBuf>,
}

impl Host {
    /// Makes the host; returns in its process 1.
    ///
    /// # Errors
    /// If the kernel refuses a namespace or a mount.
    pub fn make(
        directory: &Path,
        busybox_rootfs: &Path,
        program: PathBuf,
        cgroup: Option<&Path>,
    ) -> Result<Host> {
        become_root(Caller::of_this_process())?;
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
        let host =
            Host { directory: directory.to_owned(), program, cgroup: cgroup.map(Path::to_owned) };
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

    /// The cgroup that was made for this check, with the controller pids.
    ///
    /// # Errors
    /// If the exercise has not asked for one.
    pub fn cgroup(&self) -> Result<&Path> {
        self.cgroup.as_deref().context("this exercise has no cgroup")
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
    /// [`super::verdict::CheckFailed`] if it does not end, or the container does not even start.
    pub fn run(&self, words: &[&str]) -> Result<Ended> {
        let typed = as_typed(words);
        let ended = self.run_to_end(&mut self.launcher(words), &typed)?;
        let what = format!("a container that runs `{typed}`");
        expect(ended.status != 125, &what, &ended.stderr, "the step that the message names")?;
        Ok(ended)
    }

    /// Runs any command of the host to its end, and ends what it has left. `name` is for the
    /// message.
    ///
    /// # Errors
    /// [`super::verdict::CheckFailed`] if it does not end.
    pub fn run_to_end(&self, command: &mut Command, name: &str) -> Result<Ended> {
        let ended = self.run_beside(command, name);
        kill_all()?;
        ended
    }

    /// Runs any command of the host to its end, while other processes go on.
    ///
    /// # Errors
    /// [`super::verdict::CheckFailed`] if it does not end.
    pub fn run_beside(&self, command: &mut Command, name: &str) -> Result<Ended> {
        // Files, not pipes: whoever inherits a pipe and lives on would keep it open.
        let out = self.directory.join("stdout");
        File::create(&out).context("cannot make a file for the output")?;
        self.run_and_log(command, name, &out)
    }

    /// The same, and what it prints is added to a file, as by `>>`.
    ///
    /// # Errors
    /// [`super::verdict::CheckFailed`] if it does not end.
    pub fn run_and_log(&self, command: &mut Command, name: &str, out: &Path) -> Result<Ended> {
        let err = self.directory.join("stderr");
        let log = File::options().append(true).open(out);
        let mut child = command
            .stdout(log.context("cannot open a file for the output")?)
            .stderr(File::create(&err).context("cannot make a file for the output")?)
            .spawn()
            .with_context(|| format!("cannot run {name}"))?;
        let start = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().context("cannot wait for the program")? {
                break status;
            }
            let seen = format!("it still runs after {} seconds", TIME_LIMIT.as_secs());
            let is_in_time = start.elapsed() < TIME_LIMIT;
            expect(
                is_in_time,
                &format!("`{name}` ends"),
                &seen,
                "who waits for whom, and for which signal",
            )?;
            sleep(Duration::from_millis(5));
        };
        let read = |path: &Path| fs::read(path).context("cannot read the output");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim_end().to_owned();
        Ok(Ended {
            status: status.code().unwrap_or(-1),
            stdout: text(read(out)?),
            stderr: text(read(&err)?),
        })
    }

    /// Starts a command in the learner's container, and returns when it has printed its first line.
    ///
    /// # Errors
    /// [`super::verdict::CheckFailed`] if it ends without a word.
    pub fn start(&self, words: &[&str]) -> Result<Running> {
        self.start_command(self.launcher(words))
    }

    /// The same for a command line with more than `--rootfs` in it.
    ///
    /// # Errors
    /// [`super::verdict::CheckFailed`] if it ends without a word.
    pub fn start_command(&self, mut command: Command) -> Result<Running> {
        let err = self.directory.join("stderr");
        let file = File::create(&err).context("cannot make a file for the output")?;
        let child = command.stdout(Stdio::piped()).stderr(file).spawn();
        let mut child = child.context("cannot start the program")?;
        let stdout = child.stdout.take().context("the program has no output")?;
        let running = Running::of(child, stdout)?;
        let said = fs::read_to_string(&err).context("cannot read the output")?;
        let what = "a container that starts, and prints a line";
        expect(!running.first.is_empty(), what, said.trim_end(), "the step that it names")?;
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

/// The words as one types them in a shell.
fn as_typed(words: &[&str]) -> String {
    let is_plain = |word: &str| word.chars().all(|it| it.is_alphanumeric() || "-_/.".contains(it));
    let quote = |word: &&str| match is_plain(word) {
        true => (*word).to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    };
    words.iter().map(quote).collect::<Vec<_>>().join(" ")
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
