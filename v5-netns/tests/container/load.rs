//! Much at once through a published port.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use testbed::pace::slowed;
use testbed::running::status_line;
use testbed::tcp::{self, Files, Wish};
use testbed::{Host, Running, Suite};

pub fn add(suite: Suite) -> Suite {
    suite
        .both("a_thousand_connections_at_once", a_thousand_connections_at_once)
        .long()
        .both("connections_beyond_the_most_wait", connections_beyond_the_most_wait)
        .long()
        .both("a_slow_reader_does_not_grow_the_proxy", a_slow_reader_does_not_grow_the_proxy)
        .long()
}

fn published() -> SocketAddr {
    ([127, 0, 0, 1], 8080).into()
}

/// A container with the server of the tests, published at port 8080.
fn start(host: &Host) -> Running {
    let rootfs = host.own_rootfs();
    let mut launcher = host.launcher();
    launcher.arg("--rootfs").arg(&rootfs).args(["--net", "none", "-p", "8080:80"]);
    launcher.args(host.install_probe(&rootfs, "serve")).arg("80");
    let mut running = host.follow(&mut launcher);
    running.expect_line("ready");
    running
}

/// A memory line of /proc/PID/status, in KiB.
fn memory(pid: u32, name: &str) -> usize {
    status_line(pid, name).trim_end_matches(" kB").parse().unwrap()
}

fn a_thousand_connections_at_once(host: &Host) {
    tcp::limit_files(Files::AsUsual).unwrap();
    let running = start(host);
    tcp::limit_files(Files::Most).unwrap();
    let mut streams: Vec<TcpStream> =
        (0..1000).map(|_| tcp::connect(published(), Wish::Echo).unwrap()).collect();
    // Each of them is alive while all the others are, in both directions.
    for (number, stream) in streams.iter_mut().enumerate() {
        stream.write_all(&number.to_be_bytes()).unwrap();
    }
    for (number, stream) in streams.iter_mut().enumerate() {
        let mut echo = number.wrapping_add(1).to_be_bytes();
        stream.read_exact(&mut echo).unwrap();
        assert_eq!(usize::from_be_bytes(echo), number);
    }
    let tasks = || tasks(running.proxy());
    println!("{} threads, {} KiB", tasks(), memory(running.proxy(), "VmRSS"));
    for stream in &streams {
        stream.shutdown(Shutdown::Write).unwrap();
    }
    for stream in &mut streams {
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    }
    drop(streams);
    let is_over = || tasks() == 1;
    testbed::running::within(Duration::from_secs(10), "all threads end", is_over);
    let files = || std::fs::read_dir(format!("/proc/{}/fd", running.proxy())).unwrap().count();
    assert!(files() < 20, "descriptors of the proxy: {}", files());
}

/// The threads of a process.
fn tasks(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().count()
}

fn connections_beyond_the_most_wait(host: &Host) {
    const MOST: usize = 1024; // MOST_CONNECTIONS of support/proxy
    tcp::limit_files(Files::Most).unwrap();
    let running = start(host);
    let mut carried: Vec<TcpStream> = (0..MOST).map(|_| echoing()).collect();
    for stream in &mut carried {
        assert_eq!(echo_of(stream), b'x');
    }
    // The kernel accepts these, and keeps what they send.
    let mut waiting: Vec<TcpStream> = (0..20).map(|_| echoing()).collect();
    let pause = slowed(Duration::from_millis(300));
    for stream in &mut waiting {
        stream.set_read_timeout(Some(pause / 20)).unwrap();
        let error = stream.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        stream.set_read_timeout(Some(slowed(Duration::from_secs(20)))).unwrap();
    }
    assert_eq!(tasks(running.proxy()), 1 + MOST);
    // Nobody is lost who waits, and nobody has to wait for more than one end of another.
    for stream in &mut waiting {
        drop(carried.pop());
        assert_eq!(echo_of(stream), b'x');
    }
}

/// A connection on which one letter is to come back.
fn echoing() -> TcpStream {
    let mut stream = tcp::connect(published(), Wish::Echo).unwrap();
    stream.write_all(b"x").unwrap();
    stream
}

fn echo_of(stream: &mut TcpStream) -> u8 {
    let mut echo = [0];
    stream.read_exact(&mut echo).unwrap();
    echo[0]
}

fn a_slow_reader_does_not_grow_the_proxy(host: &Host) {
    let running = start(host);
    tcp::connect(published(), Wish::Identify).unwrap().read_to_end(&mut Vec::new()).unwrap();
    let proxy = running.proxy();
    let before = memory(proxy, "VmHWM");
    let mut stream = tcp::connect(published(), Wish::CountLate).unwrap();
    let mut sent = tcp::send_until_full(&mut stream).unwrap();
    // What waits, waits in the buffers of the sockets: at the sender, in the end.
    assert!(sent < 64 << 20, "{sent} bytes were taken that nobody has read");
    // And when somebody reads, it goes on, and nothing is lost.
    let rest = vec![0; 32 << 20];
    stream.write_all(&rest).unwrap();
    sent += rest.len();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut count = String::new();
    stream.read_to_string(&mut count).unwrap();
    assert_eq!(count, sent.to_string());
    let after = memory(proxy, "VmHWM");
    println!("{before} KiB before, {after} KiB after {sent} bytes");
    assert!(after < before + 1024, "the proxy grew from {before} to {after} KiB");
}
