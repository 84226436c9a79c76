//! Images of our own.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use image::digest::Digest;
use serde_json::{Value, json};
use testbed::Host;

const PASSWD: &str = "root:x:0:0::/root:/bin/sh\napp:x:100:101::/srv/app:/bin/sh\n";
const GROUP: &str = "root:x:0:\napp:x:101:\naudio:x:29:app\n";

/// Puts an image below `/tmp/images` as docker save writes it: no more than busybox and two users.
pub fn make(host: &Host, name: &str, config: &Value) {
    let directory = format!("/tmp/images/{name}");
    if !Path::new("/tmp/images").exists() {
        host.dir("images");
    }
    fs::create_dir(&directory).unwrap();
    let (root, layer) = (format!("{directory}/root"), format!("{directory}/layer.tar"));
    for part in ["bin", "dev", "proc", "sys", "etc"] {
        fs::create_dir_all(format!("{root}/{part}")).unwrap();
    }
    fs::copy(host.busybox(), format!("{root}/bin/busybox")).unwrap();
    fs::write(format!("{root}/etc/passwd"), PASSWD).unwrap();
    fs::write(format!("{root}/etc/group"), GROUP).unwrap();
    for applet in ["sh", "sleep", "id", "env", "echo"] {
        symlink("busybox", format!("{root}/bin/{applet}")).unwrap();
    }
    let mut tar = Command::new("tar");
    let status = tar.args(["--owner=0", "--group=0", "-cf", &layer, "-C", &root, "."]).status();
    assert!(status.unwrap().success());
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let diff_id = Digest::of(&fs::read(&layer).unwrap()).to_string();
    let config = json!({
        "os": "linux", "architecture": architecture, "config": config,
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    });
    fs::write(format!("{directory}/config"), config.to_string()).unwrap();
    let tags = [format!("{name}:1")];
    let list = json!([{"Config": "config", "RepoTags": tags, "Layers": ["layer.tar"]}]);
    fs::write(format!("{directory}/manifest.json"), list.to_string()).unwrap();
}
