//! Between pivot_root(2) and execve(2): names that the container may have made are looked up by a
//! process that was the host's a moment ago. None of them leads back.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::extent::OTHER_DESCRIPTORS;
use crate::faults::descriptors;
use crate::{Host, Outcome, Suite};

/// Adds them.
pub fn add(suite: Suite) -> Suite {
    let stage = suite.stage();
    let suite = suite.both("a_directory_is_no_stdin", a_directory_is_no_stdin);
    if !stage.mount_namespace {
        return suite;
    }
    let mut suite = suite.both("no_descriptor_leads_out", no_descriptor_leads_out);
    suite = suite.both("nothing_hides_an_interpreter", nothing_hides_an_interpreter);
    let mut places: Vec<(&str, IsNone)> = vec![
        ("no_name_leads_out_as_command", HostileDirectory::is_no_command),
        ("no_name_leads_out_as_interpreter", HostileDirectory::is_no_interpreter),
        ("no_name_leads_out_as_mount_point", HostileDirectory::is_no_mount_point),
    ];
    if stage.writable_layer {
        suite = suite.both("the_working_directory_is_inside", the_working_directory_is_inside);
        places.extend([
            (
                "no_name_leads_out_as_working_directory",
                HostileDirectory::is_no_working_directory as IsNone,
            ),
            ("no_name_leads_out_as_directory_of_path", HostileDirectory::is_no_directory_of_path),
            ("no_name_leads_out_as_list_of_users", HostileDirectory::is_no_list_of_users),
        ]);
    }
    places.into_iter().fold(suite, |suite, (name, is_none)| {
        suite.both(name, move |host| no_name_leads_out(host, is_none))
    })
}

/// What the kernel starts in place of a file, however the file says so.
fn nothing_hides_an_interpreter(host: &Host) {
    host.warm_up();
    let place = HostileDirectory::in_rootfs(host);
    let write = |name: &str, mode: u32, content: &[u8]| {
        let path = place.directory.join(name);
        fs::write(&path, content).unwrap();
        host.give(&path);
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    };
    let refuses = |arguments: &[&str], words: &[&str]| {
        let mut launcher = host.launcher();
        Outcome::of(launcher.args(arguments)).assert_refused(126, words);
    };
    // The kernel asks neither for the version of the format, nor for word size and byte order.
    for (at, value) in [(6, 0), (4, 9), (5, 9)] {
        let mut program = program_with_loader(host, LAUNCHER);
        program[at] = value;
        write("program", 0o755, &program);
        refuses(&["/tmp/names/program"], &["ELOOP"]);
    }
    // As long a chain as it follows, and a loader at its end.
    write("script0", 0o755, &program_with_loader(host, LAUNCHER));
    for number in 1..=5 {
        let script = format!("#!/tmp/names/script{}\n", number - 1);
        write(&format!("script{number}"), 0o755, script.as_bytes());
    }
    refuses(&["/tmp/names/script5"], &["ELOOP"]);
    // It can read what the user cannot.
    if host.stage_facts().writable_layer && host.is_root() {
        write("script", 0o711, format!("#!{LAUNCHER}\n").as_bytes());
        refuses(&["-u", "1000", "/tmp/names/script"], &["EACCES", "cannot read"]);
    }
    place.remove();
}

/// Tries a name at one place, and panics if it leads out.
type IsNone = fn(&HostileDirectory, &Host, &Outside, &Path);

/// A directory among 0, 1 and 2 is one of the host's that stays open for good.
fn a_directory_is_no_stdin(host: &Host) {
    let directory = host.dir("outside");
    for (name, redirect) in [("stdin", "0<"), ("stdout", "1<"), ("stderr", "2<")] {
        let mut caller = host.command("/bin/sh");
        let launcher = host.launcher();
        // With stderr a directory nobody can be told: the exit status still says it.
        let script = format!("exec \"$0\" true {redirect} {}", directory.display());
        let outcome = Outcome::of(caller.args(["-c", &script]).arg(launcher.get_program()));
        assert_eq!(outcome.code(), 125, "{name}: {outcome:?}");
        if name != "stderr" {
            outcome.assert_refused(125, &[name, "EISDIR", "/tmp/outside"]);
        }
    }
}

/// A directory of the host, and what is in it: a program and a list of users.
pub struct Outside {
    directory: PathBuf,
    /// What the caller has forgotten to close.
    leaked: File,
}

/// What the program of the host prints.
const OUT: &str = "out of the container";

impl Outside {
    /// Makes the directory. Whoever reads its list of users finds `ghost` there.
    pub fn make(host: &Host) -> Outside {
        let directory = host.dir("outside");
        let program = directory.join("program");
        fs::write(&program, format!("#!/bin/sh\necho '{OUT}'\n")).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        fs::write(directory.join("passwd"), "ghost:x:4242:0::/:/bin/sh\n").unwrap();
        let leaked = File::open(&directory).unwrap();
        Outside { directory, leaked }
    }

    /// Lets a launcher inherit the directory, as two descriptors that nobody closes on execve(2).
    pub fn leak<'a>(&self, launcher: &'a mut Command) -> &'a mut Command {
        let directory = self.leaked.as_raw_fd();
        let leak = move || {
            for number in LEAKED {
                nix::errno::Errno::result(
                    // SAFETY: two integers; the new process has nothing at that number.
                    unsafe { libc::dup2(directory, number) },
                )?;
            }
            Ok(())
        };
        // SAFETY: the closure makes system calls only.
        unsafe { launcher.pre_exec(leak) }
    }

    /// The names by which the directory could be reached through a descriptor: as if it were this
    /// directory, and as if it were any other of the host.
    pub fn names(&self, descriptors: &BTreeSet<RawFd>) -> Vec<PathBuf> {
        let up = "../".repeat(12);
        let of = |number: &RawFd| {
            let descriptor = PathBuf::from(format!("/proc/self/fd/{number}"));
            let from_above = descriptor.join(&up).join(self.below_root());
            [descriptor, from_above]
        };
        descriptors.iter().flat_map(of).collect()
    }

    /// The same through processes: that of this test, and what the own one has of the host.
    pub fn names_of_processes(&self) -> Vec<PathBuf> {
        let body = format!("/proc/{}", std::process::id());
        let processes = ["/proc/1", "/proc/self", &body].into_iter();
        let links = processes.flat_map(|it| ["root", "cwd"].map(|link| Path::new(it).join(link)));
        links.map(|link| link.join(self.below_root())).collect()
    }

    fn below_root(&self) -> &Path {
        self.directory.strip_prefix("/").unwrap()
    }
}

/// Numbers that a launcher inherits: one after its own, and one that is easily missed.
const LEAKED: [RawFd; 2] = [60, 200];

/// A start that looks up as much as this step can.
fn start(host: &Host, outside: &Outside) -> Command {
    let stage = host.stage_facts();
    let mut launcher = host.launcher();
    outside.leak(&mut launcher);
    if stage.cgroups && host.is_root() && host.has_own_cgroups() {
        launcher.args(["-m", "64m", "--pids-limit", "20"]);
    }
    if stage.network_namespace {
        launcher.args(["-p", "8080:80"]);
    }
    if stage.writable_layer {
        launcher.args(["-w", "/made/for/it", "-u", "root"]);
    }
    launcher.args(["-v", "/usr/share:/tmp/volume"]);
    launcher
}

/// Whatever the launcher has open, and whatever it looks up: at that time it is closed.
fn no_descriptor_leads_out(host: &Host) {
    host.warm_up();
    let outside = Outside::make(host);
    let script = host.rootfs().join("tmp/script");
    fs::write(&script, "#!/bin/sh\nexit 7\n").unwrap();
    fs::set_permissions(&script, Permissions::from_mode(0o755)).unwrap();
    for command in ["true", "/tmp/script", "/nonesuch"] {
        let (seen, outcome) = descriptors::look(host, start(host, &outside).arg(command));
        let expected = [("true", 0), ("/tmp/script", 7), ("/nonesuch", 127)];
        let expected = expected.iter().find(|(name, _)| *name == command).unwrap().1;
        assert_eq!(outcome.code(), expected, "{outcome:?}");
        assert!(seen.open.len() > 6 && seen.look_ups > 0, "{:?} {}", seen.open, seen.look_ups);
        let ways_out: Vec<_> = seen.ways_out.into_iter().collect();
        assert!(ways_out.is_empty(), "{}", ways_out.join("\n"));
    }
    fs::remove_file(script).unwrap();
}

/// A directory that is entered can be moved at that moment, out of the volume that it was found in.
/// From there `..` leads up to the root of the host's file system.
fn the_working_directory_is_inside(host: &Host) {
    host.warm_up();
    let outside = host.dir("outside");
    let (volume, found) = (outside.join("volume"), outside.join("volume/directory"));
    fs::create_dir_all(&found).unwrap();
    let start = || {
        let mut launcher = host.launcher();
        let volume = format!("{}:/mnt", volume.display());
        launcher.args(["-v", &volume, "-w", "/mnt/directory", "pwd"]);
        launcher
    };
    assert_eq!(Outcome::of(&mut start()).text(), "/mnt/directory\n");
    let moves = || fs::rename(&found, outside.join("moved")).unwrap();
    let (_, outcome) = descriptors::look_and(host, &mut start(), Some(("getcwd", &moves)));
    outcome.assert_refused(125, &["working directory", "not below the container's root"]);
}

/// Each descriptor that is open at any time, and what /proc shows of processes: as a name and by a
/// link to it.
fn no_name_leads_out(host: &Host, is_none: IsNone) {
    host.warm_up();
    let outside = Outside::make(host);
    let (seen, _) = descriptors::look(host, start(host, &outside).arg("true"));
    assert!(LEAKED.iter().all(|number| seen.open.contains(number)), "{:?}", seen.open);
    let mut numbers = seen.open;
    if !host.is_at_length(OTHER_DESCRIPTORS) {
        numbers = numbers.into_iter().take(1).chain(LEAKED).collect();
    }
    let place = HostileDirectory::in_rootfs(host);
    for name in outside.names(&numbers) {
        is_none(&place, host, &outside, &name);
    }
    if host.stage_facts().pid_namespace {
        for name in outside.names_of_processes() {
            is_none(&place, host, &outside, &name);
        }
    }
    place.remove();
}

fn run(host: &Host, outside: &Outside, arguments: &[&str]) -> Outcome {
    let mut launcher = host.launcher();
    if host.stage_facts().network_namespace {
        launcher.args(["--net", "none"]); // it is one of many
    }
    outside.leak(&mut launcher).args(arguments).stdin(Stdio::null());
    Outcome::of(&mut launcher)
}

/// It was not executed, and one line says so. The launcher itself is always there: it is refused
/// for what the name is.
fn is_refused(outcome: &Outcome, name: &Path) -> bool {
    let [line] = outcome.complaints()[..] else { return false };
    let is_launcher = name == Path::new(LAUNCHER);
    let is_expected = if is_launcher { line.contains("ELOOP") } else { true };
    is_expected && matches!(outcome.code(), 125..=127) && outcome.stdout.is_empty()
}

/// What runs here until execve(2), by name.
const LAUNCHER: &str = "/proc/self/exe";

/// Where links and programs of the container's own lie in the rootfs.
struct HostileDirectory {
    directory: PathBuf,
}

impl HostileDirectory {
    fn in_rootfs(host: &Host) -> HostileDirectory {
        let directory = host.rootfs().join("tmp/names");
        fs::create_dir(&directory).unwrap();
        host.give(&directory);
        HostileDirectory { directory }
    }

    /// Makes a link to `name`, and returns its name inside.
    fn link(&self, name: &Path) -> &'static str {
        let link = self.directory.join("link");
        let _ = fs::remove_file(&link);
        symlink(name, link).unwrap();
        "/tmp/names/link"
    }

    fn is_no_command(&self, host: &Host, outside: &Outside, name: &Path) {
        for name in [&*name.join("program"), Path::new(LAUNCHER)] {
            let link = self.link(name);
            for command in [name.to_str().unwrap(), link] {
                let outcome = run(host, outside, &[command, "true"]);
                assert!(is_refused(&outcome, name), "the command {name:?}: {outcome:?}");
            }
        }
    }

    /// Of a script, and of a program for the dynamic loader.
    fn is_no_interpreter(&self, host: &Host, outside: &Outside, name: &Path) {
        let program = name.join("program");
        let link = self.link(&program);
        for name in [program.to_str().unwrap(), link, LAUNCHER] {
            let script = format!("#!{name}\n").into_bytes();
            let program = program_with_loader(host, name);
            for (kind, content) in [("script", script), ("program", program)] {
                let path = self.directory.join(kind);
                fs::write(&path, content).unwrap();
                fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
                let outcome = run(host, outside, &[&format!("/tmp/names/{kind}")]);
                let is_refused = is_refused(&outcome, Path::new(name));
                assert!(is_refused, "the interpreter {name:?}: {outcome:?}");
            }
        }
    }

    /// Of a volume: nothing is made there either.
    fn is_no_mount_point(&self, host: &Host, outside: &Outside, name: &Path) {
        let volume = format!("/usr/share:{}/made", self.link(name));
        let outcome = run(host, outside, &["-v", &volume, "true"]);
        outcome.assert_refused(125, &["mount point"]);
        assert!(!outside.directory.join("made").exists(), "{name:?}");
    }

    fn is_no_working_directory(&self, host: &Host, outside: &Outside, name: &Path) {
        let link = self.link(name);
        for directory in [name.to_str().unwrap(), link] {
            let outcome = run(host, outside, &["-w", directory, "pwd"]);
            outcome.assert_refused(125, &["working directory"]);
        }
    }

    fn is_no_directory_of_path(&self, host: &Host, outside: &Outside, name: &Path) {
        let path = format!("PATH=/nonesuch:{}:{}", name.display(), self.link(name));
        let outcome = run(host, outside, &["-e", &path, "program"]);
        assert!(is_refused(&outcome, name), "PATH with {name:?}: {outcome:?}");
    }

    /// A user that only the host's list has is none, whatever the container's list leads to.
    fn is_no_list_of_users(&self, host: &Host, outside: &Outside, name: &Path) {
        let rootfs = Path::new("/tmp/own/rootfs"); // the one in the cache would be mended
        if !rootfs.exists() {
            host.own_rootfs();
        }
        let passwd = rootfs.join("etc/passwd");
        let _ = fs::remove_file(&passwd);
        symlink(name.join("passwd"), &passwd).unwrap();
        let arguments = ["--rootfs", "/tmp/own/rootfs", "-u", "ghost", "ls"];
        run(host, outside, &arguments).assert_refused(125, &[]);
    }

    fn remove(self) {
        fs::remove_dir_all(self.directory).unwrap();
    }
}

/// A copy of busybox that asks for a dynamic loader (man 5 elf, PT_INTERP).
fn program_with_loader(host: &Host, loader: &str) -> Vec<u8> {
    const PT_INTERP: u32 = 3;
    const PT_GNU_STACK: u32 = 0x6474_e551;
    let mut program = fs::read(host.busybox()).unwrap();
    let number = |program: &[u8], at: usize| {
        usize::try_from(u64::from_le_bytes(program[at..at + 8].try_into().unwrap())).unwrap()
    };
    let (headers, count) = (number(&program, 32), usize::from(program[56]));
    let end = program.len() as u64;
    let size = loader.len() as u64 + 1;
    // The entry that says whether the stack may be executed can be spared.
    let entry = (0..count).map(|index| headers + 56 * index);
    let entry = entry.into_iter().find(|at| program[*at..at + 4] == PT_GNU_STACK.to_le_bytes());
    let entry = entry.expect("busybox has such a header");
    program[entry..entry + 4].copy_from_slice(&PT_INTERP.to_le_bytes());
    program[entry + 8..entry + 16].copy_from_slice(&end.to_le_bytes()); // p_offset
    program[entry + 32..entry + 40].copy_from_slice(&size.to_le_bytes()); // p_filesz
    program.extend_from_slice(loader.as_bytes());
    program.push(0);
    program
}
