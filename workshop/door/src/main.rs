//! `cargo workshop`: the one door to the tools of the course.
//!
//! A tool is compiled when it is first asked for. What the doctor stands on takes a quarter of a
//! minute, and `cargo run --quiet` says nothing in that time. So this program comes first: it
//! depends on nothing, is compiled within a second, and says what happens. Then it becomes cargo,
//! which builds the package that has the tool, and becomes the tool. Nothing stands between the
//! tool and whoever has started it: signals, the terminal and the exit status are the tool's.

mod tools;

use std::env;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use tools::{COURSE, Package};

/// The exit status of a command line that means nothing, as that of the tools themselves.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let words: Vec<OsString> = env::args_os().skip(1).collect();
    match words.as_slice() {
        [] => open(&COURSE, words),
        [word, tool, ..] if word == "help" => open_named(tool, vec!["--help".into()]),
        [word, ..] if word == "help" || word == "--help" || word == "-h" => {
            print!("{}", tools::help());
            ExitCode::SUCCESS
        }
        [word, rest @ ..] => open_named(word, rest.to_vec()),
    }
}

/// The tool of this name, with these arguments.
fn open_named(word: &OsString, mut rest: Vec<OsString>) -> ExitCode {
    let name = word.to_string_lossy();
    let Some(tool) = tools::find(&name) else {
        let meant = tools::nearest(&name).map(|it| format!("do you mean {it}? "));
        let meant = meant.unwrap_or_default();
        eprintln!("Error: there is no tool {name:?} ({meant}cargo workshop --help lists all)");
        return ExitCode::from(USAGE);
    };
    if tool.package.has_several {
        rest.insert(0, word.clone());
    }
    open(tool.package, rest)
}

/// Becomes cargo, which becomes the program of this package. Returns if that fails.
fn open(package: &Package, arguments: Vec<OsString>) -> ExitCode {
    let Some(cargo) = env::var_os("CARGO") else {
        eprintln!("Error: cannot tell which cargo to run (start this as `cargo workshop`)");
        return ExitCode::FAILURE;
    };
    let name = cargo.to_string_lossy().into_owned();
    let mut cargo = Command::new(cargo);
    cargo.arg("run");
    if is_built(package) {
        cargo.arg("--quiet");
    } else {
        // Not quiet: on a slow machine one sees that it goes on.
        let Package { name, takes, .. } = package;
        eprintln!("Compiling {name} with all that it needs: this first time, {takes}.");
    }
    // The directory in which one stands may belong to another workspace: that of the exercises.
    if let Some(checkout) = checkout() {
        cargo.arg("--manifest-path").arg(checkout.join("Cargo.toml"));
    }
    let error = cargo.args(["--package", package.name, "--"]).args(arguments).exec();
    eprintln!("Error: cannot run {name:?}: {error} (is this cargo still there?)");
    ExitCode::FAILURE
}

/// Whether the program has been built before. It is put where this one is.
fn is_built(package: &Package) -> bool {
    env::current_exe().is_ok_and(|own| own.with_file_name(package.name).is_file())
}

/// The checkout: cargo tells a program that it runs where its package lies.
fn checkout() -> Option<PathBuf> {
    let own = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR")?);
    own.ancestors().nth(2).map(Path::to_owned)
}
