//! A session of a user on the throw-away host: what the user has, and can start. A victim is made
//! in one, and a container is started from one.

use std::fs::{self, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;

use anyhow::{Context, Result, ensure};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use workshop::host::{Ended, Host};

use super::attacker::{FROM_HERE, PROGRAM};
use super::container::{COMMON, Container, Start, bring_attacker};
use super::terminal::Terminal;
use super::who::Who;

/// A session.
pub(super) struct Session<'a> {
    host: &'a Host,
    /// The step whose containers are attacked; none on the host.
    pub step: Option<&'static str>,
    who: Who,
    /// What is typed at, if the attack needs that.
    pub terminal: Option<Terminal>,
}

impl<'a> Session<'a> {
    /// Begins a session: a home, and, if there is a step, its root file system with the attacker.
    pub(super) fn open(
        host: &'a Host,
        step: Option<&'static str>,
        who: Who,
        terminal: Option<Terminal>,
    ) -> Result<Session<'a>> {
        let session = Session { host, step, who, terminal };
        for name in ["home", "home/run"] {
            fs::create_dir(host.directory().join(name))
                .context("cannot make the home directory")?;
        }
        if step.is_some() {
            let made = session.run(&mut session.container("v1-chroot", &["true".to_owned()])?)?;
            ensure!(made.status == 0, "v1-chroot does not start: {}", made.stderr);
            bring_attacker(&session.rootfs(), &session.attacker())?;
        } else {
            // Where the host's secrets lie.
            let place = session.rootfs().join(FROM_HERE.trim_start_matches('/'));
            fs::create_dir_all(place).context("cannot make a directory")?;
        }
        Ok(session)
    }

    /// A container of this step that runs these words.
    fn container(&self, step: &str, words: &[String]) -> Result<Command> {
        let arguments = self.arguments(step, &Start::Usually, words)?;
        Ok(self.program(&self.launcher(step), &arguments))
    }

    /// What the launcher of a step is told, to start a container that runs these words.
    pub(super) fn arguments(
        &self,
        step: &str,
        start: &Start,
        words: &[String],
    ) -> Result<Vec<String>> {
        let manifest = &self.manifest();
        Container { step, who: self.who, start, manifest }.arguments(words)
    }

    fn home(&self) -> PathBuf {
        self.host.directory().join("home")
    }

    fn manifest(&self) -> PathBuf {
        self.home().join("pod.yaml")
    }

    /// A program of the host, with nothing of our environment.
    pub(super) fn program(&self, path: &Path, arguments: &[String]) -> Command {
        let home = self.home();
        let mut command = Command::new(path);
        command.args(arguments).env_clear().current_dir(&home).stdin(Stdio::null());
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("TERM", "xterm");
        command.env("HOME", &home).env("XDG_RUNTIME_DIR", home.join("run"));
        command.env("BUSYBOX", self.busybox());
        command
    }

    /// Runs a command to its end, beside what runs already.
    pub(super) fn run(&self, command: &mut Command) -> Result<Ended> {
        let name = command.get_program().to_string_lossy().into_owned();
        self.host.run_beside(command, &name)
    }

    /// The same, and what it prints is added to a file. The name is for messages.
    pub(super) fn run_and_log(
        &self,
        command: &mut Command,
        name: &str,
        log: &Path,
    ) -> Result<Ended> {
        self.host.run_and_log(command, name, log)
    }

    /// The launcher of a step, as the host has it.
    pub(super) fn launcher(&self, step: &str) -> PathBuf {
        self.host.directory().join("bin").join(step)
    }

    /// The attacker's program, as the host has it.
    pub(super) fn attacker(&self) -> PathBuf {
        self.host.directory().join("bin").join(PROGRAM)
    }

    /// The step, if its containers are given limits.
    pub(super) fn limited_step(&self) -> Option<&'static str> {
        self.step.filter(|_| self.who == Who::Root)
    }

    /// The static busybox of the host.
    pub(super) fn busybox(&self) -> PathBuf {
        self.host.busybox()
    }

    /// The root file system of the steps, as they find it on their own.
    pub(super) fn rootfs(&self) -> PathBuf {
        match self.who {
            Who::Root => PathBuf::from("/var/cache/container-steps/rootfs"),
            Who::User => self.home().join(".cache/container-steps/rootfs"),
        }
    }

    /// Makes a file of the host that no container should read. It lies beside the root file system,
    /// in the same file system. Its path.
    pub(super) fn secret_file(&self, secret: &str) -> Result<String> {
        let path = self.rootfs().with_file_name("secret");
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        file.and_then(|mut file| std::io::Write::write_all(&mut file, secret.as_bytes()))
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path.to_string_lossy().into_owned())
    }

    /// The other side of the session's terminal.
    pub(super) fn terminal(&self) -> Result<Rc<OwnedFd>> {
        Ok(self.terminal.as_ref().context("this session has no terminal")?.master())
    }

    /// Makes a copy of the step's launcher that belongs to the user, as one that the user has built
    /// does; on the host, of busybox.
    pub(super) fn own_launcher(&self) -> Result<PathBuf> {
        let program = self.step.map(|step| self.launcher(step));
        let program = program.unwrap_or_else(|| self.busybox());
        let name = self.step.unwrap_or("busybox");
        let copy = self.home().join(name);
        fs::copy(&program, &copy).context("cannot copy a launcher")?;
        Ok(copy)
    }

    /// Makes a fifo that the containers of a pod have in common, if the step has pods. Its path in
    /// there.
    pub(super) fn fifo_of_pod(&self) -> Result<Option<String>> {
        if self.step != Some("v8-pause") {
            return Ok(None);
        }
        let common = self.home().join("common");
        fs::create_dir(&common).context("cannot make a directory")?;
        mkfifo(&common.join("fifo"), Mode::S_IRWXU).context("cannot make a fifo")?;
        Ok(Some(format!("{COMMON}/fifo")))
    }

    /// Whether there is no container at all.
    pub(super) fn is_on_host(&self) -> bool {
        self.step.is_none()
    }

    /// What the next container reads from this file: inside it, or on the host if there is none.
    pub(super) fn next_reads(&self, inside: &Path, on_host: &Path) -> Result<String> {
        let Some(step) = self.step else {
            return fs::read_to_string(on_host).context("cannot read what was written");
        };
        let words = ["cat".to_owned(), inside.to_string_lossy().into_owned()];
        Ok(self.run(&mut self.container(step, &words)?)?.stdout)
    }
}
