//! The throw-away host itself, and how a suite reports.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, with the line that did it"
)]

use std::collections::BTreeSet;
use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use nix::sys::signal::SigSet;
use nix::sys::stat::{Mode, umask};
use testbed::running::{is_alive, within};
use testbed::terminal::{Key, Terminal};
use testbed::{BIN, CgroupHost, EXE, Host, Outcome, Suite};

/// Names the suite that a test wants to see from outside.
const INNER: &str = "TESTBED_INNER_SUITE";

fn main() -> ExitCode {
    if let Some(kind) = env::var_os(INNER) {
        return inner_suite(&kind.to_string_lossy()).run();
    }
    Suite::of_no_stage()
        .own_cgroups()
        .both("commands_have_the_identity_asked_for", commands_have_the_identity)
        .both("commands_have_a_clean_environment", commands_have_a_clean_environment)
        .both("directories_are_fresh", directories_are_fresh)
        .both("every_mount_is_shared", every_mount_is_shared)
        .both("the_machine_is_read_only", the_machine_is_read_only)
        .both("the_images_of_a_host_are_its_own", the_images_of_a_host_are_its_own)
        .both("binaries_are_reachable", binaries_are_reachable)
        .both("namespaces_are_the_hosts_own", namespaces_are_the_hosts_own)
        .both("orphans_are_reaped", orphans_are_reaped)
        .both("the_loopback_is_up", the_loopback_is_up)
        .both("a_name_is_the_hosts_own", a_name_is_the_hosts_own)
        .user("nobody_has_subordinate_ids_by_itself", nobody_has_subordinate_ids)
        .user("subordinate_ids_are_mapped_with_a_range", subordinate_ids_are_mapped)
        .both("suite_says_who_runs_it", suite_says_who_runs_it)
        .both("a_failing_body_fails_the_suite", a_failing_body_fails_the_suite)
        .both("a_leak_fails_the_suite", a_leak_fails_the_suite)
        .both("a_skip_is_counted_and_fails_with_ci", a_skip_is_counted)
        .both("a_body_without_end_is_killed_with_its_host", a_body_without_end)
        .both("a_killed_runner_takes_its_hosts_along", a_killed_runner_takes_its_hosts_along)
        .both("it_does_not_matter_how_the_run_was_started", how_the_run_was_started)
        .root("what_is_closed_to_others_is_told", what_is_closed_to_others_is_told)
        .root("a_run_leaves_the_cgroups_of_others_alone", a_run_leaves_the_cgroups_of_others)
        .root("a_cgroup_that_another_uses_is_no_leak", a_cgroup_that_another_uses_is_no_leak)
        .run()
}

fn commands_have_the_identity(host: &Host) {
    let id = Outcome::of(host.command("/usr/bin/id").arg("-u"));
    let groups = Outcome::of(host.command("/usr/bin/id").arg("-G"));
    let status = Outcome::of(host.command("/bin/cat").arg("/proc/self/status"));
    let line = |name: &str| {
        let line = status.text().lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().to_owned()
    };
    if host.is_root() {
        assert_eq!(id.text(), "0\n");
        assert_ne!(line("CapEff:"), "0000000000000000");
        return;
    }
    assert_eq!(id.text(), "1000\n");
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
        assert_eq!(line(set), "0000000000000000", "{set}");
    }
    // In a host that an ordinary user made, its groups cannot be given up: they show as nobody's.
    let others: BTreeSet<&str> = groups.text().split_whitespace().collect();
    let nobodys = host.has_user_namespace().then_some("65534");
    assert!(others.iter().all(|group| *group == "1000" || Some(*group) == nobodys), "{groups:?}");
}

fn a_name_is_the_hosts_own(host: &Host) {
    let ask = || Outcome::of(host.command("/usr/bin/getent").args(["hosts", "a.example"]));
    assert_eq!(ask().code(), 2);
    host.name("192.0.2.7", &["a.example", "b.example"]);
    assert!(ask().text().starts_with("192.0.2.7 "), "{:?}", ask());
}

fn commands_have_a_clean_environment(host: &Host) {
    let env = Outcome::of(&mut host.command("/usr/bin/env"));
    let names: BTreeSet<&str> =
        env.text().lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    assert_eq!(names, BTreeSet::from(["PATH", "HOME", "TERM", "BUSYBOX"]));
    let pwd = Outcome::of(&mut host.command("/bin/pwd"));
    assert_eq!(pwd.text().trim(), host.home().to_str().unwrap());
    let home = Outcome::of(host.command("/bin/sh").args(["-c", "cd && echo x >f && rm f"]));
    home.text();
}

fn directories_are_fresh(_: &Host) {
    for (directory, entries) in [
        ("/tmp", vec![]),
        ("/root", vec![]),
        ("/var/cache", vec![]),
        ("/home", vec!["learner"]),
        ("/home/learner", vec![]),
        ("/dev/shm", vec![]),
        ("/dev/pts", vec!["ptmx"]),
    ] {
        let found = fs::read_dir(directory).unwrap();
        let found: Vec<_> = found.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(found, entries, "{directory}");
    }
}

fn every_mount_is_shared(_: &Host) {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let private = mounts.lines().find(|line| !line.contains(" shared:"));
    assert_eq!(private, None);
}

fn the_machine_is_read_only(_: &Host) {
    for directory in ["/", "/etc", BIN] {
        let file = Path::new(directory).join("testbed-wrote-this");
        let error = fs::write(&file, "").unwrap_err();
        let kind = error.kind();
        assert_eq!(kind, std::io::ErrorKind::ReadOnlyFilesystem, "{directory}");
    }
}

fn the_images_of_a_host_are_its_own(host: &Host) {
    let images = host.images();
    assert!(!images.exists());
    let script = "mkdir -p \"$0\" && echo new >\"$0/file\"";
    Outcome::of(host.command("/bin/sh").args(["-c", script]).arg(&images)).text();
    assert_eq!(fs::read_to_string(images.join("file")).unwrap(), "new\n");
    // What the machine has there is still seen.
    assert!(Path::new("/var/lib").read_dir().unwrap().count() > 1);
}

fn binaries_are_reachable(host: &Host) {
    let test =
        Outcome::of(host.command("/bin/sh").args(["-c", "test -x \"$0\" && ls \"$1\"", EXE, BIN]));
    assert!(test.text().lines().any(|name| name == "deps"), "{test:?}");
}

fn namespaces_are_the_hosts_own(_: &Host) {
    assert_eq!(nix::unistd::getppid().as_raw(), 1, "the body is a child of the host's init");
    assert_eq!(nix::unistd::gethostname().unwrap(), "testbed-host");
    let links = fs::read_to_string("/proc/self/net/dev").unwrap();
    assert_eq!(links.lines().filter(|line| line.contains(':')).count(), 1, "{links}");
}

fn orphans_are_reaped(host: &Host) {
    // The shell ends before its child does.
    let shell =
        Outcome::of(host.command("/bin/sh").args(["-c", "sleep 0.1 >/dev/null 2>&1 & echo $!"]));
    let orphan: u32 = shell.text().trim().parse().unwrap();
    assert!(is_alive(orphan));
    let entry = format!("/proc/{orphan}");
    within(Duration::from_secs(2), "it is reaped", || !fs::exists(&entry).unwrap());
}

fn the_loopback_is_up(_: &Host) {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
}

fn nobody_has_subordinate_ids(_: &Host) {
    for file in ["/etc/subuid", "/etc/subgid"] {
        assert_eq!(fs::read_to_string(file).unwrap_or_default(), "", "{file}");
    }
}

fn subordinate_ids_are_mapped(host: &Host) {
    let map = || {
        let script = "unshare --user --map-root-user --map-auto \
            cat /proc/self/uid_map /proc/self/gid_map";
        Outcome::of(host.command("/bin/sh").args(["-c", script]))
    };
    assert_ne!(map().code(), 0, "there are none yet");
    host.give_subordinate_ids();
    let map = map();
    let lines: Vec<Vec<&str>> =
        map.text().lines().map(|line| line.split_whitespace().collect()).collect();
    let first = Host::SUBORDINATE_IDS.0.to_string();
    // (How many unshare maps is its own affair.)
    let is_range = |line: &[&str]| line[..2] == ["1", &first];
    assert!(matches!(&lines[..], [_, users, _, groups] if is_range(users) && is_range(groups)));
    assert_eq!((&lines[0], &lines[2]), (&vec!["0", "1000", "1"], &vec!["0", "1000", "1"]));
}

/// A suite of which another test looks at the report. It runs in the host of that test.
fn inner_suite(kind: &str) -> Suite {
    let suite = Suite::of_no_stage();
    match kind {
        "good" => suite.user("good", |_| {}),
        "failing" => suite.user("failing", |_| panic!("this is why")),
        "leaking" => suite.user("leaking", |_| fs::write("/tmp/leak", "").unwrap()),
        "skipping" => suite.user("skipping", |host| host.skip("for this reason")),
        "endless" => suite.time_limit(Duration::from_millis(500)).user("endless", sleep_4711),
        "to be killed" => suite.user("endless", sleep_4711),
        "usual settings" => suite.own_cgroups().user("settings", has_usual_settings),
        "another makes a cgroup" => {
            suite.root("cgroup", |_| fs::create_dir(cgroup_of_another()).unwrap())
        }
        "another uses a cgroup" => suite.root("cgroup", |_| {
            fs::create_dir(cgroup_of_another()).unwrap();
            // The host's init stands for a process of somebody else.
            fs::write(cgroup_of_another().join("cgroup.procs"), "1").unwrap();
        }),
        "with cgroups" => suite.own_cgroups().root("good", |_| {}),
        "to be killed, with cgroups" => suite.own_cgroups().root("endless", sleep_4711),
        other => panic!("no suite {other}"),
    }
}

fn sleep_4711(_: &Host) {
    Command::new("sleep").arg("4711").status().unwrap();
}

/// The processes of [`sleep_4711`], in whatever host below ours.
fn sleepers() -> usize {
    let is_sleeper = |entry: &fs::DirEntry| {
        fs::read(entry.path().join("cmdline")).is_ok_and(|line| line == b"sleep\x004711\0")
    };
    fs::read_dir("/proc").unwrap().flatten().filter(is_sleeper).count()
}

/// Such a suite, as the host's root.
fn inner(kind: &str, ci: &str) -> Command {
    let mut suite = Command::new(EXE);
    suite.env_clear().env("PATH", "/usr/bin:/bin").env("BUSYBOX", "/run/testbed/busybox");
    suite.env(INNER, kind).env("CI", ci);
    suite
}

/// Runs it: its exit status and what it printed.
fn run_inner(kind: &str, ci: &str) -> (i32, String) {
    let output = inner(kind, ci).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code().unwrap(), text)
}

fn suite_says_who_runs_it(_: &Host) {
    let (code, text) = run_inner("good", "true");
    assert_eq!(code, 0, "{text}");
    assert!(text.starts_with("tests run as uid 0, CapEff:\t"), "{text}");
}

fn a_failing_body_fails_the_suite(_: &Host) {
    let (code, text) = run_inner("failing", "false");
    assert_eq!(code, 101, "{text}");
    assert!(text.contains("this is why") && text.contains("tests/host.rs:"), "{text}");
}

fn a_leak_fails_the_suite(_: &Host) {
    let (code, text) = run_inner("leaking", "false");
    assert_eq!(code, 101, "{text}");
    assert!(text.contains("left behind:\n  new file: /tmp/leak"), "{text}");
}

fn a_skip_is_counted(_: &Host) {
    let (code, text) = run_inner("skipping", "false");
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("1 ignored"), "{text}");
    assert!(text.contains("skipped: skipping::user: for this reason"), "{text}");
    let (code, text) = run_inner("skipping", "true");
    assert_eq!(code, 101, "{text}");
    assert!(text.contains("CI=true, and 1 skips are not in"), "{text}");
}

fn a_body_without_end(_: &Host) {
    let (code, text) = run_inner("endless", "false");
    assert_eq!(code, 101, "{text}");
    assert!(text.contains("no end within 500ms"), "{text}");
    assert_eq!(sleepers(), 0, "its host is gone, and the process in it");
}

fn a_killed_runner_takes_its_hosts_along(_: &Host) {
    let mut runner = inner("to be killed", "false").stdout(Stdio::null()).spawn().unwrap();
    within(Duration::from_secs(5), "the body runs", || sleepers() == 1);
    runner.kill().unwrap();
    runner.wait().unwrap();
    within(Duration::from_secs(1), "the host is gone", || sleepers() == 0);
}

/// As nohup(1), a script, cron or a service start it, and worse.
fn how_the_run_was_started(_: &Host) {
    let worse = || {
        let all_but_of_children = (1..=libc::SIGRTMAX()).filter(|it| *it != libc::SIGCHLD);
        // SAFETY: SIG_IGN is no function of ours that could be called at a bad moment.
        all_but_of_children.for_each(|signal| unsafe {
            libc::signal(signal, libc::SIG_IGN);
        });
        SigSet::all().thread_set_mask()?;
        umask(Mode::from_bits_truncate(0o077));
        nix::unistd::setsid()?;
        Ok(nix::unistd::close(0)?)
    };
    let (code, text) = run_inner("usual settings", "false");
    assert_eq!(code, 0, "{text}");
    let mut suite = inner("usual settings", "false");
    // SAFETY: the closure makes system calls only.
    unsafe { suite.pre_exec(worse) };
    let outcome = Outcome::of(&mut suite);
    let text = String::from_utf8_lossy(&outcome.stdout);
    assert_eq!(outcome.code(), 0, "{text}");
}

fn has_usual_settings(host: &Host) {
    let status = Outcome::of(host.command("/bin/cat").arg("/proc/self/status"));
    let line = |name: &str| status.text().lines().find_map(|line| line.strip_prefix(name)).unwrap();
    assert_eq!(line("Umask:\t"), "0022");
    // The C library does not let anybody change what 32 and 33 do: they are its own (man 7 nptl).
    let signals = |name| u64::from_str_radix(line(name), 16).unwrap() & !(0b11 << 31);
    assert_eq!([signals("SigBlk:\t"), signals("SigIgn:\t")], [0, 0]);
    Outcome::of(host.command("/bin/sh").args(["-c", "ls /sys/fs/cgroup/*"])).text();
    Outcome::of(host.command("/bin/ls").arg(BIN)).text();
    let script = "trap 'echo interrupted; exit' INT; echo ready; while :; do sleep 0.1; done";
    let mut terminal = Terminal::start(host.command("/bin/sh").args(["-c", script])).unwrap();
    terminal.read_until("ready").unwrap();
    terminal.press(Key::CtrlC).unwrap();
    terminal.read_until("interrupted").unwrap();
    terminal.wait().unwrap();
}

/// Of a suite that was built with a umask such as 077, the user's variants cannot start.
fn what_is_closed_to_others_is_told(_: &Host) {
    let binaries = Path::new(EXE).parent().unwrap();
    let set_mode = |mode| fs::set_permissions(binaries, Permissions::from_mode(mode)).unwrap();
    set_mode(0o700);
    let (code, text) = run_inner("good", "true");
    set_mode(0o755);
    assert_eq!(code, 101, "{text}");
    let reason = "/run/testbed is closed to others (umask 077?): chmod -R go+rX /run/testbed";
    assert!(text.contains(&format!("skipped: good::user: {reason}")), "{text}");
}

/// One is in our PID namespace, one has another, where the numbers are others, and known ones are
/// somebody else's: so has the run that begins now.
fn a_run_leaves_the_cgroups_of_others(_: &Host) {
    let to_be_killed = inner("to be killed, with cgroups", "false");
    let elsewhere = in_pid_namespace(&to_be_killed);
    let others = [to_be_killed, elsewhere].map(|mut run| run.stdout(Stdio::null()).spawn());
    within(Duration::from_secs(5), "the bodies run", || sleepers() == 2);
    let of_the_others = cgroups_of_hosts();
    let outcome = Outcome::of(&mut in_pid_namespace(&inner("with cgroups", "false")));
    assert_eq!(outcome.code(), 0, "{outcome:?}");
    assert_eq!(cgroups_of_hosts(), of_the_others);
    assert_eq!(sleepers(), 2);
    for other in others {
        let mut other = other.unwrap();
        other.kill().unwrap();
        other.wait().unwrap();
    }
    within(Duration::from_secs(1), "their hosts are gone", || sleepers() == 0);
    assert_eq!(cgroups_of_hosts(), of_the_others);
    let (code, text) = run_inner("with cgroups", "false");
    assert_eq!(code, 0, "{text}");
    assert_eq!(cgroups_of_hosts(), [""; 0]);
}

/// The same suite as process 1 of a PID namespace.
fn in_pid_namespace(suite: &Command) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child", "--mount-proc"]).arg(suite.get_program());
    command.env_clear().envs(suite.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

/// The cgroups of inner suites' hosts, in all hierarchies.
fn cgroups_of_hosts() -> Vec<String> {
    let find = "find /sys/fs/cgroup -maxdepth 2 -name 'container-steps-test-*' | sort";
    let found = Outcome::of(Command::new("sh").args(["-c", find]));
    found.text().lines().map(str::to_owned).collect()
}

/// One as v6 makes it, of version 2, at the top of what the host has.
fn cgroup_of_another() -> &'static Path {
    Path::new(match CgroupHost::of_machine() {
        CgroupHost::Unified => "/sys/fs/cgroup/container-steps",
        _ => "/sys/fs/cgroup/unified/container-steps",
    })
}

/// A host without cgroups of its own has the machine's.
fn a_cgroup_that_another_uses_is_no_leak(host: &Host) {
    if !matches!(CgroupHost::of_machine(), CgroupHost::Unified | CgroupHost::Hybrid) {
        host.skip("no cgroups of version 2");
    }
    for (kind, expected) in [("another makes a cgroup", 101), ("another uses a cgroup", 0)] {
        let (code, text) = run_inner(kind, "false");
        assert_eq!(code, expected, "{text}");
        assert_eq!(text.contains("new cgroup: "), expected != 0, "{text}");
        let removed = || fs::remove_dir(cgroup_of_another()).is_ok();
        within(Duration::from_secs(1), "it is removed", removed);
    }
}
