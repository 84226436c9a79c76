//! Files in the host's /etc that are its own.

use std::fs;
use std::path::Path;

use crate::host::Host;
use crate::mounts::{OWN_ETC, cover_in_etc};

impl Host {
    /// Gives an address these names, beside those that the machine's /etc/hosts knows (hosts(5)).
    pub fn name(&self, address: &str, names: &[&str]) {
        let hosts = Path::new("/etc/hosts");
        let known = fs::read_to_string(hosts).expect("read the names of hosts");
        let line = format!("{address} {}\n", names.join(" "));
        cover_in_etc("hosts", &(line + &known)).expect("cover /etc/hosts");
        self.own(Path::new(OWN_ETC).join("hosts"));
    }
}
