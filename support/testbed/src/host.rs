//! The throw-away host, and what a test's body can do in it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, wait, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

use crate::extent;
use crate::host_cgroups;
use crate::identity::{self, LEARNER};
use crate::leaks::{Allowed, Snapshot};
use crate::mounts::{self, Bind};
use crate::signals;
use crate::stage::Stage;

/// Where a host sees the directory of the built binaries.
pub const BIN: &str = "/run/testbed/bin";
/// Where a host sees the test binary itself.
pub const EXE: &str = "/run/testbed/exe";
/// Where a host sees the static busybox.
const BUSYBOX: &str = "/run/testbed/busybox";

/// How a body's process ends when the test is to be skipped.
pub(crate) const SKIPPED: u8 = 77;
/// What stands before the reason of a skip, on the last line of the output.
pub(crate) const SKIP_MARK: &str = "testbed skip: ";
/// What stands before a figure of a trial in its output.
pub(crate) const FIGURE_MARK: &str = "FIGURE: ";

/// Who the commands of a test run as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// The host's root.
    Root,
    /// The ordinary user `learner`.
    User,
}

impl Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Variant::Root => "root",
            Variant::User => "user",
        })
    }
}

/// The host a test's body runs in.
pub struct Host {
    variant: Variant,
    stage: Option<&'static Stage>,
    has_user_namespace: bool,
    has_own_cgroups: bool,
    own: RefCell<BTreeSet<PathBuf>>,
}

impl Host {
    /// Who the commands of this trial run as.
    pub fn variant(&self) -> Variant {
        self.variant
    }

    /// Whether the commands run as the host's root.
    pub fn is_root(&self) -> bool {
        self.variant == Variant::Root
    }

    /// Whether the host lives in a user namespace, because the tests are not run by root.
    pub fn has_user_namespace(&self) -> bool {
        self.has_user_namespace
    }

    /// Whether the host has cgroups of its own, and its root may make some.
    pub fn has_own_cgroups(&self) -> bool {
        self.has_own_cgroups
    }

    /// The step this suite is about.
    pub fn stage_facts(&self) -> &'static Stage {
        self.stage.expect("this suite is of no step")
    }

    /// Whether a behaviour is to be tried at length here: every signal, every exit status, often.
    /// That is so in the whole suite, at the steps where the behaviour begins, or where what it
    /// rests on becomes another. At the others, and in a short run, some of it will do.
    pub fn is_at_length(&self, stages: &[&Stage]) -> bool {
        let own = self.stage_facts().name;
        extent::is_whole() && stages.iter().any(|stage| stage.name == own)
    }

    /// A command that runs this suite's step: options, COMMAND and ARGs are still to be added.
    /// Ends the trial as ignored if root's bridge, the default, cannot be made on this machine.
    pub fn launcher(&self) -> Command {
        let stage = self.stage_facts();
        if stage.network_namespace && self.is_root() {
            self.need_nft();
        }
        self.stage(stage.name)
    }

    /// Ends the trial as ignored if there is no `nft`, which root's bridge needs.
    pub fn need_nft(&self) {
        let places = ["/usr/sbin/nft", "/sbin/nft", "/usr/local/sbin/nft"];
        if !places.into_iter().any(|place| Path::new(place).exists()) {
            self.skip("no nft on this machine: install nftables");
        }
    }

    /// A command that runs a step by its name.
    pub fn stage(&self, name: &str) -> Command {
        self.command(Path::new(BIN).join(name))
    }

    /// A command that runs any program with the variant's identity.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .env_clear()
            .env("PATH", format!("{BIN}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"))
            .env("HOME", self.home())
            .env("TERM", "xterm")
            .env("BUSYBOX", BUSYBOX)
            .current_dir(self.home())
            .stdin(Stdio::null());
        if self.variant == Variant::User {
            identity::drop_to_learner(&mut command, self.has_user_namespace);
        }
        command
    }

    /// The home directory of the variant's identity.
    pub fn home(&self) -> PathBuf {
        match self.variant {
            Variant::Root => PathBuf::from("/root"),
            Variant::User => PathBuf::from("/home/learner"),
        }
    }

    /// The uid of the variant's identity, as the body sees it on files.
    ///
    /// In a host made by an ordinary user there is only one id: the body sees it as 0, the
    /// user `learner` sees it as 1000.
    pub fn uid(&self) -> u32 {
        match (self.variant, self.has_user_namespace) {
            (Variant::User, false) => LEARNER,
            (Variant::User, true) | (Variant::Root, _) => 0,
        }
    }

    /// The project's cache directory for the variant's identity.
    pub fn cache(&self) -> PathBuf {
        match self.variant {
            Variant::Root => PathBuf::from("/var/cache/container-steps"),
            Variant::User => self.home().join(".cache/container-steps"),
        }
    }

    /// The directory of images of the variant's identity. What is pulled stays there: it is no leak
    /// for who has asked.
    pub fn images(&self) -> PathBuf {
        if self.is_root() {
            self.own(Path::new(mounts::OWN_VAR_LIB).join("container-steps"));
            return PathBuf::from("/var/lib/container-steps/images");
        }
        self.own(self.home().join(".local"));
        self.home().join(".local/share/container-steps/images")
    }

    /// The busybox rootfs of the steps, in the cache. It exists after the first start.
    pub fn rootfs(&self) -> PathBuf {
        self.cache().join("rootfs")
    }

    /// The static busybox that `$BUSYBOX` points to.
    pub fn busybox(&self) -> &Path {
        Path::new(BUSYBOX)
    }

    /// A new directory `/tmp/NAME` of the variant's identity. It belongs to the test: the leak
    /// check does not look into it.
    pub fn dir(&self, name: &str) -> PathBuf {
        let path = Path::new("/tmp").join(name);
        fs::create_dir(&path).expect("make a directory of the test");
        self.give(&path);
        self.own(&path);
        path
    }

    /// A rootfs of the test's own, /tmp/own/rootfs: busybox, a few links, the usual directories.
    pub fn own_rootfs(&self) -> PathBuf {
        let rootfs = self.dir("own").join("rootfs");
        for directory in ["", "bin", "etc", "proc", "dev", "home", "tmp"] {
            let directory = rootfs.join(directory);
            fs::create_dir(&directory).expect("make a directory");
            self.give(&directory);
        }
        fs::copy(self.busybox(), rootfs.join("bin/busybox")).expect("copy busybox");
        for applet in ["sh", "cat", "echo", "ls", "mkdir"] {
            symlink("busybox", rootfs.join("bin").join(applet)).expect("make a link");
        }
        rootfs
    }

    /// Makes directories in each other, so many levels deep: a path that leads down there is longer
    /// than the kernel takes one (PATH_MAX), but a process may walk.
    pub fn dig(&self, directory: &Path, levels: usize) {
        std::env::set_current_dir(directory).expect("enter a directory");
        for _ in 0..levels {
            fs::create_dir("a").expect("make a directory");
            self.give(Path::new("a"));
            std::env::set_current_dir("a").expect("enter a directory");
        }
        std::env::set_current_dir("/").expect("go back");
    }

    /// Gives a file to the variant's identity.
    pub fn give(&self, path: &Path) {
        chown(path, Some(self.uid()), Some(self.uid())).expect("chown");
    }

    /// Declares that a path and what is below it belong to the test and are no leak.
    pub fn own(&self, path: impl Into<PathBuf>) {
        self.own.borrow_mut().insert(path.into());
    }

    /// What belongs to the test so far.
    pub(crate) fn owned(&self) -> BTreeSet<PathBuf> {
        self.own.borrow().clone()
    }

    /// What every test may leave in this host.
    pub(crate) fn may_leave(&self) -> Allowed {
        let cgroups_of_others = !self.has_own_cgroups;
        Allowed { own: BTreeSet::new(), cache: self.cache(), cgroups_of_others }
    }

    /// Tells a figure that the trial has found. It is printed when all trials have ended.
    pub fn figure(&self, text: impl Display) {
        println!("{FIGURE_MARK}{text}");
    }

    /// Ends the trial as ignored, for a reason that lies in the machine.
    pub fn skip(&self, reason: impl Display) -> ! {
        eprintln!("{SKIP_MARK}{reason}");
        std::process::exit(SKIPPED.into());
    }
}

/// What the runner tells a new host.
pub(crate) struct Wanted<'a> {
    pub variant: Variant,
    pub stage: Option<&'static Stage>,
    /// What the leak check must report, when the test is about the leak check itself.
    pub expected_leaks: &'a [&'a str],
    pub binaries: &'a Path,
    pub busybox: Option<&'a Path>,
    pub exposed: &'a [(PathBuf, PathBuf)],
    /// The name of the host's cgroups, if it has its own.
    pub cgroups: Option<&'a str>,
    /// The host's root directory, if that is not the machine's.
    pub root: Option<&'a Path>,
}

/// Makes a host, runs `body` in it and returns the exit status of the trial.
///
/// Three processes: this one waits, its child is PID 1 of the host and reaps, and its child in
/// turn is the body. If this one is killed, the kernel kills the host.
pub(crate) fn run(wanted: &Wanted, body: &dyn Fn(&Host)) -> Result<u8> {
    let has_user_namespace = !identity::is_real_root();
    if has_user_namespace {
        identity::become_root_of_new_user_namespace().context("make a user namespace")?;
    }
    // If whoever runs the tests is killed, so are we, and our child with us.
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    let exe = std::env::current_exe()?;
    unshare(
        CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWIPC,
    )
    .context("unshare the host's namespaces")?;
    // SAFETY: this process has one thread, so the child may do anything.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => exit_status(waitpid(child, None)?),
        ForkResult::Child => {
            let status = be_init(wanted, &exe, has_user_namespace, body).unwrap_or_else(|error| {
                eprintln!("cannot make the throw-away host: {error:#}");
                1
            });
            std::process::exit(status.into());
        }
    }
}

/// PID 1 of the host: makes it, starts the body, reaps until the body has ended. Its own end
/// kills what is left.
fn be_init(
    wanted: &Wanted,
    exe: &Path,
    has_user_namespace: bool,
    body: &dyn Fn(&Host),
) -> Result<u8> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    // No terminal of the person who runs the tests: a test that wants one makes it.
    nix::unistd::setsid()?;
    forget_settings_of_the_runner()?;
    if let Some(name) = wanted.cgroups {
        host_cgroups::enter(name)?;
    }
    let mut binds = vec![
        Bind::open(wanted.binaries, Path::new(BIN), true)?,
        Bind::open(exe, Path::new(EXE), true)?,
    ];
    if let Some(busybox) = wanted.busybox {
        binds.push(Bind::open(busybox, Path::new(BUSYBOX), true)?);
    }
    for (outside, inside) in wanted.exposed {
        binds.push(Bind::open(outside, inside, false)?);
    }
    mounts::furnish(wanted.root, &binds, wanted.cgroups.is_some())?;
    drop(binds);
    if !has_user_namespace && wanted.root.is_none() {
        mounts::furnish_var_lib()?;
    }
    nix::unistd::sethostname("testbed-host")?;
    loopback_up().context("lo up")?;
    std::env::set_current_dir("/")?;
    let host = Host {
        variant: wanted.variant,
        stage: wanted.stage,
        has_user_namespace,
        has_own_cgroups: wanted.cgroups.is_some(),
        own: RefCell::default(),
    };
    if !has_user_namespace {
        chown("/home/learner", Some(LEARNER), Some(LEARNER))?;
    }
    // SAFETY: this process has one thread, so the child may do anything.
    match unsafe { fork() }? {
        ForkResult::Child => {
            std::process::exit(run_body(&host, wanted.expected_leaks, body).into())
        }
        ForkResult::Parent { child } => reap_until_end_of(child),
    }
}

/// Undoes what a body would inherit from whoever runs the tests: signals that are ignored, and a
/// core file for each command that a test lets die by SIGQUIT.
fn forget_settings_of_the_runner() -> Result<()> {
    signals::reset()?;
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a valid structure, which the call only reads.
    let result = unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) };
    Ok(nix::errno::Errno::result(result).map(drop)?)
}

fn reap_until_end_of(body: Pid) -> Result<u8> {
    loop {
        let status = wait()?;
        if status.pid() == Some(body) {
            return exit_status(status);
        }
    }
}

fn exit_status(status: WaitStatus) -> Result<u8> {
    match status {
        WaitStatus::Exited(_, code) => Ok(u8::try_from(code)?),
        WaitStatus::Signaled(_, signal, _) => {
            eprintln!("the body was ended by {signal}");
            Ok(1)
        }
        other => anyhow::bail!("unexpected wait status {other:?}"),
    }
}

/// Runs the body between two looks at the host.
fn run_body(host: &Host, expected: &[&str], body: &dyn Fn(&Host)) -> u8 {
    let mut allowed = host.may_leave();
    let before = Snapshot::take(&allowed).expect("look at the host before the test");
    if panic::catch_unwind(AssertUnwindSafe(|| body(host))).is_err() {
        return 101;
    }
    allowed.own = host.own.take();
    let leaks = before.leaks_since(&allowed).expect("look at the host after the test");
    let reported = |text: &&str| leaks.iter().any(|leak| leak.contains(text));
    if leaks.len() == expected.len() && expected.iter().all(reported) {
        return 0;
    }
    if !expected.is_empty() {
        eprintln!("expected leaks: {expected:?}");
    }
    eprintln!("left behind:");
    for leak in leaks {
        eprintln!("  {leak}");
    }
    1
}

/// Brings the loopback device up, as every host has it (man 7 netdevice).
fn loopback_up() -> Result<()> {
    let socket = std::net::UdpSocket::bind(("0.0.0.0", 0))?;
    // SAFETY: an all-zero ifreq is a valid value of that C structure.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l'.cast_signed();
    request.ifr_name[1] = b'o'.cast_signed();
    request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
    let fd = std::os::fd::AsRawFd::as_raw_fd(&socket);
    // SAFETY: SIOCSIFFLAGS reads an ifreq, and the pointer is to a valid one.
    let result = unsafe { libc::ioctl(fd, libc::SIOCSIFFLAGS, &raw mut request) };
    if result != 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    Ok(())
}
