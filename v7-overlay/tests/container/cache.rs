//! The cache: every layer unpacked once, complete or not at all.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;
use tar::EntryType;
use testbed::pace::slowed;
use testbed::running::{send, within};
use testbed::{Host, Outcome, Suite};

use crate::archive::{Archive, header};
use crate::image::{Layout, base, layout};
use crate::images::unfinished;

pub fn add(suite: Suite) -> Suite {
    suite
        .both("a_layer_is_unpacked_once", a_layer_is_unpacked_once)
        .both("images_share_layers", images_share_layers)
        .both("containers_do_not_change_the_cache", containers_do_not_change_the_cache)
        .both("two_processes_at_once", two_processes_at_once)
        .both("killed_while_unpacking", killed_while_unpacking)
        .long()
        .both("a_signal_ends_the_unpacking", a_signal_ends_the_unpacking)
        .both("a_signal_ends_the_wait_for_a_layer", a_signal_ends_the_wait)
        .both("one_bad_layer_among_many", one_bad_layer_among_many)
        .both("the_same_layer_twice", the_same_layer_twice)
}

fn config() -> serde_json::Value {
    json!({"Env": ["PATH=/bin"]})
}

/// The layers in the cache.
fn cached(host: &Host) -> Vec<PathBuf> {
    let entries = fs::read_dir(host.cache().join("layers")).into_iter().flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    let is_image = |path: &PathBuf| path.extension().is_some_and(|it| it == "image");
    let mut paths: Vec<_> = paths.filter(|path| !is_image(path)).collect();
    paths.sort_unstable();
    paths
}

/// An image with many layers of many files.
fn large(host: &Host, name: &str, layers: usize, files: usize) -> Layout {
    let mut all = vec![base(host).finish()];
    for layer in 0..layers {
        let mut archive = Archive::new().directory(&format!("l{layer}/"));
        for file in 0..files {
            archive = archive.file(&format!("l{layer}/{file}"), &format!("{file}\n"));
        }
        all.push(archive.finish());
    }
    layout(&host.dir(name), &all, &config())
}

fn a_layer_is_unpacked_once(host: &Host) {
    let image = large(host, "image", 3, 10);
    let run = || host.run(["--image", image.str(), "cat", "/l2/7"]).text().to_owned();
    assert_eq!(run(), "7\n");
    let layers = cached(host);
    assert_eq!(layers.len(), 4);
    for layer in &layers {
        // As only somebody could do it who gets behind the container.
        fs::write(layer.join("marker"), "").unwrap();
    }
    assert_eq!(run(), "7\n");
    let marked = cached(host).into_iter().filter(|layer| layer.join("marker").exists());
    assert_eq!(marked.count(), 4, "nothing was unpacked again");
    // The files of the layers are not needed any more, only the description.
    for blob in fs::read_dir(image.path.join("blobs/sha256")).unwrap() {
        let path = blob.unwrap().path();
        if fs::read(&path).unwrap().starts_with(&[0x1f, 0x8b]) {
            fs::remove_file(path).unwrap();
        }
    }
    assert_eq!(run(), "7\n");
}

fn images_share_layers(host: &Host) {
    let one = large(host, "one", 1, 5);
    let two = large(host, "two", 2, 5);
    host.run(["--image", one.str(), "ls"]).text();
    assert_eq!(cached(host).len(), 2);
    host.run(["--image", two.str(), "ls"]).text();
    assert_eq!(cached(host).len(), 3);
}

fn containers_do_not_change_the_cache(host: &Host) {
    let image = large(host, "image", 1, 5);
    let script = "echo changed >/l0/1; busybox rm /l0/2 /bin/ls; busybox mkdir /l0/new; cat /l0/1";
    let run =
        |script: &str| host.run(["--image", image.str(), "sh", "-c", script]).text().to_owned();
    assert_eq!(run(script), "changed\n");
    assert_eq!(run("ls /l0; cat /l0/1"), "0\n1\n2\n3\n4\n1\n");
}

fn two_processes_at_once(host: &Host) {
    let image = large(host, "image", 4, 500);
    let start = |number: usize| {
        let script = format!("cat /l{}/499", number % 4);
        host.start(["--image", image.str(), "sh", "-c", &script])
    };
    let mut all: Vec<_> = (0..6).map(start).collect();
    for running in &mut all {
        running.expect_line("499");
        assert_eq!(running.code(), 0);
    }
    assert_eq!(cached(host).len(), 5);
    assert_eq!(unfinished(host), Vec::<PathBuf>::new());
}

/// A killed process leaves its lock to nobody; the next start throws its work away.
fn killed_while_unpacking(host: &Host) {
    let image = large(host, "image", 2, 20_000);
    let mut delay = Duration::from_millis(2);
    let mut times_in_the_middle = 0;
    while times_in_the_middle < 5 {
        let mut running = host.start(["--image", image.str(), "true"]);
        sleep(delay);
        running.supervisor.kill().unwrap();
        let status = running.supervisor.wait().unwrap();
        let in_the_middle = !unfinished(host).is_empty();
        times_in_the_middle += usize::from(in_the_middle);
        for layer in cached(host) {
            let is_complete = layer.join("tree/bin/busybox").exists()
                || ["tree/l0/19999", "tree/l1/19999"].iter().any(|last| layer.join(last).exists());
            let is_unfinished = layer.to_string_lossy().contains("unfinished");
            assert!(is_complete || is_unfinished, "{}", layer.display());
        }
        if status.success() {
            // Too late: it had everything. Begin again.
            fs::remove_dir_all(host.cache()).unwrap();
            delay = Duration::from_millis(2);
        }
        delay = delay.mul_f64(1.3);
    }
    assert_eq!(host.run(["--image", image.str(), "cat", "/l1/19999"]).text(), "19999\n");
    assert_eq!(unfinished(host), Vec::<PathBuf>::new());
    assert_eq!(cached(host).len(), 3);
}

/// Starts a container of the image, which the cache has not got, and waits for the unpacking.
fn unpacking(host: &Host, image: &Layout) -> Child {
    let child = start(host, image);
    let has_begun = || unfinished(host).iter().any(|layer| layer.join("tree/l0/1000").exists());
    within(Duration::from_secs(10), "a layer is being unpacked", has_begun);
    child
}

fn start(host: &Host, image: &Layout) -> Child {
    let mut launcher = host.launcher();
    launcher.args(["--image", image.str(), "cat", "/l0/7"]);
    launcher.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// As Ctrl-C does. What was unpacked of the layer is removed, and nothing else is left.
fn a_signal_ends_the_unpacking(host: &Host) {
    let image = large(host, "image", 1, 60_000);
    for (signal, name) in [(libc::SIGINT, "SIGINT"), (libc::SIGTERM, "SIGTERM")] {
        let child = unpacking(host, &image);
        send(child.id(), signal);
        let outcome = Outcome::from(child.wait_with_output().unwrap());
        outcome.assert_refused(128 + signal, &["cannot unpack", name, "came meanwhile"]);
        assert_eq!(unfinished(host), Vec::<PathBuf>::new());
    }
}

/// Another process has the layer, and does not come to an end.
fn a_signal_ends_the_wait(host: &Host) {
    let image = large(host, "image", 1, 20_000);
    let first = unpacking(host, &image);
    send(first.id(), libc::SIGSTOP);
    let second = start(host, &image);
    sleep(slowed(Duration::from_millis(500)));
    send(second.id(), libc::SIGINT);
    let outcome = Outcome::from(second.wait_with_output().unwrap());
    send(first.id(), libc::SIGCONT);
    outcome.assert_refused(130, &["cannot lock", "SIGINT came meanwhile"]);
    let outcome = Outcome::from(first.wait_with_output().unwrap());
    assert_eq!(outcome.code(), 0, "{outcome:?}");
}

fn one_bad_layer_among_many(host: &Host) {
    let mut layers: Vec<_> = (0..6)
        .map(|number| Archive::new().file(&format!("f{number}"), &"x".repeat(100_000)).finish())
        .collect();
    layers[2] = Archive::new().file("../x", "").finish();
    layers.insert(0, base(host).finish());
    let image = layout(&host.dir("image"), &layers, &config());
    let start = Instant::now();
    host.run(["--image", image.str(), "true"]).assert_refused(125, &["../x"]);
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(unfinished(host), Vec::<PathBuf>::new());
}

/// An empty layer has the same digest each time; builders write many of them.
fn the_same_layer_twice(host: &Host) {
    let empty = Archive::new().finish();
    let mut changed = header("f", EntryType::Regular);
    changed.set_size(1);
    let one = Archive::new().entry(&changed, b"1").finish();
    let two = Archive::new().entry(&changed, b"2").finish();
    let layers = [base(host).finish(), empty.clone(), one.clone(), empty.clone(), two, one, empty];
    let image = layout(&host.dir("image"), &layers, &config());
    assert_eq!(host.run(["--image", image.str(), "cat", "/f"]).text(), "1");
    assert_eq!(cached(host).len(), 4);
}
