//! UDP through a published port, in more detail than the table has.

use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::time::Duration;

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use testbed::running::{Outcome, is_alive, send, within};
use testbed::tcp::{self, Files};
use testbed::{Host, Outside, Suite, in_network_of, udp};

use crate::way::{Connected, Containers, Server, Way};

pub fn add(suite: Suite) -> Suite {
    suite
        .both("each_client_has_a_flow", each_client_has_a_flow)
        .both("datagrams_of_all_lengths", datagrams_of_all_lengths)
        .both("datagrams_by_ipv6", datagrams_by_ipv6)
        .root("datagrams_from_elsewhere", datagrams_from_elsewhere)
        .both("a_flow_takes_the_last_descriptor_of_another", a_flow_takes_the_last_descriptor)
        .both("a_flow_makes_room_for_a_new_one", a_flow_makes_room)
        .long()
        .both("a_server_that_comes_later_is_reached", a_server_that_comes_later_is_reached)
        .both("a_udp_port_is_published_once", a_udp_port_is_published_once)
        .both("a_udp_port_is_free_again", a_udp_port_is_free_again)
}

fn start(host: &Host) -> Connected {
    Containers::new(host).connect(Way::Published, Server::Udp)
}

fn each_client_has_a_flow(host: &Host) {
    let connected = start(host);
    let clients: Vec<_> = (0..10).map(|_| udp::connect(connected.address).unwrap()).collect();
    let seen = |number: usize, client: &UdpSocket| {
        let data = number.to_be_bytes();
        let (seen, heard) = udp::ask(client, &data).unwrap();
        assert_eq!(heard, data);
        seen
    };
    let first: Vec<_> = clients.iter().enumerate().map(|(n, it)| seen(n, it)).collect();
    let second: Vec<_> = clients.iter().enumerate().map(|(n, it)| seen(n, it)).collect();
    assert_eq!(first, second, "a client keeps its flow");
    let mut different = first.clone();
    different.sort();
    different.dedup();
    assert_eq!(different.len(), 10, "{first:?}");
    // Whoever asks two addresses of the host has two flows.
    let client = UdpSocket::bind("0.0.0.0:0").unwrap();
    let mut buffer = [0; 100];
    for address in ["127.0.0.1:8080", "127.0.0.2:8080", "127.0.0.3:8080"] {
        client.send_to(b"x", address).unwrap();
        let (_, from) = client.recv_from(&mut buffer).unwrap();
        assert_eq!(from.to_string(), address);
    }
}

fn datagrams_of_all_lengths(host: &Host) {
    let connected = start(host);
    let client = udp::connect(connected.address).unwrap();
    for length in [0, 1, 1400, 1500, 9000, 65_000] {
        let data: Vec<u8> = (0..length).map(|number: u32| number as u8).collect();
        let (_, heard) = udp::ask(&client, &data).unwrap();
        assert!(heard == data, "{} bytes of {length}", heard.len());
    }
}

fn datagrams_by_ipv6(host: &Host) {
    let has_ipv6 = fs::read_to_string("/proc/net/if_inet6");
    if !has_ipv6.is_ok_and(|list| list.contains(" lo")) {
        host.skip("there is no IPv6 here");
    }
    let connected = start(host);
    let address = SocketAddr::from((Ipv6Addr::LOCALHOST, 8080));
    assert_eq!(udp::ask(&udp::connect(address).unwrap(), b"six").unwrap().1, b"six");
    assert_eq!(udp::ask(&udp::connect(connected.address).unwrap(), b"four").unwrap().1, b"four");
}

/// From another machine and from a container, at each address that the host has towards them.
fn datagrams_from_elsewhere(host: &Host) {
    let outside = Outside::connect(host, "up0");
    let connected = start(host);
    let ask = |pid: u32, address: &str| {
        let mut client = in_network_of(pid, "/run/testbed/exe");
        let outcome = Outcome::of(client.args(["--probe", "ask-datagrams", address]));
        assert_eq!(outcome.text().trim_end(), "10.61.0.2", "{address}");
    };
    ask(outside.pid(), &format!("{}:8080", Outside::HOST));
    ask(connected.container.command(), &format!("{}:8080", Outside::HOST));
    ask(connected.container.command(), "10.61.0.1:8080");
    // An address that each link has, if there is IPv6: it is one with the link's number only.
    let list = fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    let is_it = |line: &&str| line.starts_with("fe80") && line.ends_with(" up0");
    let Some(line) = list.lines().find(is_it) else { return };
    let words: Vec<_> = line.as_bytes()[..32].chunks(4).map(String::from_utf8_lossy).collect();
    let links = Outcome::of(outside.command("ip").args(["-o", "link", "show", "eth0"]));
    let number = links.text().split(':').next().unwrap();
    // Both ends ask first whether somebody else has it (RFC 4862).
    let is_asking = |mut ip: Command| {
        let ip = ip.args(["-o", "-6", "address", "show", "tentative"]);
        !Outcome::of(ip).text().is_empty()
    };
    within(Duration::from_secs(20), "both addresses can be used", || {
        !is_asking(Command::new("ip")) && !is_asking(outside.command("ip"))
    });
    ask(outside.pid(), &format!("[{}%{number}]:8080", words.join(":")));
}

/// Where fewer files can be open than there may be flows.
fn a_flow_takes_the_last_descriptor(host: &Host) {
    setrlimit(Resource::RLIMIT_NOFILE, 100, 100).unwrap();
    let _connected = start(host);
    let client = UdpSocket::bind("0.0.0.0:0").unwrap();
    client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    for number in 1..=200 {
        let address = SocketAddr::from(([127, 0, 0, number], 8080)); // each has a flow of its own
        client.send_to(b"x", address).unwrap();
        let heard = client.recv_from(&mut [0; 100]).map(|(_, from)| from);
        assert_eq!(heard.ok(), Some(address));
    }
}

fn a_flow_makes_room(host: &Host) {
    const MOST: usize = 1024; // MOST_FLOWS of support/proxy
    tcp::limit_files(Files::Most).unwrap();
    let connected = start(host);
    let ask = |client: &UdpSocket| udp::ask(client, b"x").unwrap().0;
    let connect = || udp::connect(connected.address).unwrap();
    let kept = connect();
    let forgotten = connect();
    let (of_kept, of_forgotten) = (ask(&kept), ask(&forgotten));
    let mut others = Vec::new();
    for number in 0..2 * MOST {
        others.push(connect());
        ask(&others[number]);
        if number % 100 == 0 {
            assert_eq!(ask(&kept), of_kept, "who speaks keeps the flow, {number}");
        }
    }
    let files = fs::read_dir(format!("/proc/{}/fd", connected.container.proxy())).unwrap();
    assert!((MOST..MOST + 20).contains(&files.count()));
    assert_ne!(ask(&forgotten), of_forgotten, "who is silent gets a new one");
}

fn a_server_that_comes_later_is_reached(host: &Host) {
    let rootfs = host.own_rootfs();
    let probe = host.install_probe(&rootfs, "serve-datagrams").join(" ");
    let mut launcher = host.launcher();
    launcher.arg("--rootfs").arg(&rootfs).args(["--net", "none", "-p", "127.0.0.1:8080:80/udp"]);
    launcher.args(["sh", "-c", &format!("echo ready; read line < /tmp/start; exec {probe} 80")]);
    nix::unistd::mkfifo(&rootfs.join("tmp/start"), nix::sys::stat::Mode::from_bits_retain(0o666))
        .unwrap();
    host.give(&rootfs.join("tmp/start"));
    let mut running = host.follow(&mut launcher);
    running.expect_line("ready");
    let client = udp::connect(([127, 0, 0, 1], 8080).into()).unwrap();
    // What the kernel says of these (ICMP: nobody listens) is nobody's end.
    for _ in 0..20 {
        client.send(b"too early").unwrap();
    }
    fs::write(rootfs.join("tmp/start"), "now\n").unwrap();
    running.expect_line("ready");
    let mut heard = udp::ask(&client, b"in time").unwrap().1;
    while heard == b"too early" {
        heard = udp::hear(&client).unwrap().1; // it waited in the proxy's socket
    }
    assert_eq!(heard, b"in time");
    assert!(is_alive(running.proxy()));
}

fn a_udp_port_is_published_once(host: &Host) {
    let containers = Containers::new(host);
    let connected = containers.connect(Way::Published, Server::Udp);
    let mode = if host.is_root() { "bridge" } else { "none" };
    let outcome = host.run(["--net", mode, "-p", "8080:80/udp", "true"]);
    let words = ["UDP port 8080", "EADDRINUSE", "ss -lunp 'sport = :8080'"];
    outcome.assert_refused(125, &words);
    assert_eq!(udp::ask(&udp::connect(connected.address).unwrap(), b"x").unwrap().1, b"x");
}

fn a_udp_port_is_free_again(host: &Host) {
    let containers = Containers::new(host);
    for is_killed in [false, true] {
        let mut connected = containers.connect(Way::Published, Server::Udp);
        udp::ask(&udp::connect(connected.address).unwrap(), b"x").unwrap();
        if is_killed {
            connected.container.signal(Signal::SIGKILL);
        } else {
            send(connected.container.command(), libc::SIGKILL);
            assert_eq!(connected.container.code(), 137);
        }
        let is_free = || UdpSocket::bind("0.0.0.0:8080").is_ok();
        within(Duration::from_secs(1), "the port is free again", is_free);
        let refused = udp::ask(&udp::connect(connected.address).unwrap(), b"x").unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }
}
