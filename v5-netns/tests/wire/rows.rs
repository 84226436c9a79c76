//! What is tried with TCP, one row of the table each, and a trial through `-p`.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::Command;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use testbed::pace::slowed;
use testbed::running::Outcome;
use testbed::tcp::{self, Wish};
use testbed::{Suite, in_network_of, udp};

use crate::way::{Connected, Containers, Server, Way, need_ss};

/// A row of the table.
pub struct Row {
    name: &'static str,
    /// What the book says is tried.
    pub what: &'static str,
    pub server: Server,
    /// Tries it, and tells what came of it.
    pub try_it: fn(&mut Connected) -> String,
    /// What must come of it through `-p`.
    pub published: &'static str,
}

pub const ROWS: [Row; 14] = [
    Row {
        name: "an_answer_before_the_end_of_the_request",
        what: "the server reads 10 bytes of 1,000, answers 300 and closes: whole answers",
        server: Server::Tcp,
        try_it: early_answers,
        published: "20 of 20",
    },
    Row {
        name: "an_urgent_byte",
        what: "the third of five bytes is urgent (`MSG_OOB`): it",
        server: Server::Tcp,
        try_it: urgent_byte,
        published: "arrives as urgent",
    },
    Row {
        name: "the_client_ends_first",
        what: "the client ends its direction: the answer",
        server: Server::Tcp,
        try_it: client_ends_first,
        published: "arrives",
    },
    Row {
        name: "the_server_ends_first",
        what: "the server ends its direction: what the client still sends",
        server: Server::Tcp,
        try_it: server_ends_first,
        published: "arrives",
    },
    Row {
        name: "the_server_resets",
        what: "the server resets: the client hears",
        server: Server::Tcp,
        try_it: server_resets,
        published: "`ECONNRESET`",
    },
    Row {
        name: "the_client_resets",
        what: "the client sends 300 bytes and resets: the server hears",
        server: Server::Tcp,
        try_it: client_resets,
        published: "300 bytes, `ECONNRESET`",
    },
    Row {
        name: "nobody_listens",
        what: "nobody listens: the client hears",
        server: Server::Nobody,
        try_it: nobody_listens,
        published: "`ECONNRESET`",
    },
    Row {
        name: "many_at_once",
        what: "64 connections at once: answered while all are open",
        server: Server::Tcp,
        try_it: many_at_once,
        published: "64 of 64",
    },
    Row {
        name: "a_full_backlog",
        what: "4 clients, and a server that accepts late and lets one wait: answered",
        server: Server::LateTcp,
        try_it: full_backlog,
        published: "4 of 4",
    },
    Row {
        name: "a_slow_reader",
        what: "the server does not read for a second: the client",
        server: Server::Tcp,
        try_it: slow_reader,
        published: "waits, nothing is lost",
    },
    Row {
        name: "a_silent_connection",
        what: "nobody says anything: the kernel asks (keepalive)",
        server: Server::Tcp,
        try_it: keepalive,
        published: "client and server",
    },
    Row {
        name: "the_address_of_the_client",
        what: "the server sees the address of",
        server: Server::Tcp,
        try_it: address_of_the_client,
        published: "the container",
    },
    Row {
        name: "a_datagram",
        what: "UDP: a datagram to 127.0.0.2, and its answer",
        server: Server::Udp,
        try_it: datagram,
        published: "arrives",
    },
    Row {
        name: "a_datagram_for_nobody",
        what: "UDP: nobody listens: the client hears",
        server: Server::Nobody,
        try_it: datagram_for_nobody,
        published: "nothing",
    },
];

pub fn add(mut suite: Suite) -> Suite {
    for row in ROWS {
        suite = suite.both(row.name, move |host| {
            if row.name == "a_silent_connection" {
                need_ss(host);
            }
            let mut connected = Containers::new(host).connect(Way::Published, row.server);
            let expected = match row.name {
                // The address of a container without a network.
                "the_address_of_the_client" if !host.is_root() => "127.0.0.1",
                _ => row.published,
            };
            assert_eq!((row.try_it)(&mut connected), expected, "{}", row.what);
        });
    }
    suite
}

/// An error as the table has it.
fn errno_of(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(errno) => format!("`{:?}`", Errno::from_raw(errno)),
        None => error.to_string(),
    }
}

fn early_answers(connected: &mut Connected) -> String {
    let is_answered = |_: &u32| {
        let mut stream = tcp::connect(connected.address, Wish::AnswerEarly).unwrap();
        // What is too late for the server breaks the connection, before or while it is sent.
        let _ = stream.write_all(&[b'x'; 999]);
        tcp::hear(&stream).0 == tcp::ANSWER
    };
    format!("{} of 20", (0..20).filter(is_answered).count())
}

fn urgent_byte(connected: &mut Connected) -> String {
    let mut stream = tcp::connect(connected.address, Wish::Urgent).unwrap();
    stream.set_read_timeout(Some(slowed(Duration::from_secs(3)))).unwrap();
    let mut answer = String::new();
    let outcome = stream
        .write_all(b"ab")
        .and_then(|()| tcp::send_urgent(&stream, b'!'))
        .and_then(|()| stream.write_all(b"cd"))
        .and_then(|()| stream.shutdown(Shutdown::Write))
        .and_then(|()| stream.read_to_string(&mut answer));
    match outcome {
        Ok(_) => match &*answer {
            "data abcd, urgent !" => "arrives as urgent".to_owned(),
            "data ab!cd, urgent " => "arrives as data".to_owned(),
            "data ab, urgent " => "is lost, and what follows".to_owned(),
            other => panic!("{other}"),
        },
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => "never arrives".to_owned(),
        Err(error) => errno_of(&error),
    }
}

fn client_ends_first(connected: &mut Connected) -> String {
    let mut stream = tcp::connect(connected.address, Wish::Count).unwrap();
    stream.write_all(&vec![b'x'; 3_000_000]).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    if answer == "3000000" { "arrives".to_owned() } else { answer }
}

fn server_ends_first(connected: &mut Connected) -> String {
    let mut stream = tcp::connect(connected.address, Wish::EndFirst).unwrap();
    assert_eq!(tcp::hear(&stream), (3, "end".to_owned()));
    stream.write_all(&vec![b'x'; 3_000_000]).unwrap();
    drop(stream);
    let heard = connected.container.line();
    if heard == "3000000" { "arrives".to_owned() } else { heard }
}

fn server_resets(connected: &mut Connected) -> String {
    let stream = tcp::connect(connected.address, Wish::Reset).unwrap();
    match tcp::hear(&stream) {
        (0, end) if end == "end" => "the end".to_owned(),
        (0, end) => format!("`{end}`"),
        heard => panic!("{heard:?}"),
    }
}

fn client_resets(connected: &mut Connected) -> String {
    let mut stream = tcp::connect(connected.address, Wish::HearLate).unwrap();
    stream.write_all(&[b'x'; 300]).unwrap();
    tcp::break_off(&stream).unwrap();
    drop(stream);
    let line = connected.container.line();
    let (length, end) = line.split_once(' ').unwrap();
    if end == "end" {
        format!("{length} bytes, the end")
    } else {
        format!("{length} bytes, `{end}`")
    }
}

fn nobody_listens(connected: &mut Connected) -> String {
    // It may be reset before connect(2) has returned.
    let heard = TcpStream::connect(connected.address).map(|stream| tcp::hear(&stream));
    match heard {
        Ok((0, end)) if end == "end" => "the end".to_owned(),
        Ok((0, end)) => format!("`{end}`"),
        Ok(heard) => panic!("{heard:?}"),
        Err(error) => errno_of(&error),
    }
}

fn many_at_once(connected: &mut Connected) -> String {
    let mut streams: Vec<_> =
        (0..64).map(|_| tcp::connect(connected.address, Wish::Echo).unwrap()).collect();
    for (number, stream) in streams.iter_mut().enumerate() {
        stream.write_all(&number.to_be_bytes()).unwrap();
    }
    let is_answered = |(number, stream): (usize, &mut TcpStream)| {
        let mut echo = [0; size_of::<usize>()];
        stream.read_exact(&mut echo).is_ok_and(|()| echo == number.to_be_bytes())
    };
    let answered = streams.iter_mut().enumerate().map(is_answered).filter(|is| *is).count();
    format!("{answered} of 64")
}

fn full_backlog(connected: &mut Connected) -> String {
    let address = connected.address;
    // Who finds no place asks again after a second, and then after two more (tcp(7)).
    let is_answered = move || -> io::Result<bool> {
        let patience = slowed(Duration::from_secs(15));
        let mut stream = TcpStream::connect_timeout(&address, patience)?;
        stream.set_read_timeout(Some(patience))?;
        stream.write_all(&[Wish::Identify.byte()])?;
        Ok(tcp::hear(&stream).0 > 0)
    };
    let clients: Vec<_> = (0..4).map(|_| thread::spawn(is_answered)).collect();
    let answers = clients.into_iter().map(|client| client.join().unwrap());
    format!("{} of 4", answers.filter(|answer| matches!(answer, Ok(true))).count())
}

fn slow_reader(connected: &mut Connected) -> String {
    let mut stream = tcp::connect(connected.address, Wish::CountLate).unwrap();
    let mut sent = tcp::send_until_full(&mut stream).unwrap();
    let who = if sent < 64 << 20 { "waits" } else { "does not wait" };
    let rest = vec![0; 8 << 20];
    stream.write_all(&rest).unwrap();
    sent += rest.len();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut count = String::new();
    stream.read_to_string(&mut count).unwrap();
    let lost = if count == sent.to_string() { "nothing" } else { "something" };
    format!("{who}, {lost} is lost")
}

/// Whether the kernel asks, as ss(8) tells it. That it ends the connection when nobody answers,
/// more than two minutes later, is not waited for.
fn keepalive(connected: &mut Connected) -> String {
    let mut stream = tcp::connect(connected.address, Wish::Echo).unwrap();
    stream.write_all(b"x").unwrap();
    stream.read_exact(&mut [0]).unwrap();
    let sees = |mut ss: Command, whose: &str| {
        let text = Outcome::of(ss.args(["-Htno", "state", "established", whose])).text().to_owned();
        text.contains("timer:(keepalive,1")
    };
    let port = connected.address.port();
    let here = || Command::new("ss");
    let inside = || in_network_of(connected.container.command(), "ss");
    let asks = match connected.way {
        Way::Direct => [sees(inside(), "sport = :80"), false],
        Way::Published => {
            [sees(here(), &format!("sport = :{port}")), sees(inside(), connected.server_is)]
        }
        Way::DockerProxy => {
            [sees(here(), &format!("sport = :{port}")), sees(here(), connected.server_is)]
        }
    };
    let asked = match asks {
        [true, true] => "client and server",
        [true, false] => "the client",
        [false, true] => "the server",
        [false, false] => "nobody",
    };
    asked.to_owned()
}

fn address_of_the_client(connected: &mut Connected) -> String {
    let identity = tcp::identify(connected.address).unwrap();
    let address = match identity.split_once(' ').unwrap().1 {
        "10.61.0.1" => "the host",
        "10.61.0.2" => "the container",
        other => other,
    };
    address.to_owned()
}

/// The address that is asked is not the one that the kernel would answer from by itself. (Directly,
/// there is no choice.)
fn datagram(connected: &mut Connected) -> String {
    let mut address = connected.address;
    if connected.way != Way::Direct {
        address = SocketAddr::from(([127, 0, 0, 2], address.port()));
    }
    let client = udp::connect(address).unwrap();
    match udp::ask(&client, b"who?") {
        Ok((_, heard)) if heard == b"who?" => "arrives".to_owned(),
        Ok(heard) => panic!("{heard:?}"),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => "nothing".to_owned(),
        Err(error) => errno_of(&error),
    }
}

fn datagram_for_nobody(connected: &mut Connected) -> String {
    let client = udp::connect(connected.address).unwrap();
    match udp::ask(&client, b"who?") {
        Ok(heard) => panic!("{heard:?}"),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => "nothing".to_owned(),
        Err(error) => errno_of(&error),
    }
}
