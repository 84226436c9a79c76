//! What `cargo workshop trace` tells about a start, as root and as an ordinary user.

#![expect(clippy::expect_used, reason = "a test fails by panicking, with the line that did it")]

mod stages;

use std::path::Path;
use std::process::{Command, ExitCode};

use testbed::{BIN, Host, Outcome, Suite};

/// Where a host sees the checkout.
const CHECKOUT: &str = "/run/testbed/checkout";

fn main() -> ExitCode {
    stages::build();
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the checkout");
    Suite::of_no_stage()
        .expose(checkout, CHECKOUT)
        .both("the_story_of_each_step_is_told", the_story_of_each_step_is_told)
        .both("the_status_is_the_commands", the_status_is_the_commands)
        .both("what_failed_stands_out", what_failed_stands_out)
        .both("the_network_is_told", the_network_is_told)
        .both("a_reader_may_have_enough", a_reader_may_have_enough)
        .both("a_step_that_is_none_is_refused", a_step_that_is_none_is_refused)
        .run()
}

fn trace(host: &Host, arguments: &[&str]) -> Command {
    if Command::new("strace").arg("-V").output().is_err() {
        host.skip("no strace on this machine: install strace");
    }
    let mut trace = host.command(Path::new(BIN).join("workshop"));
    trace.arg("trace").args(arguments).current_dir(CHECKOUT);
    trace
}

/// The lines with calls, each as "process call(".
fn calls(outcome: &Outcome) -> Vec<String> {
    let text = String::from_utf8_lossy(&outcome.stdout);
    let call = |line: &str| {
        let (start, _) = line.split_once('(')?;
        let words: Vec<_> = start.split_whitespace().filter(|word| *word != "FAILED").collect();
        let is_call = line.contains(" = ") && words.len() <= 3;
        is_call.then(|| words.join(" "))
    };
    text.lines().filter_map(call).collect()
}

/// Whether these calls are told, in this order, with others in between.
#[track_caller]
fn assert_told(outcome: &Outcome, expected: &[&str]) {
    let calls = calls(outcome);
    let mut rest = calls.iter();
    for call in expected {
        assert!(rest.any(|it| it == call), "no {call:?} at its place in {calls:#?}");
    }
}

fn the_story_of_each_step_is_told(host: &Host) {
    let user = if host.is_root() { &[][..] } else { &["supervisor unshare", "supervisor write"] };
    let v1 = ["supervisor clone", "child prctl", "child chroot", "child execve"];
    let outcome = Outcome::of(&mut trace(host, &["v1-chroot", "true"]));
    assert_told(&outcome, &[user, &v1].concat());
    let outcome = Outcome::of(&mut trace(host, &["v4-utsns", "true"]));
    let inside = ["unshare", "sethostname", "mount", "open_tree", "move_mount", "pivot_root"];
    let inside = inside.map(|call| format!("PID 1 {call}"));
    let v4 = ["supervisor clone", "child unshare", "child clone"].into_iter();
    let v4: Vec<_> = v4.chain(inside.iter().map(String::as_str)).chain(["PID 1 execve"]).collect();
    assert_told(&outcome, &[user, &v4].concat());
    // What the command itself does is not told: it forks, and the last line is its own execve.
    let outcome = Outcome::of(&mut trace(host, &["v3-pidns", "sh", "-c", "(true); mount; true"]));
    assert_eq!(calls(&outcome).last().map(String::as_str), Some("PID 1 execve"));
    assert_eq!(calls(&outcome).iter().filter(|it| it.ends_with("clone")).count(), 2);
}

fn the_status_is_the_commands(host: &Host) {
    let outcome = Outcome::of(&mut trace(host, &["v3-pidns", "sh", "-c", "exit 7"]));
    assert_eq!(outcome.code(), 7, "{outcome:?}");
    let outcome = Outcome::of(&mut trace(host, &["v3-pidns", "no-such-command"]));
    assert_eq!(outcome.code(), 127, "{outcome:?}");
}

fn what_failed_stands_out(host: &Host) {
    let outcome = Outcome::of(&mut trace(host, &["v1-chroot", "no-such-command"]));
    let text = String::from_utf8_lossy(&outcome.stdout);
    let failed = text.lines().filter(|line| line.starts_with("FAILED child      openat2("));
    assert!(failed.count() >= 6, "one for each directory of PATH: {text}");
    let outcome = Outcome::of(&mut trace(host, &["v1-chroot", "true"]));
    let text = String::from_utf8_lossy(&outcome.stdout);
    assert!(!text.contains("FAILED"), "that true is not the first of PATH is no failure: {text}");
    // Without root no device node can be made, and the step takes the host's.
    let outcome = Outcome::of(&mut trace(host, &["v3-pidns", "true"]));
    let text = String::from_utf8_lossy(&outcome.stdout);
    assert_eq!(text.contains("FAILED PID 1      mknodat("), !host.is_root(), "{text}");
    assert_eq!(text.contains("the host's device is bound instead  ["), !host.is_root(), "{text}");
}

fn the_network_is_told(host: &Host) {
    // The first start makes a rootfs, and runs busybox for it.
    Outcome::of(host.stage("v1-chroot").arg("true")).text();
    let outcome = Outcome::of(&mut trace(host, &["v5-netns", "true"]));
    assert_told(&outcome, &["thread unshare", "thread sendto", "PID 1 setns"]);
    let text = String::from_utf8_lossy(&outcome.stdout);
    assert!(text.contains("sendto(RTM_SETLINK)"), "the loopback is set up: {text}");
    assert_eq!(text.contains("RTM_NEWROUTE"), host.is_root(), "{text}");
    assert_eq!(text.contains("helper     execve("), host.is_root(), "nft: {text}");
}

/// The directory with what strace wrote is removed: the leak check looks.
fn a_reader_may_have_enough(host: &Host) {
    Outcome::assert_ends_unread(|| trace(host, &["v3-pidns", "true"]));
}

fn a_step_that_is_none_is_refused(host: &Host) {
    for name in ["v9-nothing", "testbed", "../v1-chroot", "/bin/sh"] {
        Outcome::of(&mut trace(host, &[name])).assert_refused(1, &["there is no step", name]);
    }
    for (name, meant) in [("v3", "v3-pidns"), ("v8-pod", "v8-pause"), ("overlay", "v7-overlay")] {
        let meant = format!("do you mean {meant}?");
        Outcome::of(&mut trace(host, &[name])).assert_refused(1, &["no step", name, &meant]);
    }
}
