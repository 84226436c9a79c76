//! A pod that runs, seen from outside.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use testbed::running::{link, within};
use testbed::{Host, Outcome, Running};

/// A manifest in a file of its own: `spec` stands below `spec:`, as it is.
pub fn manifest(host: &Host, spec: &str) -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let directory = host.dir(&format!("pod{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
    let path = directory.join("pod.yaml");
    let text = format!("apiVersion: v1\nkind: Pod\nmetadata:\n  name: test\nspec:\n{spec}");
    fs::write(&path, text).unwrap();
    host.give(&path);
    path
}

/// Containers that each run a shell script, in a pod without a network around it.
pub fn scripts(more: &str, containers: &[(&str, &str)]) -> String {
    let mut spec = format!("  terminationGracePeriodSeconds: 1\n{more}  containers:\n");
    for (name, script) in containers {
        let script = script.lines().map(|line| format!("        {line}\n")).collect::<String>();
        spec += &format!(
            "  - name: {name}\n    image: busybox\n    command:\n    - sh\n    - -c\n    - \
             |\n{script}"
        );
    }
    spec
}

/// The command that runs a pod.
pub fn launcher(host: &Host, spec: &str) -> Command {
    let mut launcher = host.launcher();
    launcher.args(["run", "--net", "none"]).arg(manifest(host, spec));
    launcher
}

/// Runs a pod to its end.
pub fn run(host: &Host, spec: &str) -> Outcome {
    Outcome::of(&mut launcher(host, spec))
}

/// A running pod.
pub struct Pod<'a> {
    host: &'a Host,
    pub running: Running,
    pub pause: u32,
}

impl<'a> Pod<'a> {
    /// Starts a pod, and waits for its pause.
    #[track_caller]
    pub fn start(host: &'a Host, spec: &str) -> Pod<'a> {
        Pod::follow(host, &mut launcher(host, spec))
    }

    /// Starts a pod that prints `NAME | ready` for each of these containers.
    #[track_caller]
    pub fn start_ready(host: &'a Host, spec: &str, count: usize) -> Pod<'a> {
        let mut pod = Pod::start(host, spec);
        for _ in 0..count {
            let line = pod.running.line();
            assert!(line.ends_with("| ready"), "{line}");
        }
        pod
    }

    #[track_caller]
    pub fn follow(host: &'a Host, launcher: &mut Command) -> Pod<'a> {
        let mut running = host.follow(launcher);
        let line = running.line();
        let pause = line.strip_prefix("PAUSE_PID=").and_then(|pid| pid.parse().ok());
        let pause = pause.unwrap_or_else(|| panic!("no PAUSE_PID in {line:?}"));
        Pod { host, running, pause }
    }

    /// The command that runs one in a container.
    pub fn exec_command(&self, arguments: &[&str]) -> Command {
        let mut exec = self.host.launcher();
        exec.args(["exec", &self.pause.to_string()]).args(arguments);
        exec
    }

    /// Runs a command in a container.
    pub fn exec(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(&mut self.exec_command(arguments))
    }

    /// What a shell script prints in the first container.
    #[track_caller]
    pub fn sh(&self, script: &str) -> String {
        self.exec(&["--", "sh", "-c", script]).text().to_owned()
    }

    /// What a shell script prints in this container.
    #[track_caller]
    pub fn sh_in(&self, container: &str, script: &str) -> String {
        self.exec(&["-c", container, "--", "sh", "-c", script]).text().to_owned()
    }

    /// Asks it to end, and returns its exit status.
    #[track_caller]
    pub fn stop(&mut self) -> i32 {
        self.running.signal(Signal::SIGTERM);
        self.running.code()
    }

    /// A namespace of pause, such as `net`.
    #[track_caller]
    pub fn namespace(&self, kind: &str) -> String {
        link(format!("/proc/{}/ns/{kind}", self.pause))
    }
}

/// What a web server of the host's loopback says, once it is there.
#[track_caller]
pub fn get(port: u16) -> String {
    let connect = || TcpStream::connect(("127.0.0.1", port));
    within(Duration::from_secs(10), "the port answers", || fetch(connect()).is_some());
    fetch(connect()).unwrap()
}

fn fetch(stream: std::io::Result<TcpStream>) -> Option<String> {
    let mut stream = stream.ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).filter(|body| !body.is_empty())
}
