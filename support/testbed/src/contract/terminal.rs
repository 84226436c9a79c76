//! Standard input, output and error as a terminal: the container inherits the caller's.
//!
//! In front of the terminal is bash where there is one, as for a person who types: job control
//! needs a shell outside, too.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use crate::pace::settle;
use crate::running::{
    children, children_of_supervisor, descendants, is_alive, program, send, status_line, within,
};
use crate::terminal::{Key, Terminal};
use crate::{Host, Suite};

pub fn add(suite: Suite) -> Suite {
    let suite = match suite.stage().mount_namespace {
        true => suite.both("the_terminal_has_a_name", the_terminal_has_a_name),
        false => suite,
    };
    suite
        .both("a_shell_on_the_terminal_has_job_control", a_shell_has_job_control)
        .both("ctrl_c_reaches_the_command_once", ctrl_c_reaches_the_command_once)
        .both("ctrl_c_interrupts_the_foreground_job_only", ctrl_c_interrupts_the_foreground_job)
        .both("ctrl_z_stops_and_fg_goes_on", ctrl_z_stops_and_fg_goes_on)
        .both("a_stop_from_a_process_stops_all", a_stop_from_a_process_stops_all)
        .both("ctrl_z_inside_stops_the_job_only", ctrl_z_inside_stops_the_job_only)
        .both("the_windows_size_is_seen", the_windows_size_is_seen)
        .both("the_third_ctrl_c_kills", the_third_ctrl_c_kills)
        .both("the_third_ctrl_c_spares_strangers", the_third_ctrl_c_spares_strangers)
        .both("slow_ctrl_c_do_not_kill", slow_ctrl_c_do_not_kill)
        .long()
        .both("a_hang_up_kills", a_hang_up_kills)
        .both("a_hang_up_kills_below_a_shell", a_hang_up_kills_below_a_shell)
        .both("a_hang_up_kills_in_the_background", a_hang_up_kills_in_the_background)
        .both("the_terminal_is_usable_afterwards", the_terminal_is_usable_afterwards)
        .both("a_script_can_read_afterwards", a_script_can_read_afterwards)
        .both("the_terminal_is_set_as_before", the_terminal_is_set_as_before)
        .both("what_a_command_has_set_stays", what_a_command_has_set_stays)
        .both("ctrl_d_ends_the_shell", ctrl_d_ends_the_shell)
}

/// The launcher on a terminal.
fn on_terminal(host: &Host, arguments: &[&str]) -> Terminal {
    host.warm_up();
    start(host, host.launcher().args(arguments))
}

fn start(host: &Host, command: &mut std::process::Command) -> Terminal {
    let terminal = Terminal::start(command).unwrap();
    // A login would give the terminal to the user, too.
    host.give(terminal.path());
    terminal
}

/// A shell of the host on a terminal, with a prompt that is easy to find.
fn outer_shell(host: &Host) -> Terminal {
    host.warm_up();
    let mut shell = host.command("/bin/bash");
    shell.args(["--norc", "--noprofile", "-i"]).env("PS1", "host$ ").env("HISTFILE", "");
    let mut terminal = start(host, &mut shell);
    terminal.read_until("host$ ").unwrap();
    terminal
}

fn command_of(host: &Host, launcher: u32) -> u32 {
    let child = children_of_supervisor(launcher)[0];
    if host.stage_facts().pid_namespace { children(child)[0] } else { child }
}

fn a_shell_has_job_control(host: &Host) {
    let mut terminal = on_terminal(host, &[]);
    terminal.read_until("# ").unwrap();
    terminal.type_line("tty >/dev/null; test -t 0 && echo a-$((1))-terminal").unwrap();
    let printed = terminal.read_until("a-1-terminal").unwrap();
    assert!(!printed.contains("job control"), "{printed}");
    terminal.type_line("sleep 1000 | cat").unwrap();
    settle(200);
    terminal.press(Key::CtrlZ).unwrap();
    terminal.read_until("Stopped").unwrap();
    terminal.type_line("bg; jobs; kill %1; wait; exit 7").unwrap();
    assert_eq!(terminal.wait().unwrap().code(), Some(7), "{}", terminal.transcript());
}

/// The one that it has outside is of another /dev/pts. It is the same device.
fn the_terminal_has_a_name(host: &Host) {
    let script = "tty; stat -L -c %t:%T /proc/self/fd/0; stat -c %t:%T /dev/console; \
                  echo written >/dev/console";
    let mut terminal = on_terminal(host, &["sh", "-c", script]);
    let printed = terminal.read_to_end().unwrap();
    let mut lines = printed.lines().skip_while(|line| line.starts_with("Note: "));
    assert_eq!(lines.next(), Some("/dev/console"), "{printed}");
    assert_eq!(lines.next(), lines.next(), "{printed}");
    assert_eq!(lines.last(), Some("written"), "{printed}");
    assert_eq!(terminal.wait().unwrap().code(), Some(0));
    assert_eq!(host.run(["ls", "/dev/console"]).code(), 1, "there is no terminal");
}

fn ctrl_c_reaches_the_command_once(host: &Host) {
    let script = "trap 'echo got' INT
        echo ready
        for n in 1 2 3 4 5 6 7 8; do sleep 0.1; done
        exit 7";
    let mut terminal = on_terminal(host, &["sh", "-c", script]);
    terminal.read_until("ready").unwrap();
    terminal.press(Key::CtrlC).unwrap();
    let printed = terminal.read_to_end().unwrap();
    assert_eq!(printed.matches("got").count(), 1, "{printed}");
    assert_eq!(terminal.wait().unwrap().code(), Some(7));
}

fn ctrl_c_interrupts_the_foreground_job(host: &Host) {
    let mut terminal = on_terminal(host, &[]);
    terminal.read_until("# ").unwrap();
    terminal.type_line("sleep 1000").unwrap();
    settle(200);
    terminal.press(Key::CtrlC).unwrap();
    terminal.read_until("# ").unwrap();
    terminal.type_line("echo status-$?; exit 7").unwrap();
    terminal.read_until("status-130").unwrap();
    assert_eq!(terminal.wait().unwrap().code(), Some(7));
}

fn ctrl_z_stops_and_fg_goes_on(host: &Host) {
    // PID 1 is not stopped by SIGTSTP, which has a default action: its child is, and below a shell
    // without job control both are in the foreground group.
    let mut terminal = outer_shell(host);
    let launcher = host.stage_facts().name;
    let script = "sh -c \"echo ready; sleep 0.5; echo went on\"; exit 7";
    terminal.type_line(&format!("{launcher} sh -c '{script}'")).unwrap();
    terminal.read_until("ready\r").unwrap();
    terminal.press(Key::CtrlZ).unwrap();
    terminal.read_until("Stopped").unwrap();
    terminal.read_until("host$ ").unwrap();
    settle(700);
    terminal.type_line("echo meanwhile; fg; echo status-$?").unwrap();
    let printed = terminal.read_until("went on\r").unwrap();
    assert!(printed.contains("meanwhile\r\n"), "{printed}");
    terminal.read_until("status-7").unwrap();
    terminal.type_line("exit").unwrap();
    terminal.wait().unwrap();
}

/// As `kill -TSTP %1` does, which is sent to the whole group, and as it is sent to the launcher
/// alone. PID 1 would not stop by itself.
fn a_stop_from_a_process_stops_all(host: &Host) {
    let has_init = host.stage_facts().pid_namespace;
    let cases = [("%1", ""), ("$!", ""), ("$!", "--init")];
    for (target, option) in cases.into_iter().filter(|(_, option)| has_init || option.is_empty()) {
        let mut terminal = outer_shell(host);
        let launcher = host.stage_facts().name;
        let script = "echo rea\"\"dy; while :; do :; done";
        terminal.type_line(&format!("{launcher} {option} sh -c '{script}' & sleep 0.1")).unwrap();
        terminal.read_until("ready\r").unwrap();
        let first = command_of(host, children(terminal.pid())[0]);
        let command = if option.is_empty() { first } else { children(first)[0] };
        let is_stopped = || status_line(command, "State").starts_with('T');
        terminal.type_line(&format!("kill -TSTP {target}; sleep 0.2; jobs")).unwrap();
        terminal.read_until("Stopped").unwrap();
        within(Duration::from_secs(1), &format!("it stops, by {target} {option}"), is_stopped);
        terminal.type_line(&format!("kill -CONT {target}")).unwrap();
        within(Duration::from_secs(1), "it goes on", || !is_stopped());
        send(command, libc::SIGKILL);
        terminal.type_line("wait; exit").unwrap();
        terminal.wait().unwrap();
    }
}

fn ctrl_z_inside_stops_the_job_only(host: &Host) {
    let mut terminal = outer_shell(host);
    terminal.type_line(host.stage_facts().name).unwrap();
    terminal.read_until("# ").unwrap();
    terminal.type_line("sleep 1000").unwrap();
    settle(200);
    terminal.press(Key::CtrlZ).unwrap();
    terminal.read_until("Stopped").unwrap();
    terminal.read_until("# ").unwrap();
    // The shell must have seen its end, else it asks back.
    terminal.type_line("kill -9 %1; sleep 0.1").unwrap();
    terminal.read_until("# ").unwrap();
    terminal.type_line("exit 7").unwrap();
    terminal.read_until("host$ ").unwrap();
    terminal.type_line("echo status-$?; exit").unwrap();
    terminal.read_until("status-7").unwrap();
    terminal.wait().unwrap();
}

fn the_windows_size_is_seen(host: &Host) {
    let script = "trap 'stty size; exit 7' WINCH; stty size; while :; do sleep 0.05; done";
    let mut terminal = on_terminal(host, &["sh", "-c", script]);
    terminal.read_until("24 80").unwrap();
    terminal.resize(31, 101).unwrap();
    terminal.read_until("31 101").unwrap();
    assert_eq!(terminal.wait().unwrap().code(), Some(7));
}

/// Ignores Ctrl-C, as PID 1 does without a handler; a handler would be the same.
const IGNORE_INTERRUPTS: &str = "trap '' INT; echo ready; sleep 1000";

fn the_third_ctrl_c_kills(host: &Host) {
    let mut terminal = on_terminal(host, &["sh", "-c", IGNORE_INTERRUPTS]);
    terminal.read_until("ready").unwrap();
    let all = descendants(terminal.pid());
    for press in 1..=3 {
        assert!(all.iter().all(|pid| is_alive(*pid)), "before the {press}. Ctrl-C");
        terminal.press(Key::CtrlC).unwrap();
        sleep(Duration::from_millis(300));
    }
    assert_eq!(terminal.wait().unwrap().code(), Some(137));
    assert!(!all.iter().any(|pid| is_alive(*pid)), "nothing of the container is left");
}

/// A shell that starts something and then executes the launcher leaves it a child.
fn the_third_ctrl_c_spares_strangers(host: &Host) {
    host.warm_up();
    let script =
        format!("setsid sh -c 'sleep 777; sleep 777' & exec \"$0\" sh -c \"{IGNORE_INTERRUPTS}\"");
    let mut shell = host.command("/bin/sh");
    shell.args(["-c", &script]).arg(host.launcher().get_program());
    let mut terminal = start(host, &mut shell);
    terminal.read_until("ready").unwrap();
    let words = |pid: &u32| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&words).into_owned()
    };
    let is_stranger = |pid: &u32| words(pid).contains("777");
    // From then on none of them changes its words any more.
    let are_there =
        || descendants(terminal.pid()).iter().any(|pid| words(pid) == "sleep\x00777\x00");
    within(Duration::from_secs(1), "the strangers are there", are_there);
    let all = descendants(terminal.pid());
    let (strangers, container): (Vec<_>, Vec<_>) = all.iter().partition(|pid| is_stranger(pid));
    assert!(!container.is_empty(), "{all:?}");
    for _ in 0..3 {
        terminal.press(Key::CtrlC).unwrap();
        sleep(Duration::from_millis(300));
    }
    assert_eq!(terminal.wait().unwrap().code(), Some(137));
    let is_alive = |pids: &[&u32]| pids.iter().map(|pid| is_alive(**pid)).collect::<Vec<_>>();
    assert_eq!(is_alive(&strangers), [true, true], "what the caller has started goes on");
    assert!(!is_alive(&container).contains(&true), "nothing of the container is left");
    strangers.iter().for_each(|pid| send(**pid, libc::SIGKILL));
}

fn slow_ctrl_c_do_not_kill(host: &Host) {
    let mut terminal = on_terminal(host, &["sh", "-c", IGNORE_INTERRUPTS]);
    terminal.read_until("ready").unwrap();
    for _ in 0..4 {
        terminal.press(Key::CtrlC).unwrap();
        sleep(Duration::from_millis(1100));
    }
    let command = command_of(host, terminal.pid());
    assert!(is_alive(command));
    send(command, libc::SIGKILL);
    assert_eq!(terminal.wait().unwrap().code(), Some(137));
}

const IGNORE_HANG_UPS: &str = "trap '' HUP TERM INT; echo ready; sleep 1000; sleep 1000";

fn a_hang_up_kills(host: &Host) {
    let mut terminal = on_terminal(host, &["sh", "-c", IGNORE_HANG_UPS]);
    terminal.read_until("ready").unwrap();
    settle(100);
    let all = descendants(terminal.pid());
    assert!(all.len() >= 2, "{all:?}");
    terminal.hang_up();
    within(Duration::from_secs(1), "the container ends", || !all.iter().any(|pid| is_alive(*pid)));
    terminal.wait().unwrap();
}

fn a_hang_up_kills_below_a_shell(host: &Host) {
    let mut terminal = outer_shell(host);
    let launcher = host.stage_facts().name;
    terminal.type_line(&format!("{launcher} sh -c \"{IGNORE_HANG_UPS}\"")).unwrap();
    terminal.read_until("ready\r").unwrap();
    settle(100);
    let all = descendants(terminal.pid());
    assert!(all.iter().any(|pid| program(*pid) == launcher), "{all:?}");
    terminal.hang_up();
    within(Duration::from_secs(1), "all end", || !all.iter().any(|pid| is_alive(*pid)));
    terminal.wait().unwrap();
}

/// The terminal tells its foreground group only; the shell outside tells its jobs.
fn a_hang_up_kills_in_the_background(host: &Host) {
    let mut terminal = outer_shell(host);
    let launcher = host.stage_facts().name;
    // A shell that reads may find the end of its input before the signal: then it leaves its jobs.
    terminal.type_line(&format!("{launcher} sh -c \"{IGNORE_HANG_UPS}\" & wait")).unwrap();
    terminal.read_until("ready\r").unwrap();
    settle(100);
    let all = descendants(terminal.pid());
    assert!(all.len() >= 3, "{all:?}");
    terminal.hang_up();
    within(Duration::from_secs(1), "all end", || !all.iter().any(|pid| is_alive(*pid)));
    terminal.wait().unwrap();
}

/// A shell takes the terminal back itself, a script that ran the launcher does not.
fn a_script_can_read_afterwards(host: &Host) {
    host.warm_up();
    let script = format!("{}; echo status-$?; read x; echo got-$x", host.stage_facts().name);
    let mut terminal = start(host, host.command("/bin/sh").args(["-c", &script]));
    terminal.read_until("# ").unwrap();
    let launcher = children(terminal.pid())[0];
    send(command_of(host, launcher), libc::SIGKILL);
    terminal.read_until("status-137").unwrap();
    terminal.type_line("typed").unwrap();
    terminal.read_until("got-typed").unwrap();
    terminal.wait().unwrap();
}

fn the_terminal_is_usable_afterwards(host: &Host) {
    let mut terminal = outer_shell(host);
    // The shell inside takes the terminal for its own group, and is killed before it gives it back.
    terminal.type_line(host.stage_facts().name).unwrap();
    terminal.read_until("# ").unwrap();
    let launcher = children(terminal.pid())[0];
    send(command_of(host, launcher), libc::SIGKILL);
    terminal.read_until("host$ ").unwrap();
    terminal.type_line("read x; echo status-$? got-$x").unwrap();
    settle(100);
    terminal.type_line("typed").unwrap();
    terminal.read_until("status-0 got-typed").unwrap();
    terminal.type_line("exit").unwrap();
    terminal.wait().unwrap();
}

/// A script of the host that compares the terminal's settings before and after the launcher.
fn settings_around(host: &Host, arguments: &str) -> Terminal {
    host.warm_up();
    let script = format!(
        "before=$(stty -g); {} {arguments}; echo status-$?
        test \"$before\" = \"$(stty -g)\" && echo as-before || echo changed",
        host.stage_facts().name
    );
    start(host, host.command("/bin/sh").args(["-c", &script]))
}

/// What is killed cannot set them back.
fn the_terminal_is_set_as_before(host: &Host) {
    let command = "sh -c 'stty raw -echo; echo rea''dy; exec sleep 1000'";
    let mut terminal = settings_around(host, command);
    terminal.read_until("ready").unwrap();
    let launcher = children(terminal.pid())[0];
    send(command_of(host, launcher), libc::SIGKILL);
    terminal.read_until("status-137").unwrap();
    terminal.read_until("as-before").unwrap();
    terminal.wait().unwrap();
}

fn what_a_command_has_set_stays(host: &Host) {
    let mut terminal = settings_around(host, "stty -echo");
    terminal.read_until("status-0").unwrap();
    terminal.read_until("changed").unwrap();
    terminal.wait().unwrap();
}

fn ctrl_d_ends_the_shell(host: &Host) {
    let mut terminal = on_terminal(host, &[]);
    terminal.read_until("# ").unwrap();
    terminal.press(Key::CtrlD).unwrap();
    assert_eq!(terminal.wait().unwrap().code(), Some(0));
}
