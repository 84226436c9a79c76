//! v2-mountns, while one of its system calls fails.

use std::process::ExitCode;

use testbed::faults::{self, Starts};
use testbed::{Host, Stage, Suite};

const SCRIPT: &str = "ls / /dev /dev/pts /mnt; grep -v ' /dev/[nzfrut]' /proc/mounts; \
                      head -c 3 /dev/zero; exit 7";

fn main() -> ExitCode {
    faults::add(Suite::of(&Stage::V2), "start", start).run()
}

fn start(host: &Host) -> Starts<'_> {
    host.warm_up();
    Box::new(|| {
        let mut launcher = host.launcher();
        launcher.args([
            "-v",
            "/usr/share:/mnt:ro",
            "--tmpfs",
            "/tmp",
            "--read-only",
            "sh",
            "-c",
            SCRIPT,
        ]);
        launcher
    })
}
