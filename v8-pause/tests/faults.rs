//! v8-pause, while one of its system calls fails.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
#![expect(dead_code, reason = "what other tests need beside a pod")]

#[path = "container/pod.rs"]
mod pod;

use std::process::{Command, ExitCode};

use testbed::faults::{self, Starts};
use testbed::{Host, Stage, Suite};

use crate::pod::{Pod, manifest, scripts};

fn main() -> ExitCode {
    let suite = Suite::of(&Stage::V8);
    let suite = faults::add(suite, "pod", pod);
    let suite = faults::add(suite, "exec", exec);
    faults::add_killed(suite, sleeping_pod, ending_pod).run()
}

const CONTAINERS: [(&str, &str); 2] = [("a", "hostname; ls /dev; exit 7"), ("b", "true")];

/// A volume on disk, and one in memory.
const VOLUMES: &str = "  volumes: [{name: v}, {name: m, emptyDir: {medium: Memory}}]\n";
const MOUNTS: &str = "    volumeMounts: [{name: v, mountPath: /v}, {name: m, mountPath: /m}]\n";

/// A pod of two containers that end. (In the short form it is one.)
fn pod(host: &Host) -> Starts<'_> {
    let count = if faults::is_whole() { 2 } else { 1 };
    let more = format!("  restartPolicy: Never\n{VOLUMES}");
    run(host, "none", &(scripts(&more, &CONTAINERS[..count]) + MOUNTS))
}

fn run<'a>(host: &'a Host, network: &'static str, spec: &str) -> Starts<'a> {
    let manifest = manifest(host, spec);
    Box::new(move || {
        let mut launcher = host.launcher();
        launcher.args(["run", "--net", network]).arg(&manifest);
        launcher
    })
}

/// With a bridge, where one may have it: what outlives a launcher.
fn network(host: &Host) -> &'static str {
    if !host.is_root() {
        return "none";
    }
    host.need_nft();
    "bridge"
}

fn sleeping_pod(host: &Host) -> Starts<'_> {
    run(host, network(host), &scripts("", &[("a", "exec sleep 1000"), ("b", "exec sleep 1000")]))
}

fn ending_pod(host: &Host) -> Starts<'_> {
    let more = format!("  restartPolicy: Never\n{VOLUMES}");
    run(host, network(host), &(scripts(&more, &[("a", "exit 7")]) + MOUNTS))
}

/// A command in a pod that runs. In this one pause takes in what a killed command leaves.
fn exec(host: &Host) -> Starts<'_> {
    let spec = scripts("  shareProcessNamespace: true\n", &[("a", "echo ready; exec sleep 1000")]);
    let pod = Stopped(Pod::start_ready(host, &spec, 1));
    let launcher = move || -> Command {
        pod.0.exec_command(&["--", "sh", "-c", "hostname; cat /proc/self/mounts; exit 7"])
    };
    Box::new(launcher)
}

/// It is asked to end at the end: killed, it would leave its state to a next start.
struct Stopped<'a>(Pod<'a>);

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}
