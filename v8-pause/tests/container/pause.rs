//! pause itself.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::Signal;
use testbed::running::{children, is_alive, program, send, status_line, within};
use testbed::{Host, Suite};

use crate::pod::{Pod, scripts};

pub fn add(suite: Suite) -> Suite {
    suite
        .both("pause_has_no_options", pause_has_no_options)
        .both("pause_warns_if_it_is_not_pid_1", pause_warns_if_it_is_not_pid_1)
        .both("pause_ends_with_0_on_term_and_int_and_nothing_else", pause_ends_with_0)
        .both("pause_is_small_and_sleeps", pause_is_small_and_sleeps)
        .both("pause_has_no_rights_and_no_files", pause_has_no_rights_and_no_files)
}

/// The program that v8-pause carries, as a file.
fn program_file(host: &Host) -> PathBuf {
    // Under another name: called "pause" it is only when it has said so itself, and is ready.
    let path = host.dir("program").join("file");
    fs::write(&path, v8_pause::pause::PROGRAM).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Nobody could give it one: v8-pause starts it without arguments.
fn pause_has_no_options(host: &Host) {
    waits_and_ends(host, &["-v"]);
    fs::remove_dir_all("/tmp/program").unwrap();
    waits_and_ends(host, &["x", "-v"]);
}

fn pause_warns_if_it_is_not_pid_1(host: &Host) {
    waits_and_ends(host, &[]);
}

fn waits_and_ends(host: &Host, arguments: &[&str]) {
    let mut command = host.command(program_file(host));
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    within(Duration::from_secs(5), "pause waits", || program(child.id()) == "pause");
    // It does nothing but wait from here on.
    // (Those that it waits for are not blocked while it waits.)
    let blocked = || status_line(child.id(), "SigBlk") == "fffffffffffabefd";
    within(Duration::from_secs(5), "all signals are blocked", blocked);
    send(child.id(), libc::SIGTERM);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stdout, b"");
    assert_eq!(output.stderr, b"Warning: pause should be the first process\n");
}

fn pause_ends_with_0(host: &Host) {
    for (signal, ends) in [
        (Signal::SIGTERM, true),
        (Signal::SIGINT, true),
        (Signal::SIGHUP, false),
        (Signal::SIGUSR1, false),
        (Signal::SIGCHLD, false),
    ] {
        let mut unshare = host.command("unshare");
        unshare.args(["--user", "--map-root-user", "--pid", "--fork"]).arg(program_file(host));
        let mut child = unshare.spawn().unwrap();
        let is_pause = || children(child.id()).first().is_some_and(|pid| program(*pid) == "pause");
        within(Duration::from_secs(5), "pause runs", is_pause);
        let pause = children(child.id())[0];
        send(pause, signal as libc::c_int);
        if ends {
            assert_eq!(child.wait().unwrap().code(), Some(0), "{signal}");
        } else {
            sleep(Duration::from_millis(50));
            assert!(is_alive(pause), "{signal}");
            send(pause, libc::SIGKILL);
            child.wait().unwrap();
        }
        fs::remove_dir_all("/tmp/program").unwrap();
    }
}

fn pause_is_small_and_sleeps(host: &Host) {
    let mut pod = Pod::start_ready(host, &scripts("", &[("a", "echo ready; sleep 1000")]), 1);
    let pause = pod.pause;
    let switches = || status_line(pause, "voluntary_ctxt_switches");
    let before = switches();
    let memory = status_line(pod.pause, "VmRSS");
    let kilobytes: u32 = memory.trim_end_matches(" kB").parse().unwrap();
    assert!(kilobytes <= 350, "{memory}");
    sleep(Duration::from_secs(2));
    assert_eq!(switches(), before, "it has not been awake once");
    pod.stop();
}

fn pause_has_no_rights_and_no_files(host: &Host) {
    let mut pod = Pod::start_ready(host, &scripts("", &[("a", "echo ready; sleep 1000")]), 1);
    assert_eq!(status_line(pod.pause, "CapEff"), "0000000000000000");
    assert_eq!(status_line(pod.pause, "CapBnd"), "0000000000000000");
    let root = format!("/proc/{}/root/", pod.pause);
    assert_eq!(fs::read_dir(root).unwrap().count(), 0);
    assert!(status_line(pod.pause, "NSpid").ends_with("\t1"));
    let descriptors = fs::read_dir(format!("/proc/{}/fd", pod.pause)).unwrap().count();
    // Where processes are shared, all could open what it has: /proc/1/fd/2, say.
    assert_eq!(descriptors, 0);
    pod.stop();
}
