//! What the command must not inherit: descriptors, a signal mask, ignored signals.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::unistd::alarm;

use crate::running::status_line;
use crate::{Host, Suite};

pub fn add(suite: Suite) -> Suite {
    suite
        .both("only_0_1_2_are_open", only_0_1_2_are_open)
        .both("signal_mask_and_actions_are_default", signal_mask_and_actions_are_default)
        .both("nohup_stays", nohup_stays)
        .root("no_capability_is_inheritable", no_capability_is_inheritable)
}

fn only_0_1_2_are_open(host: &Host) {
    let open: Vec<fs::File> = (0..20).map(|_| fs::File::open("/dev/null").unwrap()).collect();
    for file in &open {
        fcntl(file, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    }
    // A directory would be a way out of the root directory, and a high number is easily missed.
    let directory = fs::File::open("/").unwrap();
    let high: RawFd = 200;
    // SAFETY: nothing in this process uses that number.
    assert_eq!(unsafe { libc::dup2(directory.as_raw_fd(), high) }, high);

    let running = host.start_sleep();
    let of_the_caller = open_descriptors(std::process::id());
    assert!(of_the_caller.len() > 20 && of_the_caller.contains(&high), "{of_the_caller:?}");
    assert!(open_descriptors(running.pid()).len() > 20, "the launcher inherited none of them");
    assert_eq!(open_descriptors(running.command()), [0, 1, 2]);
}

fn open_descriptors(pid: u32) -> Vec<RawFd> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let mut numbers: Vec<RawFd> = entries
        .map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap())
        .collect();
    numbers.sort_unstable();
    numbers
}

/// Ignores signals in the launcher, before its first instruction.
pub fn ignore_signals(command: &mut Command, signals: &'static [libc::c_int]) {
    let ignore = move || {
        for signal in signals {
            // SAFETY: SIG_IGN is no function of ours that could be called at a bad moment.
            unsafe { libc::signal(*signal, libc::SIG_IGN) };
        }
        io::Result::Ok(())
    };
    // SAFETY: the closure makes system calls only.
    unsafe { command.pre_exec(ignore) };
}

/// Blocks all signals in the launcher, before its first instruction.
pub fn block_signals(command: &mut Command) {
    let block = || Ok(sigprocmask(SigmaskHow::SIG_BLOCK, Some(&SigSet::all()), None)?);
    // SAFETY: the closure makes a system call only.
    unsafe { command.pre_exec(block) };
}

/// Sets an alarm for the launcher that rings in two seconds.
pub(super) fn set_alarm(command: &mut Command) {
    let set = || {
        alarm::set(2);
        Ok(())
    };
    // SAFETY: the closure makes a system call only.
    unsafe { command.pre_exec(set) };
}

/// Lets no signal wait for the launcher and what it starts with more than its number: as if others
/// of this user had as many waiting as may be (getrlimit(2), RLIMIT_SIGPENDING).
pub(super) fn let_no_signal_wait(command: &mut Command) {
    let set = || Ok(setrlimit(Resource::RLIMIT_SIGPENDING, 0, 0)?);
    // SAFETY: the closure makes a system call only.
    unsafe { command.pre_exec(set) };
}

fn signal_mask_and_actions_are_default(host: &Host) {
    let ignored = &[libc::SIGPIPE, libc::SIGCHLD, libc::SIGINT, libc::SIGTERM, libc::SIGUSR1, 40];
    for is_bad_caller in [false, true] {
        let mut launcher = host.launcher();
        if is_bad_caller {
            ignore_signals(&mut launcher, ignored);
            block_signals(&mut launcher);
        }
        let running = host.follow(launcher.args(["sleep", "1000"]));
        running.wait_for_program("sleep");
        for name in ["SigBlk", "SigIgn", "SigCgt"] {
            let mask = status_line(running.command(), name);
            assert_eq!(mask, "0000000000000000", "{name}, bad caller: {is_bad_caller}");
        }
    }
}

fn nohup_stays(host: &Host) {
    let mut launcher = host.launcher();
    ignore_signals(&mut launcher, &[libc::SIGHUP]);
    let running = host.follow(launcher.args(["sleep", "1000"]));
    running.wait_for_program("sleep");
    assert_eq!(status_line(running.command(), "SigIgn"), "0000000000000001");
}

/// Inheritable capabilities pass by the bounding set, and ambient ones are every program's.
fn no_capability_is_inheritable(host: &Host) {
    if Command::new("setpriv").arg("--version").output().is_err() {
        host.skip("no setpriv on this machine: install util-linux");
    }
    host.warm_up();
    let mut caller = host.command("setpriv");
    caller.args(["--inh-caps=+sys_ptrace,+net_admin", "--ambient-caps=+sys_ptrace"]);
    caller.arg(host.launcher().get_program()).args(["sleep", "1000"]);
    let running = host.follow(&mut caller);
    running.wait_for_program("sleep");
    for name in ["CapInh", "CapAmb"] {
        assert_eq!(status_line(running.command(), name), "0000000000000000", "{name}");
    }
}
