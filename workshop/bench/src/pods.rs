//! What a pod costs: its pause, its start, and fifty of them.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use launcher::program;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use workshop::say;

use super::network::{Container, in_own_network, wait_for};
use super::programs::{Programs, find, is_root, stage, succeed};
use super::scratch::Scratch;
use super::table::Table;
use super::times::median_in_ms;

/// How many pods run at once.
const MANY: usize = 50;

/// The port of the host of the first of them.
const FIRST_PORT: u16 = 18000;

/// How long pause is watched.
const WATCHED: Duration = Duration::from_secs(60);

/// Starts the pod whose pause is watched, so that its minute goes by while all else is measured; or
/// says why there can be no pods here. (An ordinary user has no bridge.)
///
/// # Errors
/// If it fails.
pub fn watch(programs: &Programs, scratch: &Scratch) -> Result<Result<Watched, String>> {
    if !is_root()? {
        return Ok(Err("as root only".to_owned()));
    }
    if let Some(name) = ["ip", "nft"].into_iter().find(|name| find(name).is_none()) {
        return Ok(Err(format!("there is no {name}")));
    }
    let work = scratch.make("watched")?;
    let containers = container("a", "echo ready; sleep 1000", None);
    let manifest = write_manifest(work.path(), "watched", 0, &containers)?;
    let mut pod = in_own_network(|| Pod::start(programs, "none", &manifest))?;
    pod.wait_for_lines(1)?;
    thread::sleep(Duration::from_secs(1)); // pause waits by then
    let switches = context_switches(pod.pause)?;
    Ok(Ok(Watched { pod, since: Instant::now(), switches }))
}

/// Measures, if there is a pod to watch.
///
/// # Errors
/// If a pod fails.
pub fn measure(
    programs: &Programs,
    scratch: &Scratch,
    runs: usize,
    watched: Result<Watched, String>,
    table: &mut Table,
) -> Result<()> {
    match watched {
        Ok(watched) => in_own_network(|| measure_here(programs, scratch, runs, watched, table))?,
        Err(reason) => table.absent("a pod", "-", reason),
    }
    Ok(())
}

fn measure_here(
    programs: &Programs,
    scratch: &Scratch,
    runs: usize,
    watched: Watched,
    table: &mut Table,
) -> Result<()> {
    let work = scratch.make("pods")?;
    memory_of_pause(&watched, work.path(), table)?;
    for mode in ["none", "bridge"] {
        start_times(programs, work.path(), mode, runs.min(100), table)?;
    }
    fifty(programs, work.path(), table)?;
    watched.report(table)
}

/// A pod that does nothing, and what its pause had done when we began to look.
pub struct Watched {
    pod: Pod,
    since: Instant,
    switches: usize,
}

impl Watched {
    fn report(self, table: &mut Table) -> Result<()> {
        thread::sleep(WATCHED.saturating_sub(self.since.elapsed()));
        let switches = context_switches(self.pod.pause)? - self.switches;
        table.counted("context switches of pause in 60 s", switches, 0);
        Ok(())
    }
}

/// Voluntary ones and others, proc_pid_status(5).
fn context_switches(pid: u32) -> Result<usize> {
    let of = |name| status_number(pid, name);
    Ok(of("voluntary_ctxt_switches:")? + of("nonvoluntary_ctxt_switches:")?)
}

fn status_number(pid: u32, name: &str) -> Result<usize> {
    number_after(&format!("/proc/{pid}/status"), name)
}

fn number_after(path: &str, name: &str) -> Result<usize> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.with_context(|| format!("no {name} in {path}"))
}

/// Beside a program in C that does the same.
fn memory_of_pause(watched: &Watched, work: &Path, table: &mut Table) -> Result<()> {
    let ours = status_number(watched.pod.pause, "VmRSS:")?;
    table.timed("pause, resident", ours as f64, 350.0, "kB");
    let figure = "pause, resident / the same in C";
    let Ok(mut gcc) = program::command("gcc") else {
        table.absent(figure, "at most 0.50", "gcc is not installed");
        return Ok(());
    };
    let (source, executable) = (work.join("pause.c"), work.join("pause"));
    fs::write(&source, include_str!("pause.c"))?;
    if let Err(error) = succeed(gcc.args(["-static", "-Os", "-o"]).arg(&executable).arg(&source)) {
        say!("no program in C: {error:#}")?;
        table.absent(figure, "at most 0.50", "gcc cannot link it statically");
        return Ok(());
    }
    let mut child = Command::new(&executable).stderr(Stdio::null()).spawn()?;
    thread::sleep(Duration::from_millis(200)); // it waits by then
    let theirs = status_number(child.id(), "VmRSS:");
    child.kill()?;
    child.wait()?;
    let theirs = theirs?;
    say!("pause, resident: {ours} kB (it has no C library); with glibc in it: {theirs} kB\n")?;
    table.timed(figure, ours as f64 / theirs as f64, 0.5, "");
    Ok(())
}

/// Until both containers of a pod have said a line, and until one of v7 has, by turns.
fn start_times(
    programs: &Programs,
    work: &Path,
    mode: &str,
    runs: usize,
    table: &mut Table,
) -> Result<()> {
    let script = "echo ready; exec sleep 1000";
    let containers = container("a", script, None) + &container("b", script, None);
    let manifest = write_manifest(work, "two", 0, &containers)?;
    let (mut pods, mut ones) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let start = Instant::now();
        let mut pod = Pod::start(programs, mode, &manifest)?;
        pod.wait_for_lines(2)?;
        pods.push(start.elapsed());
        drop(pod);
        let mut one = stage(&programs.overlay);
        one.args(["--net", mode, "sh", "-c", script]);
        let start = Instant::now();
        let one = Container::spawn(&mut one)?;
        ones.push(start.elapsed());
        drop(one);
    }
    let [pod, container] = [median_in_ms(&pods), median_in_ms(&ones)];
    say!("--net {mode}: a pod of pause and two: {pod:.2} ms; one v7: {container:.2} ms")?;
    let figure = format!("a pod of two / one v7, --net {mode}");
    table.timed(&figure, pod / container, 2.5, "");
    Ok(())
}

/// Fifty pods with a web server each: their memory, their answers, their end.
fn fifty(programs: &Programs, work: &Path, table: &mut Table) -> Result<()> {
    let ports = (0..MANY).map(|number| FIRST_PORT + number as u16);
    let mut pods = Vec::new();
    let start = Instant::now();
    for port in ports.clone() {
        let script = format!("echo I am {port} > /index.html; echo ready; exec httpd -f -h /");
        let manifest =
            write_manifest(work, &port.to_string(), 1, &container("web", &script, Some(port)))?;
        pods.push(Pod::start(programs, "bridge", &manifest)?);
    }
    for pod in &mut pods {
        pod.wait_for_lines(1)?;
    }
    let started = start.elapsed().as_secs_f64();
    let silent = ports.filter(|port| answer(*port).is_none()).count();
    let mut memory = 0;
    for pod in &pods {
        memory += pod.memory()?;
    }
    let start = Instant::now();
    for pod in &pods {
        pod.signal(Signal::SIGTERM)?;
    }
    drop(pods);
    let ended = start.elapsed().as_secs_f64();

    say!("{MANY} pods with a published port: up after {started:.2} s\n")?;
    let per_pod = memory as f64 / 1024.0 / MANY as f64;
    table.timed(&format!("memory of our processes, per pod of {MANY}"), per_pod, 3.0, "MB");
    table.counted(&format!("of {MANY} pods, without an answer on their port"), silent, 0);
    table.timed(&format!("{MANY} pods, gone after SIGTERM (grace 1 s)"), ended, 2.0, "s");
    Ok(())
}

/// What the web server on this port says, within three seconds.
fn answer(port: u16) -> Option<()> {
    let expected = format!("I am {port}\n");
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"GET /index.html HTTP/1.0\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    };
    // "ready" was said just before it listens.
    wait_for(|| ask().ok().filter(|text| text.ends_with(&expected)).map(drop))
}

/// A container of a manifest.
fn container(name: &str, script: &str, port: Option<u16>) -> String {
    let ports = port.map_or(String::new(), |port| {
        format!("    ports: [{{containerPort: 80, hostPort: {port}}}]\n")
    });
    format!("  - name: {name}\n    image: busybox\n    command: [sh, -c, '{script}']\n{ports}")
}

fn write_manifest(work: &Path, name: &str, grace: u32, containers: &str) -> Result<PathBuf> {
    let path = work.join(format!("{name}.yaml"));
    let text = format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: pod-{name}\nspec:\n  \
         restartPolicy: Never\n  terminationGracePeriodSeconds: {grace}\n  containers:\n\
         {containers}"
    );
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// A pod that runs until it is dropped.
struct Pod {
    supervisor: Child,
    output: BufReader<ChildStdout>,
    /// The number of pause, as this process sees it.
    pause: u32,
}

impl Pod {
    /// Returns when its pause runs.
    fn start(programs: &Programs, mode: &str, manifest: &Path) -> Result<Pod> {
        let mut supervisor = stage(&programs.pod)
            .args(["run", "--net", mode])
            .arg(manifest)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start a pod")?;
        let output = supervisor.stdout.take().context("no pipe from the pod")?;
        let mut pod = Pod { supervisor, output: BufReader::new(output), pause: 0 };
        let line = pod.line()?;
        let number = line.strip_prefix("PAUSE_PID=").and_then(|number| number.parse().ok());
        pod.pause = number.with_context(|| format!("the pod said {line:?}"))?;
        Ok(pod)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line).context("cannot read from the pod")?;
        Ok(line.trim_end().to_owned())
    }

    /// Until that many of its containers run.
    fn wait_for_lines(&mut self, count: usize) -> Result<()> {
        for _ in 0..count {
            let line = self.line()?;
            ensure!(line.ends_with("| ready"), "the pod said {line:?}");
        }
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        kill(self.pid()?, signal).context("cannot send a signal to the pod")
    }

    fn pid(&self) -> Result<Pid> {
        Ok(Pid::from_raw(i32::try_from(self.supervisor.id())?))
    }

    /// What its processes without the containers' commands hold, in kB: pages that several share
    /// count in parts (PSS, proc_pid_smaps_rollup(5)).
    fn memory(&self) -> Result<usize> {
        let mut sum = 0;
        let mut processes = vec![self.pid()?];
        while let Some(pid) = processes.pop() {
            processes.extend(launcher::child::children_of(pid)?);
            let program = fs::read_link(format!("/proc/{pid}/exe"))?;
            if !program.ends_with("bin/busybox") {
                sum += number_after(&format!("/proc/{pid}/smaps_rollup"), "Pss:")?;
            }
        }
        Ok(sum)
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        // It may have ended already; in either case it is waited for.
        let _ = self.signal(Signal::SIGTERM);
        let _ = self.supervisor.wait();
    }
}
