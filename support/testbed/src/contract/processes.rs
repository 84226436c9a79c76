//! From v3 on: process numbers of its own.

use std::time::Duration;

use crate::running::{descendants, is_alive, status_line, within};
use crate::{Host, Suite};

pub fn add(suite: Suite) -> Suite {
    if !suite.stage().pid_namespace {
        return suite;
    }
    suite
        .both("the_command_is_pid_one", the_command_is_pid_one)
        .both("ps_shows_only_the_container", ps_shows_only_the_container)
        .both("nspid_shows_both_numbers", nspid_shows_both_numbers)
        .both("the_end_of_pid_one_kills_all", the_end_of_pid_one_kills_all)
        .both("numbers_begin_anew_each_time", numbers_begin_anew_each_time)
        .both("no_process_outside_can_be_signalled", no_process_outside_can_be_signalled)
        .both("orphans_come_to_pid_one", orphans_come_to_pid_one)
}

fn the_command_is_pid_one(host: &Host) {
    assert_eq!(host.sh("echo $$").text(), "1\n");
    assert_eq!(host.sh("echo $PPID").text(), "0\n");
    assert_eq!(host.run(["readlink", "/proc/self"]).text(), "1\n");
}

fn ps_shows_only_the_container(host: &Host) {
    let ps = host.sh("sleep 1000 & sleep 0.1; ps -o pid,args; true");
    let numbers: Vec<&str> =
        ps.text().lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    // The shell, the long sleep, and ps; number 3 was the short sleep.
    assert_eq!(numbers, ["1", "2", "4"], "{ps:?}");
    assert!(ps.text().contains("2 sleep 1000"), "{ps:?}");
}

fn nspid_shows_both_numbers(host: &Host) {
    let running = host.start_sleep();
    let command = running.command();
    assert_eq!(status_line(command, "NSpid"), format!("{command}\t1"));
    assert_ne!(command, 1);
}

fn the_end_of_pid_one_kills_all(host: &Host) {
    let script = "sleep 1000 & (setsid sleep 1000 &); (trap '' TERM HUP; sleep 1000) &
        echo ready; read line; exit 7";
    let mut launcher = host.launcher();
    launcher.stdin(std::process::Stdio::piped());
    let mut running = host.follow(launcher.args(["sh", "-c", script]));
    running.expect_line("ready");
    within(Duration::from_secs(2), "all run", || descendants(running.command()).len() >= 3);
    let all = descendants(running.pid());
    drop(running.supervisor.stdin.take());
    assert_eq!(running.code(), 7);
    // Not "soon": the kernel tells of PID 1's end only after all others are gone.
    assert!(!all.iter().any(|pid| is_alive(*pid)));
}

fn numbers_begin_anew_each_time(host: &Host) {
    for _ in 0..3 {
        assert_eq!(host.sh("sh -c 'echo $$'; true").text(), "2\n");
    }
}

fn no_process_outside_can_be_signalled(host: &Host) {
    let running = host.start_sleep();
    let script = format!(
        "kill -9 {} {} || echo none; kill -9 -1; echo still here",
        running.pid(),
        running.command()
    );
    let outcome = host.sh(&script);
    assert_eq!(outcome.stdout, b"none\nstill here\n", "{outcome:?}");
    assert!(is_alive(running.pid()) && is_alive(running.command()));
}

fn orphans_come_to_pid_one(host: &Host) {
    let script =
        "child=$(sleep 0.3 >/dev/null & echo $!); grep PPid /proc/$child/status; sleep 0.5";
    assert_eq!(host.sh(script).text(), "PPid:\t1\n");
}
