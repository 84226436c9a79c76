//! How containers and pods end.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use testbed::running::{descendants, is_alive, send, within};
use testbed::{Host, Outcome, Running, Suite};

use crate::pod::{Pod, get, launcher, run, scripts};

const NEVER: &str = "  restartPolicy: Never\n";
const ON_FAILURE: &str = "  restartPolicy: OnFailure\n";
const SHARED: &str = "  shareProcessNamespace: true\n  restartPolicy: Never\n";

pub fn add(suite: Suite) -> Suite {
    suite
        .both("exit_status_is_0_if_all_are", exit_status_is_0_if_all_are)
        .both("on_failure_restarts_who_fails", on_failure_restarts_who_fails)
        .both("always_restarts_everybody", always_restarts_everybody)
        .both("a_restarted_container_starts_anew", a_restarted_container_starts_anew)
        .both("init_containers_come_first", init_containers_come_first)
        .both("a_failing_init_container", a_failing_init_container)
        .both("a_command_that_is_not_there", a_command_that_is_not_there)
        .both("who_cannot_be_started_is_tried_again", who_cannot_be_started_is_tried_again)
        .both("who_is_mended_runs_the_next_time", who_is_mended_runs_the_next_time)
        .long()
        .both("term_then_grace_then_kill", term_then_grace_then_kill)
        .both("asked_twice_it_ends_at_once", asked_twice_it_ends_at_once)
        .both("who_waits_is_told_for_whom", who_waits_is_told_for_whom)
        .both("what_a_container_leaves_in_a_shared_pod_is_killed", what_a_container_leaves)
        .both("if_pause_dies_the_pod_ends", if_pause_dies_the_pod_ends)
        .both("a_killed_supervisor_takes_all_along", a_killed_supervisor_takes_all_along)
        .both("a_pod_whose_state_is_taken_away_ends_well", a_pod_whose_state_is_taken_away)
        .both("output_has_the_names_before_it", output_has_the_names_before_it)
        .both("a_left_over_does_not_hold_the_pod", a_left_over_does_not_hold_the_pod)
        .both("exec_finds_no_other_process", exec_finds_no_other_process)
        .both("fifty_pods_at_once", fifty_pods_at_once)
        .long()
}

fn exit_status_is_0_if_all_are(host: &Host) {
    let outcome = run(host, &scripts(NEVER, &[("a", "echo one"), ("b", "echo two")]));
    let text = outcome.text();
    assert!(text.contains("a | one\n") && text.contains("b | two\n"), "{text}");
    assert_eq!(run(host, &scripts(NEVER, &[("a", "exit 0"), ("b", "exit 7")])).code(), 7);
    assert_eq!(run(host, &scripts(SHARED, &[("a", "kill -9 $$$$")])).code(), 137);
}

const COUNT: &str = "echo x >> /v/count; ";
const VOLUME: &str = "    volumeMounts: [{name: v, mountPath: /v}]\n";

fn on_failure_restarts_who_fails(host: &Host) {
    let script = format!("{COUNT}[ $(wc -l < /v/count) = 2 ] && echo second");
    let spec = scripts(&format!("{ON_FAILURE}  volumes: [{{name: v}}]\n"), &[("a", &script)]);
    let outcome = run(host, &(spec + VOLUME));
    assert_eq!(outcome.code(), 0, "{outcome:?}");
    assert!(outcome.stdout.ends_with(b"a | second\n"), "{outcome:?}");
    let notes: Vec<_> =
        outcome.stderr.lines().filter(|line| line.contains("started again")).collect();
    assert_eq!(notes, ["Note: a has ended (exit status 1); it is started again in 0 s"]);
    let outcome = run(host, &scripts(ON_FAILURE, &[("a", "exit 0")]));
    assert!(outcome.code() == 0 && !outcome.stderr.contains("again"), "{outcome:?}");
}

fn always_restarts_everybody(host: &Host) {
    let mut pod = Pod::start(host, &scripts("", &[("a", "echo run"), ("b", "exec sleep 1000")]));
    pod.running.expect_line("a | run");
    pod.running.expect_line("a | run");
    pod.stop();
}

fn a_restarted_container_starts_anew(host: &Host) {
    let script = "ls /mark 2>/dev/null; touch /mark; [ -e /v/x ] || { touch /v/x; exit 1; }";
    let spec = scripts(&format!("{ON_FAILURE}  volumes: [{{name: v}}]\n"), &[("a", script)]);
    let now = launcher(host, &(spec.clone() + VOLUME));
    // With an old kernel, a user's writable layer is on disk.
    let mut old = host.command("setarch");
    let now_again = launcher(host, &(spec + VOLUME));
    old.arg("--uname-2.6").arg(now_again.get_program()).args(now_again.get_args());
    for mut launcher in [now, old] {
        let outcome = Outcome::of(&mut launcher);
        assert_eq!(outcome.code(), 0, "{outcome:?}");
        assert_eq!(outcome.stdout.iter().filter(|&&byte| byte == b'\n').count(), 1, "{outcome:?}");
    }
}

fn init_containers_come_first(host: &Host) {
    let init = |name: &str| {
        format!(
            "  - name: {name}\n    image: busybox\n    command: [sh, -c, 'cat /v/*; echo {name} > \
             /v/{name}; sleep 0.2']\n{VOLUME}"
        )
    };
    let more = format!(
        "{NEVER}  volumes: [{{name: v}}]\n  initContainers:\n{}{}",
        init("first"),
        init("second")
    );
    let outcome = run(host, &(scripts(&more, &[("main", "cat /v/*")]) + VOLUME));
    let lines = String::from_utf8_lossy(&outcome.stdout).into_owned();
    assert!(lines.ends_with("second | first\nmain | first\nmain | second\n"), "{outcome:?}");
}

fn a_failing_init_container(host: &Host) {
    let init = "  initContainers: [{name: i, image: busybox, command: [sh, -c, exit 9]}]\n";
    let outcome = run(host, &scripts(&format!("{NEVER}{init}"), &[("a", "echo started")]));
    assert_eq!(outcome.code(), 9, "{outcome:?}");
    assert!(!String::from_utf8_lossy(&outcome.stdout).contains("started"));
    // Otherwise it is tried again, until the pod is stopped.
    let mut pod = Pod::start(host, &scripts(init, &[("a", "echo started")]));
    sleep(Duration::from_millis(300));
    pod.stop();
    assert_eq!(pod.running.line(), "");
}

fn a_command_that_is_not_there(host: &Host) {
    let outcome = run(host, &scripts(NEVER, &[("a", "")]).replace("- sh\n", "- nonesuch\n"));
    assert_eq!(outcome.code(), 127, "{outcome:?}");
    assert!(outcome.stderr.contains("Error: a: cannot execute \"nonesuch\""), "{outcome:?}");
}

/// A pod in which one runs, and another has no command yet. It was tried twice.
fn tried_twice<'a>(host: &'a Host, policy: &str) -> Pod<'a> {
    let more = format!("  restartPolicy: {policy}\n  volumes: [{{name: v}}]\n");
    let spec = scripts(&more, &[("neighbour", "echo ready; exec sleep 1000")]) + VOLUME;
    let broken = "  - {name: broken, image: busybox, command: [/v/busybox, echo, runs],\n    \
                  volumeMounts: [{name: v, mountPath: /v}]}\n";
    let mut start = launcher(host, &(spec + broken));
    let mut pod = Pod::follow(host, start.stderr(std::process::Stdio::piped()));
    let stderr = pod.running.supervisor.stderr.take().unwrap();
    let told: Vec<_> = BufReader::new(stderr).lines().map(Result::unwrap).take(4).collect();
    for (two, wait) in told.chunks(2).zip([0, 10]) {
        assert!(two[0].starts_with("Error: broken: cannot execute \"/v/busybox\""), "{told:?}");
        let again = "Note: broken has ended (exit status 127); it is started again in";
        assert_eq!(two[1], format!("{again} {wait} s"));
    }
    pod.running.expect_line("neighbour | ready");
    pod
}

fn who_cannot_be_started_is_tried_again(host: &Host) {
    tried_twice(host, "Always").stop();
    tried_twice(host, "OnFailure").stop();
}

fn who_is_mended_runs_the_next_time(host: &Host) {
    let mut pod = tried_twice(host, "OnFailure");
    let start = Instant::now();
    pod.exec(&["-c", "neighbour", "--", "cp", "/bin/busybox", "/v/busybox"]).text();
    pod.running.expect_line("broken    | runs");
    assert!(start.elapsed() > Duration::from_secs(5), "{start:?}");
    pod.stop();
}

fn term_then_grace_then_kill(host: &Host) {
    // One ends when asked, one does not listen.
    let polite = "trap 'echo bye; exit 0' TERM; echo ready; while true; do sleep 0.05; done";
    let deaf = "trap '' TERM; echo ready; while true; do sleep 0.05; done";
    let mut pod = Pod::start_ready(host, &scripts("", &[("polite", polite), ("deaf", deaf)]), 2);
    let start = Instant::now();
    let all = descendants(pod.running.pid());
    pod.running.signal(Signal::SIGTERM);
    pod.running.expect_line("polite | bye");
    assert_eq!(pod.running.code(), 137);
    let took = start.elapsed();
    assert!(took >= Duration::from_secs(1), "{took:?}");
    assert!(took < testbed::pace::slowed(Duration::from_secs(3)), "{took:?}");
    assert!(!all.into_iter().any(is_alive));
}

fn asked_twice_it_ends_at_once(host: &Host) {
    let deaf = "trap '' TERM; echo ready; while true; do sleep 0.05; done";
    let spec = scripts("", &[("a", deaf)]).replace("Seconds: 1", "Seconds: 50");
    let mut pod = Pod::start_ready(host, &spec, 1);
    let start = Instant::now();
    pod.running.signal(Signal::SIGINT);
    sleep(Duration::from_millis(100));
    pod.running.signal(Signal::SIGINT);
    assert_eq!(pod.running.code(), 137);
    assert!(start.elapsed() < Duration::from_secs(20));
}

/// Not at once: containers that end when they are asked need no word.
fn who_waits_is_told_for_whom(host: &Host) {
    let polite = "trap 'echo bye; exit 0' TERM; echo ready; while true; do sleep 0.05; done";
    let deaf = "trap '' TERM; echo ready; while true; do sleep 0.05; done";
    let spec = |all: &[(&str, &str)]| scripts("", all).replace("Seconds: 1", "Seconds: 50");
    let start = |all: &[(&str, &str)]| {
        let mut launcher = crate::pod::launcher(host, &spec(all));
        launcher.stderr(std::process::Stdio::piped());
        let mut pod = Pod::follow(host, &mut launcher);
        all.iter().for_each(|_| assert!(pod.running.line().ends_with("ready")));
        let stderr = pod.running.supervisor.stderr.take().unwrap();
        pod.running.signal(Signal::SIGINT);
        (pod, BufReader::new(stderr).lines().map(Result::unwrap))
    };
    let (mut pod, mut told) = start(&[("a", polite)]);
    assert_eq!((told.next(), pod.running.code()), (None, 0));
    let (mut pod, mut told) = start(&[("polite", polite), ("deaf", deaf)]);
    let line = told.next().unwrap();
    let seconds = line
        .strip_prefix("Note: waiting for deaf to end, for at most ")
        .and_then(|rest| rest.strip_suffix(" s (the next Ctrl-C kills what is left)"));
    let seconds: u64 = seconds.and_then(|it| it.parse().ok()).unwrap_or_else(|| panic!("{line}"));
    assert!((10..=49).contains(&seconds), "{line}");
    pod.running.signal(Signal::SIGINT);
    assert_eq!(pod.running.code(), 137);
    assert_eq!(told.next(), None);
}

fn what_a_container_leaves(host: &Host) {
    let script = "mkfifo /v/fifo; setsid tail -f /dev/null & echo ready; read line < /v/fifo";
    let volumes = format!("{SHARED}  volumes: [{{name: v}}]\n");
    let spec = scripts(&volumes, &[("b", "sleep 1000"), ("a", script)]);
    let spec = spec.replace("    command:", &format!("{VOLUME}    command:"));
    let mut pod = Pod::start(host, &spec);
    pod.running.expect_line("a | ready");
    let left = || pod.sh("cat /proc/[0-9]*/comm | grep -c '^tail$'; true");
    assert_eq!(left(), "1\n");
    pod.sh("echo > /v/fifo");
    within(Duration::from_secs(2), "it is killed", || left() == "0\n");
    pod.stop();
}

fn if_pause_dies_the_pod_ends(host: &Host) {
    for more in ["", "  shareProcessNamespace: true\n"] {
        let mut launcher =
            crate::pod::launcher(host, &scripts(more, &[("a", "echo ready; exec sleep 1000")]));
        launcher.stderr(std::process::Stdio::piped());
        let mut pod = Pod::follow(host, &mut launcher);
        pod.running.expect_line("a | ready");
        let all = descendants(pod.running.pid());
        send(pod.pause, libc::SIGKILL);
        assert_eq!(pod.running.code(), 125);
        let mut told = String::new();
        let mut stderr = pod.running.supervisor.stderr.take().unwrap();
        std::io::Read::read_to_string(&mut stderr, &mut told).unwrap();
        assert!(told.contains("Error: pause has ended (exit status 137)"), "{told}");
        assert!(!told.contains("started again"), "nobody is: {told}");
        assert!(!all.into_iter().any(is_alive));
    }
}

/// Where the states of pods are.
fn runtime_directory(host: &Host) -> PathBuf {
    match host.is_root() {
        true => "/run/container-steps".into(),
        false => host.cache().join("pods"),
    }
}

/// A start that does nothing else, and removes what a killed supervisor has left.
pub fn sweep(host: &Host) {
    let outcome = run(host, &scripts(NEVER, &[("a", "true")]));
    assert_eq!(outcome.code(), 0, "{outcome:?}");
}

/// What is left in a shared PID namespace can hold the output open for ever.
fn a_left_over_does_not_hold_the_pod(host: &Host) {
    let in_other_mounts = "unshare -m sleep 1000 & sleep 0.5; exit 3";
    for script in ["sleep 1000 & exit 3", in_other_mounts] {
        let script = format!("printf unended; {script}");
        let outcome = run(host, &scripts(SHARED, &[("a", &script)]));
        assert_eq!(outcome.code(), 3, "{outcome:?}");
        assert!(outcome.stdout.ends_with(b"a | unended\n"), "{outcome:?}");
    }
}

/// The number of a process comes again. What is written down of it does not.
fn exec_finds_no_other_process(host: &Host) {
    let mut pod = Pod::start_ready(host, &scripts("", &[("a", "echo ready; exec sleep 1000")]), 1);
    let state = runtime_directory(host).join(pod.pause.to_string()).join("state");
    let text = fs::read_to_string(&state).unwrap();
    let (before, rest) = text.split_once("\"started\":").unwrap();
    let other = format!("{before}\"started\":1{rest}");
    fs::write(&state, other).unwrap();
    pod.exec(&["--", "true"]).assert_refused(125, &["the container has ended", "another one"]);
    fs::write(&state, text).unwrap();
    assert_eq!(pod.exec(&["--", "true"]).code(), 0);
    pod.stop();
}

/// Somebody cleans /run, or the user's runtime directory goes with the last session: the pod lives
/// on, and ends as well as any other. Nobody finds it any more, and is told so.
fn a_pod_whose_state_is_taken_away(host: &Host) {
    for gone in [runtime_directory(host), "PAUSE".into()] {
        let spec = scripts("", &[("a", "echo ready; exec sleep 1000")]);
        let mut launcher = crate::pod::launcher(host, &spec);
        launcher.stderr(std::process::Stdio::piped());
        let mut pod = Pod::follow(host, &mut launcher);
        pod.running.expect_line("a | ready");
        let own = runtime_directory(host).join(pod.pause.to_string());
        fs::remove_dir_all(if gone.is_absolute() { &gone } else { &own }).unwrap();
        pod.exec(&["--", "true"]).assert_refused(125, &["no pod of yours", "running: none"]);
        // Also when a container is started again, and that is written down.
        send(*descendants(pod.running.pid()).last().unwrap(), libc::SIGKILL);
        pod.running.expect_line("a | ready");
        assert_ne!(pod.stop(), 125);
        let mut told = String::new();
        let mut stderr = pod.running.supervisor.stderr.take().unwrap();
        std::io::Read::read_to_string(&mut stderr, &mut told).unwrap();
        assert_eq!(told.matches("exec does not find this pod any more").count(), 1, "{told}");
        assert!(!told.contains("left behind") && !told.contains("Error"), "{told}");
        assert!(!runtime_directory(host).exists());
    }
}

fn a_killed_supervisor_takes_all_along(host: &Host) {
    for more in ["", "  shareProcessNamespace: true\n"] {
        let more = format!("{more}  volumes: [{{name: v}}]\n");
        let deaf = "trap '' TERM HUP; (setsid sleep 1000 &); echo ready; sleep 1000";
        let spec = scripts(&more, &[("a", deaf), ("b", deaf)]);
        let mut pod = Pod::start_ready(host, &(spec + VOLUME), 2);
        let all = descendants(pod.running.pid());
        assert!(all.len() >= 8, "{all:?}");
        pod.running.supervisor.kill().unwrap();
        pod.running.supervisor.wait().unwrap();
        within(Duration::from_secs(1), "all are gone", || !all.iter().copied().any(is_alive));
        let left = runtime_directory(host).join(pod.pause.to_string());
        let volumes = crate::empty_dirs::directory(host);
        assert!(left.is_dir() && volumes.join("v").is_dir());
        sweep(host);
        assert!(!left.exists() && !Path::new(&runtime_directory(host)).exists());
        assert!(!volumes.exists());
    }
}

fn output_has_the_names_before_it(host: &Host) {
    let long = "printf %020000d 0; printf 'no end'";
    let outcome = run(host, &scripts(NEVER, &[("one", "echo a; echo b >&2"), ("eleven", long)]));
    let stdout = String::from_utf8_lossy(&outcome.stdout).into_owned();
    assert!(stdout.contains("one    | a\n") && !stdout.contains("one    | b"), "{stdout}");
    assert!(outcome.stderr.contains("one    | b\n"), "{outcome:?}");
    assert!(stdout.contains("0no end\n"), "{stdout}");
    let lines: Vec<_> = stdout.lines().filter(|line| line.starts_with("eleven | 0")).collect();
    assert_eq!(lines.len(), 2, "20000 bytes are cut into two lines");
}

fn fifty_pods_at_once(host: &Host) {
    let ports = 8000..8050;
    sweep(host); // and makes the rootfs
    let mut pods: Vec<_> = ports.clone().map(|port| web_server(host, port)).collect();
    for port in ports {
        assert_eq!(get(port), format!("I am {port}\n"));
    }
    for pod in &pods {
        pod.signal(Signal::SIGTERM);
    }
    for pod in &mut pods {
        // Each server was asked to end, ignored it as a process 1 does, and was killed.
        assert_eq!(pod.code(), 137);
    }
}

/// A pod that says its port, there.
fn web_server(host: &Host, port: u16) -> Running {
    let script = format!("echo I am {port} > /index.html; exec httpd -f -p 80 -h /");
    let port = format!("    ports: [{{containerPort: 80, hostPort: {port}}}]\n");
    host.follow(&mut launcher(host, &(scripts("", &[("web", &script)]) + &port)))
}
