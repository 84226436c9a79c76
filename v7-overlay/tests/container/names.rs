//! `PATH:TAG`: which image is meant, and what is told where it is not clear. What an error advises
//! is typed.

use std::fs;
use std::path::PathBuf;

use image::digest::Digest;
use serde_json::{Value, json};
use testbed::{Host, Suite};

use crate::archive::Archive;
use crate::image::{INDEX, LAYER, Layout, architecture, base, named};

pub fn add(suite: Suite) -> Suite {
    suite
        .both("two_images_of_one_tag_in_docker_save", two_images_in_docker_save)
        .both("a_tag_is_a_whole_name_too", a_tag_is_a_whole_name_too)
        .both("images_without_names_have_places", images_without_names_have_places)
        .both("an_image_under_two_names_is_one", an_image_under_two_names_is_one)
        .both("docker_save_by_digest", docker_save_by_digest)
        .both("the_baseline_of_a_machine_goes_first", the_baseline_goes_first)
        .both("a_machine_without_a_name", a_machine_without_a_name)
        .both("names_that_deceive_are_escaped", names_that_deceive_are_escaped)
        .both("thousands_of_tags", thousands_of_tags)
}

/// A layout, and images for it that each print what they are.
struct Images<'a> {
    host: &'a Host,
    layout: Layout,
}

impl Images<'_> {
    fn new<'a>(host: &'a Host, name: &str) -> Images<'a> {
        Images { host, layout: Layout::new(host.dir(name)) }
    }

    fn make(&self, says: &str) -> Value {
        let layers = [base(self.host).finish(), Archive::new().file("says", says).finish()];
        self.layout.image(&layers, &json!({"Env": ["PATH=/bin"], "Cmd": ["cat", "/says"]}))
    }

    /// What is printed by `PATH` with this behind it.
    #[track_caller]
    fn says(&self, tag: &str) -> String {
        says(self.host, &self.layout.path, tag)
    }

    /// The words that the error tells to type for this, each with what it prints when it is typed.
    #[track_caller]
    fn advice(&self, tag: &str, words: &[&str]) -> Vec<(String, String)> {
        advice(self.host, &self.layout.path, tag, words)
    }
}

#[track_caller]
fn says(host: &Host, path: &std::path::Path, tag: &str) -> String {
    host.run(["--image", &format!("{}{tag}", path.display())]).text().to_owned()
}

#[track_caller]
fn advice(host: &Host, path: &std::path::Path, tag: &str, words: &[&str]) -> Vec<(String, String)> {
    let outcome = host.run(["--image", &format!("{}{tag}", path.display())]);
    outcome.assert_refused(125, words);
    let (_, advice) = outcome.complaints()[0].rsplit_once(": ").unwrap();
    let typed = |word: &str| (word.to_owned(), says(host, path, &format!(":{word}")));
    advice.split(", ").map(typed).collect()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(word, says)| ((*word).to_owned(), (*says).to_owned())).collect()
}

/// An archive of docker save, unpacked: for each image its names, and what it prints.
fn docker_save(host: &Host, name: &str, images: &[(Value, &str)]) -> PathBuf {
    let directory = host.dir(name);
    let below = base(host).finish();
    fs::write(directory.join("base.tar"), &below).unwrap();
    let entries = images.iter().map(|(names, says)| {
        let layer = Archive::new().file("says", says).finish();
        let layer_file = format!("{says}.tar");
        fs::write(directory.join(&layer_file), &layer).unwrap();
        let diff_ids = [&below, &layer].map(|layer| Digest::of(layer).to_string());
        let config = json!({
            "architecture": architecture(), "os": "linux",
            "config": {"Cmd": ["cat", "/says"], "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let config = config.to_string();
        let file = format!("{}.json", Digest::of(config.as_bytes()).hex());
        fs::write(directory.join(&file), &config).unwrap();
        json!({"Config": file, "RepoTags": names, "Layers": ["base.tar", layer_file]})
    });
    let manifest = Value::from(entries.collect::<Vec<_>>());
    fs::write(directory.join("manifest.json"), manifest.to_string()).unwrap();
    directory
}

fn two_images_in_docker_save(host: &Host) {
    let saved = docker_save(
        host,
        "saved",
        &[(json!(["a:latest"]), "a"), (json!(["localhost/b:latest", "b:1"]), "b")],
    );
    assert_eq!(says(host, &saved, ":a"), "a");
    assert_eq!(says(host, &saved, ":localhost/b:latest"), "b");
    assert_eq!(says(host, &saved, ":localhost/b"), "b");
    assert_eq!(says(host, &saved, ":1"), "b");
    assert_eq!(says(host, &saved, ":@1"), "b");
    let told = pairs(&[("a:latest", "a"), ("localhost/b:latest", "b"), ("b:1", "b")]);
    assert_eq!(advice(host, &saved, "", &["it holds 2 images", "PATH:TAG"]), told);
    assert_eq!(advice(host, &saved, ":latest", &["\"latest\" means 2", "PATH:TAG"]), told);
    assert_eq!(advice(host, &saved, ":2", &["it has no tag \"2\""]), told);
    let nameless = docker_save(host, "nameless", &[(json!(null), "a"), (json!([]), "b")]);
    let told = pairs(&[("@0", "a"), ("@1", "b")]);
    assert_eq!(advice(host, &nameless, "", &["it holds 2 images"]), told);
}

fn a_tag_is_a_whole_name_too(host: &Host) {
    let images = Images::new(host, "image");
    // As Docker 25 and newer write it: both of its annotations.
    let make = |says: &str, name: &str| {
        let mut image = named(images.make(says), "latest");
        image["annotations"]["io.containerd.image.name"] = json!(name);
        image
    };
    let one = make("a", "docker.io/library/a:latest");
    let two = make("b", "localhost:5000/x/b:latest");
    images.layout.index(&[one.clone(), two.clone()]);
    assert_eq!(images.says(":a:latest"), "a");
    assert_eq!(images.says(":a"), "a");
    assert_eq!(images.says(":localhost:5000/x/b:latest"), "b");
    let told = pairs(&[("docker.io/library/a:latest", "a"), ("localhost:5000/x/b:latest", "b")]);
    assert_eq!(images.advice("", &["2 images"]), told);
    assert_eq!(images.advice(":latest", &["\"latest\" means 2"]), told);
    // A path with a colon is a path.
    let with_colon = images.layout.path.with_file_name("image:1");
    fs::rename(&images.layout.path, &with_colon).unwrap();
    assert_eq!(says(host, &with_colon, ":a:latest"), "a");
    fs::rename(&with_colon, &images.layout.path).unwrap();
    images.layout.index(&[one, named(two, "x:a")]);
    assert_eq!(images.says(":a"), "b", "what is behind a colon goes before what may be left out");
}

fn images_without_names_have_places(host: &Host) {
    let images = Images::new(host, "image");
    let other = json!({"os": "linux", "architecture": "s390x"});
    let mut of_another_machine = images.make("none");
    of_another_machine["platform"] = other;
    let [a, b] = ["a", "b"].map(|says| images.make(says));
    images.layout.index(&[of_another_machine, a, b]);
    let told = pairs(&[("@1", "a"), ("@2", "b")]);
    assert_eq!(images.advice("", &["2 images", "PATH:TAG"]), told);
    assert_eq!(images.advice(":latest", &["no tag \"latest\""]), told);
    assert_eq!(images.advice(":@3", &["no tag \"@3\""]), told);
    let refused = host.run(["--image", &format!("{}:@0", images.layout.str())]);
    refused.assert_refused(125, &["it is for linux/s390x, and this machine is linux/"]);
}

fn an_image_under_two_names_is_one(host: &Host) {
    let images = Images::new(host, "image");
    let image = images.make("one");
    images.layout.index(&[named(image.clone(), "a:latest"), named(image, "b:latest")]);
    for tag in ["", ":latest", ":a", ":b", ":b:latest", ":@1"] {
        assert_eq!(images.says(tag), "one", "{tag}");
    }
}

/// Then the image has no name, and Docker 25 writes an index without an image in it.
fn docker_save_by_digest(host: &Host) {
    for index in [r#"{"schemaVersion": 2, "manifests": null}"#, r#"{"manifests": []}"#, "{}"] {
        let saved = docker_save(host, "saved", &[(json!(null), "a")]);
        fs::write(saved.join("index.json"), index).unwrap();
        assert_eq!(says(host, &saved, ""), "a", "{index}");
        fs::remove_file(saved.join("manifest.json")).unwrap();
        host.run(["--image".as_ref(), saved.as_path()]).assert_refused(125, &["no image is in it"]);
        fs::remove_dir_all(saved).unwrap();
    }
}

fn the_baseline_goes_first(host: &Host) {
    let images = Images::new(host, "image");
    let make = |says: &str, variant: Option<&str>| {
        let mut image = images.make(says);
        image["platform"] =
            json!({"os": "linux", "architecture": architecture(), "variant": variant});
        image
    };
    let baseline = if architecture() == "arm64" { "v8" } else { "v1" };
    for variant in [None, Some(""), Some(baseline)] {
        let list = [make("v3", Some("v3")), make("baseline", variant), make("v2", Some("v2"))];
        images.layout.index(&list);
        assert_eq!(images.says(""), "baseline", "{variant:?}");
        // As in a registry: one more index in between.
        let index = json!({"schemaVersion": 2, "manifests": list});
        let index = images.layout.json(INDEX, &index);
        images.layout.index(&[named(index, "1")]);
        assert_eq!(images.says(":1"), "baseline", "{variant:?}");
    }
    images.layout.index(&[make("x", Some("v99"))]);
    let here = format!("/v99, and this machine is linux/{}", architecture());
    let refused = host.run(["--image", images.layout.str()]);
    refused.assert_refused(125, &["it is for linux/", &here]);
}

fn a_machine_without_a_name(host: &Host) {
    let images = Images::new(host, "image");
    let layer = base(host).finish();
    let rootfs = json!({"type": "layers", "diff_ids": [Digest::of(&layer).to_string()]});
    let layer = images.layout.blob(LAYER, &layer);
    for config in [
        json!({"rootfs": rootfs}),
        json!({"os": "", "architecture": "", "variant": "", "rootfs": rootfs}),
    ] {
        let config = images.layout.json(crate::image::CONFIG, &config);
        let manifest = images.layout.manifest(&config, std::slice::from_ref(&layer));
        images.layout.index(&[manifest]);
        let refused = host.run(["--image", images.layout.str()]);
        refused.assert_refused(125, &["it is for unknown/unknown, and this machine is linux/"]);
    }
}

/// A name that turns the line around, or moves the cursor, is told by its place. The tag that was
/// typed is told too, and files.
fn names_that_deceive_are_escaped(host: &Host) {
    const DECEIVE: &str = "x\u{202e}gpj.\u{2066}\u{200f}\u{feff}\u{e0041}\u{ad}\u{1b}[2J\u{9b}";
    let images = Images::new(host, "image");
    let [a, b] = ["a", "b"].map(|says| images.make(says));
    images.layout.index(&[named(a, DECEIVE), named(b, "b")]);
    let told = pairs(&[("@0", "a"), ("b", "b")]);
    assert_eq!(images.advice("", &["2 images"]), told);
    let script = format!("echo >'/tmp/{DECEIVE}'");
    let tag = format!("{}:b", images.layout.str());
    let changes = host.run(["--image", &tag, "--changes", "sh", "-c", &script]);
    let typed = host.run(["--image", &format!("{}:{DECEIVE}x", images.layout.str())]);
    let user = host.run(["--image", &tag, "-u", DECEIVE]);
    let command = host.run(["--image", &tag, DECEIVE]);
    for outcome in [typed, user, command] {
        let line = outcome.complaints().concat();
        assert!(line.starts_with("Error: ") && line.contains(r"x\u{202e}gpj.\u{2066}"), "{line}");
        assert!(line.chars().all(|it| it == ' ' || it.is_ascii_graphic()), "{line:?}");
    }
    let escaped = r"x\u{202e}gpj.\u{2066}\u{200f}\u{feff}\u{e0041}\u{ad}\u{1b}[2J\u{9b}";
    assert_eq!(changes.text(), format!("C /tmp\nA /tmp/{escaped}\n"));
}

/// Neither the line nor the time grows without end.
fn thousands_of_tags(host: &Host) {
    let images = Images::new(host, "image");
    let image = images.make("one");
    let tag = |number: usize| {
        let mut image = named(image.clone(), &format!("name{number}:latest"));
        image["digest"] = json!(format!("sha256:{number:064x}"));
        image
    };
    images.layout.index(&(0..15_000).map(tag).collect::<Vec<_>>());
    let start = std::time::Instant::now();
    let refused = host.run(["--image", images.layout.str()]);
    refused.assert_refused(125, &["15000 images", "name0:latest, ", "and 14900 more"]);
    assert!(start.elapsed() < testbed::pace::slowed(std::time::Duration::from_secs(10)));
}
