//! A session of a user on the throw-away host: the victim is made, the container is started, the
//! attacker's answer is read, and the harm is looked at.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;

use anyhow::{Context, Result, bail, ensure};
use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};

use super::STEPS;
use super::attack::Attack;
use super::attacker::{ANSWER, FROM_HERE};
use super::trial::{Cell, Who};
use crate::exercises::host::{Ended, Host};

/// What root's containers get from v6 on.
const LIMITS: [&str; 4] = ["--memory", "64m", "--pids-limit", "40"];

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
            let made = session.run(session.program("v1-chroot").arg("true"))?;
            ensure!(made.status == 0, "v1-chroot does not start: {}", made.stderr);
            session.bring_attacker()?;
        } else {
            // Where the host's secrets lie.
            let place = session.rootfs().join(FROM_HERE.trim_start_matches('/'));
            fs::create_dir_all(place).context("cannot make a directory")?;
        }
        Ok(session)
    }

    /// Copies this program, and the libraries that it needs, into the root file system.
    fn bring_attacker(&self) -> Result<()> {
        let place = self.rootfs().join(FROM_HERE.trim_start_matches('/'));
        fs::create_dir(&place).context("cannot make a directory in the rootfs")?;
        let own = self.directory.join("bin/workshop");
        for file in libraries()?.into_iter().chain([own]) {
            let name = file.file_name().context("a library has a name")?;
            fs::copy(&file, place.join(name))
                .with_context(|| format!("cannot copy {} into the rootfs", file.display()))?;
        }
        Ok(())
    }

    /// Carries out an attack.
    pub(super) fn attack(&self, attack: &Attack) -> Result<Cell> {
        let target = (attack.victim)(self)?;
        let ended = self.attack_with(attack, &target.told)?;
        drop(target.leaked);
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

    fn attack_with(&self, attack: &Attack, told: &[String]) -> Result<Ended> {
        let words = ["attacker", attack.id].map(str::to_owned);
        let words = words.iter().chain(told).cloned().collect::<Vec<_>>();
        let mut command = match self.step {
            None => {
                let mut command = self.program("workshop");
                command.args(&words);
                command
            }
            Some(step) => self.container(step, &self.inside(&words)?)?,
        };
        if let Some(terminal) = &self.terminal {
            command.stdin(terminal.slave.try_clone().context("cannot copy a descriptor")?);
        }
        self.run(&mut command)
    }

    /// The words that start the attacker inside: by its dynamic loader, if it has one (ld.so(8)).
    fn inside(&self, words: &[String]) -> Result<Vec<String>> {
        let name =
            |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
        let mut names = libraries()?.iter().filter_map(name).collect::<Vec<_>>().into_iter();
        let loader = names.find(|name| name.starts_with("ld-"));
        let loader = loader.map(|loader| {
            [format!("{FROM_HERE}/{loader}"), "--library-path".to_owned(), FROM_HERE.to_owned()]
        });
        let own = [format!("{FROM_HERE}/workshop")];
        Ok(loader.into_iter().flatten().chain(own).chain(words.iter().cloned()).collect())
    }

    /// A container of this step that runs these words.
    fn container(&self, step: &str, words: &[String]) -> Result<Command> {
        let number = STEPS.iter().position(|it| *it == step).context("there is no such step")?;
        let mut container = self.program(step);
        if step == "v8-pause" {
            let path = self.directory.join("home/pod.yaml");
            fs::write(&path, self.manifest(words)).context("cannot write a manifest")?;
            container.arg("run").arg(path);
            return Ok(container);
        }
        if number >= 5 && self.who == Who::Root {
            container.args(LIMITS);
        }
        container.arg("--").args(words);
        Ok(container)
    }

    fn manifest(&self, words: &[String]) -> String {
        let words: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
        let words = words.join(", ");
        let limits = match self.who {
            Who::Root => "    resources:\n      limits:\n        memory: 64Mi\n",
            Who::User => "",
        };
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: attack\nspec:\n  restartPolicy: Never\n  \
             containers:\n  - name: attacker\n    image: busybox\n    command: [{words}]\n{limits}"
        )
    }

    /// A program of the host, with nothing of our environment.
    fn program(&self, name: &str) -> Command {
        let home = self.directory.join("home");
        let mut command = Command::new(self.directory.join("bin").join(name));
        command.env_clear().current_dir(&home).stdin(Stdio::null());
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

/// The shared libraries of this process, the loader among them; none if it is static.
fn libraries() -> Result<BTreeSet<PathBuf>> {
    let path = "/proc/self/maps";
    let maps = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let paths = maps.lines().filter_map(|line| line.find('/').map(|start| &line[start..]));
    Ok(paths.filter(|path| path.contains(".so")).map(PathBuf::from).collect())
}
