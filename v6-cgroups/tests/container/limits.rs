//! The limits hold, and the end tells of it.

use std::thread::sleep;
use std::time::{Duration, Instant};

use testbed::{Host, Suite};

use crate::tree::{cgroup, either, is_unified, number, read, top};

pub fn add(suite: Suite) -> Suite {
    suite
        .root("limits_stand_in_their_files", limits_stand_in_their_files)
        .root("swap_is_counted_with_memory", swap_is_counted_with_memory)
        .root("the_cpus_of_a_list", the_cpus_of_a_list)
        .root("cpus_that_are_not_there_are_named", cpus_that_are_not_there_are_named)
        .root("too_much_memory_kills_pid_1", too_much_memory_kills_pid_1)
        .root("too_much_memory_kills_a_child", too_much_memory_kills_a_child)
        .root("less_memory_than_the_limit_is_fine", less_memory_than_the_limit_is_fine)
        .root("memory_in_a_tmpfs_counts", memory_in_a_tmpfs_counts)
        .root("a_fork_bomb_stays_inside", a_fork_bomb_stays_inside)
        .root("a_busy_loop_gets_its_share", a_busy_loop_gets_its_share)
        .long()
        .root("stats_tell_what_was_used", stats_tell_what_was_used)
        .root("stats_alone_limit_nothing", stats_alone_limit_nothing)
        .root("rounded_limits_are_told", rounded_limits_are_told)
        .root("a_limit_that_is_not_taken_is_an_error", a_limit_that_is_not_taken_is_an_error)
        .root("more_than_the_machine_has_is_accepted", more_than_the_machine_has_is_accepted)
}

const SLEEP: [&str; 3] = ["sh", "-c", "echo ready; sleep 1000"];

fn limits_stand_in_their_files(host: &Host) {
    let limits = ["-m", "64m", "--cpus", "0.5", "--pids-limit", "32"];
    let mut running = host.start(limits.into_iter().chain(SLEEP));
    running.expect_line("ready");
    let pid = running.pid();
    let memory = cgroup("memory", pid);
    assert_eq!(read(&memory, either("memory.max", "memory.limit_in_bytes")), "67108864");
    if is_unified() {
        assert_eq!(read(&memory, "memory.swap.max"), "0");
        assert_eq!(read(&cgroup("cpu", pid), "cpu.max"), "50000 100000");
    } else {
        assert_eq!(read(&memory, "memory.memsw.limit_in_bytes"), "67108864");
        assert_eq!(read(&cgroup("cpu", pid), "cpu.cfs_quota_us"), "50000");
        assert_eq!(read(&cgroup("cpu", pid), "cpu.cfs_period_us"), "100000");
    }
    assert_eq!(read(&cgroup("pids", pid), "pids.max"), "32");
    end(running);
}

/// Docker's numbers: memory and swap together. cgroup v2 has a file for swap alone.
fn swap_is_counted_with_memory(host: &Host) {
    let file = either("memory.swap.max", "memory.memsw.limit_in_bytes");
    if !is_unified() && !top("memory").join(file).exists() {
        host.skip("the kernel does not count swap");
    }
    let no_limit = either("max", "9223372036854771712");
    for (swap, taken) in [
        ("64m", either("0", "67108864")),
        ("100m", either("37748736", "104857600")),
        ("-1", no_limit),
    ] {
        let options = ["-m", "64m", "--memory-swap", swap];
        let mut running = host.start(options.into_iter().chain(SLEEP));
        running.expect_line("ready");
        let memory = cgroup("memory", running.pid());
        assert_eq!(read(&memory, file), taken, "--memory-swap {swap}");
        assert_eq!(read(&memory, either("memory.max", "memory.limit_in_bytes")), "67108864");
        end(running);
    }
    let less = ["-m", "64m", "--memory-swap", "63m", "true"];
    let words = ["66060288 bytes", "--memory alone is 67108864", "leave it out"];
    host.run(less).assert_refused(125, &words);
}

/// The first of all CPUs, and all of them, which may be one.
fn the_cpus_of_a_list(host: &Host) {
    let all = read(&top("cpuset"), either("cpuset.cpus.effective", "cpuset.effective_cpus"));
    let (first, _) = all.split_once(['-', ',']).unwrap_or((&all, ""));
    let again = format!("{all},{first}");
    for (list, taken) in [(first, first), (&all, &all), (&again, &all)] {
        let script = ["sh", "-c", "grep Cpus_allowed_list /proc/self/status; sleep 1000"];
        let mut running = host.start(["--cpuset-cpus", list].into_iter().chain(script));
        running.expect_line(&format!("Cpus_allowed_list:\t{taken}"));
        assert_eq!(read(&cgroup("cpuset", running.pid()), "cpuset.cpus"), taken);
        end(running);
    }
    let outcome = host.run(["--cpuset-cpus", first, "--cpus", "0.5", "--stats", "nproc"]);
    assert_eq!(outcome.text(), "1\n");
    assert_eq!(crate::tree::all(), Vec::<std::path::PathBuf>::new());
}

fn cpus_that_are_not_there_are_named(host: &Host) {
    let all = read(&top("cpuset"), either("cpuset.cpus.effective", "cpuset.effective_cpus"));
    let outcome = host.run(["--cpuset-cpus", "0-4095", "true"]);
    let there = format!("there are {all} here");
    outcome.assert_refused(125, &["cannot run on the CPUs 0-4095: ", &there, "lscpu"]);
    assert_eq!(crate::tree::all(), Vec::<std::path::PathBuf>::new());
}

/// Ends a container whose PID 1 is a shell that waits.
fn end(mut running: testbed::Running) {
    testbed::running::send(running.command(), libc::SIGKILL);
    assert_eq!(running.code(), 137);
}

const OOM: &str = "Note: killed: out of memory (limit 64 MiB, 1 oom kill)\n";

fn too_much_memory_kills_pid_1(host: &Host) {
    let dd = ["dd", "if=/dev/zero", "of=/dev/null", "bs=100M", "count=1"];
    let outcome = host.run(["--memory", "64m"].into_iter().chain(dd));
    assert_eq!(outcome.code(), 137, "{outcome:?}");
    assert_eq!(outcome.stderr, OOM);
}

fn too_much_memory_kills_a_child(host: &Host) {
    let script = "dd if=/dev/zero of=/dev/null bs=100M count=1; echo dd: $?; exit 5";
    let outcome = host.run(["--memory", "64m", "sh", "-c", script]);
    assert_eq!(outcome.code(), 5, "{outcome:?}");
    assert_eq!(outcome.stdout, b"dd: 137\n");
    assert!(outcome.stderr.ends_with(OOM), "{outcome:?}");
}

fn less_memory_than_the_limit_is_fine(host: &Host) {
    let script = "dd if=/dev/zero of=/dev/null bs=32M count=1 2>/dev/null && echo fine";
    let outcome = host.run(["--memory", "64m", "sh", "-c", script]);
    assert_eq!(outcome.text(), "fine\n");
    assert_eq!(outcome.stderr, "");
}

fn memory_in_a_tmpfs_counts(host: &Host) {
    let script = "dd if=/dev/zero of=/dev/shm/big bs=1M count=60 2>/dev/null; exit 5";
    let outcome = host.run(["--memory", "32m", "sh", "-c", script]);
    assert_eq!(outcome.code(), 5, "{outcome:?}");
    assert!(outcome.stderr.contains("out of memory (limit 32 MiB, "), "{outcome:?}");
}

fn a_fork_bomb_stays_inside(host: &Host) {
    let script = "bomb() { bomb | bomb & }; bomb 2>/dev/null & read line; echo alive; exit 5";
    let mut launcher = host.launcher();
    launcher.args(["--pids-limit", "32", "sh", "-c", script]);
    launcher.stdin(std::process::Stdio::piped()).stderr(std::process::Stdio::null());
    let mut running = host.follow(&mut launcher);
    let pids = || cgroup("pids", running.pid());
    testbed::running::within(Duration::from_secs(10), "the limit is reached", || {
        pids().join("pids.current").exists() && number(&pids(), "pids.events", "max") > 0
    });
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(500) {
        // Not pids.current: the kernel adds one there first, and looks at the limit then.
        let current = read(&pids(), "cgroup.procs").lines().count();
        assert!(current <= 32, "{current} processes");
        sleep(Duration::from_millis(1));
    }
    drop(running.supervisor.stdin.take());
    running.expect_line("alive");
    assert_eq!(running.code(), 5);
}

/// So much CPU time that a container has used, in seconds.
fn cpu_time(pid: u32) -> f64 {
    if is_unified() {
        number(&cgroup("cpu", pid), "cpu.stat", "usage_usec") as f64 / 1e6
    } else {
        read(&cgroup("cpuacct", pid), "cpuacct.usage").parse::<f64>().unwrap() / 1e9
    }
}

/// On a machine with other work, half a CPU may be more than one gets. A tenth is not.
fn a_busy_loop_gets_its_share(host: &Host) {
    for limit in [0.5, 0.1] {
        busy_loops_get(host, limit);
    }
}

/// Two of them, so that the limit is for both together. Whether they get *less* depends on what
/// else the machine does: that they do not is asserted only if the limit was what they ran into.
fn busy_loops_get(host: &Host, limit: f64) {
    let script = "while :; do :; done & echo ready; while :; do :; done";
    let mut running = host.start(["--stats", "--cpus", &limit.to_string(), "sh", "-c", script]);
    running.expect_line("ready");
    let cpu = cgroup("cpu", running.pid());
    let look = || {
        let count = |name| number(&cpu, "cpu.stat", name);
        (cpu_time(running.pid()), count("nr_periods"), count("nr_throttled"))
    };
    let (start, before) = (Instant::now(), look());
    sleep(Duration::from_secs(3));
    let (elapsed, after) = (start.elapsed().as_secs_f64(), look());
    let part = (after.0 - before.0) / elapsed / limit;
    let (periods, throttled) = (after.1 - before.1, after.2 - before.2);
    let found = format!("{part} of {limit} CPUs, throttled in {throttled} of {periods} periods");
    assert!(part < 1.1, "{found}");
    assert!(throttled * 10 < periods * 9 || part > 0.9, "{found}");
    end(running);
}

fn stats_tell_what_was_used(host: &Host) {
    let script = "dd if=/dev/zero of=/dev/null bs=32M count=60 2>/dev/null; sleep 0.1 | sleep 0.1";
    let outcome = host.run(["--stats", "--cpus", "0.1", "--memory", "64m", "sh", "-c", script]);
    assert_eq!(outcome.code(), 0, "{outcome:?}");
    let words: Vec<_> = outcome.stderr.trim().split(", ").collect();
    let number = |index: usize, name: &str, unit: &str| -> f64 {
        let word: &str = words[index];
        let number = word.strip_prefix(name).and_then(|rest| rest.strip_suffix(unit));
        number.unwrap_or_else(|| panic!("no {name} in {words:?}")).trim().parse().unwrap()
    };
    assert!((32.0..64.0).contains(&number(0, "Note: peak memory", "MiB")), "{words:?}");
    assert!(number(1, "CPU time", "s") > 0.005, "{words:?}");
    assert!(number(2, "throttled", "s") > 0.0, "{words:?}");
    assert_eq!(number(3, "peak processes", ""), 3.0, "{words:?}");
    assert_eq!(words.len(), 4);
}

fn stats_alone_limit_nothing(host: &Host) {
    let outcome = host.run([
        "--stats",
        "sh",
        "-c",
        "cat /sys/fs/cgroup/pids.max \
        /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids/pids.max 2>/dev/null; exit 3",
    ]);
    assert_eq!(outcome.code(), 3, "{outcome:?}");
    assert_eq!(outcome.stdout, if is_unified() { &b"max\nmax\n"[..] } else { b"max\n" });
    assert!(outcome.stderr.starts_with("Note: peak memory "), "{outcome:?}");
}

fn rounded_limits_are_told(host: &Host) {
    let outcome = host.run(["--memory", "67108865", "--cpus", "0.123456", "true"]);
    assert_eq!(outcome.code(), 0, "{outcome:?}");
    let memory = either("memory.max", "memory.limit_in_bytes");
    let memory = format!(
        "Note: the limit in {memory} is 67108864, not 67108865: the kernel counts in pages"
    );
    let cpu = "Note: --cpus 0.123456 is rounded to 0.12346: the kernel counts in microseconds";
    let mut told: Vec<_> = outcome.stderr.lines().collect();
    told.sort_unstable();
    assert_eq!(told, [cpu, &memory]);
}

fn a_limit_that_is_not_taken_is_an_error(host: &Host) {
    let outcome = host.run(["--memory", "9999999t", "true"]);
    let unlimited = either("\"max\"", "\"9223372036854771712\"");
    outcome.assert_refused(125, &["cannot set ", "\"10995115178248372224\"", unlimited]);
    let outcome = host.run(["--pids-limit", "99999999", "true"]);
    outcome.assert_refused(125, &["pids.max", "EINVAL", "too large"]);
}

fn more_than_the_machine_has_is_accepted(host: &Host) {
    assert_eq!(host.run(["--memory", "99t", "echo", "fine"]).text(), "fine\n");
}
