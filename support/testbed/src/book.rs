//! The book is executed: the commands in it are typed, and what comes out is compared with
//! what the page says. `BLESS=1 cargo test -p testbed --test book` rewrites the pages.
//!
//! # How to write a console block
//!
//! ````text
//! ```console
//! $ v3-pidns sh -c 'echo $$'
//! 1
//! ```
//! ````
//!
//! * `$ ` is typed by the ordinary user `learner`, `# ` by root, into a bash that lives as long as
//!   the page: variables, files and the working directory stay. Both begin in `~/steps`, a
//!   read-only view of this workspace, with the steps on `PATH`. The host is a new one for each
//!   page; its name is `laptop`.
//! * Lines up to the next prompt are what must come out. `[..]` stands for any text within a line.
//!   A line of nothing but `[..]` is refused. Spaces at a line's end do not count.
//! * The rest of a command of several lines follows behind `> `, as the shell shows it.
//! * A command that starts a container's shell is followed by lines at its prompt, which is the
//!   working directory, `#` or `$`: `/ # ps`, `/tmp # exit`. They go to the same terminal.
//! * The greeting of busybox's shell is left out: some builds have none.
//! * A line `^C`, `^Z`, `^D` or `^\` presses that key. Wait for what must be printed before it: the
//!   lines above it have come when the key is pressed.
//! * ```` ```console,second ```` is the second terminal, with shells of its own. If the last
//!   command of a block is followed by a block of another terminal, it may go on running meanwhile.
//!   What it prints later stands at the start of a later block of its own terminal.
//! * A page ends with no command running. A command has 20 seconds, or five minutes if it calls
//!   cargo, fetches packages or removes a whole system.
//! * A page with the line `<!-- a host with a way outside -->` has a host that is connected, by the
//!   link `eth0`, to a router: that has a website, which tells a visitor its address, and is the
//!   host's resolver, by name only. All other pages' hosts have no link but `lo`.
//! * `cargo run -q -p STEP -- ARGS` and `cargo workshop ARGS` run what is already built; any other
//!   use of cargo fails.
//! * ```` ```console,registry ```` is a block that asks a registry. The host of a page with such a
//!   block has one at localhost:5000, without TLS, where the images `hello` and `web` are: each a
//!   busybox, whose file /etc/image has that name. (A page that starts `docker-registry` itself has
//!   no other.) Where `docker-registry` and `skopeo` are missing, these blocks are left out.
//! * ```` ```console,v2 ```` is executed where all cgroups are version 2, ```` ```console,v1 ````
//!   where the controllers are version 1's. Where the two print different things, the page shows
//!   the first, and the second stands below it in a comment.
//! * ```` ```console,in-order ```` is typed only where the whole book is (see below);
//!   ```` ```console,once ````, where the program says something else when it is asked again, not
//!   on the second day.
//! * The user `learner` has subordinate ids, as most distributions give them, and containers of
//!   images use them. ```` ```console,range ```` is a block that needs them: it is left out where
//!   the tests are not run by root: there are none in a user namespace, where setgroups(2) is
//!   given up already, too.
//! * A block that cannot be executed is ```` ```console,not-run ````, below a line
//!   `<!-- not run: REASON -->`. `book/not-run.txt` has their number, which may only fall.
//!
//! Blocks in which root types are left out when the tests are not run by root; a page that calls
//! a program that the machine lacks (`TOOLS`) is left out. What is left out is reported as a skip.
//!
//! # The whole book, in order
//!
//! With `BOOK_MACHINE=DIRECTORY`, the root directory of a Debian with Rust, this source in
//! `~learner/steps` and what "Setting up" installs, the pages are not typed alone but all of them,
//! one after the other, in that machine, and once more on a second day (`in_order`). What is in its
//! /srv/archive is at http://127.0.0.2/: the packages of a Debian mirror, say. It needs a
//! `docker-registry` and a `skopeo` of its own.
//!
//! # What else is checked
//!
//! Between `<!-- diff v2-mountns v3-pidns -->` and `<!-- end -->` stands what changed in main.rs,
//! and it is made from the sources; the name of an anchor as a third word limits it to that part.
//! So is the table between `<!-- shape -->` and `<!-- end -->`.
//! Rust code and scripts are included from files, by anchor;
//! every anchor of the steps is included somewhere. Links, headings and pictures exist.
//! What a program says of the book is there (`book/src/PAGE.md#HEADING`), and what the page
//! "Troubleshooting" quotes, a program says. The page "What we claim" has the other pages' figures.
//! A word of the glossary is not used before the page that explains it, or with a link to that.

mod archive;
pub mod claims;
pub mod derived;
pub mod in_order;
mod local_registry;
pub mod page;
pub mod session;
mod shape;
mod shown;
pub mod sources;
pub mod terms;
pub mod tools;
pub mod transcript;
pub mod troubleshooting;
pub mod way_outside;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{gethostname, sethostname};

use crate::terminal::Terminal;
use crate::{BIN, CgroupHost, Host};
use local_registry::LocalRegistry;
use page::Page;
use session::{Session, make_bash};
use tools::missing_tool;
use transcript::{
    Compared, Identity, Machine, Reading, ShellId, Transcript, blessed, compare, is_same,
};
use way_outside::WayOutside;

/// Where a host sees the workspace, writable, so that a page can be rewritten.
pub const WORKSPACE: &str = "/run/testbed/workspace";
/// Where the reader has it.
const COURSE: &str = "/home/learner/steps";
/// The page with the order of the others.
const CONTENTS: &str = "SUMMARY.md";
/// Comes before all other directories on PATH.
const CARGO: &str = "/home/learner/.cargo/bin";

/// Where a page may leave something.
const PLACES_OF_A_PAGE: [&str; 5] =
    ["/home/learner", "/root", "/tmp", "/var/cache/container-steps", "/run/mount"];

/// The book, and what to do with a page that says something else than what comes out.
pub struct Book {
    workspace: PathBuf,
    pages: Vec<Page>,
    bless: bool,
}

impl Book {
    /// Read the pages. `BLESS` in the environment asks for new ones.
    pub fn read(workspace: &Path) -> Result<Book> {
        let bless = std::env::var_os("BLESS").is_some_and(|value| value == "1");
        let pages = Page::read_all(&workspace.join("book/src"))?;
        Ok(Book { workspace: workspace.to_owned(), pages, bless })
    }

    /// Whether the pages are to be rewritten.
    pub fn is_blessed(&self) -> bool {
        self.bless
    }

    /// The pages with console blocks.
    pub fn pages_to_run(&self) -> Vec<Page> {
        let has_console =
            |page: &&Page| page.lines.iter().any(|line| line.starts_with("```console"));
        self.pages.iter().filter(has_console).cloned().collect()
    }

    /// All pages, in the order of the table of contents.
    pub fn pages_in_order(&self) -> Result<Vec<Page>> {
        let contents = self.pages.iter().find(|page| page.name == CONTENTS).context(CONTENTS)?;
        let links = contents.lines.iter().filter_map(|line| line.split_once("]("));
        let names = links.filter_map(|(_, link)| link.split_once(')')).map(|(name, _)| name);
        let page = |name| self.pages.iter().find(|page| page.name == name).context("no such page");
        names.map(|name| page(name).cloned().with_context(|| name.to_owned())).collect()
    }

    /// All that is wrong with the book apart from its console blocks. Derived blocks are mended if
    /// asked.
    pub fn problems(&mut self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let shape = shape::table(&self.pages, &self.workspace)?;
        for page in &mut self.pages {
            match derived::with_fresh_blocks(page, &self.workspace, &shape) {
                Ok(fresh) if fresh.lines == page.lines => {}
                Ok(fresh) if self.bless => {
                    rewrite(&self.workspace, page, &fresh)?;
                    *page = fresh;
                }
                Ok(_) => found.push(format!(
                    "book/src/{}: a diff of main.rs or a table is stale: BLESS=1 makes it anew",
                    page.name
                )),
                Err(error) => found.push(format!("{error:#}")),
            }
        }
        found.extend(sources::problems(&self.pages, &self.workspace)?);
        found.extend(claims::problems(&self.pages)?);
        found.extend(troubleshooting::problems(&self.pages, &self.workspace)?);
        found.extend(terms::problems(&self.pages)?);
        found.extend(self.problem_of_not_run()?);
        Ok(found)
    }

    /// Compare the number of blocks that are not run with the number in the repository.
    fn problem_of_not_run(&self) -> Result<Option<String>> {
        let path = "book/not-run.txt";
        let text = fs::read_to_string(self.workspace.join(path)).context(path)?;
        let allowed: usize = text.trim().parse().context(path)?;
        let mut count = 0;
        for page in &self.pages {
            count += Transcript::of(page, this_machine(true, true))?.not_run;
        }
        Ok(match count.cmp(&allowed) {
            std::cmp::Ordering::Equal => None,
            std::cmp::Ordering::Less => {
                Some(format!("only {count} blocks are not run: lower the number in {path}"))
            }
            std::cmp::Ordering::Greater => Some(format!(
                "{count} blocks are not run; {path} allows {allowed}, and it may only fall"
            )),
        })
    }
}

/// Run a page in a host; ends the trial as failed if something else comes out than it says.
pub fn run_page(page: &Page, host: &Host, bless: bool) {
    let all = Transcript::of(page, this_machine(true, true));
    if let Some((tool, package)) = all.ok().and_then(|all| missing_tool(&all)) {
        host.skip(format!("no {tool} on this machine: install {package}"));
    }
    // What a page writes is no leak; nor is the note that mount(8) keeps of its work.
    for path in PLACES_OF_A_PAGE {
        host.own(path);
    }
    let machine = this_machine(!host.has_user_namespace(), host.lacks_subordinate_ids().is_none());
    let machine = Machine { has_registry: LocalRegistry::can_be(), ..machine };
    if machine.has_range {
        host.give_subordinate_ids();
    }
    let hostname = gethostname().expect("the host has a name");
    let way_outside = WayOutside::wanted_by(page, host);
    let registry = LocalRegistry::wanted_by(page, host);
    let outcome = furnish(host).and_then(|()| execute(page, host, machine, bless));
    drop((way_outside, registry));
    sethostname(&hostname).expect("give the host its name back");
    umount2(COURSE, MntFlags::MNT_DETACH).expect("unmount the course");
    let left_out = match outcome {
        Ok(left_out) => left_out,
        Err(error) => {
            // Not a panic: where in this program it was noticed is of no interest.
            eprintln!("{error:#}");
            std::process::exit(1);
        }
    };
    if left_out > 0 {
        host.skip(format!(
            "{left_out} blocks need root, a range of ids, or docker-registry and skopeo; the \
             others say the truth"
        ));
    }
}

fn this_machine(has_root: bool, has_range: bool) -> Machine {
    let is_unified = CgroupHost::of_machine() == CgroupHost::Unified;
    Machine { has_root, has_range, has_registry: true, is_unified, reading: Reading::Alone }
}

/// Type the whole page and compare, or rewrite it. Returns how many blocks were left out.
fn execute(page: &Page, host: &Host, machine: Machine, bless: bool) -> Result<usize> {
    let transcript = Transcript::of(page, machine)?;
    let mut told = Told::nothing_of(page, &transcript);
    let outcome = told.type_all(&|shell| start_shell(host, shell));
    if bless {
        let lines = told.new_lines();
        rewrite(Path::new(WORKSPACE), page, &Page { name: page.name.clone(), lines })?;
        outcome?;
    } else {
        told.agrees(outcome)?;
    }
    Ok(transcript.left_out)
}

/// What a page says, against what comes out.
struct Told<'a> {
    page: &'a Page,
    transcript: &'a Transcript,
    /// What does not agree.
    report: String,
    /// For each entry that was typed, the lines that should stand below it.
    lines: Vec<Vec<String>>,
}

impl<'a> Told<'a> {
    fn nothing_of(page: &'a Page, transcript: &'a Transcript) -> Told<'a> {
        Told { page, transcript, report: String::new(), lines: Vec::new() }
    }

    /// An error if something else came out than the page says, or typing has ended early.
    fn agrees(self, outcome: Result<()>) -> Result<()> {
        if let Err(error) = outcome {
            bail!("{}{error:#}", self.report);
        }
        ensure!(self.report.is_empty(), "{}", self.report);
        Ok(())
    }

    fn type_all(&mut self, start: &dyn Fn(ShellId) -> Result<Terminal>) -> Result<()> {
        let mut session = Session::new(self.page, self.transcript, start);
        for (index, entry) in self.transcript.entries.iter().enumerate() {
            let place =
                format!("{}: `{}`", self.page.place(entry.line), self.page.lines[entry.line]);
            let actual = session.run(index).context(place.clone())?;
            let comparison = compare(&self.page.lines[entry.output.clone()], &actual);
            if !is_same(&comparison) {
                self.report += &format!("\n{place} prints something else:\n");
                self.report.extend(comparison.iter().map(marked));
            }
            self.lines.push(blessed(&comparison));
        }
        session.end(Some(COURSE)).context(self.page.name.clone())
    }

    /// The page with the lines that should stand there, as far as it was typed.
    fn new_lines(&self) -> Vec<String> {
        let mut new = Vec::new();
        let mut copied = 0;
        for (entry, lines) in self.transcript.entries.iter().zip(&self.lines) {
            new.extend_from_slice(&self.page.lines[copied..entry.output.start]);
            new.extend_from_slice(lines);
            copied = entry.output.end;
        }
        new.extend_from_slice(&self.page.lines[copied..]);
        new
    }
}

/// A line of the comparison, as a diff shows it.
fn marked(line: &Compared) -> String {
    match line {
        Compared::Same(line) => format!("     {line}\n"),
        Compared::Missing(line) => format!("    -{line}\n"),
        Compared::New(line) => format!("    +{line}\n"),
    }
}

/// Write a page back, unless somebody has changed it since it was read.
fn rewrite(workspace: &Path, old: &Page, new: &Page) -> Result<()> {
    if old.lines == new.lines {
        return Ok(());
    }
    let path = workspace.join("book/src").join(&old.name);
    ensure!(
        fs::read_to_string(&path)? == old.text(),
        "{} was changed in the meantime: run again",
        old.name
    );
    fs::write(&path, new.text()).with_context(|| format!("cannot write {}", path.display()))
}

/// Make the host look like the reader's machine.
fn furnish(host: &Host) -> Result<()> {
    fs::create_dir(COURSE)?;
    let none = None::<&str>;
    mount(Some(WORKSPACE), COURSE, none, MsFlags::MS_BIND, none).context("bind the course")?;
    crate::mounts::set_read_only(Path::new(COURSE))?;
    sethostname("laptop")?;
    fs::create_dir_all(CARGO)?;
    let cargo = Path::new(CARGO).join("cargo");
    fs::write(&cargo, include_str!("book/cargo.sh"))?;
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755))?;
    host.give(Path::new(CARGO));
    Ok(())
}

/// A bash of the user or of the host's root, on a new terminal.
fn start_shell(host: &Host, shell: ShellId) -> Result<Terminal> {
    let mut command = match shell.identity {
        Identity::User => host.command("bash"),
        Identity::Root => root_command(host, "bash"),
    };
    let user = if shell.identity == Identity::User { "learner" } else { "root" };
    command
        .env("PATH", format!("{CARGO}:{}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", stages()))
        .envs([("USER", user), ("LOGNAME", user), ("LC_ALL", "C.UTF-8")])
        .current_dir(COURSE);
    make_bash(&mut command);
    let terminal = Terminal::start(&mut command)?;
    if shell.identity == Identity::User {
        host.give(terminal.path());
    }
    Ok(terminal)
}

fn root_command(host: &Host, program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .envs([("HOME", "/root"), ("TERM", "xterm")])
        .env("BUSYBOX", host.busybox())
        .stdin(Stdio::null());
    command
}

/// Where the reader finds the steps, if they were built there.
fn stages() -> String {
    let usual = format!("{COURSE}/target/debug");
    let inode = |path: &str| fs::metadata(path).map(|it| (it.dev(), it.ino())).ok();
    if inode(&usual) == inode(BIN) { usual } else { BIN.to_owned() }
}
