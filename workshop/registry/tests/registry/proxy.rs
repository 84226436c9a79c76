//! A proxy, which knows every name: whatever one wants to reach, it is on this machine.

use std::io::{self, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::http::{Answer, Request};

/// The proxy.
pub struct Proxy {
    port: u16,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Proxy {
    pub fn start(port: u16) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let seen = Arc::<Mutex<Vec<Request>>>::default();
        let proxy = Proxy { port, seen: Arc::clone(&seen) };
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, seen) = (client.unwrap(), Arc::clone(&seen));
                thread::spawn(move || serve(&client, &seen));
            }
        });
        proxy
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What it was asked for so far.
    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }
}

/// RFC 9110, 9.3.6 (CONNECT), and RFC 9112, 3.2.2 (the absolute form).
fn serve(mut client: &TcpStream, seen: &Mutex<Vec<Request>>) -> io::Result<()> {
    let request = Request::read(client)?;
    seen.lock().unwrap().push(request.clone());
    let Request { method, target, .. } = &request;
    if method == "CONNECT" {
        let server = TcpStream::connect(("127.0.0.1", port_of(target)))?;
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        let (from, to) = (client.try_clone()?, server.try_clone()?);
        thread::spawn(move || pass_on(&from, &to));
        pass_on(&server, client);
        return Ok(());
    }
    let (place, path) = target.trim_start_matches("http://").split_once('/').unwrap();
    let mut server = TcpStream::connect(("127.0.0.1", port_of(place)))?;
    let mut text = format!("{method} /{path} HTTP/1.1\r\nConnection: close\r\n");
    let is_passed_on = |name: &str| !["connection", "proxy-authorization"].contains(&name);
    for (name, value) in &request.headers {
        if is_passed_on(&name.to_ascii_lowercase()) {
            text += &format!("{name}: {value}\r\n");
        }
    }
    server.write_all((text + "\r\n").as_bytes())?;
    Answer::read(&server)?.send(client)
}

fn port_of(place: &str) -> u16 {
    place.rsplit_once(':').unwrap().1.parse().unwrap()
}

fn pass_on(mut from: &TcpStream, mut to: &TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
