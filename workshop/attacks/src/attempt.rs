//! One attack in a session: the victim is made, the container is started, the attacker's answer is
//! read, and the harm is looked at.

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use workshop::host::Ended;

use super::attack::{Attack, Starts};
use super::attacker::{ANSWER, FROM_HERE, ITSELF, above};
use super::cell::Cell;
use super::container::{Start, has_workdir, inside};
use super::session::Session;
use super::target::Target;

/// The exit status of a command that SIGKILL has ended.
const KILLED: i32 = 137;

/// More descriptors than a launcher has open.
const DESCRIPTORS: i32 = 24;

/// Carries out an attack: with one container after the other, until one succeeds.
pub(super) fn attempt(session: &Session, attack: &Attack) -> Result<Cell> {
    let mut target = (attack.victim)(session)?;
    let mut cell = None;
    for start in starts(session, attack.starts, &target)? {
        let ended = attack_with(session, attack, &target, &start)?;
        cell = Some(judge(session, &mut target, &start, &ended)?);
        if cell == Some(Cell::Leaks) {
            break;
        }
    }
    cell.context("the attack was not carried out at all")
}

/// Every way to start the containers of this attack.
fn starts(session: &Session, starts: Starts, target: &Target) -> Result<Vec<Start>> {
    Ok(match starts {
        Starts::Usually => vec![Start::Usually],
        Starts::AlsoThroughLauncher if session.is_on_host() => vec![Start::Usually],
        Starts::AlsoThroughLauncher => vec![Start::Usually, Start::ThroughLauncher],
        Starts::WithVolume => {
            let volume = session.rootfs().with_file_name("volume");
            fs::create_dir(&volume).context("cannot make a directory")?;
            vec![Start::WithVolume(volume)]
        }
        Starts::InDescriptors if !session.step.is_some_and(has_workdir) => vec![Start::Usually],
        Starts::InDescriptors => descriptors(target).map(Start::In).collect(),
        Starts::ByLinks => {
            let links = descriptors(target).map(|path| make_link(session, &path, target));
            links.map(|link| link.map(Start::ByLink)).collect::<Result<_>>()?
        }
    })
}

/// The names of the descriptors that a launcher may have open: first the one that was left open.
fn descriptors(target: &Target) -> impl Iterator<Item = String> {
    let leaked = target.leaked.as_ref().map(AsRawFd::as_raw_fd);
    let others = (3..DESCRIPTORS).filter(move |number| Some(*number) != leaked);
    leaked.into_iter().chain(others).map(|number| format!("/proc/self/fd/{number}"))
}

/// Makes a link in the root file system that leads to the attacker's program of the host: below
/// the directory that was left open, or by the way up from one of the launcher's. Its name.
fn make_link(session: &Session, descriptor: &str, target: &Target) -> Result<String> {
    let program = session.attacker();
    let is_leaked = descriptors(target).next().as_deref() == Some(descriptor);
    let way = match is_leaked {
        true => Path::new(descriptor).join(program.file_name().unwrap_or_default()),
        false => above(Path::new(descriptor), &program),
    };
    let name = descriptor.replace('/', "-");
    let root = if session.is_on_host() { PathBuf::from("/") } else { session.rootfs() };
    let link = root.join(FROM_HERE.trim_start_matches('/')).join(&name);
    symlink(way, link).context("cannot make a link")?;
    Ok(format!("{FROM_HERE}/{name}"))
}

/// Runs the attacker in a container of the step; on the host, if there is none.
fn attack_with(
    session: &Session,
    attack: &Attack,
    target: &Target,
    start: &Start,
) -> Result<Ended> {
    let mut command = command(session, attack, target, start)?;
    if let Some(terminal) = &session.terminal {
        command.stdin(terminal.slave()?);
    }
    if let Some(directory) = &target.directory {
        command.current_dir(directory);
    }
    if let Some(group) = target.group.and_then(|group| i32::try_from(group).ok()) {
        command.process_group(group);
    }
    match &target.log {
        Some(log) => session.run_and_log(&mut command, attack.id, log),
        None => session.run(&mut command),
    }
}

fn command(session: &Session, attack: &Attack, target: &Target, start: &Start) -> Result<Command> {
    let words = ["attacker", attack.id].map(str::to_owned);
    let words: Vec<_> = words.iter().chain(&target.told).cloned().collect();
    Ok(match (session.step, start) {
        (None, Start::ByLink(link)) => session.program(Path::new(link), &words),
        (None, _) => session.program(&session.attacker(), &words),
        (Some(step), start) => {
            let words = match start {
                Start::ByLink(link) => [link.clone()].into_iter().chain(words).collect(),
                _ => inside(&words)?,
            };
            let usual = session.launcher(step);
            let launcher = target.launcher.as_ref().unwrap_or(&usual);
            session.program(launcher, &session.arguments(step, start, &words)?)
        }
    })
}

/// What came of it.
fn judge(session: &Session, target: &mut Target, start: &Start, ended: &Ended) -> Result<Cell> {
    let answer = ended.stdout.lines().find_map(|line| Some(line.split_once(ANSWER)?.1));
    match answer.map(|answer| answer.split_once(' ').unwrap_or((answer, ""))) {
        Some(("got", got)) => Ok(match (target.is_harmed)(session, got)? {
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
