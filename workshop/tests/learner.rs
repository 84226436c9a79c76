//! A learner's way through the exercises: what is shown, what is kept, what is never lost.
//!
//! Cargo is a script here, which "builds" by copying: `tests/exercises.rs` has the real one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, with the line that did it")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use testbed::pace::slowed;
use testbed::running::{children, descendants, program, send, within};
use testbed::{BIN, Host, Outcome, Suite};

fn main() -> ExitCode {
    Suite::of_no_stage()
        .both("the_list_shows_how_far_one_is", the_list_shows_how_far_one_is)
        .both("a_command_is_for_where_one_stands", a_command_is_for_where_one_stands)
        .both("work_is_never_overwritten", work_is_never_overwritten)
        .both("reset_asks_and_keeps", reset_asks_and_keeps)
        .both("hints_come_one_by_one", hints_come_one_by_one)
        .both("the_solution_comes_when_asked_twice", the_solution_comes_when_asked_twice)
        .both("what_does_not_compile_is_not_checked", what_does_not_compile_is_not_checked)
        .both("the_first_failure_is_told_in_plain_words", the_first_failure_is_told)
        .both("ctrl_c_ends_a_check", ctrl_c_ends_a_check)
        .both("a_reader_may_have_enough", a_reader_may_have_enough)
        .both("progress_is_kept_by_id", progress_is_kept_by_id)
        .user("root_is_asked_for_where_it_is_needed", root_is_asked_for)
        .both("a_check_by_hand_says_how_to_note_it", a_check_by_hand)
        .both("the_page_shows_what_is_printed", the_page_shows_what_is_printed)
        .both("what_cannot_be_done_is_one_line", what_cannot_be_done_is_one_line)
        .run()
}

/// A checkout, as far as the exercises need one, and a cargo that copies what is in `built`.
struct Course<'a> {
    host: &'a Host,
    directory: PathBuf,
}

impl Course<'_> {
    fn new(host: &Host) -> Course<'_> {
        let directory = host.dir("course");
        let make = |name: &str, content: &str| {
            let path = directory.join(name);
            fs::write(&path, content).unwrap();
            host.give(&path);
        };
        for name in ["v1-chroot", "v1-chroot/src", "target", "target/debug"] {
            fs::create_dir(directory.join(name)).unwrap();
            host.give(&directory.join(name));
        }
        make("Cargo.toml", "");
        make("Cargo.lock", "# made\nversion = 4\n");
        // Called in exercises/, as `cargo build ... --bin NAME`: the last word is the name.
        make("cargo", "#!/bin/sh\nfor name; do :; done\ncp ../built ../target/debug/$name\n");
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(directory.join("cargo"), executable).unwrap();
        Course { host, directory }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.host.command(Path::new(BIN).join("workshop"));
        command.args(arguments).current_dir(&self.directory);
        command.env("CARGO", self.directory.join("cargo"));
        command
    }

    fn workshop(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(&mut self.command(arguments))
    }

    fn file(&self, id: &str) -> PathBuf {
        self.directory.join(format!("exercises/src/bin/{id}.rs"))
    }

    /// What cargo will "build" from now on.
    fn program(&self, script: &str) {
        let path = self.directory.join("built");
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        self.host.give(&path);
    }

    fn progress(&self) -> PathBuf {
        let data = self.host.home().join(".local");
        self.host.own(&data);
        data.join("share/container-steps/progress")
    }
}

/// A program that closes the door, without being written in Rust: a check looks at behaviour.
const CLOSES_THE_DOOR: &str = "#!/bin/sh\nshift\nrootfs=$1\nshift\ncd $rootfs\n\
    exec chroot $rootfs \"$@\"\n";

/// It leaves the door open: chroot(1) cannot, so this is no chroot at all.
const LEAVES_IT_OPEN: &str = "#!/bin/sh\nshift 2\nexec \"$@\"\n";

fn the_list_shows_how_far_one_is(host: &Host) {
    let course = Course::new(host);
    let progress = course.progress();
    let list = course.workshop(&[]);
    assert!(list.text().contains("0 of ") && list.text().contains("close-the-door"), "{list:?}");
    assert!(!course.directory.join("exercises").exists(), "to look changes nothing");
    assert!(!list.text().contains("now"), "{list:?}");
    course.workshop(&["next"]).text();
    let list = course.workshop(&["list"]);
    assert!(list.text().contains("  now   close-the-door "), "{list:?}");
    course.program(CLOSES_THE_DOOR);
    assert!(course.workshop(&["check"]).text().contains("close-the-door: passed."));
    let list = course.workshop(&[]);
    assert!(list.text().contains("  done  close-the-door "), "{list:?}");
    assert!(list.text().contains("1 of "), "{list:?}");
    let next = course.workshop(&["next"]);
    assert!(next.text().contains("cargo workshop check exit-status"), "{next:?}");
    // What was skipped comes after the last one.
    course.workshop(&["start", "enter-pod"]).text();
    let next = course.workshop(&["next"]);
    assert!(next.text().contains("cargo workshop check enter-pod"), "{next:?}");
    let left = "Left out so far: exit-status and 15 more. `next` comes back to what is left out.\n";
    assert!(next.text().ends_with(left), "{next:?}");
    let done = fs::read_to_string(&progress).unwrap() + "enter-pod passed\n";
    fs::write(&progress, done).unwrap();
    let next = course.workshop(&["next"]);
    assert!(next.text().contains("cargo workshop check exit-status"), "{next:?}");
    assert!(!next.text().contains("Left out"), "{next:?}");
}

fn a_command_is_for_where_one_stands(host: &Host) {
    let course = Course::new(host);
    course.progress();
    let from = |place: &str| {
        let place = course.directory.join(place);
        Outcome::of(course.command(&["start", "published-port"]).current_dir(place))
    };
    let command = "cargo run -q --bin published-port -- httpd";
    let above = from("");
    assert!(above.text().contains(&format!("\n    cd exercises && {command}")), "{above:?}");
    let inside = from("exercises");
    assert!(inside.text().contains(&format!("\n    {command}")), "{inside:?}");
    let below = from("exercises/src/bin");
    let path = course.directory.join("exercises");
    let whole = format!("\n    cd {} && {command}", path.display());
    assert!(below.text().contains(&whole), "{below:?}");
}

fn work_is_never_overwritten(host: &Host) {
    let course = Course::new(host);
    course.progress();
    course.workshop(&["start", "old-root"]).text();
    let starter = fs::read_to_string(course.file("old-root")).unwrap();
    assert!(starter.contains("YOUR TURN") && !starter.contains("//["), "{starter}");
    fs::write(course.file("old-root"), "my work").unwrap();
    let manifest = course.directory.join("exercises/Cargo.toml");
    fs::write(&manifest, "# mine").unwrap();
    let again = course.workshop(&["start", "old-root"]);
    assert!(again.text().contains("(as you left it)"), "{again:?}");
    assert_eq!(fs::read_to_string(course.file("old-root")).unwrap(), "my work");
    assert_eq!(fs::read_to_string(&manifest).unwrap(), "# mine");
    // What is the tool's own follows the checkout.
    fs::write(course.directory.join("Cargo.lock"), "# made\nversion = 5\n").unwrap();
    course.workshop(&["start", "old-root"]).text();
    let versions = fs::read_to_string(course.directory.join("exercises/Cargo.lock")).unwrap();
    assert!(versions.contains("version = 5"), "{versions}");
}

fn reset_asks_and_keeps(host: &Host) {
    let course = Course::new(host);
    course.progress();
    course.workshop(&["start", "grace-period"]).text();
    let starter = fs::read_to_string(course.file("grace-period")).unwrap();
    fs::write(course.file("grace-period"), "my work").unwrap();
    course.workshop(&["reset"]).assert_refused(1, &["no terminal to ask on"]);
    assert_eq!(fs::read_to_string(course.file("grace-period")).unwrap(), "my work");
    for number in 1..=2 {
        course.workshop(&["reset", "--yes"]).text();
        assert_eq!(fs::read_to_string(course.file("grace-period")).unwrap(), starter);
        let kept = course.directory.join(format!("exercises/kept/grace-period.{number}.rs"));
        let work = if number == 1 { "my work" } else { &starter };
        assert_eq!(fs::read_to_string(kept).unwrap(), work);
    }
}

fn hints_come_one_by_one(host: &Host) {
    let course = Course::new(host);
    course.progress();
    for number in [1, 2, 3, 3] {
        let hints = course.workshop(&["hint", "leaked-mount"]);
        let is_shown = |hint: &usize| hints.text().contains(&format!("{hint}. "));
        assert_eq!((1..=3).filter(is_shown).count(), number, "{hints:?}");
        let left = hints.text().contains(" more: cargo workshop hint");
        assert_eq!(left, number < 3, "{hints:?}");
    }
}

fn the_solution_comes_when_asked_twice(host: &Host) {
    let course = Course::new(host);
    course.progress();
    let first = course.workshop(&["solution", "close-the-door"]);
    assert!(!first.text().contains("fn main"), "{first:?}");
    let second = course.workshop(&["solution", "close-the-door"]);
    assert!(second.text().contains("chdir(\"/\")") && !second.text().contains("YOUR TURN"));
    // Asked for one, or passed: no reason to show another.
    assert!(!course.workshop(&["solution", "old-root"]).text().contains("fn main"));
    fs::remove_file(course.progress()).unwrap();
    course.workshop(&["start", "close-the-door"]).text();
    course.program(CLOSES_THE_DOOR);
    course.workshop(&["check"]).text();
    assert!(course.workshop(&["solution"]).text().contains("fn main"));
}

fn what_does_not_compile_is_not_checked(host: &Host) {
    let course = Course::new(host);
    course.progress();
    course.workshop(&["start", "close-the-door"]).text();
    // Nothing is there to be copied, so this cargo fails.
    let outcome = course.workshop(&["check"]);
    assert_eq!(outcome.code(), 1, "{outcome:?}");
    assert!(String::from_utf8_lossy(&outcome.stdout).contains("does not compile yet"));
}

fn the_first_failure_is_told(host: &Host) {
    let course = Course::new(host);
    course.progress();
    course.workshop(&["start", "close-the-door"]).text();
    course.program(LEAVES_IT_OPEN);
    let outcome = course.workshop(&["check"]);
    let text = String::from_utf8_lossy(&outcome.stdout);
    assert_eq!(outcome.code(), 1, "{outcome:?}");
    for words in ["not yet", "expected: ", "seen:     ", "look at:  ", "workshop hint close-the"] {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
    course.program("#!/bin/sh\nexec sleep 1000\n");
    let outcome = course.workshop(&["check"]);
    assert_eq!(outcome.code(), 1, "a program that says nothing for ever: {outcome:?}");
}

/// What is noted down is noted all the same.
fn a_reader_may_have_enough(host: &Host) {
    let course = Course::new(host);
    let progress = course.progress();
    course.program(CLOSES_THE_DOOR);
    for words in [
        &[][..],
        &["list"],
        &["next"],
        &["start", "close-the-door"],
        &["hint"],
        &["check"],
        &["solution"],
        &["reset", "close-the-door", "--yes"],
        &["--help"],
    ] {
        Outcome::assert_ends_unread(|| course.command(words));
    }
    let noted = fs::read_to_string(progress).unwrap();
    assert!(noted.contains(" passed"), "{noted}");
}

fn progress_is_kept_by_id(host: &Host) {
    let course = Course::new(host);
    let progress = course.progress();
    let directory = progress.parent().unwrap();
    fs::create_dir_all(directory).unwrap();
    for directory in directory.ancestors().take(3) {
        host.give(directory);
    }
    fs::write(&progress, "exit-status passed\nof-the-future passed stars=3\n").unwrap();
    host.give(&progress);
    let list = course.workshop(&[]);
    assert!(list.text().contains("  done  exit-status "), "{list:?}");
    course.workshop(&["hint", "grace-period"]).text();
    let kept = fs::read_to_string(&progress).unwrap();
    assert!(kept.contains("of-the-future passed stars=3\n"), "{kept}");
    assert!(kept.contains("exit-status passed\n"), "{kept}");
}

fn what_cannot_be_done_is_one_line(host: &Host) {
    let course = Course::new(host);
    course.progress();
    course.workshop(&["check"]).assert_refused(1, &["which one?", "cargo workshop next"]);
    course.workshop(&["start", "no-such"]).assert_refused(1, &["no exercise", "no-such"]);
    let mistaken = course.workshop(&["start", "lopback"]);
    mistaken.assert_refused(1, &["no exercise \"lopback\" (do you mean loopback? "]);
    course.workshop(&["check", "grace-period"]).assert_refused(1, &["workshop start grace-period"]);
    course.workshop(&["reset", "grace-period"]).assert_refused(1, &["nothing to reset"]);
    let elsewhere = host.dir("elsewhere");
    let mut command = host.command(Path::new(BIN).join("workshop"));
    let outcome = Outcome::of(command.args(["start", "grace-period"]).current_dir(elsewhere));
    outcome.assert_refused(1, &["cannot find the checkout"]);
}

/// A learner's program may hang, and the check would wait long for it.
fn ctrl_c_ends_a_check(host: &Host) {
    let course = Course::new(host);
    course.progress();
    course.workshop(&["start", "close-the-door"]).text();
    course.program("#!/bin/sh\nexec sleep 1000\n");
    let mut command = host.command(Path::new(BIN).join("workshop"));
    command.arg("check").current_dir(&course.directory);
    command.env("CARGO", course.directory.join("cargo"));
    let mut check = command.stdout(Stdio::null()).spawn().unwrap();
    let place = PathBuf::from(format!("/tmp/workshop-check-{}", check.id()));
    within(Duration::from_secs(5), "the program runs", || {
        descendants(check.id()).into_iter().any(|pid| program(pid) == "sleep")
    });
    assert!(place.exists());
    let start = Instant::now();
    // As a terminal does it: to every process of the foreground group, at once.
    for pid in children(check.id()).into_iter().chain([check.id()]) {
        send(pid, libc::SIGINT);
    }
    // It may hear of the end of the check first, or of the signal.
    let status = check.wait().unwrap();
    assert!(status.code() == Some(1) || status.signal() == Some(libc::SIGINT), "{status}");
    assert!(start.elapsed() < slowed(Duration::from_secs(5)), "it has waited for the program");
    assert!(!place.exists(), "left behind: {place:?}");
}

/// sudo is a script here: nobody in this host may become root.
fn root_is_asked_for(host: &Host) {
    let course = Course::new(host);
    course.progress();
    course.workshop(&["start", "pids-limit"]).text();
    course.program("#!/bin/sh\n");
    // All that is on PATH: the script that is called cargo calls cp.
    let doors = host.dir("doors");
    std::os::unix::fs::symlink("/bin/cp", doors.join("cp")).unwrap();
    let check_here = || {
        let mut command = host.command(Path::new(BIN).join("workshop"));
        command.arg("check").current_dir(&course.directory);
        command.env("CARGO", course.directory.join("cargo")).env("PATH", &doors);
        Outcome::of(&mut command)
    };
    let check_with = |door: &str, script: &str| {
        let door = doors.join(door);
        fs::write(&door, script).unwrap();
        fs::set_permissions(&door, fs::Permissions::from_mode(0o755)).unwrap();
        check_here()
    };
    // su starts a shell, which gets the command's words behind its own.
    let outcome = check_with("su", "#!/bin/sh\necho \"  seen: $*\"; exit 1\n");
    let text = String::from_utf8_lossy(&outcome.stdout);
    assert!(text.contains("not yet") && text.contains(" judge pids-limit "), "{text}");
    let runs = "#!/bin/sh\nfor last; do :; done\ntest -x \"$last\"\n";
    assert!(check_with("su", runs).text().contains("pids-limit: passed."));
    let check = |script: &str| check_with("sudo", script);
    let outcome = check("#!/bin/sh\necho \"  seen: $*\"; exit 1\n");
    let text = String::from_utf8_lossy(&outcome.stdout);
    assert_eq!(outcome.code(), 1, "{outcome:?}");
    assert!(text.contains("not yet") && text.contains("workshop judge pids-limit"), "{text}");
    let outcome = check("#!/bin/sh\necho 'Sorry, try again.' >&2; exit 1\n");
    assert_eq!(outcome.code(), 1, "{outcome:?}");
    assert!(outcome.stderr.contains("did not take place"), "{outcome:?}");
    assert!(outcome.stderr.contains("go on: cargo workshop start layer-order"), "{outcome:?}");
    let outcome = check("#!/bin/sh\nexit 0\n");
    assert!(outcome.text().contains("pids-limit: passed."), "{outcome:?}");
    // No door at all: what root can type is told.
    fs::remove_file(doors.join("sudo")).unwrap();
    fs::remove_file(doors.join("su")).unwrap();
    let outcome = check_here();
    assert_eq!(outcome.code(), 1, "{outcome:?}");
    let by_hand = "workshop judge pids-limit ";
    assert!(outcome.stderr.contains("ENOENT") && outcome.stderr.contains(by_hand), "{outcome:?}");
}

/// Root does so for a learner who has no sudo. What is printed last is typed by the learner.
fn a_check_by_hand(host: &Host) {
    let course = Course::new(host);
    course.progress();
    course.workshop(&["start", "close-the-door"]).text();
    course.workshop(&["hint"]).text();
    course.program(LEAVES_IT_OPEN);
    let built = course.directory.join("built").display().to_string();
    let failed = course.workshop(&["judge", "close-the-door", &built]);
    assert_eq!(failed.code(), 1, "{failed:?}");
    course.program(CLOSES_THE_DOOR);
    let passed = course.workshop(&["judge", "close-the-door", &built]);
    let text = passed.text();
    let (verdict, line) = text.split_once('\n').unwrap();
    assert_eq!(verdict, "close-the-door: passed.");
    assert!(!course.workshop(&[]).text().contains("  done  close-the-door "));
    let (_, line) = line.split_once(": ").unwrap();
    let mut shell = host.command("sh");
    shell.args(["-c", line]).env("HOME", host.home());
    Outcome::of(&mut shell).text();
    assert!(course.workshop(&[]).text().contains("  done  close-the-door "));
}

/// The page about the workshop shows what `start` and `check` print. It cannot run them: they call
/// cargo.
fn the_page_shows_what_is_printed(host: &Host) {
    let course = Course::new(host);
    course.progress();
    let start = course.workshop(&["start", "close-the-door"]);
    course.program(LEAVES_IT_OPEN);
    let failed = course.workshop(&["check"]);
    course.program(CLOSES_THE_DOOR);
    let passed = course.workshop(&["check"]);
    let page = include_str!("../../book/src/workshop.md");
    for (name, outcome) in [("start", start), ("check", failed), ("check again", passed)] {
        let (_, block) =
            page.split_once(&format!("<!-- printed by {name} -->\n```text\n")).unwrap();
        let (block, _) = block.split_once("```").unwrap();
        assert_eq!(block, String::from_utf8_lossy(&outcome.stdout), "{name}");
    }
}
