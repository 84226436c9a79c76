//! v5-netns, while one of its system calls fails.

use std::process::ExitCode;

use testbed::faults::{self, Starts};
use testbed::{Host, Stage, Suite};

const SCRIPT: &str = "ip -4 addr | grep inet; ip route; cat /etc/hosts /etc/hostname; \
                      grep -v ' /dev/[nzfrut]\\| /sys ' /proc/mounts; exit 7";

fn main() -> ExitCode {
    let suite = Suite::of(&Stage::V5);
    let suite = faults::add_for_root(suite, "bridge", bridge);
    faults::add(suite, "loopback", loopback).run()
}

fn bridge(host: &Host) -> Starts<'_> {
    host.warm_up();
    start(host, "bridge")
}

fn loopback(host: &Host) -> Starts<'_> {
    host.warm_up_with(["--net", "none"]);
    start(host, "none")
}

fn start<'a>(host: &'a Host, network: &'a str) -> Starts<'a> {
    Box::new(move || {
        let mut launcher = host.launcher();
        launcher.args(["--net", network, "-p", "8080:80", "sh", "-c", SCRIPT]);
        launcher
    })
}
