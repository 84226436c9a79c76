//! The exit status is the command's own, or 128+N after a death by signal N.

use std::time::Duration;

use super::inheritance::ignore_signals;
use crate::extent::OTHER_SUPERVISION;
use crate::running::{children, program, send, within};
use crate::{Host, Outcome, Suite};

pub fn add(suite: Suite) -> Suite {
    let stage = suite.stage();
    let suite = suite
        .both("every_exit_status_passes", every_exit_status_passes)
        .both("sigkill_from_outside_is_137", sigkill_from_outside_is_137)
        .both("a_caller_that_ignores_sigchld_gets_the_status", sigchld_ignored_by_the_caller);
    if stage.pid_namespace {
        suite
            .both("below_a_shell_every_signal_is_128_more", below_a_shell)
            .both("pid_one_has_no_default_actions", pid_one_has_no_default_actions)
    } else {
        suite.both("death_by_any_signal_is_128_more", death_by_any_signal)
    }
}

fn every_exit_status_passes(host: &Host) {
    let _other = host.start_sleep(); // or each of them would make a bridge and remove it
    let all: Vec<i32> = (0..=255).collect();
    let (few, all) = (&[0, 1, 2, 125, 126, 127, 128, 137, 255][..], &all[..]);
    for &code in if host.is_at_length(OTHER_SUPERVISION) { all } else { few } {
        let outcome = host.sh(&format!("exit {code}"));
        assert_eq!((outcome.code(), outcome.complaints().len()), (code, 0), "{outcome:?}");
    }
}

/// The signals whose default action is to end the process (man 7 signal): all, or some that come
/// by keyboard, by the kernel, by kill(1). 32 and 33 are the C library's own.
fn deadly_signals(host: &Host) -> impl Iterator<Item = i32> {
    let harmless = [
        libc::SIGCHLD,
        libc::SIGCONT,
        libc::SIGSTOP,
        libc::SIGTSTP,
        libc::SIGTTIN,
        libc::SIGTTOU,
        libc::SIGURG,
        libc::SIGWINCH,
    ];
    let few = [libc::SIGINT, libc::SIGSEGV, libc::SIGKILL, libc::SIGTERM, libc::SIGRTMAX()];
    let is_at_length = host.is_at_length(OTHER_SUPERVISION);
    (1..=31)
        .chain(34..=64)
        .filter(move |signal| !harmless.contains(signal))
        .filter(move |signal| is_at_length || few.contains(signal))
}

fn death_by_any_signal(host: &Host) {
    for signal in deadly_signals(host) {
        let mut running = host.start_sleep();
        send(running.command(), signal);
        assert_eq!(running.code(), 128 + signal);
    }
}

fn below_a_shell(host: &Host) {
    for signal in deadly_signals(host) {
        let mut running = host.start(["sh", "-c", "sleep 1000; exit $?"]);
        running.wait_for_program("sh");
        let shell = running.command();
        let sleeps = || children(shell).first().is_some_and(|child| program(*child) == "sleep");
        within(Duration::from_secs(10), "sleep runs", sleeps);
        send(children(shell)[0], signal);
        assert_eq!(running.code(), 128 + signal);
    }
}

fn pid_one_has_no_default_actions(host: &Host) {
    // Not even SIGKILL, from inside. For SIGINT the shell has a handler.
    for signal in deadly_signals(host).filter(|signal| *signal != libc::SIGINT) {
        let outcome = host.sh(&format!("kill -{signal} $$; echo alive; exit 7"));
        assert_eq!((outcome.code(), &outcome.stdout[..]), (7, &b"alive\n"[..]), "{signal}");
    }
}

fn sigkill_from_outside_is_137(host: &Host) {
    let mut running = host.start_sleep();
    send(running.command(), libc::SIGKILL);
    assert_eq!(running.code(), 137);
}

fn sigchld_ignored_by_the_caller(host: &Host) {
    // The kernel reaps the children of such a process itself, and wait(2) says ECHILD.
    let mut launcher = host.launcher();
    ignore_signals(&mut launcher, &[libc::SIGCHLD]);
    assert_eq!(Outcome::of(launcher.args(["sh", "-c", "exit 7"])).code(), 7);
    let mut launcher = host.launcher();
    ignore_signals(&mut launcher, &[libc::SIGCHLD]);
    Outcome::of(launcher.arg("no-such-command")).assert_refused(127, &["no-such-command"]);
}
