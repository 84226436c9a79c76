//! The whole book as one person types it: page after page, on one machine, in one home.
//!
//! Each terminal begins as a person's does: with a login, `su - learner`, and with what the page
//! "Setting up" says that one types there. Root's shell is the one that this page makes.

use std::process::Command;

use anyhow::{Context, Result};
use nix::unistd::{gethostname, sethostname};

use super::archive::Archive;
use super::local_registry::LocalRegistry;
use super::page::Page;
use super::session::{READY, SET_UP};
use super::transcript::{Identity, Input, Machine, Reading, ShellId, Transcript};
use super::way_outside::WayOutside;
use super::{Told, this_machine};
use crate::Host;
use crate::terminal::Terminal;

/// The page that says how a terminal begins.
const SETTING_UP: &str = "setup.md";
/// The exercises that are solved at the end, of a step each, and what the check says first.
const SOLVED: [(&str, &str); 4] = [
    ("exit-status", ""),
    ("second-fork", ""),
    (
        "pids-limit",
        "The check makes a cgroup, which takes root: you may be asked for a password.\n",
    ),
    ("who-is-localhost", ""),
];
/// What the homes and the places of a launcher's files are not watched for.
const PLACES_OF_A_READER: [&str; 6] =
    ["/home/learner", "/root", "/tmp", "/var", "/run", "/dev/net"];

/// Type all pages in a host that is the reader's machine; ends the trial as failed if something
/// else comes out than they say. Every page is typed, also after one that failed.
pub fn run_book(pages: &[Page], reading: Reading, host: &Host) {
    for place in PLACES_OF_A_READER {
        host.own(place);
    }
    let hostname = gethostname().expect("the host has a name");
    sethostname("laptop").expect("give the host a name");
    let way_outside = WayOutside::connect(host);
    let archive = Archive::serve().expect("serve the archive");
    let memory = SharedMemory::make().expect("make shared memory");
    let beginning = Beginning::said_by(pages).expect("the page says how a terminal begins");
    let mut pages = pages.to_vec();
    if reading == Reading::Again {
        pages.push(exercises());
    }
    let report = |page| {
        let _registry = LocalRegistry::wanted_by(page, host);
        type_page(page, reading, &beginning).err()
    };
    let reports = pages.iter().filter_map(report).map(|error| format!("{error:#}"));
    let reports: Vec<_> = reports.collect();
    drop((way_outside, archive, memory));
    sethostname(&hostname).expect("give the host its name back");
    if !reports.is_empty() {
        eprintln!("{}", reports.join("\n"));
        std::process::exit(1);
    }
}

/// A page that solves some exercises with the solutions of the course. (That each check takes its
/// solution, and not its starter, is a test of its own.)
fn exercises() -> Page {
    let mut text = "```console\n".to_owned();
    for (id, first) in SOLVED {
        text += &format!(
            "$ cargo workshop start {id} > /dev/null\n\
            $ cargo workshop solution {id} > /dev/null\n\
            $ cargo workshop solution {id} > exercises/src/bin/{id}.rs\n\
            $ cargo workshop check {id}\n\
            {first}\
            {id}: passed.\n\
            Compare with ours: cargo workshop solution {id}\n\
            Go on with:        cargo workshop next\n"
        );
    }
    Page::new("the exercises", &(text + "```\n"))
}

/// Somebody else uses the machine: what a page makes is not the first of its kind (System V).
struct SharedMemory(String);

impl SharedMemory {
    fn make() -> Result<SharedMemory> {
        let made = Command::new("ipcmk").args(["--shmem", "4096"]).output()?;
        let said = String::from_utf8_lossy(&made.stdout);
        let (_, id) = said.trim().rsplit_once(' ').context("ipcmk tells no number")?;
        Ok(SharedMemory(id.to_owned()))
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        let _ = Command::new("ipcrm").args(["--shmem-id", &self.0]).status();
    }
}

/// What is typed first in a terminal.
struct Beginning {
    /// By everybody, in the directory of the source.
    path: String,
    /// By who wants to be root. What it starts is root's shell.
    root: String,
}

impl Beginning {
    fn said_by(pages: &[Page]) -> Result<Beginning> {
        let page = pages.iter().find(|page| page.name == SETTING_UP).context(SETTING_UP)?;
        let line = |start: &str| {
            let mut typed = page.lines.iter().filter_map(|line| line.strip_prefix("$ "));
            let line = typed.find(|line| line.starts_with(start));
            line.map(str::to_owned).with_context(|| format!("no `$ {start}...` in {SETTING_UP}"))
        };
        Ok(Beginning { path: line("export PATH=")?, root: line("sudo env ")? })
    }

    fn start(&self, shell: ShellId) -> Result<Terminal> {
        let mut login = Command::new("su");
        login.env_clear().envs([("TERM", "xterm"), ("PATH", "/usr/bin:/bin")]);
        let mut terminal = Terminal::start(login.args(["-", "learner"]))?;
        let typed = match shell.identity {
            Identity::User => vec![SET_UP, "cd ~/steps", &self.path],
            Identity::Root => vec![SET_UP, "cd ~/steps", &self.path, &self.root],
        };
        for line in typed {
            terminal.type_line(line)?;
            let prompt = if line == self.root { "# " } else { READY };
            terminal.read_until(prompt).with_context(|| format!("after `{line}`"))?;
        }
        Ok(terminal)
    }
}

/// Type a page into terminals of its own. The error is a report of what does not agree.
fn type_page(page: &Page, reading: Reading, beginning: &Beginning) -> Result<()> {
    let machine = Machine { reading, ..this_machine(true, true) };
    let mut transcript = Transcript::of(page, machine).with_context(|| page.name.clone())?;
    // Each of root's terminals has begun with it.
    transcript.entries.retain(|entry| entry.input != Input::Line(beginning.root.clone()));
    let mut told = Told::nothing_of(page, &transcript);
    let outcome = told.type_all(&|shell| beginning.start(shell));
    told.agrees(outcome)
}
