//! How a command line is read, whatever its options, and how a launcher ends: one line, one exit
//! status.

use crate::Caller;
use crate::advice::Advised;
use crate::capabilities::name_missing;
use crate::help;
use crate::options;
use crate::printable::as_one_line;
use crate::signals::asked_to_end;
use crate::system_calls::exit_now;
use anyhow::{Context, Result, anyhow};
use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use nix::errno::Errno;
use std::env;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};

/// Reads the command line, and settles what else the caller has left to us: umask, stdin, stdout
/// and stderr. `--help` and `--version` are printed here and end the program.
///
/// # Errors
/// What is wrong with the command line, in one line; EISDIR if one of the three is a directory.
pub fn parse<Args: Parser>() -> Result<(Args, Caller)> {
    let caller = Caller::of_this_process();
    caller.settle()?;
    let mut command = options::with_habits(Args::command());
    let found = command.try_get_matches_from_mut(words::<Args>());
    let error = match found.and_then(|mut found| Args::from_arg_matches_mut(&mut found)) {
        Ok(args) => return Ok((args, caller)),
        Err(error) => error.format(&mut command),
    };
    match error.kind() {
        ErrorKind::DisplayHelp => print_help(&error, &caller)?,
        ErrorKind::DisplayVersion => print(&error.to_string())?,
        _ => return Err(anyhow!("{}", explanation(&error, command.get_name()))),
    }
    std::process::exit(0)
}

/// The words of the command line; `--help NAME` as `NAME --help`, if NAME is a subcommand. (To clap
/// the first is the whole program's help, whatever follows.)
fn words<Args: Parser>() -> Vec<OsString> {
    let mut words: Vec<_> = env::args_os().collect();
    if let [_, help, name] = &mut words[..]
        && (help == "--help" || help == "-h")
        && Args::command().find_subcommand(&*name).is_some()
    {
        std::mem::swap(help, name);
    }
    words
}

/// The page that clap has made, for the program or for a subcommand, and what is the same in all.
fn print_help(page: &clap::Error, caller: &Caller) -> Result<()> {
    let place = caller.rootfs().map(|path| path.display().to_string());
    let place = place.unwrap_or_else(|error| format!("none: {}", one_line(&error)));
    print(&help::page(&page.to_string(), &place))
}

fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        // Whoever reads (head, say) has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed.context("cannot print to stdout"),
    }
}

/// clap explains itself in paragraphs: the fault, perhaps tips, the usage. Here is one line.
fn explanation(error: &clap::Error, program: &str) -> String {
    let option = unknown_option(error);
    if let Some((option, told)) = option.and_then(|it| Some((it, options::about(it, program)?))) {
        return format!("unexpected argument '{option}' found; {told} (see --help)");
    }
    let text = error.to_string();
    let (text, rest) = text.split_once("\n\nUsage:").unwrap_or((&text, ""));
    // Who types an option does not mean it as a word for the command.
    let is_useful = |line: &&str| !line.trim_start().starts_with("tip: to pass");
    let text = text.lines().filter(is_useful).collect::<Vec<_>>().join("\n");
    let paragraphs = text.trim_start_matches("error: ").split("\n\n");
    let paragraphs: Vec<_> = paragraphs
        .map(|words| words.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|words| !words.is_empty() && !words.starts_with("For more information"))
        .collect();
    // Who has left something out wants to see what to write.
    let usage = match (error.kind(), rest.lines().next()) {
        (ErrorKind::MissingRequiredArgument, Some(usage)) => format!("usage:{usage}; "),
        _ => String::new(),
    };
    format!("{} ({usage}see --help)", paragraphs.join("; "))
}

/// The option that clap does not know, if that is the fault.
fn unknown_option(error: &clap::Error) -> Option<&str> {
    match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::UnknownArgument, Some(ContextValue::String(option))) => Some(option),
        _ => None,
    }
}

/// Ends a launcher with the command's exit status, or with one line on stderr and 125, 126 or 127.
///
/// What had to be cleaned up is, when the steps of a launcher have returned. So this is _exit(2):
/// the exit handlers of the C library would find nothing to do, and take their time.
pub fn finish(result: Result<u8>) -> ! {
    exit_now(result.unwrap_or_else(|error| {
        let failure = Failure::from(error);
        report(&failure);
        failure.code
    }))
}

/// Prints what failed.
pub fn report(failure: &dyn fmt::Display) {
    print_line(&format!("Error: {failure:#}"));
}

/// Tells the user about something that works, but less well than it could.
pub fn note(text: fmt::Arguments) {
    print_line(&format!("Note: {text}"));
}

/// Tells what a tear-down could not take away. That stops nobody, since there is more to take away,
/// but it is not passed over in silence either.
pub fn tell_left_behind(torn_down: Result<()>) {
    if let Err(error) = torn_down {
        note(format_args!("left behind: {}", one_line(&error)));
    }
}

/// One write(2): the line of another process cannot come between. Whatever words of others are in
/// it, it is one line, and changes no terminal.
fn print_line(line: &str) {
    let line = as_one_line(line) + "\n";
    // With stderr gone there is nobody to tell; the exit status still says it.
    let _ = io::stderr().write_all(line.as_bytes());
}

/// An error with the exit status that it leads to.
#[derive(Debug)]
pub struct Failure {
    /// 125: the launcher failed; 126: the command cannot be executed; 127: it is not there; 128 and
    /// the number of a signal: that one came before there was a container.
    pub code: u8,
    /// What was attempted, on what, the errno, and what to do about it.
    pub text: String,
}

impl Failure {
    /// Packs the failure for the report pipe.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        [&[self.code], self.text.as_bytes()].concat()
    }

    /// Unpacks what the report pipe gave: `None` if it was empty.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Failure> {
        let (&code, text) = bytes.split_first()?;
        Some(Failure { code, text: String::from_utf8_lossy(text).into_owned() })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failure {}

impl From<anyhow::Error> for Failure {
    /// Any error is the launcher's own (125), unless it was a `Failure` to begin with, or a signal.
    fn from(error: anyhow::Error) -> Failure {
        error.downcast().unwrap_or_else(|error| {
            let code = asked_to_end(&error).map_or(125, |signal| 128 + signal as u8);
            Failure { code, text: name_missing(one_line(&error), errno_in(&error)) }
        })
    }
}

/// What was attempted, on what, and why it failed, from the outermost context to the errno.
///
/// std says "No such file or directory (os error 2)", nix says "ENOENT: No such file or directory".
/// The name is what man pages are about, so everything is said in nix's way. Control characters are
/// escaped: some words come out of files of strangers, and could clear the terminal.
pub fn one_line(error: &anyhow::Error) -> String {
    let words = error.chain().map(|cause| {
        let errno = cause.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
        errno.map_or_else(|| cause.to_string(), |errno| Errno::from_raw(errno).to_string())
    });
    as_one_line(&words.collect::<Vec<_>>().join(": "))
}

/// The errno of the system call at the bottom of an error, if that is the cause: to go on in
/// another way, whatever has been said about it on the way up.
pub fn errno_in(error: &anyhow::Error) -> Option<Errno> {
    error.chain().find_map(|cause| {
        let of_std = cause.downcast_ref().and_then(io::Error::raw_os_error).map(Errno::from_raw);
        let advised = || cause.downcast_ref::<Advised>().map(|it| it.errno);
        of_std.or_else(|| cause.downcast_ref().copied()).or_else(advised)
    })
}

/// The errno in an error of std. One without an errno is std's own: EIO is as near as it gets.
pub fn errno_of(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_that_changes_no_terminal() {
        let error = anyhow!("no field \"\u{1b}[2J\u{9b}\"\r\n").context("pod.yaml");
        assert_eq!(one_line(&error), r#"pod.yaml: no field "\u{1b}[2J\u{9b}"\r\n"#);
    }
}
