//! One process, as its directory in /proc shows it.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;

use launcher::command_line::errno_of;
use launcher::{bounded, printable};
use nix::fcntl::{OFlag, open, openat, readlinkat};
use nix::sys::stat::Mode;

/// As much of a command line as is read: it may have megabytes.
const MOST_OF_COMMAND: u64 = 4096;

/// A container can have a hundred thousand mounts, and a path of four kilobytes for each.
const MOST_OF_FILE: u64 = 16 << 20;

/// /proc/PID, held open. So it never becomes another process that got the same number: once the
/// process is gone, everything in here fails.
pub(super) struct Directory {
    path: String,
    file: OwnedFd,
}

impl Directory {
    /// # Errors
    /// ENOENT if there is no such process.
    pub(super) fn open(process: &str) -> nix::Result<Directory> {
        let path = format!("/proc/{process}");
        let flags = OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let file = open(path.as_str(), flags, Mode::empty())?;
        Ok(Directory { path, file })
    }

    /// What an attempt to read one of its files is called.
    pub(super) fn reading(&self, name: &str) -> String {
        format!("cannot read {}/{name}", self.path)
    }

    /// The content of one of its files.
    pub(super) fn read(&self, name: &str) -> nix::Result<Vec<u8>> {
        bounded::read(self.file(name)?, MOST_OF_FILE).map_err(|error| errno_of(&error))
    }

    /// The same as text; what is no UTF-8 is replaced.
    pub(super) fn text(&self, name: &str) -> nix::Result<String> {
        Ok(String::from_utf8_lossy(&self.read(name)?).into_owned())
    }

    fn file(&self, name: &str) -> nix::Result<File> {
        openat(&self.file, name, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).map(File::from)
    }

    /// Where one of its links leads.
    pub(super) fn link(&self, name: &str) -> nix::Result<OsString> {
        readlinkat(&self.file, name)
    }

    /// Whether it is a thread of the kernel: some of them have namespaces of their own, too
    /// (kdevtmpfs keeps its mounts apart).
    pub(super) fn is_kernel_thread(&self) -> nix::Result<bool> {
        const PF_KTHREAD: u64 = 0x0020_0000; // include/linux/sched.h
        let stat = self.text("stat")?;
        // The name, in parentheses, may hold parentheses (proc_pid_stat(5)). Then: state, parent,
        // group, session, terminal, its foreground group, flags.
        let flags = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(6));
        let flags = flags.and_then(|flags| flags.parse::<u64>().ok());
        Ok(flags.is_some_and(|flags| flags & PF_KTHREAD != 0))
    }

    /// What the process was started as: its arguments, and its name if that is another one. One
    /// that has no memory (a zombie, a thread of the kernel) has only a name, in brackets, as
    /// ps(1) has it.
    pub(super) fn command(&self, status: &Status) -> nix::Result<String> {
        let mut line = Vec::new();
        let read = self.file("cmdline")?.take(MOST_OF_COMMAND).read_to_end(&mut line);
        read.map_err(|error| errno_of(&error))?;
        let arguments: Vec<_> = line.split(|byte| *byte == 0).map(printable).collect();
        let name = status.name();
        if line.is_empty() {
            let state = if status.is_zombie() { " (zombie)" } else { "" };
            return Ok(format!("[{name}]{state}"));
        }
        let text = arguments.join(" ").trim_end().to_owned();
        let program = arguments.first().and_then(|program| program.rsplit('/').next());
        // The kernel keeps 15 bytes of the name, and a login shell has a dash before it.
        let is_known = program.is_some_and(|it| it.trim_start_matches('-').starts_with(&name));
        Ok(if is_known { text } else { format!("{text} [{name}]") })
    }
}

/// /proc/PID/status: one `Name:<tab>value` on each line (proc_pid_status(5)). Anybody may read it.
#[derive(Clone, Debug)]
pub(super) struct Status(String);

impl Status {
    pub(super) fn of(process: &Directory) -> nix::Result<Status> {
        Ok(Status(process.text("status")?))
    }

    /// The value of one line. The kernel escapes newlines in a process's name, so that cannot
    /// pass for a line.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let lines = self.0.lines();
        lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(':')).next().map(str::trim)
    }

    /// The numbers on a line of them.
    pub(super) fn numbers(&self, name: &str) -> Vec<u32> {
        let value = self.value(name).unwrap_or_default();
        value.split_whitespace().flat_map(str::parse).collect()
    }

    /// The name of the program, or what the process has made of it.
    pub(super) fn name(&self) -> String {
        let name = printable(self.value("Name").unwrap_or_default().as_bytes());
        // The kernel has escaped the backslashes once already.
        name.replace(r"\\", r"\")
    }

    /// The number of its parent; 0 if the parent is outside of this /proc.
    pub(super) fn parent(&self) -> u32 {
        self.numbers("PPid").first().copied().unwrap_or_default()
    }

    /// The numbers inside: one for each PID namespace below that of this /proc, the innermost last.
    pub(super) fn numbers_inside(&self) -> Vec<u32> {
        self.numbers("NSpid").into_iter().skip(1).collect()
    }

    pub(super) fn is_zombie(&self) -> bool {
        self.value("State").is_some_and(|state| state.starts_with('Z'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_status() {
        let text = "Name:\tsh\\nPPid:\\t7\nState:\tZ (zombie)\nPPid:\t12\nNSpid:\t40\t3\t1\n";
        let status = Status(text.into());
        assert_eq!((status.parent(), status.is_zombie()), (12, true));
        assert_eq!(status.numbers_inside(), [3, 1]);
        assert_eq!(Status("NSpid:\t40\n".into()).numbers_inside(), [0; 0]);
        assert_eq!(Status(String::new()).numbers_inside(), [0; 0]);
    }
}
