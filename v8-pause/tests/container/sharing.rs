//! What the containers of a pod share, and what they do not.

use std::collections::HashSet;
use std::process::Command;
use std::time::{Duration, Instant};

use testbed::running::{link, program, send, within};
use testbed::{Host, Outcome, Suite};

use crate::pod::{Pod, get, scripts};

const SHARED: &str = "  shareProcessNamespace: true\n";

pub fn add(suite: Suite) -> Suite {
    suite
        .both("network_ipc_and_hostname_are_shared", network_ipc_and_hostname_are_shared)
        .both("the_neighbour_is_on_localhost", the_neighbour_is_on_localhost)
        .both("a_host_port_leads_in", a_host_port_leads_in)
        .both("a_hostname_of_its_own", a_hostname_of_its_own)
        .both("shared_memory_is_seen_in_the_pod_only", shared_memory_is_seen_in_the_pod_only)
        .both("shared_processes", shared_processes)
        .both("processes_are_not_shared_unless_asked_for", processes_are_not_shared)
        .both("pause_reaps_a_thousand_orphans", pause_reaps_a_thousand_orphans)
        .both("two_pods_can_have_one_number", two_pods_can_have_one_number)
        .both("an_orphan_is_reaped_at_once", an_orphan_is_reaped_at_once)
        .both("a_pid_1_that_does_not_wait_keeps_zombies", a_pid_1_that_does_not_wait)
}

fn two(more: &str) -> String {
    let script = "echo ready; sleep 1000";
    scripts(more, &[("a", script), ("b", script)])
}

fn network_ipc_and_hostname_are_shared(host: &Host) {
    for more in ["", SHARED] {
        let mut pod = Pod::start_ready(host, &two(more), 2);
        let of = |container: &str, kind: &str| {
            pod.sh_in(container, &format!("readlink /proc/self/ns/{kind}")).trim().to_owned()
        };
        for kind in ["net", "ipc", "uts"] {
            let (a, b) = (of("a", kind), of("b", kind));
            assert_eq!((&a, &a), (&b, &pod.namespace(kind)), "{kind}");
            assert_ne!(a, link(format!("/proc/self/ns/{kind}")), "{kind}");
        }
        for kind in ["mnt", "cgroup"] {
            assert_ne!(of("a", kind), of("b", kind), "{kind}");
        }
        assert_eq!(of("a", "pid") == of("b", "pid"), more == SHARED);
        assert_eq!(of("a", "pid") == pod.namespace("pid"), more == SHARED);
        pod.stop();
    }
}

fn the_neighbour_is_on_localhost(host: &Host) {
    let spec = scripts(
        "  restartPolicy: Never\n",
        &[
            ("web", "echo hello > /index.html; exec httpd -f -p 80 -h /"),
            ("client", "until wget -qO- http://127.0.0.1/; do sleep 0.1; done; echo done"),
        ],
    );
    let mut pod = Pod::start(host, &spec);
    pod.running.expect_line("client | hello");
    pod.running.expect_line("client | done");
    pod.stop();
}

fn a_host_port_leads_in(host: &Host) {
    let spec = scripts("", &[("web", "echo hello > /index.html; exec httpd -f -p 80 -h /")])
        + "    ports: [{containerPort: 80, hostPort: 8080}]\n";
    let mut pod = Pod::start(host, &spec);
    assert_eq!(get(8080), "hello\n");
    let second = crate::pod::run(host, &spec);
    assert_eq!(second.code(), 125);
    assert!(second.stderr.contains("cannot publish port 8080"), "{second:?}");
    pod.stop();
    let free = std::net::TcpStream::connect(("127.0.0.1", 8080));
    assert!(free.is_err());
}

fn a_hostname_of_its_own(host: &Host) {
    let mut pod = Pod::start_ready(host, &two(""), 2);
    assert_eq!(pod.sh("hostname; cat /etc/hostname"), "test\ntest\n");
    assert_eq!(pod.sh_in("b", "hostname"), "test\n");
    pod.stop();
    let mut pod = Pod::start_ready(host, &two("  hostname: other\n"), 2);
    assert_eq!(pod.sh("hostname"), "other\n");
    pod.stop();
}

fn shared_memory_is_seen_in_the_pod_only(host: &Host) {
    if Command::new("ipcmk").arg("--version").output().is_err() {
        host.skip("no ipcmk on this machine: install util-linux");
    }
    let (mut pod, mut other) =
        (Pod::start_ready(host, &two(""), 2), Pod::start_ready(host, &two(""), 2));
    let mut make = Command::new("nsenter");
    make.arg(format!("--ipc=/proc/{}/ns/ipc", pod.pause)).args(["ipcmk", "--shmem", "4096"]);
    Outcome::of(&mut make).text();
    let count =
        |pod: &Pod, container| pod.sh_in(container, "grep -c ' 4096 ' /proc/sysvipc/shm; true");
    assert_eq!((count(&pod, "a"), count(&pod, "b")), ("1\n".into(), "1\n".into()));
    assert_eq!(count(&other, "a"), "0\n");
    pod.stop();
    other.stop();
}

fn shared_processes(host: &Host) {
    let mut pod = Pod::start_ready(host, &two(SHARED), 2);
    let ps = pod.sh("ps -o pid,comm");
    let has =
        |pid: &str, name: &str| ps.lines().any(|line| line.split_whitespace().eq([pid, name]));
    assert!(has("1", "pause"), "{ps}");
    assert_eq!(ps.lines().filter(|line| line.ends_with(" sleep")).count(), 2, "{ps}");
    // The root directory of a sibling is reachable, as the Kubernetes documentation has it.
    pod.sh_in("b", "echo secret > /root/file");
    let script = "for dir in /proc/[0-9]*; do
        [ $(cat $dir/comm) = sleep ] && cat $dir/root/root/file; done 2>/dev/null; true";
    assert_eq!(pod.sh(script), "secret\n");
    pod.stop();
}

fn processes_are_not_shared(host: &Host) {
    let mut pod = Pod::start_ready(host, &two(""), 2);
    for container in ["a", "b"] {
        let names = pod.sh_in(container, "cat /proc/[0-9]*/comm | sort | uniq -c");
        assert!(!names.contains("pause") && !names.contains("2 sleep"), "{names}");
        assert_eq!(pod.sh_in(container, "cat /proc/1/comm"), "sh\n");
    }
    pod.stop();
}

/// Each in a PID namespace of its own, and with one runtime directory.
fn two_pods_can_have_one_number(host: &Host) {
    if host.has_user_namespace() {
        host.skip("whoever runs the tests has one id");
    }
    let new: &[&str] = match host.is_root() {
        true => &["--pid", "--fork", "--mount-proc"],
        false => &["--user", "--map-root-user", "--pid", "--fork", "--mount-proc"],
    };
    let start = |name: &str| {
        let spec = scripts("", &[(name, "echo ready; exec sleep 1000")]);
        let inner = crate::pod::launcher(host, &spec);
        let mut launcher = host.command("unshare");
        launcher.args(new).arg(inner.get_program()).args(inner.get_args());
        let mut pod = Pod::follow(host, &mut launcher);
        pod.running.expect_line(&format!("{name} | ready"));
        pod
    };
    // The first start has more to do; of several, two have one number.
    let mut pods = ["one", "two", "three", "four"].map(|name| (name, start(name)));
    let numbers: HashSet<_> = pods.iter().map(|(_, pod)| pod.pause).collect();
    assert!(numbers.len() < pods.len(), "the test needs that: {numbers:?}");
    for (name, pod) in &pods {
        let supervisor = testbed::running::children(pod.running.pid())[0];
        let inner = pod.exec_command(&["-c", name, "--", "true"]);
        let mut exec = host.command("nsenter");
        exec.args(["--target", &supervisor.to_string(), "--pid", "--mount"]);
        if !host.is_root() {
            exec.args(["--user", "--preserve-credentials"]);
        }
        let outcome = Outcome::of(exec.arg(inner.get_program()).args(inner.get_args()));
        assert_eq!(outcome.code(), 0, "{outcome:?}");
        pod.exec(&["--", "true"]).assert_refused(125, &["no pod of yours", "running: none"]);
    }
    for (_, pod) in &mut pods {
        send(testbed::running::children(pod.running.pid())[0], libc::SIGTERM);
        pod.running.code();
    }
}

/// Makes orphans: a process whose parent has ended already.
const ORPHANS: &str = "i=0; while [ $i -lt 1000 ]; do (true &); i=$((i+1)); done; ";
const COUNT_ZOMBIES: &str = "grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l";

fn pause_reaps_a_thousand_orphans(host: &Host) {
    let spec = scripts(SHARED, &[("a", "echo ready; exec sleep 1000")]);
    let mut pod = Pod::start_ready(host, &spec, 1);
    pod.sh(ORPHANS);
    within(Duration::from_secs(2), "no zombies", || pod.sh(COUNT_ZOMBIES) == "0\n");
    pod.stop();
}

fn a_pid_1_that_does_not_wait(host: &Host) {
    let spec = scripts("", &[("a", "echo ready; exec sleep 1000")]);
    let mut pod = Pod::start_ready(host, &spec, 1);
    pod.sh(ORPHANS);
    within(Duration::from_secs(2), "1000 zombies", || pod.sh(COUNT_ZOMBIES) == "1000\n");
    pod.stop();
}

fn an_orphan_is_reaped_at_once(host: &Host) {
    let spec = scripts(SHARED, &[("a", "(sleep 500 & echo); echo ready; exec sleep 1000")]);
    let mut pod = Pod::start(host, &spec);
    pod.running.expect_line("a | ");
    pod.running.expect_line("a | ready");
    let orphan =
        || testbed::running::children(pod.pause).into_iter().find(|pid| program(*pid) == "sleep");
    within(Duration::from_secs(5), "the orphan is pause's", || orphan().is_some());
    let orphan = orphan().unwrap();
    send(orphan, libc::SIGKILL);
    let start = Instant::now();
    let is_gone = || !std::path::Path::new(&format!("/proc/{orphan}")).exists();
    within(Duration::from_secs(5), "the orphan is reaped", is_gone);
    assert!(start.elapsed() < testbed::pace::slowed(Duration::from_millis(100)), "{start:?}");
    pod.stop();
}
