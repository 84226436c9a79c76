//! Writes an image: an OCI image layout, of archives that tar(1) and gzip(1) make.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use image::digest::{Digest, Digesting};
use launcher::program;
use serde_json::{Value, json};

use super::programs::succeed;

/// The tag of the image.
pub const TAG: &str = "bench";

/// A compressed archive.
#[derive(Clone)]
pub struct Layer {
    /// The file.
    pub blob: PathBuf,
    digest: Digest,
    diff_id: Digest,
    /// The size of the file, in bytes.
    pub size: u64,
    /// The size of the archive in it, in bytes.
    pub unpacked: u64,
}

impl Layer {
    /// Packs `names` in `tree` into `blob`.
    ///
    /// # Errors
    /// Those of the two programs, and of reading what they have made.
    pub fn pack(tree: &Path, names: &[&str], blob: &Path) -> Result<Layer> {
        let archive = blob.with_extension("tar");
        let mut tar = program::command("tar")?;
        tar.args(["--create", "--format=posix", "--file"]).arg(&archive);
        succeed(tar.arg("--directory").arg(tree).args(names))?;
        let diff_id = digest(&archive)?;
        let unpacked = fs::metadata(&archive)?.len();
        succeed(program::command("gzip")?.arg("-1").arg(&archive))?;
        fs::rename(archive.with_extension("tar.gz"), blob)?;
        let size = fs::metadata(blob)?.len();
        Ok(Layer { blob: blob.to_owned(), digest: digest(blob)?, diff_id, size, unpacked })
    }
}

/// Writes the layout; the first layer is the lowest one.
///
/// # Errors
/// Those of writing files.
pub fn write(layout: &Path, layers: &[Layer]) -> Result<()> {
    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    for layer in layers {
        fs::hard_link(&layer.blob, blobs.join(layer.digest.hex()))
            .with_context(|| format!("cannot link {}", layer.blob.display()))?;
    }
    let diff_ids: Vec<_> = layers.iter().map(|layer| layer.diff_id.to_string()).collect();
    let architecture = match env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let config = json!({
        "architecture": architecture, "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    let config = put(&blobs, "config.v1", &config)?;
    let descriptors: Vec<_> = layers
        .iter()
        .map(|layer| descriptor("layer.v1.tar+gzip", &layer.digest, layer.size))
        .collect();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media_type("manifest.v1+json"),
        "config": config, "layers": descriptors,
    });
    let mut manifest = put(&blobs, "manifest.v1", &manifest)?;
    manifest["annotations"] = json!({"org.opencontainers.image.ref.name": TAG});
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    fs::write(layout.join("index.json"), index.to_string())?;
    fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion": "1.0.0"}"#)?;
    Ok(())
}

fn put(blobs: &Path, kind: &str, content: &Value) -> Result<Value> {
    let text = content.to_string();
    let digest = Digest::of(text.as_bytes());
    fs::write(blobs.join(digest.hex()), &text)?;
    Ok(descriptor(&format!("{kind}+json"), &digest, text.len() as u64))
}

fn descriptor(kind: &str, digest: &Digest, size: u64) -> Value {
    json!({"mediaType": media_type(kind), "digest": digest.to_string(), "size": size})
}

fn media_type(kind: &str) -> String {
    format!("application/vnd.oci.image.{kind}")
}

fn digest(file: &Path) -> Result<Digest> {
    let opened = File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
    Digesting::new(opened).finish().with_context(|| format!("cannot read {}", file.display()))
}
