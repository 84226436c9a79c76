//! `--image NAME`: what was pulled, what was not, and what is a file's name after all.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use testbed::{Host, Outcome, Suite};

use crate::archive::Archive;
use crate::image::{Layout, base, named};

pub fn add(suite: Suite) -> Suite {
    suite
        .both("what_was_pulled_is_found_by_its_name", what_was_pulled_is_found)
        .both("a_file_of_that_name_goes_first", a_file_of_that_name_goes_first)
        .both("what_was_not_pulled_is_told_with_the_line_that_does", what_was_not_pulled_is_told)
        .both("a_path_is_never_pulled", a_path_is_never_pulled)
        .both("busybox_is_built_in_until_one_is_pulled", busybox_is_built_in)
        .both("half_of_an_image_is_told", half_of_an_image_is_told)
}

/// What the user types to pull these.
fn pull(host: &Host, names: &str) -> String {
    let pull =
        if host.is_root() { "cargo root -q -p registry -- pull" } else { "cargo workshop pull" };
    format!("{pull} {names};")
}

/// The directory of images, with this repository in it.
fn repository(host: &Host, name: &str) -> Layout {
    let images = host.images();
    fs::create_dir_all(&images).unwrap();
    host.give(&images);
    Layout::new(images.join(name))
}

/// An image in a layout, which prints what it is.
fn image(host: &Host, layout: &Layout, says: &str) -> Value {
    let layers = [base(host).finish(), Archive::new().file("says", says).finish()];
    layout.image(&layers, &json!({"Env": ["PATH=/bin"], "Cmd": ["cat", "/says"]}))
}

/// A repository with an image for each of these names.
fn pulled(host: &Host, name: &str, tags: &[&str]) -> Vec<Value> {
    let layout = repository(host, name);
    let images = tags.iter().map(|tag| named(image(host, &layout, &format!("{name}:{tag}")), tag));
    let images: Vec<_> = images.collect();
    layout.index(&images);
    images
}

fn what_was_pulled_is_found(host: &Host) {
    let alpine = pulled(host, "alpine", &["3.20", "latest"]);
    pulled(host, "alpine/git", &["latest"]);
    pulled(host, "localhost:5000/hello", &["1"]);
    let digest = format!("sha256:{}", "0".repeat(64));
    pulled(host, "ghcr.io/owner/app", &[&digest]);
    let of_manifest = format!("alpine@{}", alpine[0]["digest"].as_str().unwrap());
    for (name, found) in [
        ("alpine", "alpine:latest"),
        ("alpine:3.20", "alpine:3.20"),
        ("docker.io/library/alpine:3.20", "alpine:3.20"),
        ("index.docker.io/alpine:3.20", "alpine:3.20"),
        (&of_manifest, "alpine:3.20"),
        ("alpine/git", "alpine/git:latest"),
        ("localhost:5000/hello:1", "localhost:5000/hello:1"),
        (&format!("ghcr.io/owner/app@{digest}"), &format!("ghcr.io/owner/app:{digest}")),
        (&format!("ghcr.io/owner/app:1@{digest}"), &format!("ghcr.io/owner/app:{digest}")),
    ] {
        assert_eq!(host.run(["--image", name]).text(), found, "{name}");
    }
}

fn a_file_of_that_name_goes_first(host: &Host) {
    pulled(host, "alpine", &["latest"]);
    let directory = host.dir("here");
    let own = Layout::new(directory.join("alpine"));
    own.index(&[named(image(host, &own, "of the directory"), "1")]);
    fs::create_dir(directory.join("empty")).unwrap();
    let run =
        |name: &str| Outcome::of(host.launcher().args(["--image", name]).current_dir(&directory));
    assert_eq!(run("alpine").text(), "of the directory");
    assert_eq!(run("alpine:1").text(), "of the directory");
    run("alpine:2").assert_refused(125, &["it has no tag \"2\", only: 1"]);
    assert_eq!(run("docker.io/library/alpine").text(), "alpine:latest");
    let hint = "(a pulled image of this name: from another working directory)";
    run("empty").assert_refused(125, &["neither an index.json", hint]);
    assert!(!run("./empty").stderr.contains("pulled"));
}

fn what_was_not_pulled_is_told(host: &Host) {
    let by = if host.is_root() { " by root" } else { "" };
    let book = "book/src/instructors.md#a-room-without-internet";
    host.run(["--image", "nginx"]).assert_refused(
        125,
        &[
            "cannot use the image \"nginx\": no file has this name, and nginx:latest was not ",
            &format!("pulled{by} ({}", pull(host, "nginx:latest")),
            "without internet: docker save -o nginx.tar nginx:latest elsewhere and --image \
             nginx.tar",
            book,
        ],
    );
    pulled(host, "localhost:5000/a", &["1", "2", "x y", "\u{202e}"]);
    let others = host.run(["--image", "localhost:5000/a"]);
    let only = format!("pulled{by}, only localhost:5000/a:1, localhost:5000/a:2 (");
    let pull = pull(host, "localhost:5000/a:latest");
    others.assert_refused(125, &[&only, &pull, "docker save -o a.tar localhost:5000/a:latest"]);
    // The one that lies in another is not the other.
    host.run(["--image", "localhost/5000"]).assert_refused(125, &["localhost/5000:latest was not"]);
}

fn a_path_is_never_pulled(host: &Host) {
    pulled(host, "alpine", &["latest"]);
    for path in ["./alpine", "../alpine", "/alpine", "/tmp/alpine:latest"] {
        let outcome = host.run(["--image", path]);
        outcome.assert_refused(125, &["ENOENT", "skopeo copy docker://NAME oci:"]);
        assert!(!outcome.stderr.contains("pull"), "{outcome:?}");
    }
    for name in ["Alpine", "alpine:", "a b", "alpine@sha256:12", "~/alpine", "a\u{202e}"] {
        let outcome = host.run(["--image", name]);
        outcome.assert_refused(125, &["cannot use the image", "no file has this name: "]);
        assert!(!outcome.stderr.contains('\u{202e}'), "{outcome:?}");
    }
}

fn busybox_is_built_in(host: &Host) {
    for name in ["busybox", "busybox:latest", "docker.io/library/busybox"] {
        let outcome = host.run(["--image", name, "sh", "-c", "ls /bin/busybox; echo >/new"]);
        assert_eq!(outcome.text(), "/bin/busybox\n", "{name}");
        assert!(!host.rootfs().join("new").exists(), "it is a layer");
    }
    let tag = host.run(["--image", "busybox:1.36"]);
    tag.assert_refused(125, &["busybox:1.36 was not pulled", "busybox without a tag is built in)"]);
    pulled(host, "busybox", &["latest"]);
    assert_eq!(host.run(["--image", "busybox"]).text(), "busybox:latest");
}

fn half_of_an_image_is_told(host: &Host) {
    let images = pulled(host, "alpine", &["latest"]);
    let layout = host.images().join("alpine");
    let again = "get all of the image: cargo workshop pull NAME";
    let hex = images[0]["digest"].as_str().unwrap().trim_start_matches("sha256:");
    fs::remove_file(layout.join("blobs/sha256").join(hex)).unwrap();
    host.run(["--image", "alpine"]).assert_refused(125, &["alpine:latest", "ENOENT", again]);
    damage(host, &layout, "{");
    damage(host, &layout, "");
    // Begun, and not come to its end.
    fs::remove_file(layout.join("index.json")).unwrap();
    let begun = host.run(["--image", "alpine"]);
    begun.assert_refused(125, &["alpine:latest was not pulled", &pull(host, "alpine:latest")]);
}

fn damage(host: &Host, layout: &Path, index: &str) {
    fs::write(layout.join("index.json"), index).unwrap();
    let outcome = host.run(["--image", "alpine"]);
    outcome.assert_refused(125, &["cannot read the images in", "cannot understand index.json"]);
}
