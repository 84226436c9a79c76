//! A session of a user on the throw-away host: the victim is made, the container is started, the
//! attacker's answer is read, and the harm is looked at.

use std::fs::{self, File, OpenOptions};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;

use anyhow::{Context, Result, bail, ensure};
use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::attack::{Attack, Starts};
use super::attacker::{ANSWER, FROM_HERE, ITSELF, PROGRAM, above};
use super::container::{COMMON, Container, Start, bring_attacker, has_workdir, inside};
use super::trial::{Cell, Who};
use super::victim::Target;
use workshop::exercises::host::{Ended, Host};

/// The exit status of a command that SIGKILL has ended.
const KILLED: i32 = 137;

/// More descriptors than a launcher has open.
const DESCRIPTORS: i32 = 24;

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
            bring_attacker(&session.rootfs(), &session.attacker())?;
        } else {
            // Where the host's secrets lie.
            let place = session.rootfs().join(FROM_HERE.trim_start_matches('/'));
            fs::create_dir_all(place).context("cannot make a directory")?;
        }
        Ok(session)
    }

    /// Carries out an attack: with one container after the other, until one succeeds.
    pub(super) fn attack(&self, attack: &Attack) -> Result<Cell> {
        let mut target = (attack.victim)(self)?;
        let mut cell = None;
        for start in self.starts(attack.starts, &target)? {
            let ended = self.attack_with(attack, &target, &start)?;
            cell = Some(self.judge(&mut target, &start, &ended)?);
            if cell == Some(Cell::Leaks) {
                break;
            }
        }
        cell.context("the attack was not carried out at all")
    }

    /// What came of it.
    fn judge(&self, target: &mut Target, start: &Start, ended: &Ended) -> Result<Cell> {
        let answer = ended.stdout.lines().find_map(|line| Some(line.split_once(ANSWER)?.1));
        match answer.map(|answer| answer.split_once(' ').unwrap_or((answer, ""))) {
            Some(("got", got)) => Ok(match (target.is_harmed)(self, got)? {
                true => Cell::Leaks,
                false => Cell::Stopped("own".to_owned()),
            }),
            Some((_, errno)) => Ok(Cell::Stopped(errno.to_owned())),
            None if ended.status == KILLED => Ok(Cell::Stopped("SIGKILL".to_owned())),
            None if is_refused(start, ended) => Ok(Cell::Stopped("refused".to_owned())),
            None => bail!(
                "the attacker has not answered; exit status {}: {} {}",
                ended.status,
                ended.stdout,
                ended.stderr
            ),
        }
    }

    /// Every way to start the containers of this attack.
    fn starts(&self, starts: Starts, target: &Target) -> Result<Vec<Start>> {
        Ok(match starts {
            Starts::Usually => vec![Start::Usually],
            Starts::AlsoThroughLauncher if self.is_on_host() => vec![Start::Usually],
            Starts::AlsoThroughLauncher => vec![Start::Usually, Start::ThroughLauncher],
            Starts::WithVolume => {
                let volume = self.rootfs().with_file_name("volume");
                fs::create_dir(&volume).context("cannot make a directory")?;
                vec![Start::WithVolume(volume)]
            }
            Starts::InDescriptors if !self.step.is_some_and(has_workdir) => vec![Start::Usually],
            Starts::InDescriptors => descriptors(target).map(Start::In).collect(),
            Starts::ByLinks => {
                let links = descriptors(target).map(|path| self.make_link(&path, target));
                links.map(|link| link.map(Start::ByLink)).collect::<Result<_>>()?
            }
        })
    }

    /// Makes a link in the root file system that leads to the attacker's program of the host: below
    /// the directory that was left open, or by the way up from one of the launcher's. Its name.
    fn make_link(&self, descriptor: &str, target: &Target) -> Result<String> {
        let program = self.attacker();
        let is_leaked = descriptors(target).next().as_deref() == Some(descriptor);
        let way = match is_leaked {
            true => Path::new(descriptor).join(program.file_name().unwrap_or_default()),
            false => above(Path::new(descriptor), &program),
        };
        let name = descriptor.replace('/', "-");
        let place = if self.is_on_host() { PathBuf::from("/") } else { self.rootfs() };
        let place = place.join(FROM_HERE.trim_start_matches('/')).join(&name);
        symlink(way, place).context("cannot make a link")?;
        Ok(format!("{FROM_HERE}/{name}"))
    }

    /// Runs the attacker in a container of the step; on the host, if there is none.
    fn attack_with(&self, attack: &Attack, target: &Target, start: &Start) -> Result<Ended> {
        let words = ["attacker", attack.id].map(str::to_owned);
        let words: Vec<_> = words.iter().chain(&target.told).cloned().collect();
        let mut command = match (self.step, start) {
            (None, Start::ByLink(link)) => self.program(Path::new(link), &words),
            (None, _) => self.program(&self.attacker(), &words),
            (Some(step), start) => {
                let words = match start {
                    Start::ByLink(link) => [link.clone()].into_iter().chain(words).collect(),
                    _ => inside(&words)?,
                };
                let usual = self.directory.join("bin").join(step);
                let launcher = target.launcher.as_ref().unwrap_or(&usual);
                self.program(launcher, &self.arguments(step, start, &words)?)
            }
        };
        if let Some(terminal) = &self.terminal {
            command.stdin(terminal.slave.try_clone().context("cannot copy a descriptor")?);
        }
        if let Some(directory) = &target.directory {
            command.current_dir(directory);
        }
        if let Some(group) = target.group.and_then(|group| i32::try_from(group).ok()) {
            command.process_group(group);
        }
        match &target.log {
            Some(log) => self.host.run_and_log(&mut command, attack.id, log),
            None => self.run(&mut command),
        }
    }

    /// A container of this step that runs these words.
    fn container(&self, step: &str, words: &[String]) -> Result<Command> {
        let arguments = self.arguments(step, &Start::Usually, words)?;
        Ok(self.program(&self.directory.join("bin").join(step), &arguments))
    }

    fn arguments(&self, step: &str, start: &Start, words: &[String]) -> Result<Vec<String>> {
        let manifest = &self.manifest();
        Container { step, who: self.who, start, manifest }.arguments(words)
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

    /// The attacker's program, as the host has it.
    pub(super) fn attacker(&self) -> PathBuf {
        self.directory.join("bin").join(PROGRAM)
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

/// The names of the descriptors that a launcher may have open: first the one that was left open.
fn descriptors(target: &Target) -> impl Iterator<Item = String> {
    let leaked = target.leaked.as_ref().map(AsRawFd::as_raw_fd);
    let others = (3..DESCRIPTORS).filter(move |number| Some(*number) != leaked);
    leaked.into_iter().chain(others).map(|number| format!("/proc/self/fd/{number}"))
}

/// Whether the launcher has not started the container because of what it was to start.
fn is_refused(start: &Start, ended: &Ended) -> bool {
    let itself = format!("{FROM_HERE}/{ITSELF}");
    let name = match start {
        Start::Usually | Start::WithVolume(_) => return false,
        Start::ThroughLauncher => &itself,
        Start::In(name) | Start::ByLink(name) => name,
    };
    (125..=127).contains(&ended.status) && ended.stderr.contains(&format!("{name:?}"))
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
