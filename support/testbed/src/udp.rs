//! A UDP server that sends back what it gets, and a client.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use crate::pace::slowed;

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Serves a port of this network namespace for ever: each datagram goes back, behind the address
/// that it came from and a space. Prints `ready` once it can be reached.
pub fn serve(port: &str) -> io::Result<()> {
    let port: u16 = port.parse().map_err(io::Error::other)?;
    let socket = UdpSocket::bind(("0.0.0.0", port))?;
    println!("ready");
    let mut buffer = vec![0; 1 << 16];
    loop {
        let (length, peer) = match socket.recv_from(&mut buffer) {
            Ok(received) => received,
            // A client that is gone, of an answer before.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => continue,
            Err(error) => return Err(error),
        };
        let mut answer = format!("{peer} ").into_bytes();
        answer.extend_from_slice(&buffer[..length]);
        // One that is too long with the address before it is not answered.
        let _ = socket.send_to(&answer, peer);
    }
}

/// A client of the server at this address. It hears no other address.
pub fn connect(server: SocketAddr) -> io::Result<UdpSocket> {
    let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any)?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(slowed(PATIENCE)))?;
    Ok(socket)
}

/// Sends a datagram and returns its answer: whom the server has seen, and what it has heard.
pub fn ask(client: &UdpSocket, data: &[u8]) -> io::Result<(SocketAddr, Vec<u8>)> {
    client.send(data)?;
    hear(client)
}

/// Receives an answer.
pub fn hear(client: &UdpSocket) -> io::Result<(SocketAddr, Vec<u8>)> {
    let mut buffer = vec![0; 1 << 16];
    let length = client.recv(&mut buffer)?;
    let space = buffer.iter().position(|byte| *byte == b' ').ok_or(ErrorKind::InvalidData)?;
    let seen = String::from_utf8_lossy(&buffer[..space]).parse().map_err(io::Error::other)?;
    Ok((seen, buffer[space + 1..length].to_vec()))
}
