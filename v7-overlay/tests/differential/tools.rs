//! Those who unpack: v7 and the others.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use serde_json::json;
use testbed::{BIN, Host};

use crate::case::Case;
use crate::image::{LAYER, Layout, named};
use crate::tree::{PROGRAM, Tree, read};

/// What becomes of an image: a tree, or a refusal with its reason.
pub type Unpacked = Result<Tree, String>;

/// An image on the disk, and a directory for what is made of it.
pub struct Image<'a> {
    host: &'a Host,
    directory: PathBuf,
    layout: Layout,
    layers: Vec<PathBuf>,
    /// When the first image was unpacked: layers are kept.
    start: SystemTime,
}

impl<'a> Image<'a> {
    pub fn new(host: &'a Host, directory: PathBuf, case: &Case, start: SystemTime) -> Image<'a> {
        let layout = Layout::new(directory.join("image"));
        let config = layout.config(&case.layers, &json!({}));
        let layers: Vec<_> = case.layers.iter().map(|layer| layout.blob(LAYER, layer)).collect();
        let manifest = layout.manifest(&config, &layers);
        layout.index(&[named(manifest, "it")]);
        let of_layer =
            |layer: &serde_json::Value| layout.blob_path(layer["digest"].as_str().unwrap());
        let layers = layers.iter().map(of_layer).collect();
        Image { host, directory, layout, layers, start }
    }

    /// What a container of ours sees.
    pub fn by_us(&self) -> Unpacked {
        self.by(self.host.launcher())
    }

    /// The same, but root's, also where the test is about an ordinary user.
    pub fn by_our_root(&self) -> Unpacked {
        let mut launcher = Command::new(Path::new(BIN).join("v7-overlay"));
        launcher.env_clear().env("HOME", "/root").env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        launcher.current_dir("/root");
        self.by(launcher)
    }

    fn by(&self, mut launcher: Command) -> Unpacked {
        let volume = format!("{}:/{PROGRAM}:ro", self.host.busybox().display());
        launcher
            .args(["--net", "none", "-w", "/", "-u", "0", "-v", &volume, "--image"])
            .arg(self.layout.str())
            .arg(format!("/{PROGRAM}"))
            .args(["sh", "-c", "echo ready; read line"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped());
        let mut running = self.host.follow(&mut launcher);
        if running.line() != "ready" {
            let mut told = String::new();
            running.supervisor.stderr.take().unwrap().read_to_string(&mut told).unwrap();
            assert_eq!(running.code(), 125, "{told}");
            let error = told.lines().find(|line| line.starts_with("Error: "));
            return Err(error.unwrap_or(&told).to_owned());
        }
        let root = PathBuf::from(format!("/proc/{}/root", running.command()));
        let tree = read(&root, self.start);
        drop(running.supervisor.stdin.take());
        running.code();
        Ok(tree)
    }

    /// What umoci unpacks.
    pub fn by_umoci(&self) -> Unpacked {
        let root = self.directory.join("umoci/root"); // it removes ../ if a layer says so
        fs::create_dir(self.directory.join("umoci")).unwrap();
        let mut umoci = Command::new("timeout");
        umoci.args(["10", "umoci", "--log=error", "raw", "unpack", "--image"]);
        umoci.arg(format!("{}:it", self.layout.str())).arg(&root);
        tool(&mut umoci)?;
        Ok(read(&root, self.start))
    }

    /// What the library of buildah and podman unpacks, layer by layer.
    pub fn by_storage(&self) -> Unpacked {
        let directory = self.directory.display();
        let config = self.directory.join("storage.conf");
        let text = format!(
            "[storage]\ndriver = \"vfs\"\ngraphroot = \"{directory}/store\"\n\
             runroot = \"{directory}/run\"\n"
        );
        fs::write(&config, text).unwrap();
        let mut parent = None;
        for (number, layer) in self.layers.iter().enumerate() {
            let name = format!("layer{number}");
            let mut storage = Command::new("timeout");
            storage
                .args(["10", "containers-storage", "import-layer", "--id", &name, "--file"])
                .arg(layer)
                .args(parent);
            tool(storage.env("CONTAINERS_STORAGE_CONF", &config))?;
            parent = Some(name);
        }
        Ok(read(&self.directory.join("store/vfs/dir").join(parent.unwrap()), self.start))
    }
}

impl Drop for Image<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory); // or the host's end does it
    }
}

fn tool(command: &mut Command) -> Result<(), String> {
    let output = command.env("TMPDIR", "/tmp").output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().replace('\n', " / "))
}
