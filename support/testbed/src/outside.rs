//! Another machine on the host's network: the outside of a container.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use nix::sched::{CloneFlags, setns, unshare};

use crate::host::Host;

/// A machine that shares a cable with the host and is its way to everywhere else. It knows
/// nothing of the containers' addresses: what comes from one of those gets no answer.
///
/// It is a network namespace with one process. What connects it is made with `ip`, so that nothing
/// of ours checks itself.
pub struct Outside {
    process: Child,
    link: String,
}

impl Outside {
    /// Its own address.
    pub const ADDRESS: &str = "192.0.2.1";
    /// The host's address on the cable between the two.
    pub const HOST: &str = "192.0.2.10";

    /// Connects the host to it, by a link of this name, and makes it the host's default route.
    /// Ends the trial as ignored if there is no `ip`.
    pub fn connect(host: &Host, link: &str) -> Outside {
        let outside = Outside::at(host, link, "192.0.2");
        ip(&format!("route add default via {}", Outside::ADDRESS));
        outside
    }

    /// Connects the host to a machine on another side of it, which is nobody's default route: of
    /// the network NETWORK.0/24 it has the address 1, and the host has the address 10.
    pub fn at(host: &Host, link: &str, network: &str) -> Outside {
        let mut command = Command::new("sleep");
        command.arg("infinity").stdin(Stdio::null());
        // SAFETY: a body has one thread, so its child may do anything.
        unsafe { command.pre_exec(|| Ok(unshare(CloneFlags::CLONE_NEWNET)?)) };
        // When spawn returns, the program runs, so the namespace is there.
        let process = command.spawn().expect("start the outside");
        let outside = Outside { process, link: link.to_owned() };
        let pid = outside.process.id();
        if Command::new("ip").arg("-V").output().is_err() {
            drop(outside);
            host.skip("no ip on this machine: install iproute2");
        }
        ip(&format!("link add {link} type veth peer name eth0 netns {pid}"));
        ip(&format!("address add {network}.10/24 dev {link}"));
        ip(&format!("link set {link} up"));
        for line in [
            "ip link set lo up".to_owned(),
            format!("ip address add {network}.1/24 dev eth0"),
            "ip link set eth0 up".to_owned(),
        ] {
            outside.sh(&line);
        }
        outside
    }

    /// A command that runs there, as root.
    pub fn command(&self, program: &str) -> Command {
        in_network_of(self.process.id(), program)
    }

    /// Runs a line of shell there, as root. It must succeed.
    #[track_caller]
    pub fn sh(&self, line: &str) {
        let output = self.command("sh").args(["-c", line]).output().expect("run sh");
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// The number of the process whose network namespace it is.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        // The link goes at once, not some time after the namespace: the leak check looks.
        let _ = Command::new("ip").args(["link", "del", &self.link]).output();
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A command that runs in the network namespace of a process, as root: in a container's, for
/// instance, but with the programs of the host.
pub fn in_network_of(pid: u32, program: &str) -> Command {
    let namespace = File::open(format!("/proc/{pid}/ns/net")).expect("open its network namespace");
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    let enter = move || Ok(setns(namespace.as_fd(), CloneFlags::CLONE_NEWNET)?);
    // SAFETY: a body has one thread, so its child may do anything.
    unsafe { command.pre_exec(enter) };
    command
}

#[track_caller]
fn ip(words: &str) {
    let output = Command::new("ip").args(words.split(' ')).output().expect("run ip");
    assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
}
