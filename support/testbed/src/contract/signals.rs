//! Signals sent to the supervisor, and the supervisor's sudden death.

use std::fs;
use std::os::unix::process::CommandExt;
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::inheritance::{let_no_signal_wait, set_alarm};
use crate::extent::OTHER_SUPERVISION;
use crate::pace::{settle, slowed};
use crate::running::{
    Running, children, children_of_supervisor, descendants, is_alive, send, status_line, within,
};
use crate::{Host, Suite};

pub fn add(suite: Suite) -> Suite {
    let stage = suite.stage();
    let suite = suite
        .both("a_signal_reaches_the_command_once", a_signal_reaches_the_command_once)
        .both("signals_in_a_burst_are_passed_on", signals_in_a_burst_are_passed_on)
        .both("a_signal_arrives_where_none_can_wait", a_signal_arrives_where_none_can_wait)
        .both("an_alarm_that_the_caller_has_set_rings", an_alarm_that_the_caller_has_set)
        .both("a_signal_to_the_group_arrives_once", a_signal_to_the_group_arrives_once)
        .both("a_stopped_command_goes_on", a_stopped_command_goes_on)
        .both("the_launchers_end_is_the_end", the_launchers_end_is_the_end)
        .both("an_idle_supervisor_sleeps", an_idle_supervisor_sleeps)
        .both("sigkill_of_the_supervisor_at_any_time", sigkill_of_the_supervisor_at_any_time);
    if stage.pid_namespace {
        suite
            .both("pid_one_ignores_term_without_a_handler", pid_one_ignores_term)
            .both("pwr_from_a_process_kills_nobody", pwr_from_a_process_kills_nobody)
            .both("sigkill_of_the_supervisor_ends_everything", sigkill_ends_everything)
            .both("sigkill_of_the_waiting_process_ends_everything", sigkill_of_the_waiting_process)
    } else {
        suite
            .both("term_ends_the_command", term_ends_the_command)
            .both("sigkill_of_the_supervisor_ends_the_command", sigkill_ends_the_command)
    }
}

/// All but those that cannot be passed on (KILL, STOP), that stop (TSTP, TTIN, TTOU), that are
/// about the supervisor's own child (CHLD), and the C library's own (32, 33; musl's has 34, too).
fn passed_on() -> impl Iterator<Item = i32> {
    let others = [
        libc::SIGKILL,
        libc::SIGSTOP,
        libc::SIGTSTP,
        libc::SIGTTIN,
        libc::SIGTTOU,
        libc::SIGCHLD,
        32,
        33,
        34,
        TO_STOP,
    ];
    (1..=64).filter(move |number| !others.contains(number))
}

/// Tells the shell to stop.
const TO_STOP: i32 = libc::SIGURG;

/// A shell that prints the number of each signal it gets, until it has been told to stop.
const PRINT_SIGNALS: &str = "
    for number in $(seq 64); do trap \"echo $number\" $number 2>/dev/null; done
    trap 'exit 7' URG
    trap : CHLD
    echo ready
    while true; do sleep 0.02; done";

fn tell_to_stop(running: &Running) {
    send(running.command(), TO_STOP);
}

fn a_signal_reaches_the_command_once(host: &Host) {
    let mut running = host.start_sh(PRINT_SIGNALS);
    for signal in passed_on() {
        send(running.pid(), signal);
        running.expect_line(&signal.to_string());
    }
    // A second copy of one of them would come within this time.
    settle(200);
    tell_to_stop(&running);
    assert_eq!(running.line(), "");
    assert_eq!(running.code(), 7);
}

fn signals_in_a_burst_are_passed_on(host: &Host) {
    let mut running = host.start_sh(PRINT_SIGNALS);
    passed_on().for_each(|signal| send(running.pid(), signal));
    let mut got: Vec<i32> = passed_on().map(|_| running.line().parse().unwrap()).collect();
    got.sort_unstable();
    assert_eq!(got, passed_on().collect::<Vec<_>>());
    tell_to_stop(&running);
    assert_eq!((running.line(), running.code()), (String::new(), 7));
}

/// A container that lets as many signals wait as its user may takes from the others what they would
/// know of theirs: who has sent it. Not so for what kill(2) sends, if it is no real-time signal. (A
/// SIGPWR is sent on by sigqueue(3).)
fn a_signal_arrives_where_none_can_wait(host: &Host) {
    let mut launcher = host.launcher();
    let_no_signal_wait(&mut launcher);
    let mut running = host.follow(launcher.args(["sh", "-c", PRINT_SIGNALS]));
    running.expect_line("ready");
    for signal in passed_on().filter(|signal| *signal < 32 && *signal != libc::SIGPWR) {
        send(running.pid(), signal);
        running.expect_line(&signal.to_string());
    }
    tell_to_stop(&running);
    assert_eq!((running.line(), running.code()), (String::new(), 7));
}

/// As `timeout` and a service manager send it. Without a terminal the command is in a group of its
/// own, so only the supervisor has it to pass on.
fn a_signal_to_the_group_arrives_once(host: &Host) {
    for _ in 0..10 {
        let mut launcher = host.launcher();
        let mut running = host.follow(launcher.process_group(0).args(["sh", "-c", PRINT_SIGNALS]));
        running.expect_line("ready");
        let group = Pid::from_raw(running.pid().cast_signed());
        killpg(group, Signal::SIGTERM).unwrap();
        running.expect_line("15");
        settle(50);
        tell_to_stop(&running);
        assert_eq!((running.line(), running.code()), (String::new(), 7));
    }
}

fn a_stopped_command_goes_on(host: &Host) {
    let mut running = host.start_sh("echo ready; sleep 0.2; echo went on; exit 7");
    let command = running.command();
    send(command, libc::SIGSTOP);
    settle(300);
    assert_eq!(running.supervisor.try_wait().unwrap(), None, "a stop is no end");
    send(command, libc::SIGCONT);
    running.expect_line("went on");
    assert_eq!(running.code(), 7);
}

/// Not "soon": a caller may unmount or remove what the container used.
fn the_launchers_end_is_the_end(host: &Host) {
    host.warm_up();
    for command in ["true", "no-such-command"] {
        for _ in 0..if host.is_at_length(OTHER_SUPERVISION) { 30 } else { 5 } {
            host.run([command]);
            let is_other = |pid: &u32| ![1, std::process::id()].contains(pid) && is_alive(*pid);
            let names = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.file_name());
            let pids = names.filter_map(|name| name.to_str()?.parse().ok());
            let left: Vec<u32> = pids.filter(is_other).collect();
            assert_eq!(left, Vec::<u32>::new(), "after {command}");
        }
    }
}

fn an_idle_supervisor_sleeps(host: &Host) {
    let running = host.start_sleep();
    settle(50);
    let switches = || status_line(running.pid(), "voluntary_ctxt_switches");
    let before = switches();
    sleep(Duration::from_millis(500));
    assert_eq!(switches(), before, "it woke up");
}

/// By SIGPWR the supervisor has the one in between kill PID 1. Others have not.
fn pwr_from_a_process_kills_nobody(host: &Host) {
    let script = "trap 'echo got; exit 7' PWR; echo ready; while :; do sleep 0.02; done";
    let mut running = host.start_sh(script);
    send(running.first_child(), libc::SIGPWR);
    settle(200);
    assert_eq!(running.supervisor.try_wait().unwrap(), None);
    send(running.pid(), libc::SIGPWR);
    running.expect_line("got");
    assert_eq!(running.code(), 7);
}

/// `perl -e 'alarm 1; exec @ARGV' ...` is how one gives a program so much time: execve(2) keeps it.
fn an_alarm_that_the_caller_has_set(host: &Host) {
    let mut launcher = host.launcher();
    host.warm_up();
    set_alarm(&mut launcher);
    let script = "trap 'echo rang; exit 7' ALRM; echo ready; while :; do sleep 0.02; done";
    let mut running = host.follow(launcher.args(["sh", "-c", script]));
    running.expect_line("ready");
    running.expect_line("rang");
    assert_eq!(running.code(), 7);
}

fn term_ends_the_command(host: &Host) {
    let mut running = host.start_sleep();
    running.signal(Signal::SIGTERM);
    assert_eq!(running.code(), 128 + libc::SIGTERM);
}

fn pid_one_ignores_term(host: &Host) {
    let mut running = host.start_sleep();
    for signal in passed_on() {
        send(running.pid(), signal);
        send(running.command(), signal);
    }
    settle(300);
    assert_eq!(running.supervisor.try_wait().unwrap(), None);
    send(running.command(), libc::SIGKILL);
    assert_eq!(running.code(), 137);
}

const SECOND: Duration = Duration::from_secs(1);

fn sigkill_ends_the_command(host: &Host) {
    let mut running = host.start_sh("echo ready; sleep 1000; exit 7");
    let command = running.command();
    within(SECOND, "sleep runs", || !children(command).is_empty());
    let [started_by_it] = children(command)[..] else { panic!("one child") };
    running.supervisor.kill().unwrap();
    within(SECOND, "the command ends", || !is_alive(command));
    // This is what a PID namespace cures.
    settle(100);
    assert!(is_alive(started_by_it), "what it started lives on in v1 and v2");
    send(started_by_it, libc::SIGKILL);
}

fn sigkill_ends_everything(host: &Host) {
    let script = "sleep 1000 & (setsid sleep 1000 &) ; trap '' TERM HUP; echo ready; wait";
    let mut running = host.start_sh(script);
    let command = running.command();
    within(SECOND, "three processes run", || descendants(command).len() == 2);
    let all = descendants(running.pid());
    let helpers = children(running.pid()).len() - children_of_supervisor(running.pid()).len();
    assert_eq!(all.len() - helpers, 4, "the waiting process, PID 1, two sleeps");
    running.supervisor.kill().unwrap();
    within(SECOND, "all ends", || !all.iter().any(|pid| is_alive(*pid)));
}

fn sigkill_of_the_waiting_process(host: &Host) {
    let mut running = host.start_sh("sleep 1000 & echo ready; wait");
    let all = descendants(running.pid());
    send(children_of_supervisor(running.pid())[0], libc::SIGKILL);
    within(SECOND, "all ends", || !all.iter().any(|pid| is_alive(*pid)));
    assert_eq!(running.code(), 137);
}

/// Kills the supervisor at many moments of its start. The leak check finds what lives on.
fn sigkill_of_the_supervisor_at_any_time(host: &Host) {
    host.warm_up();
    let step = if host.is_at_length(OTHER_SUPERVISION) { 1 } else { 10 };
    for delay in (0..100).step_by(step) {
        let mut running = host.start(["sleep", "1000"]);
        sleep(slowed(Duration::from_micros(delay * 100)));
        running.supervisor.kill().unwrap();
        running.supervisor.wait().unwrap();
    }
}
