//! A network, and in which one a call does its work.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::exercises::exercise::{Exercise, Fault};
use crate::exercises::judged::Judged;
use crate::exercises::verdict::expect;

pub(in crate::exercises) const LOOPBACK: Exercise = Exercise {
    id: "loopback",
    was: &[],
    step: "v5-netns",
    title: "Network is unreachable, even to oneself",
    minutes: 15,
    source: include_str!("../../../exercises/loopback.rs"),
    hints: [
        "A new network namespace has one device, lo, and that one is down. Look: ip link, inside.",
        "set_up does the right thing. In whose network does it do it?",
        "Behind unshare, before the root changes: there the process is in the new network, and \
         still sees busybox where the host has it.",
    ],
    starter_fails: "the loopback of the host has been set up",
    faults: &[
        Fault { name: "twice", fails: "the loopback of the container is down" },
        Fault { name: "host-network", fails: "the container is in the network of the host" },
    ],
    needs_cgroup: false,
    check: loopback,
};

fn loopback(judged: &Judged) -> Result<()> {
    let running = judged.start(&["sh", "-c", "echo $$; exec sleep 100"])?;
    let namespace = |pid: &str| {
        let path = Path::new("/proc").join(pid).join("ns/net");
        fs::read_link(&path).with_context(|| format!("cannot read {path:?}"))
    };
    let is_own = namespace(&running.first)? != namespace("self")?;
    drop(running);
    let expected = "the container has a network of its own";
    let seen = "the container is in the network of the host";
    expect(is_own, expected, seen, "which namespaces the child takes")?;
    let expected = "the container's loopback is up, and nobody has touched that of the host";
    let seen = "the loopback of the host has been set up";
    let is_up = |text: &str| text.contains(",UP");
    let look = "in which network namespace the process is that calls set_up";
    expect(!is_up(&judged.applet(&["ip", "link", "show", "lo"])?), expected, seen, look)?;
    let inside = judged.run(&["ip", "link", "show", "lo"])?;
    let seen = format!("the loopback of the container is down: {}", inside.stdout);
    expect(is_up(&inside.stdout), expected, &seen, look)
}

pub(in crate::exercises) const PUBLISHED_PORT: Exercise = Exercise {
    id: "published-port",
    was: &[],
    step: "v5-netns",
    title: "A port of the host that leads inside",
    minutes: 20,
    source: include_str!("../../../exercises/published-port.rs"),
    hints: [
        "From the host the port is closed. A socket belongs to the network namespace in which it \
         was made. In which one is this one made?",
        "setns moves the process; sockets that it has already stay where they were made. So one \
         process can listen here and connect there.",
        "Bind the listener first, then setns, then accept and connect.",
    ],
    starter_fails: "nobody listens at port 8080 of the host",
    faults: &[
        Fault { name: "wrong-side", fails: "connection 1 of 2 was closed without an answer" },
        Fault { name: "only-one", fails: "connection 2 of 2" },
    ],
    needs_cgroup: false,
    check: published_port,
};

fn published_port(judged: &Judged) -> Result<()> {
    judged.applet(&["ip", "link", "set", "lo", "up"])?;
    fs::write(judged.rootfs().join("www/index.html"), "hello from inside\n")
        .context("cannot write the page")?;
    let running = judged.start(&["sh", "-c", "echo $$; exec httpd -f -p 80 -h /www"])?;
    let is_serving = within_two_seconds(|| listens_at_80(&running.first).then_some(()));
    let expected = "the container's web server listens at port 80";
    expect(is_serving.is_some(), expected, "it does not", "how the container is started")?;
    let expected = "who connects to port 8080 of the host is answered by port 80 of the container";
    let look = "in which network namespace each socket is made";
    for number in 1..=2 {
        // The proxy may need a moment until it listens.
        let is_refused = |error: &io::Error| error.kind() == ErrorKind::ConnectionRefused;
        let answer =
            within_two_seconds(|| Some(get()).filter(|it| !it.as_ref().is_err_and(is_refused)));
        let seen = match answer {
            None if number == 1 => "nobody listens at port 8080 of the host".to_owned(),
            None => format!("connection {number} of 2 is refused"),
            Some(Ok(text)) if text.contains("hello from inside") => continue,
            Some(Ok(text)) if !text.is_empty() => {
                format!("connection {number} of 2 was answered with {text:?}")
            }
            Some(Err(error)) if error.kind() == ErrorKind::WouldBlock => {
                format!("connection {number} of 2 gets no answer")
            }
            Some(_) => format!("connection {number} of 2 was closed without an answer"),
        };
        expect(false, expected, &seen, look)?;
    }
    Ok(())
}

/// Asks again and again until there is an answer, or the time is up.
fn within_two_seconds<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(2) {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        sleep(Duration::from_millis(20));
    }
    None
}

/// Whether somebody listens at port 80 in the network of a process (proc_pid_net(5)).
fn listens_at_80(pid: &str) -> bool {
    const PORT_80: &str = ":0050 ";
    const LISTENING: &str = " 0A ";
    ["tcp", "tcp6"].iter().any(|table| {
        let sockets = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        sockets.lines().any(|line| line.contains(PORT_80) && line.contains(LISTENING))
    })
}

fn get() -> io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, 8080))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(b"GET /index.html HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}
