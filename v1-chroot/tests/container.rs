//! v1-chroot, from outside: what all steps keep, and what a root directory alone does not hide.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::convert::Infallible;
use std::env;
use std::process::{Command, ExitCode};

use launcher::Container;
use testbed::{EXE, Host, Outcome, Stage, Suite, contract};

/// The first argument of a test binary that shall be a launcher with a bug.
const PANICKING_CHILD: &str = "--panicking-child";

fn main() -> ExitCode {
    if env::args().nth(1).as_deref() == Some(PANICKING_CHILD) {
        return start_panicking_child();
    }
    contract::add(Suite::of(&Stage::V1))
        .both("ps_shows_nothing_without_proc", ps_shows_nothing_without_proc)
        .both("process_numbers_are_the_hosts", process_numbers_are_the_hosts)
        .both("the_network_is_the_hosts", the_network_is_the_hosts)
        .both("there_are_no_devices", there_are_no_devices)
        .both("the_chroot_escape_works", the_chroot_escape_works)
        .both("there_are_no_volumes_yet", there_are_no_volumes_yet)
        .both("a_child_that_panics_leaves_cleaning_up_to_its_parent", panic_is_the_childs)
        .run()
}

fn ps_shows_nothing_without_proc(host: &Host) {
    assert_eq!(host.run(["ls", "-A", "/proc"]).text(), "");
    let ps = host.run(["ps"]);
    assert!(ps.text().lines().count() <= 1, "at most the heading: {ps:?}");
}

fn process_numbers_are_the_hosts(host: &Host) {
    let mut running = host.start(["sh", "-c", "echo $$; exec sleep 1000"]);
    assert_eq!(running.line(), running.command().to_string());
}

fn the_network_is_the_hosts(host: &Host) {
    // The host of the test has nothing but a loopback, and that one is up.
    let links = host.run(["ip", "-o", "link"]);
    assert!(links.text().starts_with("1: lo: <LOOPBACK,UP,LOWER_UP>"), "{links:?}");
}

fn there_are_no_devices(host: &Host) {
    assert_eq!(host.run(["ls", "-A", "/dev"]).text(), "");
}

fn the_chroot_escape_works(host: &Host) {
    let rootfs = host.own_rootfs();
    let probe = host.install_probe(&rootfs, "escape");
    let outcome = Outcome::of(host.launcher().arg("--rootfs").arg(&rootfs).args(probe));
    assert_eq!(outcome.text(), "outside\n");
}

fn there_are_no_volumes_yet(host: &Host) {
    host.run(["--volume", "/tmp:/mnt", "sh"]).assert_refused(125, &["--volume"]);
}

fn panic_is_the_childs(_: &Host) {
    let outcome = Outcome::of(Command::new(EXE).arg(PANICKING_CHILD));
    assert_eq!(outcome.stdout, b"cleaned up\n", "{outcome:?}");
    assert_eq!(outcome.code(), 128 + libc::SIGABRT, "{outcome:?}");
    assert!(outcome.stderr.contains("a bug of the launcher"), "{outcome:?}");
}

/// What a supervisor holds while it starts a container.
struct Guard;

impl Drop for Guard {
    fn drop(&mut self) {
        println!("cleaned up");
    }
}

fn start_panicking_child() -> ExitCode {
    let _guard = Guard;
    let prepare = || -> anyhow::Result<Infallible> { panic!("a bug of the launcher") };
    ExitCode::from(Container::spawn(prepare).unwrap().wait().unwrap())
}
