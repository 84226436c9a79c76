//! `cargo workshop`: which tool is meant, and what is said while it is compiled.
//!
//! Cargo is a script here, which tells what it was asked for.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking, with the line that did it"
)]

#[path = "../../tests/stages/mod.rs"]
mod stages;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use testbed::{BIN, Host, Outcome, Suite};

fn main() -> ExitCode {
    stages::build();
    Suite::of_no_stage()
        .user("a_tool_is_asked_of_its_package", a_tool_is_asked_of_its_package)
        .user("the_first_time_is_announced", the_first_time_is_announced)
        .user("the_checkout_is_where_cargo_says", the_checkout_is_where_cargo_says)
        .user("the_end_of_the_tool_is_the_end", the_end_of_the_tool_is_the_end)
        .user("help_says_what_the_tools_say", help_says_what_the_tools_say)
        .user("a_mistake_is_one_line", a_mistake_is_one_line)
        .run()
}

/// A cargo that prints its arguments, one a line.
fn cargo_that_tells(host: &Host) -> PathBuf {
    cargo(host, "tells", "#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
}

/// A script in place of cargo.
fn cargo(host: &Host, name: &str, script: &str) -> PathBuf {
    let path = host.dir(name).join("cargo");
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// The door with this cargo behind it.
fn door(host: &Host, program: &Path, cargo: &Path) -> Command {
    let mut door = host.command(program);
    door.env("CARGO", cargo);
    door
}

fn built() -> PathBuf {
    Path::new(BIN).join("door")
}

fn a_tool_is_asked_of_its_package(host: &Host) {
    let cargo = cargo_that_tells(host);
    let told = |words: &[&str]| {
        let outcome = Outcome::of(door(host, &built(), &cargo).args(words));
        let told: Vec<_> = outcome.text().lines().map(str::to_owned).collect();
        let (before, after) = told.split_at(5);
        assert_eq!(before[..3], ["run", "--quiet", "--package"], "{told:?}");
        assert_eq!(before[4], "--", "{told:?}");
        [&before[3..4], after].concat()
    };
    assert_eq!(told(&[]), ["workshop"]);
    assert_eq!(told(&["doctor", "--json"]), ["workshop", "doctor", "--json"]);
    assert_eq!(
        told(&["trace", "v3-pidns", "--", "a b", ""])[1..],
        ["trace", "v3-pidns", "--", "a b", ""]
    );
    assert_eq!(told(&["bench", "--runs", "100"]), ["bench", "--runs", "100"]);
    assert_eq!(told(&["attacks"]), ["attacks"]);
    assert_eq!(told(&["help", "attacks"]), ["attacks", "--help"]);
    assert_eq!(told(&["help", "check"]), ["workshop", "check", "--help"]);
}

/// Where nothing lies beside it, nothing has been built.
fn the_first_time_is_announced(host: &Host) {
    let alone = host.dir("alone").join("door");
    fs::copy(built(), &alone).unwrap();
    let outcome = Outcome::of(door(host, &alone, &cargo_that_tells(host)).arg("doctor"));
    let stdout = String::from_utf8_lossy(&outcome.stdout);
    assert_eq!(stdout, "run\n--package\nworkshop\n--\ndoctor\n", "{outcome:?}");
    assert!(outcome.stderr.starts_with("Compiling workshop with all that it needs"), "{outcome:?}");
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
}

/// In `exercises/` one stands in another workspace.
fn the_checkout_is_where_cargo_says(host: &Host) {
    let mut door = door(host, &built(), &cargo_that_tells(host));
    let outcome = Outcome::of(door.arg("list").env("CARGO_MANIFEST_DIR", "/a/workshop/door"));
    assert!(outcome.text().contains("--manifest-path\n/a/Cargo.toml\n"), "{outcome:?}");
}

fn the_end_of_the_tool_is_the_end(host: &Host) {
    let end = |name, script| {
        let cargo = cargo(host, name, script);
        Outcome::of(door(host, &built(), &cargo).arg("list"))
    };
    assert_eq!(end("exits", "#!/bin/sh\nexit 42\n").code(), 42);
    // Nobody stands between: the signal is that of the process which was started.
    assert_eq!(end("is-killed", "#!/bin/sh\nkill -TERM $$\n").status.signal(), Some(libc::SIGTERM));
}

/// The door has a line for each tool, so that its help needs no compiler.
fn help_says_what_the_tools_say(host: &Host) {
    let help =
        |program: &str| Outcome::of(host.command(Path::new(BIN).join(program)).arg("--help"));
    let own = help("door");
    assert_eq!(own.stderr, "");
    let lines = |outcome: &Outcome| -> Vec<Vec<String>> {
        let lines = outcome.text().lines().filter(|line| line.starts_with("  "));
        lines.map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
    };
    let mut all: Vec<_> = lines(&help("workshop"));
    all.retain(|words| words[0] != "help" && !words[0].starts_with('-'));
    for program in ["attacks", "bench"] {
        let help = help(program);
        let about = help.text().lines().next().unwrap().split_whitespace().map(str::to_owned);
        all.push([program.to_owned()].into_iter().chain(about).collect());
    }
    assert_eq!(lines(&own), all);
}

fn a_mistake_is_one_line(host: &Host) {
    let cargo = cargo_that_tells(host);
    let say = |words: &[&str]| Outcome::of(door(host, &built(), &cargo).args(words));
    say(&["docter"]).assert_refused(2, &["no tool \"docter\"", "do you mean doctor?", "--help"]);
    say(&["--json"]).assert_refused(2, &["no tool \"--json\"", "--help"]);
    say(&["help", "tackle"]).assert_refused(2, &["no tool \"tackle\""]);
    let outcome = Outcome::of(door(host, &built(), Path::new("/no/such/cargo")).arg("list"));
    outcome.assert_refused(1, &["cannot run \"/no/such/cargo\": No such file", "is this cargo"]);
    let outcome = Outcome::of(host.command(built()).arg("list"));
    outcome.assert_refused(1, &["which cargo", "start this as `cargo workshop`"]);
}
