//! The pod of the old tutorials: a real nginx before a second container, around pause.
//!
//! The image is made of Debian's packages, which are fetched once, before there is a host without a
//! way outside.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use image::digest::Digest;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::stat::{Mode, umask};
use serde_json::json;
use testbed::running::within;
use testbed::{Host, Suite};

use crate::pod::{Pod, get};

/// Where a host sees the images.
const IMAGES: &str = "/run/testbed/images";

pub fn add(suite: Suite) -> Suite {
    suite.expose(directory(), IMAGES).both("nginx_before_a_second_container", nginx).long()
}

fn directory() -> PathBuf {
    let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join("images-for-tests");
    if fs::create_dir_all(&made).is_ok() {
        return made;
    }
    let uid = nix::unistd::geteuid();
    std::env::temp_dir().join(format!("container-steps-images-{uid}"))
}

/// Makes the image, unless it is there. To be called outside of a throw-away host.
pub fn prepare() {
    if let Err(error) = build(&directory()) {
        // The test is skipped then, and says why.
        let _ = fs::write(directory().join("error"), format!("{error:#}"));
    }
}

fn build(images: &Path) -> Result<()> {
    // An ordinary user reads them, too.
    umask(Mode::from_bits_truncate(0o022));
    fs::create_dir_all(images)?;
    let lock = Flock::lock(File::open(images)?, FlockArg::LockExclusive);
    let _lock = lock.map_err(|(_, errno)| errno)?;
    if images.join("nginx/index.json").exists() {
        return Ok(());
    }
    let work = images.join("work");
    let _ = fs::remove_dir_all(&work);
    for name in ["lists/partial", "cache/archives/partial", "root"] {
        fs::create_dir_all(work.join(name))?;
    }
    unpack_packages(&work)?;
    for (name, content) in [
        ("passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
        ("group", "root:x:0:\nnogroup:x:65534:\n"),
    ] {
        fs::write(work.join("root/etc").join(name), content)?;
    }
    for name in ["run", "tmp", "root", "proc", "sys", "dev"] {
        fs::create_dir_all(work.join("root").join(name))?;
    }
    write_layout(&work.join("root"), &images.join("nginx"))?;
    fs::remove_dir_all(&work)?;
    let _ = fs::remove_file(images.join("error"));
    Ok(())
}

/// nginx and all that it needs, with list files of our own; nothing is installed.
fn unpack_packages(work: &Path) -> Result<()> {
    let option = |name: &str, path: &str| format!("{name}={}", work.join(path).display());
    let apt = || {
        let mut command = Command::new("apt-get");
        command.current_dir(work).args(["-qq", "-o", &option("Dir::State::lists", "lists")]);
        command.args(["-o", &option("Dir::Cache", "cache"), "-o", "APT::Sandbox::User=root"]);
        // As if nothing were installed: so the answer holds everything.
        command.args(["-o", "Acquire::Languages=none", "-o", "Dir::State::status=/dev/null"]);
        command
    };
    run(apt().arg("update"))?;
    let mut list = apt();
    list.args(["install", "--yes", "--no-install-recommends", "--print-uris", "nginx"]);
    let list = run(&mut list)?;
    let files = list.lines().filter_map(|line| line.split(' ').nth(1));
    let names: Vec<_> = files.filter_map(|file| file.split('_').next()).collect();
    run(apt().arg("download").args(names))?;
    for entry in fs::read_dir(work)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            run(Command::new("dpkg-deb").arg("-x").arg(path).arg(work.join("root")))?;
        }
    }
    let _ = fs::remove_dir_all(work.join("root/usr/share/doc"));
    Ok(())
}

fn run(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot run {command:?}"))?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{command:?}: {}", told.lines().last().unwrap_or_default());
    Ok(String::from_utf8(output.stdout)?)
}

/// An image of one layer, as an OCI layout.
fn write_layout(root: &Path, layout: &Path) -> Result<()> {
    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    let blob = |media_type: &str, content: &[u8]| -> Result<serde_json::Value> {
        let digest = Digest::of(content);
        fs::write(layout.join("blobs").join(digest.to_string().replace(':', "/")), content)?;
        let size = content.len();
        Ok(json!({"mediaType": media_type, "digest": digest.to_string(), "size": size}))
    };
    let mut tar = Command::new("tar");
    tar.args(["--create", "--owner=0", "--group=0", "--numeric-owner", "--directory"]);
    let archive = tar.arg(root).arg(".").output().context("cannot run tar")?.stdout;
    let diff_id = Digest::of(&archive).to_string();
    let layer = blob("application/vnd.oci.image.layer.v1.tar", &archive)?;
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let config = json!({
        "architecture": architecture,
        "os": "linux",
        "config": {"Cmd": ["nginx", "-g", "daemon off;"]},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    });
    let config = blob("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes())?;
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": [layer]});
    let manifest_type = "application/vnd.oci.image.manifest.v1+json";
    let mut manifest = blob(manifest_type, manifest.to_string().as_bytes())?;
    manifest["annotations"] = json!({"org.opencontainers.image.ref.name": "latest"});
    fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion": "1.0.0"}"#)?;
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    fs::write(layout.join("index.json"), index.to_string())?;
    Ok(())
}

fn nginx(host: &Host) {
    if host.is_root() {
        host.need_nft();
    }
    if !Path::new(IMAGES).join("nginx/index.json").exists() {
        let reason = fs::read_to_string(Path::new(IMAGES).join("error"));
        host.skip(format!("no image of nginx: {}", reason.unwrap_or_default()));
    }
    fs::write("/tmp/nginx.conf", include_str!("../../pods/nginx.conf")).unwrap();
    host.own("/tmp/nginx.conf");
    let mut text = include_str!("../../pods/nginx.yaml").to_owned();
    if !host.is_root() {
        text = text.replace(
            "args: [nginx, -g, 'daemon off;']",
            "args: [nginx, -g, 'daemon off; user root;']",
        );
    }
    let manifest = host.dir("nginx").join("pod.yaml");
    fs::write(&manifest, text).unwrap();
    let mut launcher = host.launcher();
    launcher.args(["run", "--images", IMAGES]).arg(&manifest).stderr(Stdio::piped());
    let mut pod = Pod::follow(host, &mut launcher);
    let stderr = pod.running.supervisor.stderr.take().unwrap();
    let told =
        std::thread::spawn(move || BufReader::new(stderr).lines().collect::<io::Result<Vec<_>>>());
    // nginx may be there before the blog is, and says so.
    let answers = || get(8080) == "The blog.\n";
    within(Duration::from_secs(10), "the blog answers", answers);
    let ps = pod.sh_in("blog", "ps -o pid,args");
    for program in ["/pause", "nginx: master process", "nginx: worker process", "httpd"] {
        assert!(ps.contains(program), "no {program} in {ps}");
    }
    let mut log = pod.running.line();
    while log.contains("\" 502 ") {
        log = pod.running.line();
    }
    assert!(log.starts_with("nginx | ") && log.contains("\"GET / HTTP/1.0\" 200"), "{log}");
    pod.stop();
    told.join().unwrap().unwrap();
}
