//! A website that tells each visitor its address.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

use anyhow::{Result, ensure};

/// The probe that answers every HTTP request with the address that it comes from.
pub(crate) const WHO_ARE_YOU: &str = "who-are-you";

/// What the probe [`WHO_ARE_YOU`] does.
pub(crate) fn tell_who_visits() -> Result<()> {
    for stream in TcpListener::bind(("0.0.0.0", 80))?.incoming() {
        // Whoever goes away in the middle of a sentence does not end the website.
        let _ = answer(&stream?);
    }
    Ok(())
}

fn answer(mut stream: &TcpStream) -> Result<()> {
    let mut lines = BufReader::new(stream).lines();
    ensure!(lines.any(|line| line.is_ok_and(|line| line.is_empty())), "no request");
    let address = stream.peer_addr()?.ip();
    Ok(write!(stream, "HTTP/1.0 200 OK\r\n\r\nHello, {address}.\n")?)
}
