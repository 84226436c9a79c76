//! `--init`, from v3 on: what process 1 does for a command that does not do it, beside the inits
//! that Docker and podman take.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::running::{children, descendants, program, status_line, within};
use crate::terminal::{Key, Terminal};
use crate::{Host, Outcome, Running, Suite};

pub fn add(suite: Suite) -> Suite {
    if !suite.stage().pid_namespace {
        return suite;
    }
    suite
        .both("init_ends_as_the_command_ends", init_ends_as_the_command_ends)
        .both("init_passes_signals_on", init_passes_signals_on)
        .both("init_reaps_orphans", init_reaps_orphans)
        .both("init_does_what_others_do", init_does_what_others_do)
        .both("init_shows_nothing_of_the_host", init_shows_nothing_of_the_host)
        .both("a_signal_to_the_group_below_init", a_signal_to_the_group_comes_once_below_init)
        .both("ctrl_c_ends_a_command_below_init", ctrl_c_ends_a_command_below_init)
}

/// A command below ours, or below another init, which is a program of the container.
#[derive(Clone, Copy)]
enum Init {
    Ours,
    Others(&'static str),
}

/// Docker's and podman's, where they are installed.
const OTHERS: [&str; 2] = ["/usr/bin/tini-static", "/usr/bin/catatonit"];

impl Init {
    fn launcher(self, host: &Host, command: &[&str]) -> Command {
        let mut launcher = host.launcher();
        match self {
            Init::Ours => launcher.arg("--init"),
            Init::Others(path) => {
                launcher.arg("-v").arg(format!("{path}:/tmp/init:ro")).args(["/tmp/init", "--"])
            }
        };
        launcher.args(command);
        launcher
    }

    fn run(self, host: &Host, command: &[&str]) -> Outcome {
        Outcome::of(&mut self.launcher(host, command))
    }

    fn start(self, host: &Host, script: &str) -> Running {
        let mut running = host.follow(&mut self.launcher(host, &["sh", "-c", script]));
        running.expect_line("ready");
        running
    }

    fn status(self, host: &Host) {
        for (script, code) in [("exit 0", 0), ("exit 7", 7), ("exit 255", 255)] {
            assert_eq!(self.run(host, &["sh", "-c", script]).code(), code, "{script}");
        }
        for signal in [libc::SIGTERM, libc::SIGKILL, libc::SIGUSR1] {
            let script = format!("kill -{signal} $$");
            let outcome = self.run(host, &["sh", "-c", &script]);
            assert_eq!(
                outcome.code(),
                128 + signal,
                "a signal that ends it, as it ends any process"
            );
        }
    }

    fn signals(self, host: &Host) {
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGUSR1] {
            let mut running = self.start(host, "echo ready; exec sleep 1000");
            running.signal(signal);
            assert_eq!(running.code(), 128 + signal as i32, "{signal} is nothing to PID 1");
        }
    }

    fn orphans(self, host: &Host) {
        let script = "for n in 1 2 3 4 5; do sh -c 'sleep 0.0$0 &' $n; done; echo ready; \
                      exec sleep 1000";
        let running = self.start(host, script);
        let is_left = |pid: &u32| program(*pid) == "sleep" && children(*pid).is_empty();
        let left = || descendants(running.pid()).iter().filter(|pid| is_left(pid)).count();
        within(Duration::from_secs(2), "only the command is left", || left() == 1);
    }
}

fn init_ends_as_the_command_ends(host: &Host) {
    Init::Ours.status(host);
    let refused = Init::Ours.run(host, &["no-such-command"]);
    refused.assert_refused(127, &["cannot execute", "no-such-command", "ENOENT"]);
    Init::Ours.run(host, &["/etc/passwd"]).assert_refused(126, &["cannot execute", "EACCES"]);
    // What it leaves behind is killed.
    let outcome = Init::Ours.run(host, &["sh", "-c", "sleep 1000 & exit 7"]);
    assert_eq!(outcome.code(), 7);
}

fn init_passes_signals_on(host: &Host) {
    host.warm_up();
    Init::Ours.signals(host);
}

fn init_reaps_orphans(host: &Host) {
    host.warm_up();
    Init::Ours.orphans(host);
    let running = Init::Ours.start(host, "echo ready; exec sleep 1000");
    assert_eq!(
        status_line(children(running.command())[0], "NSpid").split('\t').next_back(),
        Some("2")
    );
}

fn init_does_what_others_do(host: &Host) {
    host.warm_up();
    for path in OTHERS {
        if Path::new(path).exists() {
            let other = Init::Others(path);
            other.status(host);
            other.signals(host);
            other.orphans(host);
        }
    }
}

/// Whatever of process 1 a container can look at, its root even write to: nothing is the host's.
fn init_shows_nothing_of_the_host(host: &Host) {
    let script = "tr '\\0' ' ' </proc/1/cmdline; cat /proc/1/environ; ls /proc/1/fd; \
                  readlink /proc/1/exe; \
                  for file in /proc/1/map_files/*; do readlink $file; done; exit 0";
    let mut launcher = Init::Ours.launcher(host, &["sh", "-c", script]);
    let outcome = Outcome::of(launcher.env("SECRET", "of-the-host"));
    let in_memory = "/memfd:init (deleted)\n";
    let shown = outcome.text().strip_prefix("/init ").unwrap_or_else(|| panic!("{outcome:?}"));
    assert!(!shown.is_empty() && shown.replace(in_memory, "").is_empty(), "{outcome:?}");
    // A user may not look at the files (CAP_CHECKPOINT_RESTORE); without a name it is one file.
    assert!(!host.is_root() || shown.len() > in_memory.len(), "{outcome:?}");
}

/// What is sent to a whole group comes to each of it, and not from init once more.
fn a_signal_to_the_group_comes_once_below_init(host: &Host) {
    let script = "trap 'echo came' USR1; echo ready; kill -USR1 0; sleep 0.3; echo end";
    let outcome = Init::Ours.run(host, &["sh", "-c", script]);
    assert_eq!(outcome.text(), "ready\ncame\nend\n");
}

fn ctrl_c_ends_a_command_below_init(host: &Host) {
    host.warm_up();
    let script = "echo ready; exec sleep 1000";
    let mut launcher = Init::Ours.launcher(host, &["sh", "-c", script]);
    let mut terminal = Terminal::start(&mut launcher).unwrap();
    host.give(terminal.path());
    terminal.read_until("ready").unwrap();
    terminal.press(Key::CtrlC).unwrap();
    assert_eq!(terminal.wait().unwrap().code(), Some(130));
}
