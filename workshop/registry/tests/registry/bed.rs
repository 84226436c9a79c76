//! A registry with images, a front before it, and the tool that pulls from there.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use testbed::registry::Registry;
use testbed::running::within;
use testbed::{BIN, Host, Outcome};

use crate::archive::{Archive, gzip};
use crate::front::Front;
use crate::image::{LAYER, Layout, base, named};

/// Where the registry is, and the front before it.
pub const REGISTRY: u16 = 5000;
pub const FRONT: u16 = 5001;

/// Where the tests make their images.
const MADE: &str = "/tmp/made";

/// An image that was made.
pub struct Made {
    pub manifest: Value,
    pub config: Value,
    pub layers: Vec<Value>,
}

impl Made {
    /// The digest of the manifest.
    pub fn digest(&self) -> &str {
        text(&self.manifest["digest"])
    }

    /// The layer of this number: what asks for it has this in its path.
    pub fn layer(&self, number: usize) -> String {
        format!("/blobs/{}", text(&self.layers[number]["digest"]))
    }
}

/// A text in JSON.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// Makes images, all in one layout.
pub struct Maker<'a> {
    host: &'a Host,
    pub layout: Layout,
}

impl Maker<'_> {
    pub fn new(host: &Host) -> Maker<'_> {
        host.own(MADE);
        Maker { host, layout: Layout::new(MADE.into()) }
    }

    /// An image that runs: busybox, and above it the file /text.
    pub fn runnable(&self, text: &str) -> Made {
        let upper = Archive::new().file("text", text).finish();
        let raw = [base(self.host).finish(), upper];
        let layers = raw.iter().map(|it| self.layout.blob(&layer_type(), &gzip(it)));
        let layers: Vec<_> = layers.collect();
        self.of(self.layout.config(&raw, &json!({"Cmd": ["cat", "/text"]})), layers)
    }

    /// An image with layers of so many bytes, which nobody can unpack.
    pub fn of_random(&self, sizes: &[usize]) -> Made {
        let blobs: Vec<_> = sizes.iter().map(|size| random(*size)).collect();
        let layers = blobs.iter().map(|it| self.layout.blob(&layer_type(), it)).collect();
        self.of(self.layout.config(&blobs, &json!({})), layers)
    }

    /// An image with this configuration and these layers.
    pub fn of(&self, config: Value, layers: Vec<Value>) -> Made {
        let manifest = self.layout.manifest(&config, &layers);
        Made { manifest, config, layers }
    }
}

fn layer_type() -> String {
    format!("{LAYER}+gzip")
}

/// What looks like an archive to who looks at its first bytes only (RFC 1952).
fn random(size: usize) -> Vec<u8> {
    let mut blob = vec![0x1f, 0x8b, 8];
    let random = File::open("/dev/urandom").unwrap();
    random.take(size as u64 - 3).read_to_end(&mut blob).unwrap();
    blob
}

/// Everything that most of the tests need.
pub struct Bed<'a> {
    pub host: &'a Host,
    pub maker: Maker<'a>,
    pub registry: Registry,
    pub front: Front,
}

impl Bed<'_> {
    pub fn new(host: &Host) -> Bed<'_> {
        host.images();
        let registry = Registry::plain(host, REGISTRY);
        let front = Front::before(&registry, FRONT);
        Bed { host, maker: Maker::new(host), registry, front }
    }

    /// Brings an image into the registry.
    pub fn put(&self, name: &str, manifest: &Value) {
        put(&self.registry, &self.maker, name, manifest);
    }

    /// An image with random layers, in the registry.
    pub fn random(&self, name: &str, sizes: &[usize]) -> Made {
        let made = self.maker.of_random(sizes);
        self.put(name, &made.manifest);
        made
    }

    /// Pulls, by the front.
    pub fn pull(&self, name: &str) -> Outcome {
        Outcome::of(&mut self.pulling(name))
    }

    /// The command for it.
    pub fn pulling(&self, name: &str) -> Command {
        let mut tool = tool(self.host, &["pull", "--plain-http"]);
        tool.arg(format!("{}/{name}", self.front.address()));
        tool
    }

    /// The same, and it waits for a second only for something to come.
    pub fn impatient(&self, name: &str) -> Outcome {
        Outcome::of(self.pulling(name).args(["--timeout", "1"]))
    }

    /// The layout of a repository that was pulled by the front.
    pub fn pulled(&self, repository: &str) -> PathBuf {
        self.host.images().join(self.front.address()).join(repository)
    }

    /// How much has come of a layer that is not here to its end.
    pub fn partial(&self, repository: &str, made: &Made, layer: usize) -> PathBuf {
        let digest = text(&made.layers[layer]["digest"]).replace(':', "-");
        self.pulled(repository).join("partial").join(digest)
    }

    /// Waits until so much of a layer is on the disk.
    #[track_caller]
    pub fn wait_for_partial(&self, repository: &str, made: &Made, layer: usize, length: usize) {
        let path = self.partial(repository, made, layer);
        let has_come = || fs::metadata(&path).is_ok_and(|it| it.len() >= length as u64);
        within(Duration::from_secs(10), &format!("{length} bytes in {path:?}"), has_come);
    }

    /// Requires that a layout is whole, as other people's tools see it.
    #[track_caller]
    pub fn assert_whole(&self, repository: &str, tag: &str, made: &Made) {
        let layout = self.pulled(repository);
        assert_whole(&layout, tag, made);
    }
}

pub fn put(registry: &Registry, maker: &Maker, name: &str, manifest: &Value) {
    maker.layout.index(&[named(manifest.clone(), "it")]);
    registry.put(&format!("oci:{MADE}:it"), name);
}

#[track_caller]
pub fn assert_whole(layout: &Path, tag: &str, made: &Made) {
    for blob in made.layers.iter().chain([&made.config, &made.manifest]) {
        let hex = text(&blob["digest"]).trim_start_matches("sha256:");
        let path = |layout: &Path| layout.join("blobs/sha256").join(hex);
        let expected = fs::read(path(Path::new(MADE))).unwrap();
        let found = fs::read(path(layout)).unwrap_or_default();
        assert!(found == expected, "{hex}: {} bytes, not {}", found.len(), expected.len());
    }
    // skopeo takes the first colon of a path for the one before the tag.
    if !tag.contains(':') {
        let mut skopeo = Command::new("skopeo");
        skopeo.args(["--tmpdir", "/tmp", "inspect", "--format", "{{.Digest}}"]);
        skopeo.arg(format!("oci:.:{tag}")).current_dir(layout).env("HOME", MADE);
        assert_eq!(Outcome::of(&mut skopeo).text().trim_end(), made.digest());
    }
    let left: Vec<_> = fs::read_dir(layout.join("partial")).into_iter().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

/// The tools that are about registries.
pub fn tool(host: &Host, arguments: &[&str]) -> Command {
    let mut tool = host.command(Path::new(BIN).join("registry"));
    tool.args(arguments);
    tool
}

/// Starts it, to be looked at while it runs.
pub fn start(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Its end.
pub fn end(child: Child) -> Outcome {
    Outcome::from(child.wait_with_output().unwrap())
}
