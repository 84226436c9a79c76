//! What is measured: the step in its two builds, and the programs of others beside it.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use launcher::program;

/// The environment that every contender's command gets: what a step sets, no more.
pub const ENVIRONMENT: [(&str, &str); 3] = [
    ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    ("HOME", "/root"),
    ("TERM", "xterm"),
];

/// The paths of everything that takes part.
pub struct Programs {
    /// The checkout.
    pub workspace: PathBuf,
    /// `v4-utsns`, built as a learner's distribution builds: linked with the machine's libc.
    pub dynamic: PathBuf,
    /// `v4-utsns` with libc in it: no dynamic linker runs at its start.
    pub fixed: PathBuf,
    /// `v5-netns`, linked with the machine's libc.
    pub network: PathBuf,
    /// `v6-cgroups`, in the same way.
    pub limits: PathBuf,
    /// `v7-overlay`, in the same way.
    pub overlay: PathBuf,
    /// `v8-pause`, in the same way.
    pub pod: PathBuf,
    /// Which libc that is.
    pub static_libc: &'static str,
    /// How many processes ran or waited to run, in the minute before we began (proc_loadavg(5)).
    pub load: String,
    /// The busybox root file system of steps v1 to v6, which the first run has made.
    pub rootfs: PathBuf,
}

impl Programs {
    /// Builds the step twice, and starts it once so that its root file system is there.
    pub fn build() -> Result<Self> {
        let load = fs::read_to_string("/proc/loadavg").context("cannot read /proc/loadavg")?;
        let load = load.split(' ').next().unwrap_or_default().to_owned();
        let workspace = workshop::checkout()?;
        let target = workspace.join("target");

        let mut ordinary = cargo(&workspace)?;
        ordinary.args(["build", "--quiet", "--release", "-p", "v4-utsns", "-p", "v5-netns"]);
        ordinary.args(["-p", "v6-cgroups", "-p", "v7-overlay", "-p", "v8-pause", "--target-dir"]);
        succeed(ordinary.arg(&target))?;

        let (fixed, static_libc) = build_static(&workspace)?;
        let programs = Programs {
            dynamic: install(&target, &target.join("release/v4-utsns"), "dynamic")?,
            fixed: install(&target, &fixed, "static")?,
            network: install(&target, &target.join("release/v5-netns"), "dynamic")?,
            limits: install(&target, &target.join("release/v6-cgroups"), "dynamic")?,
            overlay: install(&target, &target.join("release/v7-overlay"), "dynamic")?,
            pod: install(&target, &target.join("release/v8-pause"), "dynamic")?,
            static_libc,
            load,
            rootfs: launcher::Caller::of_this_process().rootfs()?,
            workspace,
        };
        succeed(Command::new(&programs.dynamic).arg("true"))?;
        ensure!(programs.busybox().is_file(), "no busybox in {}", programs.rootfs.display());
        Ok(programs)
    }

    /// The static program that every contender ends up executing.
    pub fn busybox(&self) -> PathBuf {
        self.rootfs.join("bin/busybox")
    }

    /// Who measures, on what: the line above the tables.
    pub fn caller(&self) -> Result<String> {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        // Its version: what follows is who built it.
        let kernel = kernel.trim().split('-').next().unwrap_or_default();
        let who = if is_root()? { "root" } else { "an ordinary user" };
        let cores = std::thread::available_parallelism()?;
        Ok(format!("as {who}, Linux {kernel}, {cores} cores"))
    }
}

/// Whether the effective user is root, as the kernel tells it in proc_pid_status(5).
pub fn is_root() -> Result<bool> {
    let status = fs::read_to_string("/proc/self/status")?;
    let uids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    Ok(uids.and_then(|ids| ids.split_whitespace().nth(1)) == Some("0"))
}

/// The program of that name, if the machine has it.
pub fn find(name: &str) -> Option<PathBuf> {
    program::find(name).ok()
}

/// `cargo`, the one that runs us, in a directory of its own.
pub fn cargo(directory: &Path) -> Result<Command> {
    let cargo = program::command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let mut cargo = cargo.context("cannot run cargo")?;
    cargo.current_dir(directory).env_remove("CARGO_TARGET_DIR");
    Ok(cargo)
}

/// Runs it to its end with nothing to read, and fails with its own words.
pub fn succeed(command: &mut Command) -> Result<Vec<u8>> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {name}"))?;
    if !output.status.success() {
        bail!("{name} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output.stdout)
}

/// Copies a program, as `cargo install` does. The kernel keeps what a linker has written, bit by
/// bit, in single pages, and maps them slower than a file that was written in one go; the programs
/// of others that take part were installed, too.
fn install(target: &Path, program: &Path, name: &str) -> Result<PathBuf> {
    let directory = target.join("bench").join(name);
    let copy = directory.join(program.file_name().context("a program has a name")?);
    fs::create_dir_all(&directory)
        .and_then(|()| fs::write(&copy, fs::read(program)?))
        .and_then(|()| fs::set_permissions(&copy, Permissions::from_mode(0o755)))
        .with_context(|| format!("cannot copy {} to {}", program.display(), copy.display()))?;
    Ok(copy)
}

/// Builds `v4-utsns` with musl in it if rustup has that target, else with glibc. That one starts
/// slower: it asks the processor for all its caches, which is expensive on a virtual machine.
fn build_static(workspace: &Path) -> Result<(PathBuf, &'static str)> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let told = String::from_utf8(succeed(program::command(&rustc)?.arg("-vV"))?)?;
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("rustc -vV names no host")?;

    let musl = format!("{}-unknown-linux-musl", env::consts::ARCH);
    let mut libraries = program::command(rustc)?;
    libraries.args(["--print", "target-libdir", "--target", &musl]);
    let libraries = String::from_utf8(succeed(&mut libraries)?)?;
    let has_musl = Path::new(libraries.trim()).is_dir();
    let (triple, libc) = if has_musl { (musl.as_str(), "musl") } else { (host, "glibc") };

    // A target named on the command line keeps RUSTFLAGS away from build scripts and procedural
    // macros, which cannot be linked statically.
    let directory = workspace.join("target/static");
    let mut build = cargo(workspace)?;
    build.args(["build", "--quiet", "--release", "-p", "v4-utsns", "--target", triple]);
    // At a fixed address there is nothing to relocate when the program starts.
    let flags = "-C target-feature=+crt-static -C relocation-model=static";
    build.arg("--target-dir").arg(&directory).env("RUSTFLAGS", flags);
    succeed(&mut build)?;
    Ok((directory.join(triple).join("release/v4-utsns"), libc))
}

/// A command with the environment that a step gives to its own.
pub fn with_environment(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().envs(ENVIRONMENT);
    command
}

/// A step with the little of our environment that it needs to find its root file system.
pub fn stage(program: &Path) -> Command {
    let mut stage = with_environment(program);
    for name in ["HOME", "XDG_CACHE_HOME"] {
        match env::var_os(name) {
            Some(value) => stage.env(name, value),
            None => stage.env_remove(name),
        };
    }
    stage
}
