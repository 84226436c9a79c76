//! Standard input, output and error: as pipes, as files, closed.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::RawFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread;

use nix::unistd::Pid;

use crate::faults::descriptors::is_of_own_mounts;
use crate::running::link;
use crate::{Host, Outcome, Suite};

pub fn add(suite: Suite) -> Suite {
    let suite = match suite.stage().mount_namespace {
        true => suite.both("the_null_device_is_the_containers", null_is_the_containers),
        false => suite,
    };
    suite
        .both("stdout_and_stderr_stay_apart", stdout_and_stderr_stay_apart)
        .both("pipes_carry_much_data_both_ways", pipes_carry_much_data_both_ways)
        .both("a_file_is_read_and_written", a_file_is_read_and_written)
        .both("a_broken_pipe_ends_a_pipeline", a_broken_pipe_ends_a_pipeline)
        .both("closed_descriptors_are_dev_null", closed_descriptors_are_dev_null)
        .both("errors_survive_a_closed_stderr", errors_survive_a_closed_stderr)
}

fn stdout_and_stderr_stay_apart(host: &Host) {
    let outcome = host.sh("echo out; echo err >&2");
    assert_eq!((&outcome.stdout[..], outcome.complaints()), (&b"out\n"[..], vec!["err"]));
}

fn pipes_carry_much_data_both_ways(host: &Host) {
    let data: Vec<u8> =
        (0..16_u32 << 20).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    let mut launcher =
        host.launcher().arg("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = launcher.stdin.take().unwrap();
    let mut stdout = launcher.stdout.take().unwrap();
    let copy = data.clone();
    let writer = thread::spawn(move || stdin.write_all(&copy));
    let mut echoed = Vec::new();
    stdout.read_to_end(&mut echoed).unwrap();
    writer.join().unwrap().unwrap();
    assert!(echoed == data, "{} bytes came back of {}", echoed.len(), data.len());
    assert_eq!(launcher.wait().unwrap().code(), Some(0));
}

fn a_file_is_read_and_written(host: &Host) {
    let dir = host.dir("files");
    fs::write(dir.join("in"), "from a file\n").unwrap();
    let status = host
        .launcher()
        .args(["tr", "a-z", "A-Z"])
        .stdin(File::open(dir.join("in")).unwrap())
        .stdout(File::create(dir.join("out")).unwrap())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(fs::read_to_string(dir.join("out")).unwrap(), "FROM A FILE\n");
}

fn a_broken_pipe_ends_a_pipeline(host: &Host) {
    // Inside, and between the container and the host. `yes` dies by SIGPIPE if it is not ignored.
    assert_eq!(host.sh("yes | head -n 1").text(), "y\n");
    let mut yes =
        host.launcher().args(["sh", "-c", "yes; exit $?"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut start = [0; 4];
    yes.stdout.take().unwrap().read_exact(&mut start).unwrap();
    assert_eq!(yes.wait().unwrap().code(), Some(128 + libc::SIGPIPE));
}

/// Closes descriptors in the launcher, before its first instruction.
fn close_in<'a>(command: &'a mut Command, descriptors: &'static [RawFd]) -> &'a mut Command {
    let close = move || {
        for descriptor in descriptors {
            // SAFETY: closing a descriptor of the new process, which runs no Rust code after us.
            unsafe { libc::close(*descriptor) };
        }
        io::Result::Ok(())
    };
    // SAFETY: the closure makes system calls only.
    unsafe { command.pre_exec(close) }
}

fn closed_descriptors_are_dev_null(host: &Host) {
    host.warm_up();
    for descriptors in [&[0][..], &[1], &[2], &[0, 1, 2]] {
        let mut launcher = host.launcher();
        let launcher = close_in(launcher.args(["sleep", "1000"]), descriptors);
        let running = host.follow(launcher);
        running.wait_for_program("sleep");
        for descriptor in descriptors {
            let path = format!("/proc/{}/fd/{descriptor}", running.command());
            assert_eq!(link(&path), "/dev/null", "{descriptor} of {descriptors:?}");
        }
    }
    let mut launcher = host.launcher();
    let outcome = Outcome::of(close_in(
        launcher.args(["sh", "-c", "cat; echo x; echo y >&2; exit 7"]),
        &[0, 1, 2],
    ));
    assert_eq!(outcome.code(), 7, "writing and reading work");
}

/// Who owns the host's node, root inside as outside, could change its mode. So neither what the
/// caller hands over nor what Rust's runtime opens for what is closed is the host's in there.
fn null_is_the_containers(host: &Host) {
    host.warm_up();
    let check = |launcher: &mut Command, case: &str| {
        let running = host.follow(launcher.args(["sleep", "1000"]));
        running.wait_for_program("sleep");
        let pid = Pid::from_raw(running.command().cast_signed());
        for number in 0..3 {
            let path = format!("/proc/{pid}/fd/{number}");
            let is_inside = is_of_own_mounts(pid, number);
            assert!(link(&path) != "/dev/null" || is_inside, "{number}, {case}");
        }
    };
    check(host.launcher().stdin(Stdio::null()), "stdin from it");
    check(host.launcher().stdout(Stdio::null()).stderr(Stdio::null()), "output to it");
    check(close_in(&mut host.launcher(), &[0, 1, 2]), "closed");
}

fn errors_survive_a_closed_stderr(host: &Host) {
    let mut launcher = host.launcher();
    let outcome = Outcome::of(close_in(launcher.arg("no-such-command"), &[2]));
    assert_eq!(outcome.code(), 127);
}
