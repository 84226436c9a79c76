//! The images of a pod: pulled, or brought in another directory; and those that are missing.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use testbed::{Host, Outcome, Suite};

use crate::archive::Archive;
use crate::image::{Layout, base, named};
use crate::pod::{launcher, manifest, run};

pub fn add(suite: Suite) -> Suite {
    suite
        .both("a_pod_of_pulled_images", a_pod_of_pulled_images)
        .both("images_of_another_directory", images_of_another_directory)
        .both("all_missing_images_are_one_error", all_missing_images_are_one_error)
        .both("busybox_is_built_in_until_one_is_pulled", busybox_is_built_in)
        .both("a_damaged_image", a_damaged_image)
}

/// The directory of images, which belongs to the user.
fn images(host: &Host) -> std::path::PathBuf {
    let images = host.images();
    fs::create_dir_all(&images).unwrap();
    host.give(&images);
    images
}

/// A repository with an image of this tag, which prints what it is.
fn put(host: &Host, images: &Path, name: &str, tag: &str) -> Value {
    let layout = Layout::new(images.join(name));
    let says = format!("{name}:{tag}\n");
    let layers = [base(host).finish(), Archive::new().file("says", &says).finish()];
    let image = layout.image(&layers, &json!({"Env": ["PATH=/bin"], "Cmd": ["cat", "/says"]}));
    layout.index(&[named(image.clone(), tag)]);
    image
}

/// A pod of containers with these images, that runs to its end.
fn of_images(first: &[&str], images: &[&str]) -> String {
    let list = |images: &[&str]| {
        let line = |(number, image)| format!("  - {{name: {number}-c, image: '{image}'}}\n");
        images.iter().enumerate().map(line).collect::<String>()
    };
    let first = match first {
        [] => String::new(),
        [image] => format!("  initContainers:\n  - {{name: first, image: '{image}'}}\n"),
        _ => unreachable!("one is enough"),
    };
    format!("  restartPolicy: Never\n{first}  containers:\n{}", list(images))
}

/// What its containers print.
#[track_caller]
fn lines(outcome: &Outcome) -> Vec<String> {
    let mut lines: Vec<_> = outcome.text().lines().skip(1).map(str::to_owned).collect();
    lines.sort();
    lines
}

fn a_pod_of_pulled_images(host: &Host) {
    let images = images(host);
    put(host, &images, "a", "latest");
    let digest = put(host, &images, "localhost:5000/b", "2")["digest"].clone();
    let by_digest = format!("localhost:5000/b@{}", digest.as_str().unwrap());
    let outcome = run(host, &of_images(&["docker.io/library/a"], &["a:latest", &by_digest]));
    assert_eq!(lines(&outcome), ["0-c | a:latest", "1-c | localhost:5000/b:2", "first | a:latest"]);
}

fn images_of_another_directory(host: &Host) {
    put(host, &images(host), "a", "latest");
    let stick = host.dir("my stick");
    put(host, &stick, "b", "1");
    let run = |image: &str| {
        let path = manifest(host, &of_images(&[], &[image]));
        let mut launcher = host.launcher();
        launcher.args(["run", "--net", "none", "--images", "my stick"]).arg(path);
        Outcome::of(launcher.current_dir("/tmp"))
    };
    assert_eq!(lines(&run("b:1")), ["0-c | b:1"]);
    assert!(run("busybox").text().contains("PAUSE_PID"));
    run("a").assert_refused(
        125,
        &[
            "cannot run the pod \"test\": a:latest was not pulled into \"my stick\" (",
            " pull --images 'my stick' a:latest;",
        ],
    );
}

fn all_missing_images_are_one_error(host: &Host) {
    let images = images(host);
    put(host, &images, "here", "latest");
    put(host, &images, "redis", "6");
    let digest = format!("app@sha256:{}", "0".repeat(64));
    let spec = of_images(&["redis"], &["here", "nginx:1.27", "docker.io/nginx:1.27", &digest]);
    let outcome = run(host, &spec);
    let by = if host.is_root() { " by root" } else { "" };
    let pull = if host.is_root() { "root -q -p registry -- pull" } else { "workshop pull" };
    outcome.assert_refused(
        125,
        &[&format!(
            "cannot run the pod \"test\": redis:latest, nginx:1.27, {digest} were not \
                 pulled{by}, only redis:6 (cargo {pull} redis:latest nginx:1.27 {digest}; without \
                 internet: book/src/instructors.md#a-room-without-internet)"
        )],
    );
    assert_eq!(outcome.complaints().len(), 1, "{outcome:?}");
}

fn busybox_is_built_in(host: &Host) {
    let spec = |image: &str| {
        of_images(&[], &[image])
            .replace("'}", "', command: [sh, -c, 'cat /says 2>/dev/null || echo none']}")
    };
    let built_in = run(host, &spec("docker.io/library/busybox"));
    assert_eq!(lines(&built_in), ["0-c | none"]);
    let tag = run(host, &spec("busybox:1"));
    tag.assert_refused(125, &["busybox:1 was not pulled", "; busybox without a tag is built in)"]);
    put(host, &images(host), "busybox", "latest");
    assert_eq!(lines(&run(host, &spec("busybox"))), ["0-c | busybox:latest"]);
}

fn a_damaged_image(host: &Host) {
    let images = images(host);
    put(host, &images, "a", "latest");
    let spec = of_images(&[], &["a"]);
    fs::write(images.join("a/index.json"), "{").unwrap();
    let outcome = Outcome::of(&mut launcher(host, &spec));
    outcome.assert_refused(125, &["container \"0-c\"", "cannot read the images in", "index.json"]);
}
