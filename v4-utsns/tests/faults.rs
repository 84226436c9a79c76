//! v4-utsns, while one of its system calls fails.

use std::process::ExitCode;

use testbed::faults::{self, Starts};
use testbed::{Host, Stage, Suite};

const SCRIPT: &str = "hostname; echo $$; ls /dev; grep -v ' /dev/[nzfrut]' /proc/mounts; exit 7";

fn main() -> ExitCode {
    let suite = faults::add(Suite::of(&Stage::V4), "start", start);
    faults::add_killed(suite, sleeps, start).run()
}

fn sleeps(host: &Host) -> Starts<'_> {
    host.warm_up();
    Box::new(|| {
        let mut launcher = host.launcher();
        launcher.args(["sleep", "1000"]);
        launcher
    })
}

fn start(host: &Host) -> Starts<'_> {
    host.warm_up();
    Box::new(|| {
        let mut launcher = host.launcher();
        launcher.args(["--hostname", "faults", "sh", "-c", SCRIPT]);
        launcher
    })
}
