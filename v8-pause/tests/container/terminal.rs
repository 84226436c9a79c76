//! The caller's terminal: `exec`, and the shell of the demo pod, have a pseudo-terminal of their
//! own, and nothing in a container can reach that of the caller.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use testbed::pace::{settle, slowed};
use testbed::running::{children, descendants, is_alive, link, program, send, within};
use testbed::terminal::{Key, Terminal};
use testbed::{Host, Suite};

use crate::pod::{Pod, scripts};

pub fn add(suite: Suite) -> Suite {
    suite
        .both("nobody_types_into_the_callers_terminal", nobody_types_into_the_callers_terminal)
        .both("nobody_in_a_pod_holds_the_callers_terminal", nobody_holds_the_callers_terminal)
        .both("exec_has_a_terminal_of_its_own", exec_has_a_terminal_of_its_own)
        .both("exec_has_job_control", exec_has_job_control)
        .root("the_terminal_is_the_containers_users", the_terminal_is_the_containers_users)
        .user(
            "the_terminal_is_the_containers_users_with_a_range",
            Host::with_subordinate_ids(the_terminal_is_the_containers_users),
        )
        .root("root_has_a_terminal_in_a_users_pod", root_has_a_terminal_in_a_users_pod)
        .both("the_demo_pod_on_a_terminal", the_demo_pod_on_a_terminal)
        .both("the_demo_pod_is_asked_to_end", the_demo_pod_is_asked_to_end)
        .both("keys_are_for_who_is_inside", keys_are_for_who_is_inside)
        .both("the_settings_are_restored", the_settings_are_restored)
        .both("the_settings_are_restored_by_signals", the_settings_are_restored_by_signals)
        .both("output_is_not_lost", output_is_not_lost)
        .both("input_is_not_lost", input_is_not_lost)
        .user("on_somebody_elses_terminal", on_somebody_elses_terminal)
        .long()
        .both("a_full_terminal_can_be_left", a_full_terminal_can_be_left)
        .both("who_stays_in_the_background_holds_nobody_up", who_stays_holds_nobody_up)
        .both("pipes_stay_pipes", pipes_stay_pipes)
        .both("one_terminal_alone_is_carried_by_a_pipe", one_terminal_alone)
        .both("the_third_ctrl_c_kills_what_has_no_terminal", the_third_ctrl_c)
        .both("exec_in_the_background", exec_in_the_background)
        .both("a_hang_up_ends_exec", a_hang_up_ends_exec)
        .both("a_hang_up_ends_exec_without_a_terminal", a_hang_up_without_a_terminal)
        .both("a_hostile_ptmx_is_told", a_hostile_ptmx_is_told)
        .long()
}

const SLEEP: &str = "echo ready; exec sleep 1000";

fn sleeping(host: &Host) -> Pod<'_> {
    Pod::start_ready(host, &scripts("", &[("a", SLEEP)]), 1)
}

/// A command of the host on a terminal.
fn start(host: &Host, command: &mut Command) -> Terminal {
    let terminal = Terminal::start(command).unwrap();
    // A login would give the terminal to the user, too.
    host.give(terminal.path());
    terminal
}

/// A script of the host on a terminal, which calls `exec`, short for v8-pause exec PID --.
fn script(host: &Host, pod: &Pod, script: &str) -> Terminal {
    let exec = format!("exec_() {{ v8-pause exec {} -- \"$@\"; }}; {script}", pod.pause);
    start(host, host.command("/bin/bash").args(["-c", &exec]))
}

/// `v8-pause exec` on a terminal.
fn exec(host: &Host, pod: &Pod, arguments: &[&str]) -> Terminal {
    start(host, pod.exec_command(&[&["--"], arguments].concat()).stdin(Stdio::null()))
}

/// A shell of the host on a terminal, with a prompt that is easy to find.
fn outer_shell(host: &Host) -> Terminal {
    let mut shell = host.command("/bin/bash");
    shell.args(["--norc", "--noprofile", "-i"]).env("PS1", "host$ ").env("HISTFILE", "");
    let mut terminal = start(host, &mut shell);
    terminal.read_until("host$ ").unwrap();
    terminal
}

/// A pod with a probe in it.
fn with_probe<'a>(host: &'a Host, more: &str, name: &str) -> (Pod<'a>, String) {
    let directory = host.dir("rootfs");
    let probe = host.install_probe(&directory, name).join(" ");
    let more = format!("{more}  volumes: [{{name: v, hostPath: {{path: /tmp/rootfs/probe}}}}]\n");
    let spec = scripts(&more, &[("a", SLEEP)]);
    let spec = spec + "    volumeMounts: [{name: v, mountPath: /probe}]\n";
    (Pod::start_ready(host, &spec, 1), probe)
}

fn nobody_types_into_the_callers_terminal(host: &Host) {
    let (mut pod, probe) = with_probe(host, "  shareProcessNamespace: true\n", "type");
    let mut redirections = vec![String::new()];
    for next in ["< /dev/null", "> /tmp/probe/1", "2> /tmp/probe/2"] {
        let with = redirections.iter().map(|it| format!("{it} {next}")).collect::<Vec<_>>();
        redirections.extend(with);
    }
    host.dir("probe");
    for redirection in redirections {
        let line = format!(
            "exec_ {probe} XYZ {redirection}; echo status-$?; read -t 0.3 x; echo got-[$x]; \
             cat /tmp/probe/*"
        );
        let mut terminal = script(host, &pod, &line);
        let printed = terminal.read_to_end().unwrap();
        assert!(printed.contains("status-0"), "{redirection:?}: {printed}");
        assert!(printed.contains("typed at "), "{redirection:?}: {printed}");
        assert!(printed.contains("got-[]"), "{redirection:?}: {printed}");
        let _ = fs::remove_file("/tmp/probe/1");
        let _ = fs::remove_file("/tmp/probe/2");
    }
    pod.stop();
}

/// The descriptors of the processes of a pod that are the terminal with this device and inode.
fn holders(supervisor: u32, terminal: &Terminal) -> Vec<String> {
    let wanted = fs::metadata(terminal.path()).unwrap();
    let ours = link("/proc/self/ns/mnt");
    let mut found = Vec::new();
    for pid in descendants(supervisor) {
        if link(format!("/proc/{pid}/ns/mnt")) == ours {
            continue; // one in between
        }
        for file in fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten() {
            let is_it = fs::metadata(file.path())
                .is_ok_and(|it| (it.dev(), it.ino()) == (wanted.dev(), wanted.ino()));
            if is_it {
                found.push(format!("{} {}", program(pid), file.path().display()));
            }
        }
    }
    found
}

fn nobody_holds_the_callers_terminal(host: &Host) {
    let mut demo = start(host, host.launcher().args(["--net", "none"]));
    demo.read_until("# ").unwrap();
    assert_eq!(holders(demo.pid(), &demo), Vec::<String>::new());
    demo.type_line("exit").unwrap();
    demo.wait().unwrap();

    let mut pod = sleeping(host);
    let mut terminal = exec(host, &pod, &["sh"]);
    terminal.read_until("# ").unwrap();
    assert_eq!(holders(terminal.pid(), &terminal), Vec::<String>::new());
    terminal.type_line("exit").unwrap();
    terminal.wait().unwrap();
    pod.stop();
}

fn exec_has_a_terminal_of_its_own(host: &Host) {
    let mut pod = sleeping(host);
    let inside = "tty; trap 'stty size; exit 7' WINCH; stty size; : > /dev/tty && echo own
        while :; do sleep 0.05; done";
    let mut terminal = exec(host, &pod, &["sh", "-c", inside]);
    terminal.read_until("/dev/pts/0\r\n24 80\r\nown\r\n").unwrap();
    terminal.resize(31, 101).unwrap();
    terminal.read_until("31 101\r\n").unwrap();
    assert_eq!(terminal.wait().unwrap().code(), Some(7));
    // Its error output is on the same terminal, or in the caller's file.
    let all = "tty; readlink /proc/self/fd/2; echo to-stderr >&2";
    let mut terminal = script(host, &pod, &format!("exec_ sh -c '{all}'"));
    let printed = terminal.read_to_end().unwrap();
    assert_eq!(printed, "/dev/pts/0\r\n/dev/pts/0\r\nto-stderr\r\n");
    host.dir("log");
    let mut terminal = script(host, &pod, &format!("exec_ sh -c '{all}' 2> /tmp/log/file"));
    let printed = terminal.read_to_end().unwrap();
    assert!(printed.starts_with("/dev/pts/0\r\n") && !printed.contains("to-stderr"), "{printed}");
    assert_eq!(fs::read_to_string("/tmp/log/file").unwrap(), "to-stderr\n");
    pod.stop();
}

fn exec_has_job_control(host: &Host) {
    let mut pod = sleeping(host);
    let mut terminal = exec(host, &pod, &[]);
    let start = terminal.read_until("# ").unwrap();
    assert!(!start.contains("job control"), "{start}");
    terminal.type_line("sleep 1000 | cat").unwrap();
    settle(200);
    terminal.press(Key::CtrlZ).unwrap();
    terminal.read_until("Stopped").unwrap();
    terminal.type_line("bg; jobs; kill %1; wait; exit 7").unwrap();
    assert_eq!(terminal.wait().unwrap().code(), Some(7), "{}", terminal.transcript());
    pod.stop();
}

fn the_terminal_is_the_containers_users(host: &Host) {
    let spec = scripts("", &[("a", SLEEP)]) + "    securityContext: {runAsUser: 1234}\n";
    let mut pod = Pod::start_ready(host, &spec, 1);
    let mut terminal = exec(host, &pod, &["sh", "-c", "echo opened > $(tty); stat -c %u $(tty)"]);
    assert_eq!(terminal.read_to_end().unwrap(), "opened\r\n1234\r\n");
    pod.stop();
}

/// In whose user namespace root of the host has no number.
fn root_has_a_terminal_in_a_users_pod(host: &Host) {
    let manifest = crate::pod::manifest(host, &scripts("", &[("a", SLEEP)]));
    let mut launcher = host.command("unshare");
    launcher.args(["--user", "--map-root-user"]).arg(format!("{}/v8-pause", testbed::BIN));
    launcher.args(["run", "--net", "none"]).arg(&manifest);
    let mut pod = Pod::follow(host, &mut launcher);
    pod.running.expect_line("a | ready");
    let mut terminal = exec(host, &pod, &["sh", "-c", "echo opened > $(tty); stat -c %u $(tty)"]);
    assert_eq!(terminal.read_to_end().unwrap(), "opened\r\n0\r\n");
    pod.stop();
}

fn the_demo_pod_on_a_terminal(host: &Host) {
    let exec = "v8-pause --net none; echo status-$?; stty -g";
    let script = format!("stty -g; {exec}");
    let mut terminal = start(host, host.command("/bin/sh").args(["-c", &script]));
    let before = terminal.read_until("\r\n").unwrap();
    terminal.read_until("# ").unwrap();
    terminal.type_line("tty; stty size").unwrap();
    terminal.read_until("/dev/pts/0\r\n24 80\r\n").unwrap();
    terminal.read_until("# ").unwrap();
    terminal.resize(31, 101).unwrap();
    settle(200);
    terminal.type_line("stty size").unwrap();
    terminal.read_until("31 101\r\n").unwrap();
    terminal.read_until("# ").unwrap();
    // What another container prints meanwhile has whole lines.
    terminal.type_line("echo one >/proc/4/fd/1; echo two >/proc/4/fd/1; sleep 1000").unwrap();
    terminal.read_until("two\r\n").unwrap();
    let transcript = terminal.transcript();
    assert!(transcript.contains("one\r\n"), "{transcript:?}");
    settle(200);
    terminal.press(Key::CtrlC).unwrap();
    terminal.read_until("# ").unwrap();
    terminal.type_line("exit 9").unwrap();
    terminal.read_until("status-9\r\n").unwrap();
    assert_eq!(terminal.read_until("\r\n").unwrap(), before);
    terminal.wait().unwrap();
}

fn the_demo_pod_is_asked_to_end(host: &Host) {
    let script = "stty -g; v8-pause --net none; echo ended; stty -g";
    let mut terminal = start(host, host.command("/bin/sh").args(["-c", script]));
    let before = terminal.read_until("\r\n").unwrap();
    terminal.read_until("# ").unwrap();
    send(children(terminal.pid())[0], libc::SIGTERM);
    terminal.set_limit(slowed(Duration::from_secs(3)));
    terminal.read_until("ended\r\n").unwrap();
    assert_eq!(terminal.read_until("\r\n").unwrap(), before);
    terminal.wait().unwrap();
}

fn keys_are_for_who_is_inside(host: &Host) {
    let mut pod = sleeping(host);
    let mut terminal = exec(host, &pod, &[]);
    terminal.read_until("# ").unwrap();
    for (key, status) in [(Key::CtrlC, "130"), (Key::CtrlBackslash, "131")] {
        terminal.type_line("sleep 1000").unwrap();
        settle(200);
        terminal.press(key).unwrap();
        terminal.read_until("# ").unwrap();
        terminal.type_line("echo status-$?").unwrap();
        terminal.read_until(&format!("status-{status}\r\n")).unwrap();
        terminal.read_until("# ").unwrap();
    }
    // Raw mode inside: every key is a byte.
    terminal.type_line("stty raw -echo; echo raw; head -c 4 | od -An -tx1; stty sane").unwrap();
    terminal.read_until("raw\n").unwrap();
    for key in [Key::CtrlC, Key::CtrlD, Key::CtrlZ, Key::CtrlBackslash] {
        terminal.press(key).unwrap();
    }
    terminal.read_until(" 03 04 1a 1c").unwrap();
    terminal.read_until("# ").unwrap();
    for _ in 0..4 {
        terminal.press(Key::CtrlC).unwrap();
    }
    settle(200);
    terminal.type_line("exit 7").unwrap();
    assert_eq!(terminal.wait().unwrap().code(), Some(7));
    pod.stop();
}

/// A script that shows the settings before and after an exec.
fn with_settings(host: &Host, pod: &Pod, command: &str) -> (Terminal, String) {
    // Not those that a new terminal has.
    let line = format!("stty erase '^H' -echoe; stty -g; exec_ {command}; echo status-$?; stty -g");
    let mut terminal = script(host, pod, &line);
    let before = terminal.read_until("\r\n").unwrap();
    (terminal, before)
}

#[track_caller]
fn assert_restored(mut terminal: Terminal, before: &str, status: &str) {
    terminal.read_until(&format!("status-{status}\r\n")).unwrap();
    assert_eq!(terminal.read_until("\r\n").unwrap(), before, "{}", terminal.transcript());
    terminal.wait().unwrap();
}

fn the_settings_are_restored(host: &Host) {
    let mut pod = sleeping(host);
    // Inside they are the caller's, to begin with.
    let (mut terminal, before) = with_settings(host, &pod, "sh");
    terminal.read_until("# ").unwrap();
    terminal.type_line("stty -g").unwrap();
    terminal.read_until(&before).unwrap();
    terminal.read_until("# ").unwrap();
    let raw = outer_settings(&terminal);
    assert!(raw.contains("-icanon") && raw.contains("-isig") && raw.contains("-echo "), "{raw}");
    terminal.type_line("stty raw; exit 3").unwrap();
    assert_restored(terminal, &before, "3");

    let (terminal, before) = with_settings(host, &pod, "nonesuch");
    assert_restored(terminal, &before, "127");

    let (mut terminal, before) = with_settings(host, &pod, "sh -c 'echo ready; sleep 1000'");
    terminal.read_until("ready").unwrap();
    pod.stop();
    assert_restored(terminal, &before, "137");
}

/// What stty says of the test's terminal.
fn outer_settings(terminal: &Terminal) -> String {
    let stty = Command::new("stty").args(["-a", "-F"]).arg(terminal.path()).output().unwrap();
    String::from_utf8(stty.stdout).unwrap()
}

fn the_settings_are_restored_by_signals(host: &Host) {
    let mut pod = sleeping(host);
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT] {
        let inside = "sh -c 'echo ready; exec sleep 1000'";
        let (mut terminal, before) = with_settings(host, &pod, inside);
        terminal.read_until("ready").unwrap();
        within(Duration::from_secs(5), "raw", || outer_settings(&terminal).contains("-icanon"));
        send(children(terminal.pid())[0], signal as i32);
        assert_restored(terminal, &before, &(128 + signal as i32).to_string());
    }
    pod.stop();
}

fn output_is_not_lost(host: &Host) {
    let mut pod = sleeping(host);
    let inside = "head -c 10000000 /dev/zero | tr '\\0' x; printf END";
    let mut terminal = exec(host, &pod, &["sh", "-c", inside]);
    settle(700); // nobody reads: the terminal is full, and all wait
    let printed = terminal.read_to_end().unwrap();
    assert!(printed.ends_with("xEND"), "{}", printed.len());
    assert_eq!(printed.len(), 10_000_003);
    assert_eq!(terminal.wait().unwrap().code(), Some(0));
    // Who has written its last words has ended, and nobody has read them yet.
    for _ in 0..20 {
        let inside = "head -c 3000 /dev/zero | tr '\\0' x; printf END";
        let mut terminal = exec(host, &pod, &["sh", "-c", inside]);
        assert_eq!(terminal.read_to_end().unwrap().len(), 3003);
    }
    pod.stop();
}

/// A long text that is pasted, while who is inside does not read yet.
fn input_is_not_lost(host: &Host) {
    let mut pod = sleeping(host);
    let inside = "stty raw -echo; echo ready; sleep 1; head -c 100000 | md5sum";
    let mut terminal = exec(host, &pod, &["sh", "-c", inside]);
    terminal.read_until("ready").unwrap();
    let text: String = (0..100_000_u64).map(|n| char::from(b'a' + (n * n % 23) as u8)).collect();
    terminal.type_text(&text).unwrap();
    let mut md5sum = Command::new("md5sum");
    let mut md5sum = md5sum.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    md5sum.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let sum = md5sum.wait_with_output().unwrap().stdout;
    terminal.read_until(&String::from_utf8_lossy(&sum[..32])).unwrap();
    assert_eq!(terminal.wait().unwrap().code(), Some(0));
    pod.stop();
}

/// After su(1) the terminal is there, and cannot be opened anew.
fn on_somebody_elses_terminal(host: &Host) {
    let mut pod = sleeping(host);
    let inside = "head -c 1000000 /dev/zero | tr '\\0' x; echo ready; read x; echo got-$x; exit 6";
    let mut terminal = Terminal::start(&mut pod.exec_command(&["--", "sh", "-c", inside])).unwrap();
    settle(300);
    assert_eq!(terminal.read_until("xready\r\n").unwrap().len(), 1_000_007);
    terminal.type_line("typed").unwrap();
    terminal.read_until("got-typed\r\n").unwrap();
    assert_eq!(terminal.wait().unwrap().code(), Some(6));
    pod.stop();
}

fn a_full_terminal_can_be_left(host: &Host) {
    let mut pod = sleeping(host);
    let mut terminal = exec(host, &pod, &["yes"]);
    let exec = terminal.pid();
    let runs = || descendants(exec).iter().any(|pid| program(*pid) == "yes");
    within(Duration::from_secs(5), "yes runs", runs);
    settle(300);
    let all = descendants(exec);
    send(exec, libc::SIGTERM);
    within(Duration::from_secs(5), "yes ends", || !all.iter().any(|pid| is_alive(*pid)));
    // What was carried already waits for the terminal; asked again, exec does not.
    settle(200);
    send(exec, libc::SIGTERM);
    within(Duration::from_secs(5), "exec ends", || !is_alive(exec));
    terminal.read_to_end().unwrap();
    assert_eq!(terminal.wait().unwrap().code(), Some(143));
    pod.stop();
}

/// Who is left in the background of a shell keeps the terminal open, and may write without an end.
fn who_stays_holds_nobody_up(host: &Host) {
    let mut pod = sleeping(host);
    let inside = "trap '' HUP; (yes & sleep 1000 &) ; sleep 0.2; exit 5";
    let start = Instant::now();
    let mut terminal = exec(host, &pod, &["sh", "-c", inside]);
    terminal.read_to_end().unwrap();
    assert_eq!(terminal.wait().unwrap().code(), Some(5));
    assert!(start.elapsed() < slowed(Duration::from_secs(5)), "{:?}", start.elapsed());
    let mut exec = pod.exec_command(&["--", "sh", "-c", "sleep 1000 & exit 5"]);
    let status = exec.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(5));
    pod.stop();
}

fn pipes_stay_pipes(host: &Host) {
    let mut pod = sleeping(host);
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n * 7 + n / 256) as u8).collect();
    let mut exec = pod.exec_command(&["--", "sh", "-c", "cat; echo to-stderr >&2; exit 9"]);
    exec.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = exec.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let sent = bytes.clone();
    let writer = std::thread::spawn(move || stdin.write_all(&sent));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.stdout == bytes, "{} bytes", output.stdout.len());
    assert_eq!(output.stderr, b"to-stderr\n");
    assert_eq!(output.status.code(), Some(9));
    // And so on a terminal.
    host.dir("in");
    fs::write("/tmp/in/file", &bytes[..100_000]).unwrap();
    let line = "exec_ cat < /tmp/in/file | cmp - /tmp/in/file && echo same; \
                exec_ sh -c 'exit 4' < /dev/null | cat; echo status-${PIPESTATUS[0]}";
    let mut terminal = script(host, &pod, line);
    assert_eq!(terminal.read_to_end().unwrap(), "same\r\nstatus-4\r\n");
    pod.stop();
}

fn one_terminal_alone(host: &Host) {
    let mut pod = sleeping(host);
    let kinds = "sh -c 'for fd in 0 1 2; do test -t $fd && echo $fd is a terminal; done; \
                 (: < /dev/tty); echo end >&2'";
    // No line ends in more than the terminal makes of it.
    let mut terminal = script(host, &pod, &format!("echo x | exec_ {kinds}"));
    let printed = terminal.read_to_end().unwrap();
    assert!(!printed.contains("is a terminal"), "{printed}");
    assert!(printed.contains("/dev/tty: No such device or address\r\n"), "{printed}");
    assert!(printed.ends_with("end\r\n") && !printed.contains("\r\r"), "{printed:?}");
    // Error and other output have one order.
    let line = "echo x | exec_ sh -c 'for n in 1 2 3 4 5; do echo $n; echo $n >&2; done'";
    let printed = script(host, &pod, line).read_to_end().unwrap();
    assert_eq!(printed.replace("\r\n", ""), "1122334455");

    let mut terminal = script(host, &pod, "exec_ sh -c 'echo ready >&2; cat' | cat; echo end");
    terminal.read_until("ready\r\n").unwrap();
    terminal.type_line("typed").unwrap();
    // Once as the terminal's echo, once by both cats.
    terminal.read_until("typed\r\ntyped\r\n").unwrap();
    terminal.press(Key::CtrlD).unwrap();
    terminal.read_until("end").unwrap();

    let mut terminal = script(host, &pod, "exec_ sleep 1000 | cat; echo status-${PIPESTATUS[0]}");
    within(Duration::from_secs(5), "sleep runs", || {
        descendants(terminal.pid()).iter().any(|pid| program(*pid) == "sleep")
    });
    settle(100);
    terminal.press(Key::CtrlC).unwrap();
    assert!(terminal.read_to_end().is_ok());
    pod.stop();
}

fn the_third_ctrl_c(host: &Host) {
    let mut pod = sleeping(host);
    let inside = "trap '' INT; echo ready; while :; do sleep 0.1; done";
    let mut command = pod.exec_command(&["--", "sh", "-c", inside]);
    let mut terminal = start(host, &mut command_without_input(host, &mut command));
    terminal.read_until("ready").unwrap();
    let all = descendants(terminal.pid());
    for press in 1..=3 {
        assert!(is_alive(terminal.pid()), "before the {press}. Ctrl-C");
        terminal.press(Key::CtrlC).unwrap();
        sleep(Duration::from_millis(300));
    }
    assert_eq!(terminal.wait().unwrap().code(), Some(137));
    assert!(!all[..2].iter().any(|pid| is_alive(*pid)), "it is gone");
    pod.stop();
}

/// The same command with /dev/null as its input, in a shell that becomes it.
fn command_without_input(host: &Host, command: &mut Command) -> Command {
    let mut shell = host.command("/bin/sh");
    shell.args(["-c", "exec \"$0\" \"$@\" < /dev/null"]);
    shell.arg(command.get_program()).args(command.get_args());
    shell
}

fn exec_in_the_background(host: &Host) {
    let mut pod = sleeping(host);
    let mut terminal = outer_shell(host);
    let pause = pod.pause;
    let inside = "echo ready; read x; echo got-$x; exit 3";
    terminal.type_line(&format!("v8-pause exec {pause} -- sh -c '{inside}' &")).unwrap();
    terminal.read_until("ready\r").unwrap();
    terminal.type_line("echo meanwhile; jobs").unwrap();
    terminal.read_until("meanwhile\r\n").unwrap();
    terminal.read_until("Running").unwrap();
    terminal.type_line("fg; echo status-$?").unwrap();
    settle(1500); // it looks once a second
    terminal.type_line("typed").unwrap();
    terminal.read_until("got-typed\r\n").unwrap();
    terminal.read_until("status-3").unwrap();
    // Stopped by somebody, it goes on as it was.
    terminal.type_line(&format!("v8-pause exec {pause} -- sh -c 'PS1=inside-; exec sh'")).unwrap();
    terminal.read_until("# ").unwrap();
    let all = descendants(terminal.pid());
    let exec = *all.iter().find(|pid| program(**pid) == "v8-pause").unwrap();
    send(exec, libc::SIGSTOP);
    terminal.read_until("Stopped").unwrap();
    terminal.type_line("echo outside; fg").unwrap();
    terminal.read_until("outside\r\n").unwrap();
    settle(300);
    terminal.type_line("sleep 1000").unwrap();
    settle(300);
    terminal.press(Key::CtrlC).unwrap();
    terminal.type_line("exit 4").unwrap();
    terminal.read_until("host$ ").unwrap();
    terminal.type_line("stty -a; echo status-$?").unwrap();
    let printed = terminal.read_until("status-0").unwrap();
    assert!(printed.contains("isig icanon"), "{printed}");
    terminal.type_line("exit").unwrap();
    terminal.wait().unwrap();
    pod.stop();
}

const DEAF: &str = "trap '' HUP TERM INT; echo ready; sleep 1000; sleep 1000";

fn a_hang_up_ends_exec(host: &Host) {
    let mut pod = sleeping(host);
    // Who listens has time to do something.
    let listens = "trap 'echo heard > /heard; exit' HUP; echo ready; while :; do sleep 0.1; done";
    for inside in [listens, DEAF] {
        let mut terminal = exec(host, &pod, &["sh", "-c", inside]);
        terminal.read_until("ready").unwrap();
        settle(100);
        let all = descendants(terminal.pid());
        terminal.hang_up();
        within(Duration::from_secs(3), "all end", || !all[..2].iter().any(|pid| is_alive(*pid)));
        terminal.wait().unwrap();
    }
    assert_eq!(pod.sh("cat /heard"), "heard\n");
    pod.stop();
}

fn a_hang_up_without_a_terminal(host: &Host) {
    let mut pod = sleeping(host);
    let mut command = pod.exec_command(&["--", "sh", "-c", DEAF]);
    let mut terminal = start(host, &mut command_without_input(host, &mut command));
    terminal.read_until("ready").unwrap();
    settle(100);
    let all = descendants(terminal.pid());
    terminal.hang_up();
    within(Duration::from_secs(3), "all end", || !all[..2].iter().any(|pid| is_alive(*pid)));
    terminal.wait().unwrap();
    pod.stop();
}

fn a_hostile_ptmx_is_told(host: &Host) {
    let all = [
        "umount /dev/pts",
        "umount /dev/pts; ln -s /dev/null /dev/pts/ptmx",
        "umount /dev/pts; ln -s /proc/self/fd/0 /dev/pts/ptmx",
        "umount /dev/pts; mkfifo /dev/pts/ptmx",
        "umount /dev/pts; mkdir /dev/pts/ptmx",
        "umount /dev/pts; touch /dev/pts/ptmx; mount --bind /dev/tty /dev/pts/ptmx",
        "umount /dev/pts; touch /dev/pts/ptmx; mount --bind /dev/null /dev/pts/ptmx",
        "mount --bind /dev/zero /dev/pts/ptmx",
        "rm -r /dev/pts 2>/dev/null; umount /dev/pts; rmdir /dev/pts; ln -s /proc/1/root/dev/pts \
         /dev/pts",
    ];
    for hostile in all {
        let hostile = format!("{hostile}; echo ready; exec sleep 1000");
        let mut pod = Pod::start_ready(host, &scripts("", &[("a", &hostile)]), 1);
        let mut terminal = script(host, &pod, "stty -g; exec_ true; echo status-$?; stty -g");
        let before = terminal.read_until("\r\n").unwrap();
        let printed = terminal.read_until("status-").unwrap();
        assert_eq!(terminal.read_until("\r\n").unwrap(), "125\r\n", "{hostile}: {printed}");
        let [line, "status-"] = printed.lines().collect::<Vec<_>>()[..] else {
            panic!("{hostile}: {printed}");
        };
        let is_told = line.starts_with("Error: ") && line.contains("/dev/pts/ptmx");
        assert!(is_told, "{hostile}: {line}");
        assert_eq!(terminal.read_until("\r\n").unwrap(), before);
        // Without a terminal there is no need of one.
        assert_eq!(pod.sh("echo works"), "works\n");
        pod.stop();
    }
}
