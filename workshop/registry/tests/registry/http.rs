//! As much of HTTP/1.1 as a server in a test needs: one request for each connection.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// What a client has asked.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Request {
    pub fn read(client: &TcpStream) -> io::Result<Request> {
        let mut reader = BufReader::new(client);
        let (first, headers) = head(&mut reader)?;
        let mut words = first.split(' ').map(str::to_owned);
        let method = words.next().unwrap_or_default();
        let target = words.next().ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut request = Request { method, target, headers, body: String::new() };
        let length = request.header("content-length").map_or(0, |it| it.parse().unwrap());
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        request.body = String::from_utf8_lossy(&body).into_owned();
        Ok(request)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The fields of a form, which a GET has in its target and a POST in its body.
    pub fn form(&self) -> Vec<(String, String)> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        let text = if self.method == "POST" { &self.body } else { query };
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), decoded(value))).collect()
    }
}

/// What a server answers.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub status: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn new(status: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Answer {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Answer { status: status.into(), headers: headers.collect(), body: body.into() }
    }

    pub fn read(server: &TcpStream) -> io::Result<Answer> {
        let mut reader = BufReader::new(server);
        let (first, mut headers) = head(&mut reader)?;
        let status = first.split_once(' ').map(|(_, status)| status.to_owned());
        let mut body = Vec::new();
        reader.read_to_end(&mut body)?;
        // They are about this connection; the length is that of the body that is sent then.
        headers.retain(|(name, _)| {
            !["connection", "content-length"].contains(&&*name.to_ascii_lowercase())
        });
        Ok(Answer { status: status.unwrap_or_default(), headers, body })
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.headers.retain(|(it, _)| !it.eq_ignore_ascii_case(name));
        self.headers.push((name.into(), value.into()));
    }

    /// Everything before the body, whose length is its own unless a header says another one.
    pub fn head(&self) -> String {
        let mut text = format!("HTTP/1.1 {}\r\nConnection: close\r\n", self.status);
        if find(&self.headers, "content-length").is_none() {
            text += &format!("Content-Length: {}\r\n", self.body.len());
        }
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        text + "\r\n"
    }

    pub fn send(&self, mut client: &TcpStream) -> io::Result<()> {
        client.write_all(self.head().as_bytes())?;
        client.write_all(&self.body)
    }
}

fn head(reader: &mut impl BufRead) -> io::Result<(String, Vec<(String, String)>)> {
    let mut lines = reader.lines();
    let first = lines.next().ok_or(io::ErrorKind::UnexpectedEof)??;
    let mut headers = Vec::new();
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    Ok((first, headers))
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = headers.iter().find(|(it, _)| it.eq_ignore_ascii_case(name));
    found.map(|(_, value)| &**value)
}

/// What `%3A` and `+` in a form stand for.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let hex: String = rest.by_ref().take(2).map(char::from).collect();
                bytes.push(u8::from_str_radix(&hex, 16).unwrap());
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).unwrap()
}
