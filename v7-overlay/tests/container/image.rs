//! Images as tests want them, written by hand.

use std::fs;
use std::path::{Path, PathBuf};

use image::digest::Digest;
use serde_json::{Value, json};
use testbed::Host;

use crate::archive::{Archive, gzip};

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// This machine, as Go calls it.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// A layer that is enough to run a shell script.
pub fn base(host: &Host) -> Archive {
    let busybox = fs::read(host.busybox()).unwrap();
    let mut archive = Archive::new();
    for directory in ["bin/", "etc/", "tmp/", "proc/", "dev/"] {
        archive = archive.directory(directory);
    }
    archive = archive.program("bin/busybox", &busybox);
    for applet in ["sh", "cat", "ls", "id", "stat", "env", "pwd", "readlink", "echo", "find", "wc"]
    {
        archive = archive.link(&format!("bin/{applet}"), "busybox");
    }
    archive
}

/// An OCI image layout in a directory.
pub struct Layout {
    pub path: PathBuf,
}

impl Layout {
    pub fn new(path: PathBuf) -> Layout {
        fs::create_dir_all(path.join("blobs/sha256")).unwrap();
        fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        Layout { path }
    }

    pub fn blob_path(&self, digest: &str) -> PathBuf {
        self.path.join("blobs/sha256").join(digest.trim_start_matches("sha256:"))
    }

    /// Writes a blob, and returns its descriptor.
    pub fn blob(&self, media_type: &str, content: &[u8]) -> Value {
        let digest = Digest::of(content).to_string();
        fs::write(self.blob_path(&digest), content).unwrap();
        json!({"mediaType": media_type, "digest": digest, "size": content.len()})
    }

    pub fn json(&self, media_type: &str, content: &Value) -> Value {
        self.blob(media_type, content.to_string().as_bytes())
    }

    pub fn config(&self, layers: &[Vec<u8>], config: &Value) -> Value {
        let diff_ids: Vec<_> = layers.iter().map(|layer| Digest::of(layer).to_string()).collect();
        self.json(
            CONFIG,
            &json!({
                "architecture": architecture(),
                "os": "linux",
                "config": config,
                "rootfs": {"type": "layers", "diff_ids": diff_ids},
            }),
        )
    }

    /// An image with these layers, gzipped. Returns the descriptor of its manifest.
    pub fn image(&self, layers: &[Vec<u8>], config: &Value) -> Value {
        let config = self.config(layers, config);
        let media_type = format!("{LAYER}+gzip");
        let layers: Vec<_> =
            layers.iter().map(|layer| self.blob(&media_type, &gzip(layer))).collect();
        self.manifest(&config, &layers)
    }

    pub fn manifest(&self, config: &Value, layers: &[Value]) -> Value {
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers,
        });
        self.json(MANIFEST, &manifest)
    }

    pub fn index(&self, manifests: &[Value]) {
        let index = json!({"schemaVersion": 2, "manifests": manifests});
        fs::write(self.path.join("index.json"), index.to_string()).unwrap();
    }

    pub fn str(&self) -> &str {
        self.path.to_str().unwrap()
    }
}

/// A layout with one image of these layers.
pub fn layout(directory: &Path, layers: &[Vec<u8>], config: &Value) -> Layout {
    let layout = Layout::new(directory.to_owned());
    let manifest = layout.image(layers, config);
    layout.index(&[manifest]);
    layout
}

/// The same with a name, as index.json has it.
pub fn named(mut descriptor: Value, name: &str) -> Value {
    descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": name});
    descriptor
}
