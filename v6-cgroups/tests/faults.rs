//! v6-cgroups, while one of its system calls fails.

use std::process::ExitCode;

use testbed::faults::{self, Starts};
use testbed::{Host, Stage, Suite};

const SCRIPT: &str = "cat /proc/self/cgroup; ls /sys/fs/cgroup; exit 7";

fn main() -> ExitCode {
    faults::add_for_root(Suite::of(&Stage::V6), "limits", limits).run()
}

fn limits(host: &Host) -> Starts<'_> {
    host.warm_up_with(["--net", "none"]);
    Box::new(|| {
        let mut launcher = host.launcher();
        launcher.args([
            "--net",
            "none",
            "-m",
            "64m",
            "--cpus",
            "0.5",
            "--pids-limit",
            "32",
            "--cpuset-cpus",
            "0",
        ]);
        launcher.args(["sh", "-c", SCRIPT]);
        launcher
    })
}
