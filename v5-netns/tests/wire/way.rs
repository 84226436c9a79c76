//! The ways to a server in a container: directly, through `-p`, and through Docker's proxy.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use testbed::{Host, Running};

/// How a client reaches the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// At the container's own address, over the bridge.
    Direct,
    Published,
    DockerProxy,
}

/// What is in the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// `testbed::tcp`.
    Tcp,
    /// The same, which lets its first clients wait.
    LateTcp,
    /// `testbed::udp`.
    Udp,
    /// Nobody listens.
    Nobody,
}

/// What containers with servers need.
pub struct Containers<'a> {
    host: &'a Host,
    rootfs: PathBuf,
    /// The command in there that is a server; its name is still to be added.
    probe: Vec<String>,
}

impl Containers<'_> {
    pub fn new(host: &Host) -> Containers<'_> {
        let rootfs = host.own_rootfs();
        let mut probe = host.install_probe(&rootfs, "");
        probe.pop();
        Containers { host, rootfs, probe }
    }

    /// Starts one, and waits until its server can be reached.
    #[track_caller]
    fn start(&self, server: Server) -> Running {
        let mut launcher = self.host.launcher();
        let mode = if self.host.is_root() { "bridge" } else { "none" };
        launcher.arg("--rootfs").arg(&self.rootfs).args(["--net", mode]);
        launcher.args(["-p", "8080:80", "-p", "8080:80/udp"]);
        match server {
            Server::Tcp => launcher.args(&self.probe).args(["serve", "80"]),
            Server::LateTcp => launcher.args(&self.probe).args(["serve-late", "80"]),
            Server::Udp => launcher.args(&self.probe).args(["serve-datagrams", "80"]),
            Server::Nobody => launcher.args(["sh", "-c", "echo ready; exec sleep 1000"]),
        };
        let mut running = self.host.follow(&mut launcher);
        running.expect_line("ready");
        running
    }

    /// Starts one, and what it takes to reach it.
    #[track_caller]
    pub fn connect(&self, way: Way, server: Server) -> Connected {
        let container = self.start(server);
        let docker_proxies = match way {
            Way::DockerProxy => ["tcp", "udp"].map(|it| self.start_docker_proxy(it)).into(),
            Way::Direct | Way::Published => Vec::new(),
        };
        let address = match way {
            Way::Direct => ([10, 61, 0, 2], 80),
            Way::Published => ([127, 0, 0, 1], 8080),
            Way::DockerProxy => ([127, 0, 0, 1], 8081),
        };
        let server_is = if self.host.is_root() { "dst 10.61.0.2:80" } else { "dst 127.0.0.1:80" };
        let address = address.into();
        Connected { way, container, address, server_is, _docker_proxies: docker_proxies }
    }

    /// Docker's own proxy, alone: it tells by descriptor 3 that it listens.
    fn start_docker_proxy(&self, protocol: &str) -> Running {
        let script = format!(
            "exec docker-proxy -proto {protocol} -host-ip 0.0.0.0 -host-port 8081 \
             -container-ip 10.61.0.2 -container-port 80 3>&1 >/dev/null 2>&1"
        );
        let mut running = self.host.follow(Command::new("sh").args(["-c", &script]));
        running.expect_line("0");
        running
    }
}

/// A container with a server, and a way there.
pub struct Connected {
    pub way: Way,
    pub container: Running,
    /// Where its client connects to.
    pub address: SocketAddr,
    /// Which packets go to the server itself, in the words of ss(8).
    pub server_is: &'static str,
    _docker_proxies: Vec<Running>,
}

/// Ends the trial as ignored where there is no `ss`.
pub fn need_ss(host: &Host) {
    if Command::new("ss").arg("-V").output().is_err() {
        host.skip("no ss on this machine: install iproute2");
    }
}

/// Whether there is a `docker-proxy`: it is in Debian's package docker.io.
pub fn has_docker_proxy() -> bool {
    let mut places = ["/usr/local/bin", "/usr/bin", "/usr/sbin"].iter();
    places.any(|place| Path::new(place).join("docker-proxy").exists())
}
