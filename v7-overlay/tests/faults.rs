//! v7-overlay, while one of its system calls fails.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
#![expect(dead_code, reason = "what other tests need beside images and archives")]

#[path = "container/archive.rs"]
mod archive;
#[path = "container/image.rs"]
mod image;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use serde_json::json;
use testbed::faults::{self, Starts};
use testbed::{Host, Stage, Suite};

use crate::archive::Archive;

const SCRIPT: &str = "cat /greeting; ls / /bin; echo written > /greeting; cat /greeting; exit 7";

fn main() -> ExitCode {
    let suite = Suite::of(&Stage::V7);
    let suite = faults::add(suite, "unpack", unpack);
    let suite = faults::add(suite, "layers", layers);
    faults::add_killed(suite, all_sleeps, all_ends).run()
}

/// The image is unpacked.
fn unpack(host: &Host) -> Starts<'_> {
    let image = image(host);
    Box::new(move || {
        let layers = host.cache().join("layers");
        match fs::remove_dir_all(&layers) {
            Err(error) if layers.exists() => panic!("{error}"),
            _ => launcher(host, &image),
        }
    })
}

/// It has been unpacked before.
fn layers(host: &Host) -> Starts<'_> {
    let image = image(host);
    Box::new(move || launcher(host, &image))
}

/// With a bridge and limits, where one may have them: what outlives a launcher.
fn all<'a>(host: &'a Host, image: PathBuf, script: &'a str) -> Starts<'a> {
    Box::new(move || {
        let mut launcher = host.launcher();
        if host.is_root() {
            launcher.args(["--net", "bridge", "-p", "8080:80", "--pids-limit", "32"]);
        } else {
            launcher.args(["--net", "none", "-p", "8080:80"]);
        }
        launcher.arg("--image").arg(&image).args(["sh", "-c", script]);
        launcher
    })
}

fn all_sleeps(host: &Host) -> Starts<'_> {
    all(host, image(host), "cat /proc/self/status > /dev/null; while true; do cat /dev/null; done")
}

fn all_ends(host: &Host) -> Starts<'_> {
    all(host, "/tmp/image".into(), "exit 7")
}

/// Two layers. The upper one hides a file of the lower one, and adds another.
fn image(host: &Host) -> PathBuf {
    let lower = image::base(host).file("old", "old\n").file("greeting", "hello\n");
    let upper = Archive::new().file(".wh.old", "").file("new", "new\n");
    let directory = host.dir("image");
    let config = json!({"Env": ["PATH=/bin"]});
    image::layout(&directory, &[lower.finish(), upper.finish()], &config).path
}

fn launcher(host: &Host, image: &PathBuf) -> Command {
    let mut launcher = host.launcher();
    launcher.args(["--net", "none", "--changes", "--image"]).arg(image);
    launcher.args(["sh", "-c", SCRIPT]);
    launcher
}
