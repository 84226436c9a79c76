//! A server that stands before the registry. It passes on what it is asked and what is answered,
//! and does something else where a rule says so. It remembers every request.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, sleep};
use std::time::Duration;

use nix::sched::{CloneFlags, setns};
use testbed::Outside;
use testbed::pace::slowed;
use testbed::registry::Registry;

use crate::guard::Guard;
use crate::http::{Answer, Request};

/// As many bytes of something endless are sent: no client shall take so many.
const ENDLESS: usize = 64 << 20;

/// How long a client may wait for something that never comes.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is done in place of passing on an answer.
#[derive(Clone)]
pub enum Fault {
    /// The connection ends after so many bytes of the body.
    Cut(usize),
    /// Nothing comes after so many bytes, but the connection stays.
    Silent(usize),
    /// The same, until [`Front::release`].
    Hold(usize),
    /// There is no answer.
    Mute,
    /// The body comes in so many pieces, with a pause before each.
    Slow(u32, Duration),
    /// The byte at this place is another one.
    Flip(usize),
    /// The answer is another one.
    Say(Answer),
    /// The answer begins like this, and goes on with the second text, again and again.
    Endless(&'static str, &'static str),
    /// This header says something else.
    Header(&'static str, String),
    /// The registry is not told which range is wanted.
    WholeBlob,
    /// The body is changed, and its length told as it is then.
    Change(fn(&mut Vec<u8>)),
}

struct Rule {
    part: String,
    fault: Fault,
    is_once: bool,
}

/// The server.
pub struct Front {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    registry: u16,
    rules: Mutex<Vec<Rule>>,
    seen: Mutex<Vec<Request>>,
    guard: Mutex<Option<Guard>>,
    /// How many answers are held, and whether they may go on.
    held: Mutex<(usize, bool)>,
    change: Condvar,
}

impl Front {
    /// Starts one at a port of this host.
    pub fn before(registry: &Registry, port: u16) -> Front {
        Front::listen(registry, TcpListener::bind(("127.0.0.1", port)).unwrap())
    }

    /// Starts one that is reached on another machine only.
    pub fn on(outside: &Outside, registry: &Registry, port: u16) -> Front {
        let namespace = File::open(format!("/proc/{}/ns/net", outside.pid())).unwrap();
        let listen = move || {
            // Of this thread alone; the socket stays where it was made.
            setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
            TcpListener::bind((Outside::ADDRESS, port)).unwrap()
        };
        Front::listen(registry, thread::spawn(listen).join().unwrap())
    }

    fn listen(registry: &Registry, listener: TcpListener) -> Front {
        let shared = Arc::new(Shared {
            registry: registry.address().rsplit_once(':').unwrap().1.parse().unwrap(),
            rules: Mutex::default(),
            seen: Mutex::default(),
            guard: Mutex::default(),
            held: Mutex::default(),
            change: Condvar::new(),
        });
        let port = listener.local_addr().unwrap().port();
        let front = Front { port, shared: Arc::clone(&shared) };
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, shared) = (client.unwrap(), Arc::clone(&shared));
                // A client that goes away is no failure of the server.
                thread::spawn(move || shared.serve(&client));
            }
        });
        front
    }

    /// `localhost:PORT`.
    pub fn address(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// Does this whenever a request has `part` in it: `GET /v2/small/manifests/latest`.
    pub fn always(&self, part: &str, fault: Fault) {
        self.add(part, fault, false);
    }

    /// Does this the next time.
    pub fn once(&self, part: &str, fault: Fault) {
        self.add(part, fault, true);
    }

    fn add(&self, part: &str, fault: Fault, is_once: bool) {
        self.shared.rules.lock().unwrap().push(Rule { part: part.to_owned(), fault, is_once });
    }

    /// From now on, nobody gets in without a token.
    pub fn guard(&self, guard: Guard) {
        *self.shared.guard.lock().unwrap() = Some(guard);
    }

    /// From now on, the tokens so far do not count.
    pub fn expire(&self) {
        self.shared.guard.lock().unwrap().as_mut().unwrap().expire();
    }

    /// Forgets the rules, the guard and what was seen.
    pub fn forget(&self) {
        self.shared.rules.lock().unwrap().clear();
        self.shared.seen.lock().unwrap().clear();
        *self.shared.guard.lock().unwrap() = None;
        *self.shared.held.lock().unwrap() = (0, false);
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Request> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// The requests so far that have `part` in them.
    pub fn seen_of(&self, part: &str) -> Vec<Request> {
        let is_of = |it: &Request| format!("{} {}", it.method, it.target).contains(part);
        self.seen().into_iter().filter(is_of).collect()
    }

    /// Waits until so many answers are held.
    #[track_caller]
    pub fn wait_until_held(&self, count: usize) {
        let held = self.shared.held.lock().unwrap();
        let limit = slowed(Duration::from_secs(10));
        let is_early = |(held, _): &mut (usize, bool)| *held < count;
        let waited = self.shared.change.wait_timeout_while(held, limit, is_early).unwrap();
        assert!(!waited.1.timed_out(), "{} answers are held", waited.0.0);
    }

    /// Lets them go on.
    pub fn release(&self) {
        self.shared.held.lock().unwrap().1 = true;
        self.shared.change.notify_all();
    }
}

impl Shared {
    fn serve(&self, client: &TcpStream) -> io::Result<()> {
        let request = Request::read(client)?;
        self.seen.lock().unwrap().push(request.clone());
        let mut guard = self.guard.lock().unwrap();
        let asks_for_token = request.target.starts_with(Guard::PATH);
        let refused = guard.as_mut().filter(|_| !asks_for_token).and_then(|it| it.check(&request));
        let fault = if refused.is_none() { self.fault_for(&request) } else { None };
        let of_guard = match guard.as_mut() {
            Some(guard) if asks_for_token => Some(guard.hand_out(&request)),
            _ => refused,
        };
        drop(guard);
        match fault {
            Some(Fault::Mute) => return wait_for_end(client),
            Some(Fault::Say(answer)) => return answer.send(client),
            Some(Fault::Endless(start, again)) => return send_endless(client, start, again),
            _ => {}
        }
        let wants_whole = matches!(fault, Some(Fault::WholeBlob));
        let mut answer = match of_guard {
            Some(answer) => answer,
            None => self.ask_registry(&request, wants_whole)?,
        };
        if let Some(Fault::Header(name, value)) = &fault {
            answer.set(name, value);
        }
        if let Some(Fault::Change(change)) = &fault {
            change(&mut answer.body);
        }
        self.send(client, answer, fault)
    }

    fn fault_for(&self, request: &Request) -> Option<Fault> {
        let line = format!("{} {}", request.method, request.target);
        let mut rules = self.rules.lock().unwrap();
        let place = rules.iter().position(|rule| line.contains(&rule.part))?;
        if rules[place].is_once {
            return Some(rules.remove(place).fault);
        }
        Some(rules[place].fault.clone())
    }

    fn ask_registry(&self, request: &Request, wants_whole: bool) -> io::Result<Answer> {
        let mut registry = TcpStream::connect(("127.0.0.1", self.registry))?;
        let Request { method, target, .. } = request;
        let mut text = format!("{method} {target} HTTP/1.1\r\nConnection: close\r\n");
        for (name, value) in &request.headers {
            let is = |other: &str| name.eq_ignore_ascii_case(other);
            let is_left_out = is("connection") || (wants_whole && is("range"));
            if !is_left_out {
                text += &format!("{name}: {value}\r\n");
            }
        }
        registry.write_all((text + "\r\n").as_bytes())?;
        Answer::read(&registry)
    }

    fn send(
        &self,
        mut client: &TcpStream,
        mut answer: Answer,
        fault: Option<Fault>,
    ) -> io::Result<()> {
        let stop = match fault {
            Some(Fault::Cut(length) | Fault::Silent(length) | Fault::Hold(length)) => length,
            _ => answer.body.len(),
        };
        let (first, rest) = answer.body.split_at(stop.min(answer.body.len()));
        match fault {
            Some(Fault::Flip(place)) => answer.body[place] ^= 1,
            Some(Fault::Cut(_)) => {
                client.write_all(answer.head().as_bytes())?;
                return client.write_all(first);
            }
            Some(Fault::Silent(_)) => {
                client.write_all(answer.head().as_bytes())?;
                client.write_all(first)?;
                return wait_for_end(client);
            }
            Some(Fault::Hold(_)) => {
                client.write_all(answer.head().as_bytes())?;
                client.write_all(first)?;
                self.hold();
                return client.write_all(rest);
            }
            Some(Fault::Slow(pieces, pause)) => {
                client.write_all(answer.head().as_bytes())?;
                for piece in answer.body.chunks(answer.body.len().div_ceil(pieces as usize)) {
                    sleep(pause);
                    client.write_all(piece)?;
                }
                return Ok(());
            }
            _ => {}
        }
        answer.send(client)
    }

    fn hold(&self) {
        let mut held = self.held.lock().unwrap();
        held.0 += 1;
        self.change.notify_all();
        let limit = slowed(PATIENCE);
        let _ = self.change.wait_timeout_while(held, limit, |(_, is_free)| !*is_free).unwrap();
    }
}

/// Waits until the client has had enough.
fn wait_for_end(mut client: &TcpStream) -> io::Result<()> {
    client.set_read_timeout(Some(slowed(PATIENCE)))?;
    client.read(&mut [0]).map(drop)
}

fn send_endless(mut client: &TcpStream, start: &str, again: &str) -> io::Result<()> {
    client.write_all(start.as_bytes())?;
    let many = again.repeat((64 << 10) / again.len() + 1);
    for _ in 0..ENDLESS / many.len() {
        client.write_all(many.as_bytes())?;
    }
    Ok(())
}
