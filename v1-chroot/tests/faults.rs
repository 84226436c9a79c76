//! v1-chroot, while one of its system calls fails.

#![expect(clippy::panic, reason = "a test fails by panicking")]

use std::process::ExitCode;

use testbed::faults::{self, Starts};
use testbed::{Host, Stage, Suite};

const SCRIPT: &str = "pwd; ls / /etc; cat /etc/passwd; exit 7";

fn main() -> ExitCode {
    let suite = Suite::of(&Stage::V1);
    let suite = faults::add(suite, "first_start", first_start);
    faults::add(suite, "start", start).run()
}

/// The rootfs is made.
fn first_start(host: &Host) -> Starts<'_> {
    Box::new(|| {
        let rootfs = host.rootfs();
        let _ = std::fs::remove_dir_all(rootfs.with_extension("unfinished"));
        match std::fs::remove_dir_all(&rootfs) {
            Err(error) if rootfs.exists() => panic!("{error}"),
            _ => launcher(host),
        }
    })
}

fn start(host: &Host) -> Starts<'_> {
    host.warm_up();
    Box::new(|| launcher(host))
}

fn launcher(host: &Host) -> std::process::Command {
    let mut launcher = host.launcher();
    launcher.args(["sh", "-c", SCRIPT]);
    launcher
}
