//! A mirror of a distribution, as far as the pages ask it, for a host without internet.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::running::within;

/// The files, in the root directory of the reader's machine.
const DIRECTORY: &str = "/srv/archive";
/// Where they are served. The machine's /etc/hosts gives this address the mirror's name.
const ADDRESS: &str = "127.0.0.2:80";

/// A web server for the files.
pub struct Archive(Child);

impl Archive {
    /// Starts it, if there are files.
    pub fn serve() -> Result<Option<Archive>> {
        if !Path::new(DIRECTORY).exists() {
            return Ok(None);
        }
        let mut busybox = Command::new("busybox");
        busybox.args(["httpd", "-f", "-p", ADDRESS, "-h", DIRECTORY]);
        let archive = Archive(busybox.spawn().context("cannot run busybox httpd")?);
        within(Duration::from_secs(10), "the archive answers", || {
            TcpStream::connect(ADDRESS).is_ok()
        });
        Ok(Some(archive))
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
