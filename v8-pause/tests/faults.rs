//! v8-pause, while one of its system calls fails.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(dead_code, reason = "what other tests need beside a pod")]

#[path = "container/pod.rs"]
mod pod;

use std::process::{Command, ExitCode};

use testbed::faults::{self, Starts};
use testbed::{Host, Stage, Suite};

use crate::pod::{Pod, manifest, scripts};

fn main() -> ExitCode {
    let suite = Suite::of(&Stage::V8);
    let suite = faults::add(suite, "pod", pod);
    faults::add(suite, "exec", exec).run()
}

const CONTAINERS: [(&str, &str); 2] = [("a", "hostname; ls /dev; exit 7"), ("b", "true")];

/// A pod of two containers that end. (In the short form it is one.)
fn pod(host: &Host) -> Starts<'_> {
    let count = if faults::is_whole() { 2 } else { 1 };
    let spec = scripts("  restartPolicy: Never\n", &CONTAINERS[..count]);
    let manifest = manifest(host, &spec);
    let launcher = move || {
        let mut launcher = host.launcher();
        launcher.args(["run", "--net", "none"]).arg(&manifest);
        launcher
    };
    Box::new(launcher)
}

/// A command in a pod that runs.
fn exec(host: &Host) -> Starts<'_> {
    let spec = scripts("", &[("a", "echo ready; exec sleep 1000")]);
    let pod = Pod::start_ready(host, &spec, 1);
    let launcher = move || -> Command {
        pod.exec_command(&["--", "sh", "-c", "hostname; cat /proc/self/mounts; exit 7"])
    };
    Box::new(launcher)
}
