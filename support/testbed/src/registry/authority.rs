//! An authority that signs certificates, and whom nobody knows.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::host::Host;

/// An authority of a test: openssl makes it.
#[derive(Debug)]
pub struct Authority {
    directory: PathBuf,
}

/// A certificate and its key, as files.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

impl Authority {
    /// Makes one in the directory `/tmp/NAME`. Ends the trial as ignored if there is no openssl.
    pub fn new(host: &Host, name: &str) -> Authority {
        if Command::new("openssl").arg("version").output().is_err() {
            host.skip("no openssl on this machine: install openssl");
        }
        let authority = Authority { directory: host.dir(name) };
        let own = authority.files("ca");
        let subject = format!("/CN=The authority {name}");
        request(&subject, &own, &["-addext", "keyUsage=critical,keyCertSign"]);
        authority
    }

    /// Its own certificate, in PEM: who trusts that, trusts all that it signs.
    pub fn certificate(&self) -> PathBuf {
        self.files("ca").certificate
    }

    /// Signs a certificate for these names: `localhost`, `127.0.0.1`.
    pub fn sign(&self, names: &[&str]) -> Certificate {
        let signed = self.files(names.first().expect("a name"));
        let kind = |name: &str| if name.parse::<std::net::IpAddr>().is_ok() { "IP" } else { "DNS" };
        let names: Vec<_> = names.iter().map(|name| format!("{}:{name}", kind(name))).collect();
        let names = format!("subjectAltName={}", names.join(","));
        let Certificate { certificate, key } = self.files("ca");
        let signer = [Path::new("-CA"), &certificate, Path::new("-CAkey"), &key];
        let signer = signer.map(|it| it.to_str().expect("a path of ours"));
        let is_no_authority = "basicConstraints=critical,CA:FALSE";
        let extensions = ["-addext", is_no_authority, "-addext", &names];
        request("/CN=a server", &signed, &[&signer[..], &extensions].concat());
        signed
    }

    fn files(&self, name: &str) -> Certificate {
        let file = |end: &str| self.directory.join(format!("{name}.{end}"));
        Certificate { certificate: file("pem"), key: file("key") }
    }
}

/// man 1 openssl-req. With a curve, as this takes some milliseconds.
fn request(subject: &str, files: &Certificate, more: &[&str]) {
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]);
    openssl.args(["-noenc", "-days", "2", "-subj", subject]).args(more);
    openssl.arg("-out").arg(&files.certificate).arg("-keyout").arg(&files.key);
    let output = openssl.output().expect("run openssl");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
