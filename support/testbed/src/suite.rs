//! A suite: the tests of one test binary, and how they are run.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::stat::{Mode, umask};

use crate::extent;
use crate::host::{self, FIGURE_MARK, Host, SKIP_MARK, SKIPPED, Variant, Wanted};
use crate::host_cgroups::{self, HostCgroups};
use crate::identity;
use crate::pace::slowed;
use crate::probe::{self, PROBE};
use crate::stage::Stage;

/// The first argument of a test binary that shall make a host and run one body in it.
const IN_HOST: &str = "--in-throw-away-host";

/// How long one trial may take.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// Of so many trials the whole suite says how long they took.
const LONGEST: usize = 10;

/// The skips that are no failure under `CI=true`.
const KNOWN_SKIPS: &str = include_str!("../known-skips.txt");

type Body = Box<dyn Fn(&Host)>;

struct Test {
    name: String,
    variants: &'static [Variant],
    expected_leaks: &'static [&'static str],
    is_long: bool,
    /// Of the two variants, root's short run has the user's.
    is_short_as_user: bool,
    body: Body,
}

impl Test {
    /// Of a test of both identities, a run needs one.
    fn is_for_every_run(&self, variant: Variant, is_root: bool) -> bool {
        let is_as_root = is_root && !self.is_short_as_user;
        let own = if is_as_root { Variant::Root } else { Variant::User };
        !self.is_long && (variant == own || self.variants.len() == 1)
    }
}

/// The tests of one test binary.
pub struct Suite {
    stage: Option<&'static Stage>,
    tests: Vec<Test>,
    exposed: Vec<(PathBuf, PathBuf)>,
    time_limit: Duration,
    own_cgroups: bool,
    root: Option<PathBuf>,
}

const BOTH: &[Variant] = &[Variant::Root, Variant::User];

impl Suite {
    /// A suite about one step.
    pub fn of(stage: &'static Stage) -> Suite {
        Suite { stage: Some(stage), own_cgroups: stage.cgroups, ..Suite::of_no_stage() }
    }

    /// A suite that is not about a step: the testbed itself, the book.
    pub fn of_no_stage() -> Suite {
        Suite {
            stage: None,
            tests: Vec::new(),
            exposed: Vec::new(),
            time_limit: TIME_LIMIT,
            own_cgroups: false,
            root: None,
        }
    }

    /// The step that the suite is about.
    pub fn stage(&self) -> &'static Stage {
        self.stage.expect("this suite is of no step")
    }

    /// Gives each host cgroups of its own. (Not when the tests are not run by root.)
    pub fn own_cgroups(mut self) -> Suite {
        self.own_cgroups = true;
        self
    }

    /// Gives the hosts another root directory than the machine's: that of another distribution,
    /// with a user `learner`. What a trial changes in its homes, the next one finds.
    pub fn root_directory(mut self, root: impl Into<PathBuf>) -> Suite {
        self.root = Some(root.into());
        self
    }

    /// Lets each trial take longer than the usual minute.
    pub fn time_limit(mut self, limit: Duration) -> Suite {
        self.time_limit = limit;
        self
    }

    /// Shows `outside`, a path of the machine, to every host at the path `inside`, read-write.
    pub fn expose(mut self, outside: impl Into<PathBuf>, inside: impl Into<PathBuf>) -> Suite {
        self.exposed.push((outside.into(), inside.into()));
        self
    }

    /// Says of the test that was added last that it takes long, or loads the machine: `cargo test`
    /// leaves it out.
    pub fn long(mut self) -> Suite {
        self.tests.last_mut().expect("a test was added").is_long = true;
        self
    }

    /// Adds the tests of `add`. `cargo test` runs them as the ordinary user, also when root starts
    /// it.
    pub fn short_as_user(self, add: fn(Suite) -> Suite) -> Suite {
        self.add_marked(add, |test| test.is_short_as_user = true)
    }

    /// Adds the tests of `add`. `cargo test` runs them at these steps only: at the others they try
    /// the same code once more.
    pub fn short_at(self, steps: &[&Stage], add: fn(Suite) -> Suite) -> Suite {
        let own = self.stage().name;
        let is_elsewhere = steps.iter().all(|step| step.name != own);
        self.add_marked(add, |test| test.is_long |= is_elsewhere)
    }

    fn add_marked(self, add: fn(Suite) -> Suite, mark: impl Fn(&mut Test)) -> Suite {
        let first = self.tests.len();
        let mut suite = add(self);
        suite.tests[first..].iter_mut().for_each(mark);
        suite
    }

    /// Adds a test that runs twice: its commands are root's, then an ordinary user's.
    pub fn both(self, name: impl Into<String>, body: impl Fn(&Host) + 'static) -> Suite {
        self.add(name.into(), BOTH, &[], body)
    }

    /// Adds a test that makes sense for root only.
    pub fn root(self, name: impl Into<String>, body: impl Fn(&Host) + 'static) -> Suite {
        self.add(name.into(), &[Variant::Root], &[], body)
    }

    /// Adds a test that makes sense for an ordinary user only.
    pub fn user(self, name: impl Into<String>, body: impl Fn(&Host) + 'static) -> Suite {
        self.add(name.into(), &[Variant::User], &[], body)
    }

    /// Adds a test whose body leaks: it passes if the leak check reports that and nothing else,
    /// in as many lines as `reports` has entries, with these words in them.
    pub fn leaks(
        self,
        name: impl Into<String>,
        reports: &'static [&'static str],
        body: impl Fn(&Host) + 'static,
    ) -> Suite {
        self.add(name.into(), BOTH, reports, body)
    }

    fn add(
        mut self,
        name: String,
        variants: &'static [Variant],
        expected_leaks: &'static [&'static str],
        body: impl Fn(&Host) + 'static,
    ) -> Suite {
        self.tests.push(Test {
            name,
            variants,
            expected_leaks,
            is_long: false,
            is_short_as_user: false,
            body: Box::new(body),
        });
        self
    }

    /// Runs the suite as the command line says. The return value is for `main`.
    pub fn run(self) -> ExitCode {
        // With one such as 077, a host's ordinary user could not enter what is made for the host.
        umask(Mode::from_bits_truncate(0o022));
        let mut arguments = env::args_os().skip(1);
        match arguments.next().as_deref().and_then(|first| first.to_str()) {
            Some(IN_HOST) => return self.run_one_body(arguments),
            Some(PROBE) => {
                let name = arguments.next().expect("a name");
                let argument = arguments.next().unwrap_or_default();
                probe::run(&name.to_string_lossy(), &argument.to_string_lossy());
                return ExitCode::SUCCESS;
            }
            _ => {}
        }
        let mut arguments = Arguments::from_args();
        // Most of a trial's time is waiting for processes to start and to end.
        arguments.test_threads.get_or_insert_with(|| {
            thread::available_parallelism().map_or(4, |cores| cores.get() * 4)
        });
        let runner = Arc::new(Runner::new(slowed(self.time_limit), self.own_cgroups));
        if !arguments.list {
            println!("tests run as {}", runner.identity());
            if runner.own_cgroups {
                host_cgroups::sweep().expect("remove cgroups that a killed run has left");
            }
        }
        let (trials, left_out) = self.trials(&runner);
        let conclusion = libtest_mimic::run(&arguments, trials);
        if extent::is_whole() {
            runner.report_longest();
        }
        runner.report_figures();
        let unknown_skips = runner.report_skips();
        if left_out > 0 && !arguments.list {
            report_left_out(left_out);
        }
        if unknown_skips > 0 && env::var_os("CI").is_some_and(|value| value == "true") {
            println!(
                "CI=true, and {unknown_skips} skips are not in support/testbed/known-skips.txt"
            );
            return ExitCode::from(101);
        }
        conclusion.exit_code()
    }

    /// The trials of this run, and how many more the whole suite has.
    fn trials(&self, runner: &Arc<Runner>) -> (Vec<Trial>, usize) {
        let mut trials = Vec::new();
        let mut left_out = 0;
        for test in &self.tests {
            for variant in test.variants {
                if !extent::is_whole() && !test.is_for_every_run(*variant, runner.is_root) {
                    left_out += 1;
                    continue;
                }
                let (name, variant) = (test.name.clone(), *variant);
                let runner = Arc::clone(runner);
                let trial = move || runner.run_trial(&name, variant);
                trials.push(Trial::ignorable_test(format!("{}::{variant}", test.name), trial));
            }
        }
        (trials, left_out)
    }

    /// The other side of the runner's command: makes the host and runs the body.
    fn run_one_body(&self, mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
        let name = arguments.next().expect("the name of a test");
        let is_root = arguments.next().is_some_and(|variant| variant == "root");
        let busybox = arguments.next().map(PathBuf::from);
        let cgroups = arguments.next().map(|name| name.to_string_lossy().into_owned());
        let test = self.tests.iter().find(|test| *test.name == *name).expect("no such test");
        let wanted = Wanted {
            variant: if is_root { Variant::Root } else { Variant::User },
            stage: self.stage,
            expected_leaks: test.expected_leaks,
            binaries: &binaries().expect("the directory of the binaries"),
            busybox: busybox.as_deref(),
            exposed: &self.exposed,
            cgroups: cgroups.as_deref(),
            root: self.root.as_deref(),
        };
        match host::run(&wanted, &test.body) {
            Ok(status) => ExitCode::from(status),
            Err(error) => {
                eprintln!("cannot make the throw-away host: {error:#}");
                ExitCode::FAILURE
            }
        }
    }
}

/// The directory cargo builds binaries into: test binaries are in its `deps`.
fn binaries() -> Result<PathBuf> {
    let exe = env::current_exe()?;
    let directory = exe.parent().context("no directory")?;
    let is_deps = directory.file_name().is_some_and(|name| name == "deps");
    let directory = if is_deps { directory.parent().context("no parent")? } else { directory };
    Ok(directory.to_owned())
}

/// What all trials of a run share.
struct Runner {
    is_root: bool,
    time_limit: Duration,
    own_cgroups: bool,
    busybox: OnceLock<Result<PathBuf, String>>,
    /// Why this machine gives an ordinary user no user namespace, or no program, if so.
    refusal: Option<String>,
    skips: Mutex<Vec<(String, String)>>,
    figures: Mutex<Vec<String>>,
    times: Mutex<Vec<(Duration, String)>>,
}

impl Runner {
    fn new(time_limit: Duration, own_cgroups: bool) -> Runner {
        let is_root = identity::is_real_root();
        Runner {
            is_root,
            time_limit,
            own_cgroups: own_cgroups && is_root,
            busybox: OnceLock::new(),
            refusal: refusal_of_user_namespaces().or_else(|| closed_to_others(is_root)),
            skips: Mutex::default(),
            figures: Mutex::default(),
            times: Mutex::default(),
        }
    }

    /// The uid and the effective capabilities, so that a log shows what was really tested.
    fn identity(&self) -> String {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let capabilities = status.lines().find(|line| line.starts_with("CapEff"));
        format!("uid {}, {}", nix::unistd::geteuid(), capabilities.unwrap_or("CapEff unknown"))
    }

    fn run_trial(&self, name: &str, variant: Variant) -> Result<Completion, Failed> {
        if let Some(reason) = self.cannot_run(variant) {
            return Ok(self.skip(name, variant, reason));
        }
        let start = Instant::now();
        let (status, output) = self.run_in_host(name, variant)?;
        let mut times = self.times.lock().expect("no trial panics");
        times.push((start.elapsed(), format!("{name}::{variant}")));
        drop(times);
        if status == Some(SKIPPED.into()) {
            let reason = output.lines().rev().find_map(|line| line.strip_prefix(SKIP_MARK));
            return Ok(self.skip(name, variant, reason.unwrap_or("no reason given").to_owned()));
        }
        let mut figures = self.figures.lock().expect("no trial panics");
        for figure in output.lines().filter_map(|line| line.strip_prefix(FIGURE_MARK)) {
            figures.push(format!("{name}::{variant}: {figure}"));
        }
        match status {
            Some(0) => Ok(Completion::Completed),
            Some(_) => Err(output.into()),
            None => Err(format!("{output}\nno end within {:?}", self.time_limit).into()),
        }
    }

    /// Why this machine cannot have such a host, if it cannot.
    fn cannot_run(&self, variant: Variant) -> Option<String> {
        if variant == Variant::Root && !self.is_root {
            return Some("needs root".to_owned());
        }
        if variant == Variant::Root {
            return None;
        }
        self.refusal.clone()
    }

    fn skip(&self, name: &str, variant: Variant, reason: String) -> Completion {
        let mut skips = self.skips.lock().expect("no trial panics");
        skips.push((format!("{name}::{variant}"), reason.clone()));
        Completion::ignored_with(reason)
    }

    /// Tells of the whole suite which trials took longest: there is something to gain.
    fn report_longest(&self) {
        let mut times = self.times.lock().expect("no trial panics");
        times.sort_unstable_by_key(|(time, _)| std::cmp::Reverse(*time));
        for (time, name) in times.iter().take(LONGEST) {
            println!("{:6.1} s: {name}", time.as_secs_f64());
        }
    }

    fn report_figures(&self) {
        for figure in self.figures.lock().expect("no trial panics").iter() {
            println!("{figure}");
        }
    }

    /// Prints the skips, the known ones in one line for each reason, and returns how many of them
    /// are not known.
    fn report_skips(&self) -> usize {
        let skips = self.skips.lock().expect("no trial panics");
        let (known, unknown): (Vec<_>, Vec<_>) =
            skips.iter().partition(|(name, _)| is_known_skip(KNOWN_SKIPS, self.is_root, name));
        let mut counts = BTreeMap::<&str, usize>::new();
        for (_, reason) in known {
            *counts.entry(reason).or_default() += 1;
        }
        for (reason, count) in counts {
            println!("skipped, as known: {count} trials: {reason}");
        }
        for (name, reason) in &unknown {
            println!("skipped: {name}: {reason}");
        }
        unknown.len()
    }

    /// The exit status (none if the time was up) and the output of one trial.
    fn run_in_host(&self, name: &str, variant: Variant) -> Result<(Option<i32>, String), Failed> {
        let busybox = self.busybox.get_or_init(|| find_busybox().map_err(|e| format!("{e:#}")));
        let cgroups = if self.own_cgroups { Some(HostCgroups::make()?) } else { None };
        let (mut reader, writer) = io::pipe()?;
        let mut child = Command::new("/proc/self/exe")
            .arg(IN_HOST)
            .args([name, &variant.to_string()])
            .arg(busybox.clone()?)
            .args(cgroups.as_ref().map(|cgroups| &cgroups.name))
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .spawn()?;
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut output = Vec::new();
            let _ = reader.read_to_end(&mut output);
            let _ = sender.send(String::from_utf8_lossy(&output).into_owned());
        });
        match receiver.recv_timeout(self.time_limit) {
            Ok(output) => Ok((Some(end_of(&mut child)?), output)),
            Err(_) => {
                // The host's init has asked for its death signal; all else dies with it.
                child.kill()?;
                child.wait()?;
                Ok((None, receiver.recv().unwrap_or_default()))
            }
        }
    }
}

/// Tells what else there is. (cargo sets the variable in what it runs.)
fn report_left_out(count: usize) {
    let package = env::var("CARGO_PKG_NAME").map_or(String::new(), |name| format!(" -p {name}"));
    println!("left out: {count} trials. cargo suite{package} has them, cargo suite all there are");
}

fn end_of(child: &mut Child) -> io::Result<i32> {
    Ok(child.wait()?.code().unwrap_or(1))
}

/// What the kernel says when an ordinary user asks for a user namespace, if it refuses.
fn refusal_of_user_namespaces() -> Option<String> {
    let mut probe = Command::new("true");
    if identity::is_real_root() {
        identity::drop_to_learner(&mut probe, false);
    }
    // SAFETY: no thread has been started yet, so the child may do anything.
    unsafe { probe.pre_exec(try_user_namespace) };
    let error = probe.status().err()?;
    Some(format!("no user namespaces here: {error}"))
}

/// What was built as root, with a umask such as 077, the user `learner` can neither find nor start.
fn closed_to_others(is_root: bool) -> Option<String> {
    if !is_root {
        return None;
    }
    let (exe, directory) = (env::current_exe().ok()?, binaries().ok()?);
    let entries = fs::read_dir(&directory).ok()?.flatten().map(|entry| entry.path());
    let is_closed = |path: &PathBuf| {
        let mode = fs::metadata(path).map_or(0, |of_it| of_it.permissions().mode());
        mode & 0o500 == 0o500 && mode & 0o005 != 0o005
    };
    let closed = [exe, directory.clone()].into_iter().chain(entries).find(is_closed)?;
    let advice = format!("chmod -R go+rX {}", directory.display());
    Some(format!("{} is closed to others (umask 077?): {advice}", closed.display()))
}

/// That the namespace can be made says little: AppArmor takes the capabilities away in it.
fn try_user_namespace() -> io::Result<()> {
    nix::sys::prctl::set_dumpable(true)?;
    identity::become_root_of_new_user_namespace()?;
    Ok(nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS)?)
}

/// A static busybox for all hosts, found once, outside of them: they have no network.
fn find_busybox() -> Result<PathBuf> {
    if env::var_os("BUSYBOX").is_some_and(|path| !path.is_empty()) {
        // It is used or refused; nothing is fetched that would need a place.
        return rootfs::busybox::find_or_fetch(Path::new("/"));
    }
    let beside_binaries = binaries()?.with_file_name("tmp").join("busybox-for-tests");
    let cache = if fs::create_dir_all(&beside_binaries).is_ok() {
        beside_binaries
    } else {
        let uid = nix::unistd::geteuid();
        let cache = env::temp_dir().join(format!("container-steps-tests-{uid}"));
        fs::create_dir_all(&cache).with_context(|| format!("make {}", cache.display()))?;
        cache
    };
    // Two test binaries may be started at the same moment.
    let lock = fs::File::create(cache.join("lock"))?;
    let _lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, errno)| errno)?;
    rootfs::busybox::find_or_fetch(&cache)
}

/// Whether the list knows this skip for this kind of runner.
fn is_known_skip(list: &str, is_root: bool, name: &str) -> bool {
    let kind = if is_root { "root" } else { "user" };
    list.lines().any(|line| {
        let mut words = line.split_whitespace();
        words.next() == Some(kind) && words.next().is_some_and(|pattern| matches(pattern, name))
    })
}

/// Whether `name` is `pattern`, where one `*` stands for anything.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => {
            name.len() >= head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skip_is_known_only_for_its_kind_of_runner() {
        let list = "# comment\nuser  *::root  # why\nroot  cgroups_*::user  # why\n";
        assert!(is_known_skip(list, false, "a_test::root"));
        assert!(!is_known_skip(list, true, "a_test::root"));
        assert!(is_known_skip(list, true, "cgroups_limit::user"));
        assert!(!is_known_skip(list, true, "cgroups_limit::root"));
        assert!(!is_known_skip(list, true, "#"));
    }

    #[test]
    fn a_star_stands_for_anything_but_never_overlaps() {
        assert!(matches("a*b", "ab"));
        assert!(!matches("a*a", "a"));
        assert!(!matches("a", "ab"));
    }
}
