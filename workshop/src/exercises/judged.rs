//! What is judged: the learner's program on its host, as a check sees it.

mod running;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow};

use super::verdict::{CheckFailed, expect};
use crate::host::{Ended, Host, StillRuns, TIME_LIMIT};
pub use running::Running;

/// The program, and what a check gives it.
pub struct Judged {
    host: Host,
    program: PathBuf,
    cgroup: Option<PathBuf>,
}

impl Judged {
    /// A program on a host that was made for it.
    ///
    /// # Errors
    /// Those of making files.
    pub fn on(host: Host, program: PathBuf, cgroup: Option<&Path>) -> Result<Judged> {
        let judged = Judged { host, program, cgroup: cgroup.map(Path::to_owned) };
        fs::create_dir(judged.outside()).context("cannot make a directory")?;
        fs::write(judged.outside().join("file-of-the-host"), "x\n")
            .context("cannot write a file")?;
        Ok(judged)
    }

    /// The rootfs that programs get by `--rootfs`.
    pub fn rootfs(&self) -> PathBuf {
        self.host.rootfs()
    }

    /// The busybox in it, which the host itself can run too.
    pub fn busybox(&self) -> PathBuf {
        self.host.busybox()
    }

    /// The cgroup that was made for this check, with the controller pids.
    ///
    /// # Errors
    /// If the exercise has not asked for one.
    pub fn cgroup(&self) -> Result<&Path> {
        self.cgroup.as_deref().context("this exercise has no cgroup")
    }

    /// The directory in which programs are started. It holds one file, and is not in the rootfs.
    pub fn outside(&self) -> PathBuf {
        self.host.directory().join("outside")
    }

    /// The learner's program, without arguments.
    pub fn program(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(self.outside()).stdin(Stdio::null());
        command
    }

    /// The learner's program as the launcher of a command in the rootfs.
    pub fn launcher(&self, words: &[&str]) -> Command {
        let mut command = self.program();
        command.arg("--rootfs").arg(self.rootfs()).args(words);
        command
    }

    /// Runs a command in the learner's container, to its end.
    ///
    /// # Errors
    /// [`super::verdict::CheckFailed`] if it does not end, or the container does not even start.
    pub fn run(&self, words: &[&str]) -> Result<Ended> {
        let typed = as_typed(words);
        let ended = self.run_to_end(&mut self.launcher(words), &typed)?;
        let what = format!("a container that runs `{typed}`");
        expect(ended.status != 125, &what, &ended.stderr, "the step that the message names")?;
        Ok(ended)
    }

    /// Runs any command of the host to its end, and ends what it has left. `name` is for the
    /// message.
    ///
    /// # Errors
    /// [`super::verdict::CheckFailed`] if it does not end.
    pub fn run_to_end(&self, command: &mut Command, name: &str) -> Result<Ended> {
        self.host.run_to_end(command, name).or_else(not_ended)
    }

    /// Runs any command of the host to its end, while other processes go on.
    ///
    /// # Errors
    /// [`super::verdict::CheckFailed`] if it does not end.
    pub fn run_beside(&self, command: &mut Command, name: &str) -> Result<Ended> {
        self.host.run_beside(command, name).or_else(not_ended)
    }

    /// Starts a command in the learner's container, and returns when it has printed its first line.
    ///
    /// # Errors
    /// [`super::verdict::CheckFailed`] if it ends without a word.
    pub fn start(&self, words: &[&str]) -> Result<Running> {
        self.start_command(self.launcher(words))
    }

    /// The same for a command line with more than `--rootfs` in it.
    ///
    /// # Errors
    /// [`super::verdict::CheckFailed`] if it ends without a word.
    pub fn start_command(&self, mut command: Command) -> Result<Running> {
        let err = self.host.directory().join("stderr");
        let file = File::create(&err).context("cannot make a file for the output")?;
        let child = command.stdout(Stdio::piped()).stderr(file).spawn();
        let mut child = child.context("cannot start the program")?;
        let stdout = child.stdout.take().context("the program has no output")?;
        let running = Running::of(child, stdout)?;
        let said = fs::read_to_string(&err).context("cannot read the output")?;
        let what = "a container that starts, and prints a line";
        expect(!running.first.is_empty(), what, said.trim_end(), "the step that it names")?;
        Ok(running)
    }

    /// Runs an applet of busybox on the host, and returns what it printed.
    ///
    /// # Errors
    /// If it fails.
    pub fn applet(&self, words: &[&str]) -> Result<String> {
        let ended = self.run_to_end(Command::new(self.busybox()).args(words), &words.join(" "))?;
        match ended.status {
            0 => Ok(ended.stdout),
            status => Err(anyhow!("{} ended with {status}: {}", words.join(" "), ended.stderr)),
        }
    }
}

/// That a program has not ended in time is a fault of it, and none of the check.
fn not_ended(error: anyhow::Error) -> Result<Ended> {
    let StillRuns { name } = error.downcast()?;
    let seen = format!("it still runs after {} seconds", TIME_LIMIT.as_secs());
    let look = "who waits for whom, and for which signal";
    Err(CheckFailed::new(&format!("`{name}` ends"), &seen, look).into())
}

/// The words as one types them in a shell.
fn as_typed(words: &[&str]) -> String {
    let is_plain = |word: &str| word.chars().all(|it| it.is_alphanumeric() || "-_/.".contains(it));
    let quote = |word: &&str| match is_plain(word) {
        true => (*word).to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    };
    words.iter().map(quote).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_does_not_end_fails_its_check() {
        let error = not_ended(StillRuns { name: "sleep 99".to_owned() }.into()).unwrap_err();
        let expected = "  expected: `sleep 99` ends\n  seen:     it still runs after 10 seconds\n  \
                        look at:  who waits for whom, and for which signal";
        assert_eq!(error.downcast::<CheckFailed>().unwrap().0, expected);
    }

    #[test]
    fn any_other_error_says_nothing_of_the_program() {
        let error = not_ended(anyhow!("cannot read the output")).unwrap_err();
        assert!(error.downcast::<CheckFailed>().is_err());
    }
}
