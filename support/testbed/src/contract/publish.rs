//! From v5 on: ports of the host that lead into the container.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::network::{Servers, identify, identify_from, need, network_of};
use crate::running::{children, is_alive, link, program, send, status_line, within};
use crate::tcp::{self, Files, Wish};
use crate::{Host, Outside, Running, Stage, Suite};

pub fn add(suite: Suite) -> Suite {
    if !suite.stage().network_namespace {
        return suite;
    }
    suite
        .both("published_port_from_everywhere", published_port_from_everywhere)
        .root("published_port_from_containers", published_port_from_containers)
        .both("published_at_one_address", published_at_one_address)
        .both("published_port_can_be_published_again_at_once", again_at_once)
        .both("publish_refused", publish_refused)
        .user("publish_of_a_privileged_port_refused", privileged_port_refused)
        .both("net_host_has_no_ports_to_publish", net_host_has_no_ports_to_publish)
        .short_at(&[&Stage::V5], add_connections)
}

/// What the proxy does with connections, and with its own end.
fn add_connections(suite: Suite) -> Suite {
    suite
        .both("connections_end_one_direction_at_a_time", one_direction_at_a_time)
        .both("connections_break_on_both_sides", break_on_both_sides)
        .both("published_port_without_a_server", published_port_without_a_server)
        .both("the_proxy_is_a_process_of_its_own", the_proxy_is_a_process_of_its_own)
        .both("the_proxy_dies_with_the_supervisor", the_proxy_dies_with_the_supervisor)
        .both("the_proxy_minds_no_signal", the_proxy_minds_no_signal)
}

fn published() -> SocketAddr {
    ([127, 0, 0, 1], 8080).into()
}

/// The modes that this variant may have.
fn modes(host: &Host) -> &'static [&'static str] {
    need(host, if host.is_root() { &["ip", "nft"] } else { &["ip"] });
    if host.is_root() { &["bridge", "none"] } else { &["none"] }
}

fn published_port_from_everywhere(host: &Host) {
    let modes = modes(host);
    let outside = Outside::connect(host, "up0");
    let servers = Servers::new(host);
    let from_outside = format!("{}:8080", Outside::HOST);
    let has_ipv6 = fs::read_to_string("/proc/net/if_inet6").is_ok_and(|list| list.contains(" lo"));
    for mode in modes {
        let running = servers.start(&["--net", mode, "-p", "8080:80", "-p", "8081:80"]);
        let expected = network_of(running.command());
        assert_ne!(expected, network_of(std::process::id()));
        let peer = if *mode == "bridge" { "10.61.0.2" } else { "127.0.0.1" };
        let expected = format!("{expected} {peer}");
        assert_eq!(identify("127.0.0.1:8080"), expected, "{mode}");
        assert_eq!(identify("127.0.0.1:8081"), expected, "{mode}");
        assert_eq!(identify(&from_outside), expected, "{mode}");
        assert_eq!(identify_from(outside.pid(), &from_outside), expected, "{mode}");
        if has_ipv6 {
            assert_eq!(identify("[::1]:8080"), expected, "{mode}");
        }
    }
}

fn published_port_from_containers(host: &Host) {
    need(host, &["ip", "nft"]);
    let _outside = Outside::connect(host, "up0");
    let servers = Servers::new(host);
    let first = servers.start(&["-p", "8080:80"]);
    let second = servers.start(&[]);
    let expected = format!("{} 10.61.0.2", network_of(first.command()));
    for address in ["10.61.0.1:8080", &format!("{}:8080", Outside::HOST)] {
        assert_eq!(identify_from(first.command(), address), expected, "itself, {address}");
        assert_eq!(identify_from(second.command(), address), expected, "the other, {address}");
    }
}

fn published_at_one_address(host: &Host) {
    let mode = modes(host)[0];
    let outside = Outside::connect(host, "up0");
    let servers = Servers::new(host);
    for (address, others) in [
        ("127.0.0.2", ["127.0.0.1:8080", "192.0.2.10:8080", "[::1]:8080"]),
        ("[::1]", ["127.0.0.1:8080", "127.0.0.2:8080", "192.0.2.10:8080"]),
        ("192.0.2.10", ["127.0.0.1:8080", "127.0.0.2:8080", "[::1]:8080"]),
    ] {
        let publish = format!("{address}:8080:80");
        let running = servers.start(&["--net", mode, "-p", &publish]);
        let expected = network_of(running.command());
        assert!(identify(&format!("{address}:8080")).starts_with(&expected), "{address}");
        for other in others {
            let refused = TcpStream::connect(other).expect_err(other);
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{address}: {other}");
        }
        let seen = identify_from(outside.pid(), "192.0.2.10:8080");
        assert_eq!(seen.starts_with(&expected), address == "192.0.2.10", "{address}: {seen}");
    }
}

fn again_at_once(host: &Host) {
    let mode = modes(host)[0];
    let servers = Servers::new(host);
    for _ in 0..3 {
        let mut running = servers.start(&["--net", mode, "-p", "8080:80"]);
        // The side that ends first keeps the connection for a minute, as TIME_WAIT: the proxy.
        let mut stream = tcp::connect(published(), Wish::EndFirst).unwrap();
        stream.read_to_string(&mut String::new()).unwrap();
        drop(stream);
        assert_eq!(running.line(), "0");
        send(running.command(), libc::SIGKILL);
        assert_eq!(running.code(), 137);
        let refused = TcpStream::connect(published()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }
}

/// Requires that the launcher refuses these options, and that the command has not begun.
#[track_caller]
fn assert_not_begun(host: &Host, rootfs: &Path, options: &[&str], words: &[&str]) {
    let rootfs_option = ["--rootfs", rootfs.to_str().unwrap()];
    let command = ["mkdir", "/tmp/begun"];
    let outcome = host.run(rootfs_option.iter().chain(options).chain(&command));
    outcome.assert_refused(125, words);
    assert!(!rootfs.join("tmp/begun").exists(), "{options:?}");
}

fn publish_refused(host: &Host) {
    let mode = modes(host)[0];
    let rootfs = host.own_rootfs();
    let refused = |publish: &[&str], words: &[&str]| {
        let publish: Vec<_> = publish.iter().map(|port| format!("--publish={port}")).collect();
        let options = ["--net", mode].into_iter().chain(publish.iter().map(String::as_str));
        assert_not_begun(host, &rootfs, &options.collect::<Vec<_>>(), words);
    };
    for (publish, words) in [
        ("0:80", "port 0"),
        ("8080:0", "port 0"),
        ("65536:80", "65535"),
        ("8080:65536", "65535"),
        ("-1:80", "65535"),
        ("8080", "HOST:CONTAINER"),
        ("", "HOST:CONTAINER"),
        ("8080:80/sctp", "only tcp and udp"),
        ("::1:8080:80", "brackets"),
        ("localhost:8080:80", "localhost"),
    ] {
        refused(&[publish], &["--publish", words]);
    }
    refused(&["192.0.2.77:8080:80"], &["8080", "192.0.2.77", "EADDRNOTAVAIL", "ip address"]);
    refused(&["8080:80", "8080:81"], &["8080", "EADDRINUSE"]);
    // A port that is free comes first: it is free again afterwards.
    let taken = TcpListener::bind("127.0.0.1:8081").unwrap();
    refused(&["8080:80", "8081:80"], &["8081", "EADDRINUSE", "ss -ltnp"]);
    drop(taken);
    TcpListener::bind("0.0.0.0:8080").unwrap();
}

fn privileged_port_refused(host: &Host) {
    let start = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap();
    if start.trim().parse::<u16>().unwrap() <= 80 {
        host.skip("every user may listen at port 80 here: ip_unprivileged_port_start");
    }
    let words = ["80", "EACCES", "ip_unprivileged_port_start"];
    assert_not_begun(host, &host.own_rootfs(), &["-p", "80:80"], &words);
}

fn net_host_has_no_ports_to_publish(host: &Host) {
    let outcome = host.run(["--net", "host", "-p", "8080:80", "true"]);
    assert_eq!(outcome.code(), 0);
    let lines: Vec<_> = outcome.stderr.lines().collect();
    let [note] = lines[..] else { panic!("not one line: {outcome:?}") };
    assert!(note.starts_with("Note: -p ") && note.contains("--net host"), "{note}");
}

/// A container with the server, published at port 8080.
#[track_caller]
fn start_published(host: &Host) -> Running {
    let mode = modes(host)[0];
    Servers::new(host).start(&["--net", mode, "-p", "8080:80"])
}

fn one_direction_at_a_time(host: &Host) {
    let mut running = start_published(host);
    // The client ends its direction, and still gets the answer.
    let mut stream = tcp::connect(published(), Wish::Count).unwrap();
    stream.write_all(&vec![b'x'; 3_000_000]).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "3000000");
    // The server ends its direction, and still gets what the client sends.
    let mut stream = tcp::connect(published(), Wish::EndFirst).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "bye");
    stream.write_all(&vec![b'x'; 3_000_000]).unwrap();
    drop(stream);
    assert_eq!(running.line(), "3000000");
    // Both go on, and nothing is lost on the way.
    let sent: Vec<u8> = (0..2_000_000_u32).flat_map(u32::to_be_bytes).collect();
    let mut stream = tcp::connect(published(), Wish::Echo).unwrap();
    let mut writer = stream.try_clone().unwrap();
    let to_send = sent.clone();
    let sender = std::thread::spawn(move || {
        writer.write_all(&to_send).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut echoed = Vec::new();
    stream.read_to_end(&mut echoed).unwrap();
    sender.join().unwrap();
    assert!(echoed == sent, "{} bytes of {}", echoed.len(), sent.len());
}

fn break_on_both_sides(host: &Host) {
    let mut running = start_published(host);
    // The client breaks off: while both directions are open, and after the server has ended its.
    for wish in [Wish::Echo, Wish::EndFirst] {
        let mut stream = tcp::connect(published(), wish).unwrap();
        stream.write_all(b"bye").unwrap();
        let mut heard = Vec::new();
        let limit = if matches!(wish, Wish::Echo) { 3 } else { u64::MAX };
        (&stream).take(limit).read_to_end(&mut heard).unwrap();
        assert_eq!(heard, b"bye");
        tcp::break_off(&stream).unwrap();
        drop(stream);
        let heard = running.line();
        assert!(heard.starts_with("ECONNRESET: "), "{wish:?}: {heard}");
    }
    // The server breaks off.
    let mut stream = tcp::connect(published(), Wish::Reset).unwrap();
    let broken = stream.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(broken.kind(), ErrorKind::ConnectionReset);
}

fn published_port_without_a_server(host: &Host) {
    let mode = modes(host)[0];
    let running = host.start(["--net", mode, "-p", "8080:80", "sleep", "1000"]);
    let is_up = || program(running.proxy()) == "proxy";
    within(Duration::from_secs(5), "the proxy runs", is_up);
    // It may be reset before connect(2) has returned.
    let ask = || {
        let mut stream = TcpStream::connect(published())?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.read(&mut [0])
    };
    assert_eq!(ask().unwrap_err().kind(), ErrorKind::ConnectionReset);
    // The next one is served all the same.
    assert_eq!(ask().unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(is_alive(running.proxy()));
}

fn the_proxy_is_a_process_of_its_own(host: &Host) {
    let mode = modes(host)[0];
    tcp::limit_files(Files::AsUsual).unwrap();
    let (soft, hard) = limits_of(std::process::id());
    if soft == hard {
        host.skip("there is no limit of open files that could be raised here");
    }
    let script = "ulimit -n; echo ready; sleep 1000";
    let mut running =
        host.start(["--net", mode, "-p", "8080:80", "-p", "8081:81", "sh", "-c", script]);
    running.expect_line(&soft);
    running.expect_line("ready");
    let is_proxy = |pid: &u32| program(*pid) == "proxy";
    let proxies = children(running.pid()).into_iter().filter(is_proxy).count();
    assert_eq!(proxies, 1, "whatever the number of ports");
    let proxy = running.proxy();
    assert_eq!(network_of(proxy), network_of(running.command()), "it connects in there");
    for kind in ["pid", "mnt", "uts"] {
        let of = |pid: u32| link(format!("/proc/{pid}/ns/{kind}"));
        assert_eq!(of(proxy), of(running.pid()), "{kind}");
    }
    within(Duration::from_secs(5), "it raises its own limit", || {
        limits_of(proxy) == (hard.clone(), hard.clone())
    });
    assert_eq!(limits_of(running.pid()), (soft.clone(), hard.clone()));
    assert_eq!(limits_of(running.command()), (soft, hard));
}

/// How many files a process may open: the soft and the hard limit (man 2 getrlimit).
fn limits_of(pid: u32) -> (String, String) {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let mut words = line.split_whitespace().map(str::to_owned);
    (words.next().unwrap(), words.next().unwrap())
}

fn the_proxy_dies_with_the_supervisor(host: &Host) {
    let running = start_published(host);
    let proxy = running.proxy();
    let _open = tcp::connect(published(), Wish::Echo).unwrap();
    running.signal(Signal::SIGKILL);
    within(Duration::from_secs(1), "the proxy dies too", || !is_alive(proxy));
    // Its threads end one by one, and the last one closes what they share.
    let is_free = || TcpListener::bind(("0.0.0.0", 8080)).is_ok();
    within(Duration::from_secs(1), "the port is free again", is_free);
}

fn the_proxy_minds_no_signal(host: &Host) {
    let mode = modes(host)[0];
    let servers = Servers::new(host);
    // A group of its own, as a shell gives to each job.
    let mut launcher = servers.launcher(&["--net", mode, "-p", "8080:80"]);
    let mut running = host.follow(launcher.process_group(0));
    running.expect_line("ready");
    let proxy = running.proxy();
    assert_eq!(status_line(proxy, "PPid"), running.pid().to_string());
    let expected = network_of(running.command());
    for signal in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP, Signal::SIGTERM] {
        nix::sys::signal::killpg(nix::unistd::Pid::from_raw(running.pid().cast_signed()), signal)
            .unwrap();
        send(proxy, signal as libc::c_int);
        let answer = identify("127.0.0.1:8080");
        assert!(answer.starts_with(&expected), "after {signal}: {answer:?}, not {expected}");
    }
    for signal in [Signal::SIGTSTP, Signal::SIGALRM, Signal::SIGUSR1] {
        send(proxy, signal as libc::c_int);
        let answer = identify("127.0.0.1:8080");
        assert!(answer.starts_with(&expected), "after {signal}: {answer:?}, not {expected}");
    }
}
