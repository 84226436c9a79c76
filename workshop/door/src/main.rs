//! `cargo workshop`: the one door to the tools of the course.
//!
//! A tool is compiled when it is first asked for. What the doctor stands on takes nearly half a
//! minute, and `cargo run --quiet` says nothing in that time. So this program comes first: it
//! depends on nothing, is compiled within a second, and says what happens. When cargo has built the
//! package that has the tool, this program becomes the tool. Nothing stands between the tool and
//! whoever has started it: signals, the terminal and the exit status are the tool's.

#![deny(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "they panic when nobody reads: see workshop::output"
)]

mod tools;

use std::env;
use std::ffi::OsString;
use std::io::{self, ErrorKind, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use tools::{COURSE, Package};

/// The exit status of a command line that means nothing, as that of the tools themselves.
const USAGE: u8 = 2;

/// How long cargo may be silent. If nothing is to be compiled, it takes a tenth of this.
const PATIENCE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let words: Vec<OsString> = env::args_os().skip(1).collect();
    match words.as_slice() {
        [] => open(&COURSE, words),
        [word, tool, ..] if word == "help" => open_named(tool, vec!["--help".into()]),
        [word, ..] if word == "help" || word == "--help" || word == "-h" => print_help(),
        [word, rest @ ..] => open_named(word, rest.to_vec()),
    }
}

fn print_help() -> ExitCode {
    let mut stdout = io::stdout();
    match stdout.write_all(tools::help().as_bytes()).and_then(|()| stdout.flush()) {
        // Whoever reads (head, say) has seen enough.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            tell(&format!("Error: cannot print the help: {error}"));
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

fn tell(line: &str) {
    // With stderr gone there is nobody to tell; the exit status still says it.
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// The tool of this name, with these arguments.
fn open_named(word: &OsString, mut rest: Vec<OsString>) -> ExitCode {
    let name = word.to_string_lossy();
    let Some(tool) = tools::find(&name) else {
        let meant = tools::nearest(&name).map(|it| format!("do you mean {it}? "));
        let meant = meant.unwrap_or_default();
        tell(&format!("Error: there is no tool {name:?} ({meant}cargo workshop --help lists all)"));
        return ExitCode::from(USAGE);
    };
    if tool.package.has_several {
        rest.insert(0, word.clone());
    }
    open(tool.package, rest)
}

fn open(package: &'static Package, arguments: Vec<OsString>) -> ExitCode {
    build_and_become(package, arguments).unwrap_or_else(|text| {
        tell(&format!("Error: {text}"));
        ExitCode::FAILURE
    })
}

/// Lets cargo build the package, and becomes its program, which cargo puts where this one is.
/// Returns if that fails: the exit status of cargo, which has said why, or what else went wrong.
fn build_and_become(
    package: &'static Package,
    arguments: Vec<OsString>,
) -> Result<ExitCode, String> {
    let own = env::current_exe();
    let own = own.map_err(|error| format!("cannot tell where this program lies: {error}"))?;
    let program = own.with_file_name(package.name);
    let built = build(package, program.is_file())?;
    if !built.success() {
        let code = built.code().and_then(|code| u8::try_from(code).ok());
        return Ok(code.map_or(ExitCode::FAILURE, ExitCode::from));
    }
    let error = Command::new(&program).args(arguments).exec();
    Err(format!("cannot run {program:?}, which cargo has built: {error}"))
}

fn build(package: &'static Package, was_built: bool) -> Result<ExitStatus, String> {
    let name = env::var_os("CARGO");
    let name = name.ok_or("cannot tell which cargo to run (start this as `cargo workshop`)")?;
    let mut cargo = Command::new(&name);
    cargo.args(["build", "--package", package.name]).stdin(Stdio::null());
    // What cargo has told this program of its package is nobody else's: build scripts that look at
    // it would be run anew, and all behind them compiled, after each `cargo run`.
    for (name, _) in env::vars_os() {
        let is_of_package = ["CARGO_MANIFEST_", "CARGO_PKG_"]
            .into_iter()
            .any(|start| name.as_encoded_bytes().starts_with(start.as_bytes()));
        if is_of_package {
            cargo.env_remove(name);
        }
    }
    // The directory in which one stands may belong to another workspace: that of the exercises.
    if let Some(checkout) = checkout() {
        cargo.arg("--manifest-path").arg(checkout.join("Cargo.toml"));
    }
    // What was built need not be new. If it is, there is nothing to tell.
    let (done, is_done) = channel::<()>();
    if was_built {
        cargo.arg("--quiet");
        thread::spawn(move || {
            if is_done.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                announce(package);
            }
        });
    } else {
        announce(package);
    }
    let built = cargo.status();
    drop(done);
    built.map_err(|error| format!("cannot run {name:?}: {error} (is this cargo still there?)"))
}

fn announce(package: &Package) {
    let Package { name, takes, .. } = package;
    tell(&format!("Compiling {name} and all that it needs: up to {takes} on two cores."));
}

/// The checkout: cargo tells a program that it runs where its package lies.
fn checkout() -> Option<PathBuf> {
    let own = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR")?);
    own.ancestors().nth(2).map(Path::to_owned)
}
