//! Commands, rootfs and callers that mean harm, or do it without meaning to.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::inheritance::block_signals;
use crate::elsewhere::limit_memory;
use crate::extent::OTHER_SUPERVISION;
use crate::running::{descendants, is_alive, within};
use crate::{Host, Outcome, Suite};

pub fn add(suite: Suite) -> Suite {
    let has_pid_namespace = suite.stage().pid_namespace;
    let suite = suite
        .both("kill_0_stays_in_the_container", kill_0_stays_in_the_container)
        .both("a_fifo_is_no_command", a_fifo_is_no_command)
        .both("an_elf_file_that_lies_about_its_size", an_elf_file_that_lies_about_its_size)
        .both("an_elf_file_with_a_huge_interpreter", an_elf_file_with_a_huge_interpreter)
        .both("modes_of_the_rootfs_are_mended", modes_of_the_rootfs_are_mended)
        .both("the_cache_is_closed_to_others", the_cache_is_closed_to_others)
        .both("a_caller_who_blocks_every_signal", a_caller_who_blocks_every_signal)
        .short_at(OTHER_SUPERVISION, |suite| {
            suite.both("the_end_of_the_command_is_never_missed", the_end_is_never_missed)
        });
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
    let made = host.command("mkfifo").arg(host.rootfs().join("tmp/pipe")).status();
    assert!(made.is_ok_and(|status| status.success()));
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

/// The name of its interpreter is said to have sixteen gigabytes (man 5 elf, PT_INTERP).
fn an_elf_file_with_a_huge_interpreter(host: &Host) {
    const PT_INTERP: u32 = 3;
    const SIZE: u64 = 1 << 34;
    host.warm_up();
    let mut elf = fs::read(host.busybox()).unwrap()[..64 + 56].to_vec();
    elf[32..40].copy_from_slice(&64_u64.to_le_bytes()); // e_phoff: right behind the header
    elf[56..58].copy_from_slice(&1_u16.to_le_bytes()); // e_phnum
    elf[64..68].copy_from_slice(&PT_INTERP.to_le_bytes());
    elf[72..80].copy_from_slice(&0_u64.to_le_bytes()); // p_offset
    elf[96..104].copy_from_slice(&SIZE.to_le_bytes()); // p_filesz
    let path = host.rootfs().join("tmp/crafted");
    fs::write(&path, elf).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_len(2 * SIZE).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();

    let mut launcher = host.launcher();
    limit_memory(&mut launcher);
    Outcome::of(launcher.arg("/tmp/crafted")).assert_refused(126, &["/tmp/crafted", "ENOEXEC"]);
    fs::remove_file(path).unwrap();
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

/// What is passed on is passed on, whatever the caller had blocked.
fn a_caller_who_blocks_every_signal(host: &Host) {
    let mut launcher = host.launcher();
    block_signals(&mut launcher);
    let script = "trap 'echo got ALRM' ALRM; trap 'echo got TERM; exit 7' TERM; echo ready
        while :; do sleep 0.02; done";
    let mut running = host.follow(launcher.args(["sh", "-c", script]));
    running.expect_line("ready");
    running.signal(Signal::SIGALRM);
    running.expect_line("got ALRM");
    running.signal(Signal::SIGTERM);
    running.expect_line("got TERM");
    assert_eq!(running.code(), 7);
}

/// SIGCHLD is discarded when nobody has it blocked at that moment. A command that ends before the
/// supervisor looks (two busy loops see to that) would be waited for until the time is up.
fn the_end_is_never_missed(host: &Host) {
    host.warm_up();
    let _other = host.start_sleep(); // or each of them would make a bridge and remove it
    let busy = || Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
    let mut loops = [busy(), busy()];
    for _ in 0..if host.is_at_length(OTHER_SUPERVISION) { 200 } else { 20 } {
        assert_eq!(host.run(["true"]).code(), 0);
    }
    for busy in &mut loops {
        busy.kill().unwrap();
        busy.wait().unwrap();
    }
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
