//! Finds a busybox: one file that is a shell and some hundred commands.
//!
//! It must be statically linked, since a rootfs of ours holds no libraries. Where the system has
//! none and is a Debian or Ubuntu, the package is fetched with the system's own package manager
//! and unpacked in our cache. Nothing is installed, and root is not needed.

use anyhow::{Context, Result, anyhow, bail};
use launcher::command_line::{note, one_line, tell_left_behind};
use launcher::elf_file::ElfFile;
use launcher::{bounded, program, remove_tree};
use nix::fcntl::ResolveFlag;
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// Where distributions put it. The static one has a name of its own on some of them.
const USUAL_PLACES: [&str; 6] = [
    "/bin/busybox",
    "/usr/bin/busybox",
    "/bin/busybox.static",
    "/usr/bin/busybox-static",
    "/sbin/busybox",
    "/usr/local/bin/busybox",
];

/// As much as is read of what a program says.
const MAX_WORDS: u64 = 1 << 20;

/// The user's own choice, `$BUSYBOX`, if there is one.
pub(crate) fn chosen() -> Option<PathBuf> {
    env::var_os("BUSYBOX").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// A busybox that runs alone on this machine: `$BUSYBOX`, else the system's, else one in `cache`,
/// else one fetched into `cache`.
///
/// # Errors
/// If `$BUSYBOX` cannot be used, or if there is none and no way to get one.
pub fn find_or_fetch(cache: &Path) -> Result<PathBuf> {
    if let Some(path) = chosen() {
        let unfit = |reason| anyhow!("cannot use BUSYBOX={path:?}: {reason}");
        check(&path).map_err(unfit)?;
        return Ok(path);
    }
    let fetched = cache.join("busybox");
    let usual = USUAL_PLACES.map(PathBuf::from);
    let mut places = usual.into_iter().chain([fetched.clone()]);
    if let Some(path) = places.find(|path| check(path).is_ok()) {
        return Ok(path);
    }
    fetch(cache, &fetched)?;
    check(&fetched).map_err(|reason| anyhow!("cannot use the fetched {fetched:?}: {reason}"))?;
    Ok(fetched)
}

/// The names of all commands that `busybox` can be, as it lists them.
pub(crate) fn applets(busybox: &Path) -> Result<Vec<String>> {
    // A name without a slash would be looked for in PATH: what was checked is a file.
    let mut list = Command::new(Path::new(".").join(busybox));
    list.arg("--list").stdout(Stdio::piped()).stderr(Stdio::null());
    let (_, names) = run(&mut list).with_context(|| format!("cannot run {busybox:?} --list"))?;
    let names: Vec<_> =
        names.lines().filter(|name| !name.contains('/')).map(str::to_owned).collect();
    if !names.iter().any(|name| name == "sh") {
        bail!("cannot use {busybox:?}: it lists no shell (is it a busybox?)");
    }
    Ok(names)
}

/// Whether `path` runs without anything around it, on this machine; else why not.
fn check(path: &Path) -> Result<(), String> {
    match fs::metadata(path) {
        Err(error) => return Err(one_line(&error.into())),
        Ok(metadata) if !metadata.is_file() => return Err("it is not a file".into()),
        Ok(_) => {}
    }
    let unread = |error: io::Error| one_line(&error.into());
    let own = ElfFile::open(Path::new("/proc/self/exe")).map_err(unread)?;
    let own = own.map(|own| own.architecture());
    let file = ElfFile::open(path).map_err(unread)?;
    let file = file.filter(|file| Some(file.architecture()) == own);
    let file = file.ok_or("it is not a program for this machine's architecture")?;
    if let Some(loader) = file.loader().map_err(unread)? {
        return Err(format!(
            "it is dynamically linked and needs {loader:?}, which a rootfs does not have (take the \
             static one: package busybox-static)"
        ));
    }
    Ok(())
}

/// Fetches Debian's package busybox-static, with list files of our own, and unpacks it.
fn fetch(cache: &Path, target: &Path) -> Result<()> {
    let advice = install_command();
    if program::find("apt-get").is_err() || program::find("dpkg-deb").is_err() {
        bail!("no static busybox on this machine (install one: {advice}; or set BUSYBOX)");
    }
    note(format_args!(
        "no static busybox on this machine; fetching Debian's with apt-get, into {} (nothing is \
         installed)",
        cache.display()
    ));
    let work = WorkDirectory::create(cache.join("fetch"))?;
    download(&work.0).map_err(|error| {
        anyhow!("cannot fetch busybox: {} (install it: {advice})", one_line(&error))
    })?;
    let unpacked = ["bin/busybox", "usr/bin/busybox"].map(|name| work.0.join("root").join(name));
    let busybox = unpacked.iter().find(|path| path.is_file());
    let busybox = busybox.context("the package busybox-static holds no busybox")?;
    fs::rename(busybox, target).with_context(|| format!("cannot move busybox to {target:?}"))
}

/// apt-get(8) and dpkg-deb(1) in `work`, which gets all that they write.
fn download(work: &Path) -> Result<()> {
    for name in ["lists/partial", "cache/archives/partial"] {
        let path = work.join(name);
        fs::create_dir_all(&path).with_context(|| format!("cannot make {path:?}"))?;
    }
    let option = |name: &str, path: &str| format!("{name}={}", work.join(path).display());
    let apt = || {
        let mut command = program::command("apt-get").context("cannot find apt-get")?;
        command.current_dir(work).args(["-qq", "-o", &option("Dir::State::lists", "lists")]);
        command.args(["-o", &option("Dir::Cache", "cache")]);
        // As root, apt would read and write as the user _apt, who may not enter our cache.
        command.args(["-o", "APT::Sandbox::User=root", "-o", "Acquire::Languages=none"]);
        anyhow::Ok(command)
    };
    run_well(apt()?.arg("update"))?;
    run_well(apt()?.args(["download", "busybox-static"]))?;
    let package = fs::read_dir(work)
        .with_context(|| format!("cannot list {work:?}"))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .context("apt-get downloaded no package")?;
    let mut unpack = program::command("dpkg-deb").context("cannot find dpkg-deb")?;
    run_well(unpack.arg("-x").arg(package).arg(work.join("root")))
}

/// Runs a command in silence; if it fails, its last words become the error.
fn run_well(command: &mut Command) -> Result<()> {
    let ended = run(command.stdout(Stdio::null()).stderr(Stdio::piped()));
    let name = command.get_program();
    let (status, words) = ended.with_context(|| format!("cannot run {name:?}"))?;
    if status.success() {
        return Ok(());
    }
    let last = words.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no reason given");
    bail!("{name:?} failed: {last}")
}

/// Runs a command to its end: how it ended, and what came through the one stream that is piped.
/// (std's own `output` waits for two, and panics if poll(2) fails.)
fn run(command: &mut Command) -> io::Result<(ExitStatus, String)> {
    let mut child = command.stdin(Stdio::null()).spawn()?;
    let pipes = (child.stdout.take(), child.stderr.take());
    let read = match pipes {
        (Some(pipe), _) => bounded::read(pipe, MAX_WORDS),
        (_, Some(pipe)) => bounded::read(pipe, MAX_WORDS),
        _ => Ok(Vec::new()),
    };
    if read.is_err() {
        child.kill()?; // it goes on and on: no busybox
    }
    let status = child.wait()?;
    Ok((status, String::from_utf8_lossy(&read?).into_owned()))
}

/// How to install a static busybox here: os-release(5) tells the distribution.
fn install_command() -> &'static str {
    let path = Path::new("/etc/os-release");
    let release = bounded::read_file(path, ResolveFlag::empty(), 64 << 10).unwrap_or_default();
    let release = String::from_utf8_lossy(&release);
    let ids: String = release
        .lines()
        .filter_map(|line| line.strip_prefix("ID=").or_else(|| line.strip_prefix("ID_LIKE=")))
        .collect::<Vec<_>>()
        .join(" ");
    let is = |id: &str| ids.split(['"', ' ']).any(|word| word == id);
    match () {
        () if is("alpine") => "sudo apk add busybox-static",
        () if is("fedora") || is("rhel") => "sudo dnf install busybox",
        () if is("arch") => "sudo pacman -S busybox",
        () if is("suse") || is("opensuse") => "sudo zypper install busybox-static",
        () if is("debian") || is("ubuntu") => "sudo apt-get install busybox-static",
        () => "the package is called busybox or busybox-static",
    }
}

/// A directory that goes away with this value, whatever happened in it.
struct WorkDirectory(PathBuf);

impl WorkDirectory {
    fn create(path: PathBuf) -> Result<WorkDirectory> {
        remove_tree(&path)?; // of a process that was killed
        fs::create_dir_all(&path).with_context(|| format!("cannot make {path:?}"))?;
        Ok(WorkDirectory(path))
    }
}

impl Drop for WorkDirectory {
    fn drop(&mut self) {
        tell_left_behind(remove_tree(&self.0));
    }
}
