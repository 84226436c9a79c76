//! A session of a user on the throw-away host: the victim is made, the container is started, the
//! attacker's answer is read, and the harm is looked at.

use std::fs::{self, File, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;

use anyhow::{Context, Result, bail, ensure};
use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::attack::Attack;
use super::attacker::{ANSWER, FROM_HERE};
use super::container::{COMMON, arguments, arguments_through_launcher, bring_attacker, inside};
use super::trial::{Cell, Who};
use super::victim::Target;
use crate::exercises::host::{Ended, Host};

/// The exit status of a command that SIGKILL has ended.
const KILLED: i32 = 137;

/// A session.
pub(super) struct Session<'a> {
    host: &'a Host,
    directory: &'a Path,
    step: Option<&'static str>,
    who: Who,
    terminal: Option<Terminal>,
}

impl<'a> Session<'a> {
    /// Begins a session: a home, and, if there is a step, its root file system with the attacker.
    pub(super) fn open(
        host: &'a Host,
        directory: &'a Path,
        step: Option<&'static str>,
        who: Who,
        terminal: Option<Terminal>,
    ) -> Result<Session<'a>> {
        let session = Session { host, directory, step, who, terminal };
        for name in ["home", "home/run"] {
            fs::create_dir(directory.join(name)).context("cannot make the home directory")?;
        }
        if step.is_some() {
            let made = session.run(&mut session.container("v1-chroot", &["true".to_owned()])?)?;
            ensure!(made.status == 0, "v1-chroot does not start: {}", made.stderr);
            bring_attacker(&session.rootfs(), &directory.join("bin/workshop"))?;
        } else {
            // Where the host's secrets lie.
            let place = session.rootfs().join(FROM_HERE.trim_start_matches('/'));
            fs::create_dir_all(place).context("cannot make a directory")?;
        }
        Ok(session)
    }

    /// Carries out an attack.
    pub(super) fn attack(&self, attack: &Attack) -> Result<Cell> {
        let target = (attack.victim)(self)?;
        let ended = self.attack_with(attack, &target)?;
        let answer = ended.stdout.lines().find_map(|line| Some(line.split_once(ANSWER)?.1));
        match answer.map(|answer| answer.split_once(' ').unwrap_or((answer, ""))) {
            Some(("got", got)) => Ok(match (target.is_harmed)(self, got)? {
                true => Cell::Leaks,
                false => Cell::Stopped("own".to_owned()),
            }),
            Some((_, errno)) => Ok(Cell::Stopped(errno.to_owned())),
            None if ended.status == KILLED => Ok(Cell::Stopped("SIGKILL".to_owned())),
            None => bail!(
                "the attacker has not answered; exit status {}: {} {}",
                ended.status,
                ended.stdout,
                ended.stderr
            ),
        }
    }

    /// Runs the attacker in a container of the step; on the host, if there is none.
    fn attack_with(&self, attack: &Attack, target: &Target) -> Result<Ended> {
        let words = ["attacker", attack.id].map(str::to_owned);
        let words: Vec<_> = words.iter().chain(&target.told).cloned().collect();
        let mut command = match (self.step, &target.launcher) {
            (None, _) => self.program(&self.directory.join("bin/workshop"), &words),
            (Some(step), None) => self.container(step, &inside(&words)?)?,
            (Some(step), Some(launcher)) => {
                let (words, manifest) = (inside(&words)?, self.manifest());
                let arguments = arguments_through_launcher(step, self.who, &words, &manifest)?;
                self.program(launcher, &arguments)
            }
        };
        if let Some(terminal) = &self.terminal {
            command.stdin(terminal.slave.try_clone().context("cannot copy a descriptor")?);
        }
        self.run(&mut command)
    }

    /// A container of this step that runs these words.
    fn container(&self, step: &str, words: &[String]) -> Result<Command> {
        let arguments = arguments(step, self.who, words, &self.manifest())?;
        Ok(self.program(&self.directory.join("bin").join(step), &arguments))
    }

    fn manifest(&self) -> PathBuf {
        self.directory.join("home/pod.yaml")
    }

    /// A program of the host, with nothing of our environment.
    fn program(&self, path: &Path, arguments: &[String]) -> Command {
        let home = self.directory.join("home");
        let mut command = Command::new(path);
        command.args(arguments).env_clear().current_dir(&home).stdin(Stdio::null());
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("TERM", "xterm");
        command.env("HOME", &home).env("XDG_RUNTIME_DIR", home.join("run"));
        command.env("BUSYBOX", self.busybox());
        command
    }

    fn run(&self, command: &mut Command) -> Result<Ended> {
        let name = command.get_program().to_string_lossy().into_owned();
        self.host.run_beside(command, &name)
    }

    /// The static busybox of the host.
    pub(super) fn busybox(&self) -> PathBuf {
        self.host.busybox()
    }

    /// The root file system of the steps, as they find it on their own.
    pub(super) fn rootfs(&self) -> PathBuf {
        match self.who {
            Who::Root => PathBuf::from("/var/cache/container-steps/rootfs"),
            Who::User => self.directory.join("home/.cache/container-steps/rootfs"),
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
        Ok(Rc::clone(&self.terminal.as_ref().context("this session has no terminal")?.master))
    }

    /// Makes a copy of the step's launcher that belongs to the user, as one that the user has built
    /// does; on the host, of busybox.
    pub(super) fn own_launcher(&self) -> Result<PathBuf> {
        let program = self.step.map(|step| self.directory.join("bin").join(step));
        let program = program.unwrap_or_else(|| self.busybox());
        let name = self.step.unwrap_or("busybox");
        let copy = self.directory.join("home").join(name);
        fs::copy(&program, &copy).context("cannot copy a launcher")?;
        Ok(copy)
    }

    /// Makes a fifo that the containers of a pod have in common, if the step has pods. Its path in
    /// there.
    pub(super) fn fifo_of_pod(&self) -> Result<Option<String>> {
        if self.step != Some("v8-pause") {
            return Ok(None);
        }
        let common = self.directory.join("home/common");
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

/// A terminal: a pseudo-terminal of which the attacker gets one side.
pub(super) struct Terminal {
    master: Rc<OwnedFd>,
    slave: File,
}

impl Terminal {
    /// Makes a terminal, for the session (setsid(2)) that this process leads: a leader without one
    /// gets the first that it opens.
    pub(super) fn make() -> Result<Terminal> {
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let master = posix_openpt(flags).context("cannot make a pseudo-terminal")?;
        grantpt(&master).and_then(|()| unlockpt(&master)).context("cannot use it")?;
        let name = ptsname_r(&master).context("cannot name it")?;
        let slave = File::options().read(true).write(true).open(&name);
        let slave = slave.with_context(|| format!("cannot open {name}"))?;
        Ok(Terminal { master: Rc::new(master.into()), slave })
    }
}
