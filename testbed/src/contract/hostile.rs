//! Commands, rootfs and callers that mean harm, or do it without meaning to.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use nix::sys::signal::{SigHandler, Signal, signal};
use std::os::unix::process::CommandExt;

use crate::running::{descendants, is_alive, within};
use crate::{Host, Outcome, Suite};

pub fn add(suite: Suite) -> Suite {
    let has_pid_namespace = suite.stage().pid_namespace;
    let suite = suite
        .both("kill_0_stays_in_the_container", kill_0_stays_in_the_container)
        .both("a_fifo_is_no_command", a_fifo_is_no_command)
        .both("an_elf_file_that_lies_about_its_size", an_elf_file_that_lies_about_its_size)
        .both("modes_of_the_rootfs_are_mended", modes_of_the_rootfs_are_mended)
        .both("the_cache_is_closed_to_others", the_cache_is_closed_to_others)
        .both("a_caller_who_ignores_sigchld", a_caller_who_ignores_sigchld);
    if !has_pid_namespace {
        return suite;
    }
    suite.root("a_command_that_changes_its_user_ends_too", a_command_that_changes_its_user)
}

/// `kill 0` signals the process group of the caller, and groups cross PID namespaces.
fn kill_0_stays_in_the_container(host: &Host) {
    let launcher = host.launcher();
    let mut caller = host.command("/bin/sh");
    caller.args(["-c", "\"$0\" sh -c 'kill -9 0'; echo \"survived: $?\""]);
    let outcome = Outcome::of(caller.arg(launcher.get_program()));
    assert_eq!(outcome.stdout, b"survived: 137\n", "{outcome:?}");
}

fn a_fifo_is_no_command(host: &Host) {
    host.warm_up();
    assert_eq!(host.run(["mkfifo", "/tmp/pipe"]).code(), 0);
    host.run(["/tmp/pipe"]).assert_refused(126, &["/tmp/pipe", "EACCES", "not a regular file"]);
}

fn an_elf_file_that_lies_about_its_size(host: &Host) {
    host.warm_up();
    let mut program = fs::read(host.busybox()).unwrap();
    program[16..18].copy_from_slice(&[0xff, 0xff]); // e_type: no program
    program[60..64].fill(0xff); // e_shnum and e_shstrndx
    let path = host.rootfs().join("tmp/liar");
    fs::write(&path, program).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    host.run(["/tmp/liar"]).assert_refused(126, &["/tmp/liar", "ENOEXEC"]);
}

fn modes_of_the_rootfs_are_mended(host: &Host) {
    host.warm_up();
    for damage in ["chmod 0 /bin/busybox", "chmod 0 /bin", "chmod 0 /", "chmod 700 / /usr /bin"] {
        host.sh(damage);
        assert_eq!(host.run(["echo", "mended"]).text(), "mended\n", "after {damage}");
    }
}

fn the_cache_is_closed_to_others(host: &Host) {
    host.warm_up();
    // Else a set-user-ID program of a container's root would be one of the host, for everybody.
    let mode = fs::metadata(host.cache()).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o700);
}

fn a_caller_who_ignores_sigchld(host: &Host) {
    let mut launcher = host.launcher();
    let ignore_sigchld = || {
        // SAFETY: no handler is installed that could run at a bad moment.
        unsafe { signal(Signal::SIGCHLD, SigHandler::SigIgn) }?;
        Ok(())
    };
    // SAFETY: between fork and exec the closure makes one system call, and allocates nothing.
    unsafe { launcher.pre_exec(ignore_sigchld) };
    let outcome = Outcome::of(launcher.args(["echo", "hello"]));
    assert_eq!(outcome.text(), "hello\n");
}

/// A change of the user clears the death signal that ties PID 1 to its parent (prctl(2)).
fn a_command_that_changes_its_user(host: &Host) {
    let running = host.start(["su", "-s", "/bin/sh", "nobody", "-c", "sleep 1000"]);
    running.wait_for_program("sleep");
    let all = descendants(running.pid());
    assert!(all.len() >= 2, "{all:?}");
    running.signal(Signal::SIGKILL);
    within(Duration::from_secs(1), "all end", || !all.iter().any(|pid| is_alive(*pid)));
}
