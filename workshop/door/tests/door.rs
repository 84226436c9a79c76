//! `cargo workshop`: which tool is meant, and what is said while it is compiled.
//!
//! Cargo is a script here, and so are the tools.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking, with the line that did it"
)]

#[path = "../../tests/stages/mod.rs"]
mod stages;

use std::fs;
use std::io;
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
        .user("what_takes_long_is_announced", what_takes_long_is_announced)
        .user("the_checkout_is_where_cargo_says", the_checkout_is_where_cargo_says)
        .user("what_cargo_has_told_the_door_stays_with_it", what_cargo_has_told_stays)
        .user("the_end_of_the_tool_is_the_end", the_end_of_the_tool_is_the_end)
        .user("what_does_not_compile_is_not_started", what_does_not_compile_is_not_started)
        .user("help_says_what_the_tools_say", help_says_what_the_tools_say)
        .user("a_reader_may_have_enough", a_reader_may_have_enough)
        .user("a_mistake_is_one_line", a_mistake_is_one_line)
        .run()
}

/// The door, and beside it tools that print their name and arguments, one a line. Cargo writes down
/// what it was asked for.
struct House<'a> {
    host: &'a Host,
    directory: PathBuf,
}

impl House<'_> {
    fn new(host: &Host) -> House<'_> {
        let house = House { host, directory: host.dir("house") };
        fs::copy(Path::new(BIN).join("door"), house.directory.join("door")).unwrap();
        house.put("cargo", "printf '%s\\n' \"$*\" >asked");
        for tool in ["workshop", "registry", "attacks", "bench"] {
            house.put(tool, "printf '%s\\n' \"${0##*/}\" \"$@\"");
        }
        house
    }

    fn put(&self, name: &str, script: &str) {
        let path = self.directory.join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn door(&self, words: &[&str]) -> Command {
        let mut door = self.host.command(self.directory.join("door"));
        door.args(words).current_dir(&self.directory);
        door.env("CARGO", self.directory.join("cargo"));
        door
    }

    /// The tool that was started and its arguments; and what cargo was asked for before.
    fn open(&self, words: &[&str]) -> (Vec<String>, String) {
        let outcome = Outcome::of(&mut self.door(words));
        assert_eq!(outcome.stderr, "");
        let started = outcome.text().lines().map(str::to_owned).collect();
        (started, fs::read_to_string(self.directory.join("asked")).unwrap())
    }
}

fn a_tool_is_asked_of_its_package(host: &Host) {
    let house = House::new(host);
    let opens = |words: &[&str], package: &str, started: &[&str]| {
        let (seen, asked) = house.open(words);
        assert_eq!(seen, [&[package], started].concat(), "{words:?}");
        assert_eq!(asked, format!("build --package {package} --quiet\n"), "{words:?}");
    };
    opens(&[], "workshop", &[]);
    opens(&["doctor", "--json"], "workshop", &["doctor", "--json"]);
    let words = ["trace", "v3-pidns", "--", "a b", ""];
    opens(&words, "workshop", &words);
    opens(&["pull", "alpine"], "registry", &["pull", "alpine"]);
    opens(&["images"], "registry", &["images"]);
    opens(&["attacks"], "attacks", &[]);
    opens(&["bench", "--runs", "100"], "bench", &["--runs", "100"]);
    opens(&["help", "attacks"], "attacks", &["--help"]);
    opens(&["help", "check"], "workshop", &["check", "--help"]);
}

const ANNOUNCED: &str =
    "Compiling workshop and all that it needs: up to about 25 seconds on two cores.\n";

/// Before cargo has said a word; and what that says is shown.
fn the_first_time_is_announced(host: &Host) {
    let house = House::new(host);
    fs::rename(house.directory.join("workshop"), house.directory.join("later")).unwrap();
    house.put("cargo", "echo \"$@\" >&2; mv later workshop");
    let outcome = Outcome::of(&mut house.door(&["doctor"]));
    assert_eq!(outcome.stdout, b"workshop\ndoctor\n", "{outcome:?}");
    assert_eq!(outcome.stderr, format!("{ANNOUNCED}build --package workshop\n"));
}

/// After a change, or when cargo has built it together with others, as another program.
fn what_takes_long_is_announced(host: &Host) {
    let house = House::new(host);
    house.put("cargo", "sleep 2");
    let outcome = Outcome::of(&mut house.door(&["doctor"]));
    assert_eq!(outcome.stdout, b"workshop\ndoctor\n", "{outcome:?}");
    assert_eq!(outcome.stderr, ANNOUNCED);
}

/// In `exercises/` one stands in another workspace.
fn the_checkout_is_where_cargo_says(host: &Host) {
    let house = House::new(host);
    let mut door = house.door(&["list"]);
    Outcome::of(door.env("CARGO_MANIFEST_DIR", "/a/workshop/door")).text();
    let asked = fs::read_to_string(house.directory.join("asked")).unwrap();
    assert!(asked.contains(" --manifest-path /a/Cargo.toml "), "{asked}");
}

/// A build script that looks at these would be run anew: ring's, say.
fn what_cargo_has_told_stays(host: &Host) {
    let house = House::new(host);
    house.put("cargo", "env >asked");
    let mut door = house.door(&["list"]);
    door.env("CARGO_MANIFEST_DIR", "/a/workshop/door").env("CARGO_PKG_NAME", "door");
    Outcome::of(door.env("CARGO_TARGET_DIR", "/a/target")).text();
    let told = fs::read_to_string(house.directory.join("asked")).unwrap();
    assert!(!told.contains("CARGO_MANIFEST_DIR=") && !told.contains("CARGO_PKG_"), "{told}");
    assert!(told.contains("CARGO_TARGET_DIR=/a/target"), "{told}");
}

fn the_end_of_the_tool_is_the_end(host: &Host) {
    let house = House::new(host);
    let end = |script| {
        house.put("workshop", script);
        Outcome::of(&mut house.door(&["list"]))
    };
    assert_eq!(end("exit 42").code(), 42);
    // Nobody stands between: the signal is that of the process which was started.
    assert_eq!(end("kill -TERM $$").status.signal(), Some(libc::SIGTERM));
}

fn what_does_not_compile_is_not_started(host: &Host) {
    let house = House::new(host);
    house.put("cargo", "echo 'error: could not compile' >&2; exit 101");
    let outcome = Outcome::of(&mut house.door(&["doctor"]));
    assert_eq!(outcome.code(), 101, "{outcome:?}");
    assert_eq!(outcome.stderr, "error: could not compile\n");
    assert!(outcome.stdout.is_empty(), "{outcome:?}");
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
    let mut all = [lines(&help("workshop")), lines(&help("registry"))].concat();
    all.retain(|words| words[0] != "help" && !words[0].starts_with('-'));
    for program in ["attacks", "bench"] {
        let help = help(program);
        let about = help.text().lines().next().unwrap().split_whitespace().map(str::to_owned);
        all.push([program.to_owned()].into_iter().chain(about).collect());
    }
    assert_eq!(lines(&own), all);
}

fn a_reader_may_have_enough(host: &Host) {
    let house = House::new(host);
    Outcome::assert_ends_unread(|| house.door(&["--help"]));
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let unread = house.door(&["docter"]).stderr(writer).status().unwrap();
    assert_eq!(unread.code(), Some(2), "{unread}");
}

fn a_mistake_is_one_line(host: &Host) {
    let house = House::new(host);
    let say = |words: &[&str]| Outcome::of(&mut house.door(words));
    say(&["docter"]).assert_refused(2, &["no tool \"docter\"", "do you mean doctor?", "--help"]);
    say(&["--json"]).assert_refused(2, &["no tool \"--json\"", "--help"]);
    say(&["help", "tackle"]).assert_refused(2, &["no tool \"tackle\""]);
    let outcome = Outcome::of(house.door(&["list"]).env("CARGO", "/no/such/cargo"));
    outcome.assert_refused(1, &["cannot run \"/no/such/cargo\": No such file", "is this cargo"]);
    let outcome = Outcome::of(house.door(&["list"]).env_remove("CARGO"));
    outcome.assert_refused(1, &["which cargo", "start this as `cargo workshop`"]);
    house.put("cargo", "rm bench");
    say(&["bench"]).assert_refused(1, &["house/bench\", which cargo has built: No such file"]);
}
