//! What a network of its own costs: to attach, to start with many beside it, to be reached through
//! a published port.
//!
//! All of it happens in a network namespace of this benchmark, never in the machine's own network.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use launcher::{Caller, become_root, program};
use nix::mount::{MsFlags, mount};
use v2_mountns::CloneFlags;
use v5_netns::names::NameArgs;
use v5_netns::{Mode, Network, NetworkArgs, Subnet};
use workshop::say;

use super::namespaces::in_own;
use super::programs::{Programs, find, is_root, stage, succeed};
use super::table::Table;
use super::times::median_in_ms;

/// How many containers "many" are.
const MANY: usize = 200;

/// The command of a container that is there to be started: it tells so, and stays.
pub(super) const SLEEPER: [&str; 3] = ["sh", "-c", "echo ready; exec sleep infinity"];

/// The port of the host that leads to the container's port 80.
const PUBLISHED: u16 = 8080;

/// Measures, if this is root: an ordinary user has no bridge.
pub fn measure(programs: &Programs, runs: usize, table: &mut Table) -> Result<()> {
    let needed = ["ip", "nft"].into_iter().find(|name| find(name).is_none());
    let why = match needed {
        _ if !is_root()? => "a bridge needs root".to_owned(),
        Some(name) => format!("there is no {name}"),
        None => return in_own_network(|| measure_here(programs, runs, table)),
    };
    table.absent("network", "-", why);
    Ok(())
}

/// Runs `body` with network and mounts of its own, and a fresh /run: there `ip netns` writes down
/// its names.
pub(super) fn in_own_network<T: Send>(body: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    in_own(CloneFlags::CLONE_NEWNET, || {
        mount(Some("run"), "/run", Some("tmpfs"), MsFlags::empty(), None::<&str>)
            .context("cannot mount a /run of its own")?;
        // A way out that leads nowhere: pasta wants one to exist.
        for words in [
            "link set lo up",
            "link add uplink type veth peer name nowhere",
            "link set nowhere up",
            "address add 192.0.2.10/24 dev uplink",
            "link set uplink up",
            "route add default via 192.0.2.1",
        ] {
            ip(words)?;
        }
        body()
    })
}

fn measure_here(programs: &Programs, runs: usize, table: &mut Table) -> Result<()> {
    // The bridge stays while somebody is connected to it.
    let holder = Container::start(programs, "bridge")?;
    attach(runs, table)?;
    start_beside_many(programs, table)?;
    drop(holder);
    published_port(programs, table)
}

/// A container's network, made with our messages and with nine `ip` commands. A process of its own
/// does it, since [`Network::create`] forks: this one has several threads.
fn attach(runs: usize, table: &mut Table) -> Result<()> {
    let own = fs::canonicalize("/proc/self/exe")?;
    let told = succeed(Command::new(own).arg("--attach").arg(runs.min(100).to_string()))?;
    let told = String::from_utf8(told)?;
    let (ours, theirs) = told.trim().split_once(' ').context("two times are missing")?;
    let (ours, theirs): (f64, f64) = (ours.parse()?, theirs.parse()?);
    say!("network of a container, bridge there: {ours:.2} ms; nine ip commands {theirs:.2} ms")?;
    table.timed("attach / nine ip commands", ours / theirs, 0.2, "");
    Ok(())
}

/// The other side of `bench --attach`: both, by turns.
pub fn attach_here(runs: usize) -> Result<()> {
    let (net, subnet) = (Some(Mode::Bridge), Subnet::default());
    let args = NetworkArgs { net, subnet, publish: Vec::new(), names: NameArgs::default() };
    let as_root = become_root(Caller::of_this_process())?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let start = Instant::now();
        let network = Network::create(&as_root, &args)?;
        ours.push(start.elapsed());
        drop(network);

        let start = Instant::now();
        for words in [
            "link show steps0",
            "netns add c",
            "-n c link set lo up",
            "link add steps250 type veth peer name eth0 netns c",
            "link set steps250 master steps0",
            "link set steps250 up",
            "-n c address add 10.61.0.250/24 dev eth0",
            "-n c link set eth0 up",
            "-n c route add default via 10.61.0.1",
        ] {
            ip(words)?;
        }
        theirs.push(start.elapsed());
        ip("link del steps250")?;
        ip("netns del c")?;
    }
    say!("{} {}", median_in_ms(&ours), median_in_ms(&theirs))
}

/// Starts with one container on the bridge, and with many.
fn start_beside_many(programs: &Programs, table: &mut Table) -> Result<()> {
    let mut start = stage(&programs.network);
    start.args(["--net", "bridge"]).args(SLEEPER);
    let few = start_time(&mut start, 50)?;
    let crowd =
        (0..MANY).map(|_| Container::start(programs, "bridge")).collect::<Result<Vec<_>>>()?;
    let many = start_time(&mut start, 50)?;
    say!("start to end, 1 container there: {few:.2} ms; {MANY} there: {many:.2} ms")?;
    table.timed(&format!("start with {MANY} there / with 1 there"), many / few, 1.5, "");
    end_all(&crowd)
}

/// All at once, as a signal would; each is waited for when it is dropped.
pub(super) fn end_all(crowd: &[Container]) -> Result<()> {
    crowd.iter().try_for_each(Container::terminate)
}

/// The median time until the command of a container runs, which is [`SLEEPER`]: it tells so by its
/// first line.
pub(super) fn start_time(start: &mut Command, runs: usize) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..runs {
        let begin = Instant::now();
        let container = Container::spawn(start)?;
        times.push(begin.elapsed());
        drop(container);
    }
    Ok(median_in_ms(&times))
}

/// One stream through a published port, and one request: directly, and through others.
fn published_port(programs: &Programs, table: &mut Table) -> Result<()> {
    let mut ways = vec![("direct", start_server()?)];
    let port = format!("{PUBLISHED}:80");
    let ours = Container::serve(programs, &["--net", "none", "-p", &port])?;
    ways.push(("v5-netns -p", SocketAddr::from((Ipv4Addr::LOCALHOST, PUBLISHED))));

    let other = Container::serve(programs, &["--net", "none"])?;
    let slirp = Forwarder::slirp4netns(other.command()?, 8081);
    let another = Container::serve(programs, &["--net", "none"])?;
    let pasta = Forwarder::pasta(another.command()?, 8082);
    for (name, port, forwarder) in [("slirp4netns", 8081, &slirp), ("pasta", 8082, &pasta)] {
        match forwarder {
            Ok(_) => ways.push((name, SocketAddr::from((Ipv4Addr::LOCALHOST, port)))),
            Err(error) => say!("{name} takes no part: {error:#}")?,
        }
    }

    let mut figures = Vec::new();
    say!("{:20} {:>9} {:>14}", "one connection", "GB/s", "round trip, us")?;
    for (name, address) in ways {
        let figure = (throughput(address)?, round_trip(address)?);
        say!("{name:20} {:>9.2} {:>14.1}", figure.0 / 1e9, figure.1)?;
        figures.push((name, figure));
    }
    say!()?;
    drop((ours, other, slirp, another, pasta));

    let of = |name: &str| figures.iter().find(|(found, _)| *found == name).map(|(_, it)| *it);
    let (Some(direct), Some(ours)) = (of("direct"), of("v5-netns -p")) else {
        bail!("a figure of the published port is missing");
    };
    table.timed("direct stream / published port's", direct.0 / ours.0, 2.0, "");
    match of("slirp4netns") {
        Some(slirp) => table.timed("slirp4netns' stream / ours", slirp.0 / ours.0, 1.0, ""),
        None => table.absent("slirp4netns' stream / ours", "at most 1.00", "it took no part"),
    }
    table.timed("latency added by the port", ours.1 - direct.1, 100.0, "us");
    Ok(())
}

/// Bytes per second that one connection carries; the best of three, since the machine is shared.
fn throughput(address: SocketAddr) -> Result<f64> {
    let mut best = 0.0_f64;
    for _ in 0..3 {
        let mut stream = ask(address, b's')?;
        let mut buffer = vec![0; 1 << 20];
        let (mut bytes, start) = (0_usize, Instant::now());
        while start.elapsed() < Duration::from_secs(1) {
            match stream.read(&mut buffer).context("cannot read from the server")? {
                0 => bail!("the server at {address} ended the connection"),
                length => bytes += length,
            }
        }
        best = best.max(bytes as f64 / start.elapsed().as_secs_f64());
    }
    Ok(best)
}

/// The median time from a request of one byte to its answer, in microseconds.
fn round_trip(address: SocketAddr) -> Result<f64> {
    let mut stream = ask(address, b'e')?;
    let mut times = Vec::new();
    for _ in 0..3000 {
        let start = Instant::now();
        stream.write_all(b"?")?;
        stream.read_exact(&mut [0])?;
        times.push(start.elapsed());
    }
    Ok(median_in_ms(&times) * 1e3)
}

/// Connects, and says what is wanted: `s` a stream without end, `e` an echo.
fn ask(address: SocketAddr, what: u8) -> Result<TcpStream> {
    let mut stream =
        TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.set_nodelay(true)?;
    stream.write_all(&[what])?;
    Ok(stream)
}

/// The server, in this process, and where it listens.
fn start_server() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || serve(&listener));
    Ok(address)
}

/// The other side of `bench --serve`: the same server, on port 80 of a container.
pub fn serve_in_container() -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 80)).context("cannot listen")?;
    say!("ready")?;
    serve(&listener)
}

fn serve(listener: &TcpListener) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().context("cannot accept")?;
        // A client that has had enough is no failure of ours.
        thread::spawn(move || answer(stream).err());
    }
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut what = [0];
    stream.read_exact(&mut what)?;
    stream.set_nodelay(true)?;
    if what == *b"s" {
        let zeros = vec![0; 256 * 1024];
        loop {
            stream.write_all(&zeros)?;
        }
    }
    let mut byte = [0];
    loop {
        stream.read_exact(&mut byte)?;
        stream.write_all(&byte)?;
    }
}

/// A container that runs until it is dropped.
pub(super) struct Container {
    supervisor: Child,
}

impl Container {
    /// Starts one that sleeps in such a network.
    pub(super) fn start(programs: &Programs, net: &str) -> Result<Container> {
        Container::spawn(stage(&programs.network).args(["--net", net]).args(SLEEPER))
    }

    /// This program in a container, as a server. It comes with the libraries that it needs.
    fn serve(programs: &Programs, options: &[&str]) -> Result<Container> {
        let own = fs::canonicalize("/proc/self/exe")?;
        let mut stage = stage(&programs.network);
        stage.args(options).arg("-v").arg(format!("{}:/tmp/server:ro", own.display()));
        for directory in ["/usr", "/lib", "/lib64"].iter().filter(|it| Path::new(it).exists()) {
            stage.arg("-v").arg(format!("{directory}:{directory}:ro"));
        }
        Container::spawn(stage.args(["/tmp/server", "--serve"]))
    }

    /// Returns when a line `ready` has come from it.
    pub(super) fn spawn(command: &mut Command) -> Result<Container> {
        let mut supervisor = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start a container")?;
        let mut line = String::new();
        let stdout = supervisor.stdout.as_mut().context("no pipe from the container")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let container = Container { supervisor };
        ensure!(line == "ready\n", "the container said {line:?}");
        Ok(container)
    }

    /// The command's number: supervisor, waiting process (not the proxy), command.
    fn command(&self) -> Result<u32> {
        let children = |pid: u32| -> Result<Vec<u32>> {
            let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
            Ok(list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect())
        };
        for child in children(self.supervisor.id())? {
            if let [command] = children(child)?[..] {
                return Ok(command);
            }
        }
        bail!("the container has ended")
    }

    /// Kills the command; the supervisor then cleans up.
    fn terminate(&self) -> Result<()> {
        succeed(program::command("kill")?.args(["-KILL", &self.command()?.to_string()])).map(drop)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // It may have been terminated already; in either case it is waited for.
        let _ = self.terminate();
        let _ = self.supervisor.wait();
    }
}

/// A program that connects a network namespace to the host in user space.
struct Forwarder {
    process: Child,
    directory: Option<PathBuf>,
}

impl Forwarder {
    fn slirp4netns(pid: u32, port: u16) -> Result<Forwarder> {
        let path = find("slirp4netns").context("it is not installed")?;
        let directory = PathBuf::from("/run/slirp4netns");
        fs::create_dir(&directory)?;
        let socket = directory.join("api");
        let mut command = Command::new(path);
        command.args(["--configure", "--mtu=65520", "--api-socket"]).arg(&socket);
        command.arg(pid.to_string()).arg("tap0");
        let forwarder = Forwarder::spawn(&mut command, Some(directory))?;
        let mut api = wait_for(|| UnixStream::connect(&socket).ok()).context("no API")?;
        let request = format!(
            r#"{{"execute": "add_hostfwd", "arguments": {{"proto": "tcp", "host_addr": "127.0.0.1",
            "host_port": {port}, "guest_port": 80}}}}"#
        );
        api.write_all(request.as_bytes())?;
        let mut answer = [0; 256];
        let length = api.read(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer[..length]);
        ensure!(answer.contains("return"), "it answered {answer}");
        Ok(forwarder)
    }

    fn pasta(pid: u32, port: u16) -> Result<Forwarder> {
        let path = find("pasta").context("it is not installed")?;
        let mut command = Command::new(path);
        command.args(["--foreground", "--quiet", "--config-net", "--runas", "0"]);
        command.args(["-t", &format!("{port}:80"), "-u", "none", "-T", "none", "-U", "none"]);
        command.args(["--netns", &format!("/proc/{pid}/ns/net")]);
        let forwarder = Forwarder::spawn(&mut command, None)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        wait_for(|| TcpStream::connect(address).ok()).context("it does not listen")?;
        Ok(forwarder)
    }

    fn spawn(command: &mut Command, directory: Option<PathBuf>) -> Result<Forwarder> {
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Forwarder { process: command.spawn()?, directory })
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        // Nothing depends on how it ends.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = self.directory.as_ref().map(fs::remove_dir_all);
    }
}

/// Asks until there is an answer, for three seconds at most.
pub(super) fn wait_for<T>(ask: impl Fn() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(3) {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        thread::sleep(Duration::from_millis(20));
    }
    None
}

fn ip(words: &str) -> Result<()> {
    succeed(program::command("ip")?.args(words.split(' '))).map(drop)
}
