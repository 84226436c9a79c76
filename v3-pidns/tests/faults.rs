//! v3-pidns, while one of its system calls fails.

use std::process::ExitCode;

use testbed::faults::{self, Starts};
use testbed::{Host, Stage, Suite};

const SCRIPT: &str = "echo $$; ls /dev; grep -v ' /dev/[nzfrut]' /proc/mounts; exit 7";

fn main() -> ExitCode {
    let suite = faults::add(Suite::of(&Stage::V3), "start", start);
    faults::add(suite, "init", init).run()
}

fn init(host: &Host) -> Starts<'_> {
    host.warm_up();
    Box::new(|| {
        let mut launcher = host.launcher();
        launcher.args(["--init", "sh", "-c", "echo $$; exit 7"]);
        launcher
    })
}

fn start(host: &Host) -> Starts<'_> {
    host.warm_up();
    Box::new(|| {
        let mut launcher = host.launcher();
        launcher.args(["sh", "-c", SCRIPT]);
        launcher
    })
}
