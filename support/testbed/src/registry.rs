//! A real registry, Debian's docker-registry, at a port of the throw-away host.
//!
//! It runs as the host's root, as somebody else's would; it keeps its files in a directory of the
//! test, and ends when the [`Registry`] is dropped.

mod authority;
mod small;

use std::fs::{self, File};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::host::Host;
use crate::running::within;

pub use authority::{Authority, Certificate};
pub use small::small_image;

/// Who may log in to a registry that asks for it.
pub const USER: &str = "ada";
/// With this password.
pub const PASSWORD: &str = "rosebud";
/// The same as htpasswd(1) writes it: bcrypt with few rounds, since each request costs them.
const HTPASSWD: &str = "ada:$2b$04$9YAojtIhe1No915R9BmUXuLpQ9wxb4WtupD2S5Ar4nMo9i0Pvk7UK\n";

/// What a registry is to be like.
#[derive(Clone, Debug, Default)]
pub struct Setup<'a> {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    /// It speaks TLS, with this certificate.
    pub certificate: Option<&'a Certificate>,
    /// It wants [`USER`] and [`PASSWORD`].
    pub login: bool,
    /// It sends whoever wants a blob there: an URL, to which the path of the blob is added.
    pub redirect: Option<&'a str>,
    /// Another one's files, whose images it has.
    pub files: Option<&'a Registry>,
}

/// A registry that runs.
#[derive(Debug)]
pub struct Registry {
    process: Child,
    port: u16,
    login: bool,
    directory: PathBuf,
    files: PathBuf,
}

impl Registry {
    /// Starts one without TLS that asks nobody who he is.
    pub fn plain(host: &Host, port: u16) -> Registry {
        Registry::start(host, &Setup { port, ..Setup::default() })
    }

    /// Starts one, and waits until it listens. Ends the trial as ignored where there is none.
    pub fn start(host: &Host, setup: &Setup) -> Registry {
        for program in ["docker-registry", "skopeo"] {
            if Command::new(program).arg("--version").output().is_err() {
                host.skip(format!("no {program} on this machine: .ci/run tools installs it"));
            }
        }
        let Setup { port, login, .. } = *setup;
        let directory = Path::new("/tmp").join(format!("registry-{port}"));
        fs::create_dir(&directory).expect("make the registry's directory");
        host.own(&directory);
        let files = setup.files.map_or_else(|| directory.join("files"), |it| it.files.clone());
        let file = directory.join("config.yml");
        fs::write(&file, configuration(setup, &directory, &files)).expect("configure a registry");
        fs::write(directory.join("htpasswd"), HTPASSWD).expect("write its users");
        let log = File::create(directory.join("log")).expect("make its log");
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(file)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("copy a descriptor"))
            .stderr(log)
            .spawn()
            .expect("start the registry");
        let registry = Registry { process, port, login, directory, files };
        within(Duration::from_secs(10), "the registry listens", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        registry
    }

    /// `localhost:PORT`.
    pub fn address(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// What it has said. Each request that it has answered is a line, as web servers write it.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).expect("read its log")
    }

    /// Where it keeps what it was given: `docker/registry/v2/blobs/sha256/...`.
    pub fn files(&self) -> &Path {
        &self.files
    }

    /// Gives it an image: `source` is an image as skopeo names it, `oci:DIRECTORY:TAG`, and `name`
    /// is what it is here, `alpine:latest`. Of an image for several machines it gets all.
    #[track_caller]
    pub fn put(&self, source: &str, name: &str) {
        let mut skopeo = Command::new("skopeo");
        skopeo.args([
            "--insecure-policy",
            "--tmpdir",
            "/tmp",
            "copy",
            "--quiet",
            "--all",
            "--preserve-digests",
        ]);
        skopeo.arg("--dest-tls-verify=false");
        if self.login {
            skopeo.arg(format!("--dest-creds={USER}:{PASSWORD}"));
        }
        let target = format!("docker://{}/{name}", self.address());
        // As root of a user namespace, some of its libraries look for a home and a cache.
        let skopeo = skopeo.arg(source).arg(target).env("HOME", &self.directory);
        let output = skopeo.stdin(Stdio::null()).output().expect("run skopeo");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// <https://distribution.github.io/distribution/about/configuration/>
fn configuration(setup: &Setup, directory: &Path, files: &Path) -> String {
    let mut text = format!(
        "version: 0.1\n\
         log: {{level: warn}}\n\
         storage: {{filesystem: {{rootdirectory: {files:?}}}, delete: {{enabled: true}}}}\n\
         http:\n  \
           addr: 127.0.0.1:{}\n  \
           secret: of-a-test\n",
        setup.port
    );
    if let Some(Certificate { certificate, key }) = setup.certificate {
        text += &format!("  tls: {{certificate: {certificate:?}, key: {key:?}}}\n");
    }
    if setup.login {
        let users = directory.join("htpasswd");
        text += &format!("auth: {{htpasswd: {{realm: test, path: {users:?}}}}}\n");
    }
    if let Some(url) = setup.redirect {
        text += &format!(
            "middleware: {{storage: [{{name: redirect, options: {{baseurl: {url:?}}}}}]}}\n"
        );
    }
    text
}
