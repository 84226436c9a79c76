//! What is pulled, and how it is named.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use testbed::{Host, Outcome, Suite};

use crate::bed::{Bed, Made, text, tool};
use crate::image::{INDEX, architecture};

pub fn add(suite: Suite) -> Suite {
    suite
        .both("an_image_is_pulled_and_runs", an_image_is_pulled_and_runs)
        .both("a_pod_of_two_pulled_images_runs", a_pod_of_two_pulled_images_runs)
        .both("what_is_here_is_not_fetched_again", what_is_here_is_not_fetched_again)
        .both("a_digest_is_pulled", a_digest_is_pulled)
        .both("of_an_index_this_machines_image_is_pulled", of_an_index_this_machines_image)
        .both("a_tag_that_has_moved_is_pulled_anew", a_tag_that_has_moved_is_pulled_anew)
        .both("images_are_pulled_one_after_the_other", images_are_pulled_one_after_the_other)
        .both("another_directory_of_images", another_directory_of_images)
        .both("a_layer_that_is_twice_in_an_image_is_fetched_once", a_layer_twice)
        .both("many_layers", many_layers)
}

fn an_image_is_pulled_and_runs(host: &Host) {
    let bed = Bed::new(host);
    let made = bed.maker.runnable("a text\n");
    bed.put("a/small:1.2", &made.manifest);
    let outcome = bed.pull("a/small:1.2");
    let lines: Vec<_> = outcome.text().lines().collect();
    let [first, digest, run] = lines[..] else { panic!("{outcome:?}") };
    assert!(first.starts_with("localhost:5001/a/small:1.2: 2 layers, "), "{first}");
    assert!(first.ends_with(" fetched"), "{first}");
    assert_eq!(digest.trim(), made.digest());
    let (how, who) = run.trim().split_once(" -p v7-overlay -- ").unwrap();
    assert_eq!(how, if host.is_root() { "cargo root -q" } else { "cargo run -q" });
    assert_eq!(who, "--image localhost:5001/a/small:1.2");
    bed.assert_whole("a/small", "1.2", &made);
    let v7 = |image: &str| {
        let mut v7 = host.stage("v7-overlay");
        Outcome::of(v7.args(["--net=none", "--image", image])).text().to_owned()
    };
    assert_eq!(v7("localhost:5001/a/small:1.2"), "a text\n");
    assert_eq!(v7(bed.pulled("a/small:1.2").to_str().unwrap()), "a text\n");
    // Nobody else may change what one runs.
    let images = host.images();
    let mode = std::os::unix::fs::PermissionsExt::mode;
    assert_eq!(mode(&fs::metadata(images).unwrap().permissions()) & 0o022, 0);
}

fn a_pod_of_two_pulled_images_runs(host: &Host) {
    let bed = Bed::new(host);
    for name in ["one", "two"] {
        bed.put(&format!("{name}:1"), &bed.maker.runnable(&format!("text {name}\n")).manifest);
    }
    let pod = host.dir("pod").join("pod.yaml");
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: test}\nspec:\n  \
        restartPolicy: Never\n  containers:\n  \
        - {name: a, image: 'localhost:5001/one:1'}\n  - {name: b, image: 'localhost:5001/two:1'}\n";
    fs::write(&pod, text).unwrap();
    if host.is_root() {
        host.need_nft();
    }
    let run = || Outcome::of(host.stage("v8-pause").arg("run").arg(&pod));
    // The command for what is missing is one that can be pasted.
    let missing = run();
    let (_, command) = missing.stderr.split_once(" pull ").unwrap();
    let images: Vec<_> = command.split([' ', ';', ')']).take(2).collect();
    assert_eq!(images, ["localhost:5001/one:1", "localhost:5001/two:1"], "{missing:?}");
    let mut pull = tool(host, &["pull", "--plain-http"]);
    Outcome::of(pull.args(images)).text();
    // Nobody is asked any more.
    drop(bed);
    let outcome = run();
    assert!(outcome.text().contains("text one\n"), "{outcome:?}");
    assert!(outcome.text().contains("text two\n"), "{outcome:?}");
}

fn what_is_here_is_not_fetched_again(host: &Host) {
    let bed = Bed::new(host);
    let first = bed.random("a:1", &[50_000, 60_000]);
    let layers = [first.layers.clone(), bed.maker.of_random(&[70_000]).layers].concat();
    let config = bed.maker.layout.config(&[vec![], vec![], vec![]], &json!({}));
    let second = bed.maker.of(config, layers);
    bed.put("a:2", &second.manifest);
    assert!(bed.pull("a:1").text().contains("2 layers, "));
    let blobs = bed.front.seen_of("/blobs/").len();
    assert_eq!(blobs, 3);
    assert!(bed.pull("a:1").text().contains(", all of it was here\n"));
    assert_eq!(bed.front.seen_of("/blobs/").len(), blobs);
    // Of another image, what it does not share.
    let outcome = bed.pull("a:2");
    assert!(outcome.text().contains("3 layers, 180"), "{outcome:?}");
    assert!(outcome.text().contains(" kB, 70."), "{outcome:?}");
    assert_eq!(bed.front.seen_of("/blobs/").len(), blobs + 2);
    bed.assert_whole("a", "1", &first);
    bed.assert_whole("a", "2", &second);
    // What was damaged since then is fetched again.
    let hex = text(&first.layers[0]["digest"]).trim_start_matches("sha256:");
    let blob = bed.pulled("a").join("blobs/sha256").join(hex);
    let mut content = fs::read(&blob).unwrap();
    content[7] ^= 1;
    fs::write(&blob, content).unwrap();
    assert!(bed.pull("a:1").text().contains(", 50."));
    bed.assert_whole("a", "1", &first);
}

fn a_digest_is_pulled(host: &Host) {
    let bed = Bed::new(host);
    let made = bed.random("a:1", &[1000]);
    let digest = made.digest();
    // With a tag and a digest, the digest counts.
    for name in [format!("a@{digest}"), format!("a:no-such-tag@{digest}")] {
        let outcome = bed.pull(&name);
        let (first, _) = outcome.text().split_once('\n').unwrap();
        assert!(first.starts_with(&format!("localhost:5001/a@{digest}: 1 layer, ")), "{first}");
        bed.assert_whole("a", digest, &made);
    }
    assert!(bed.front.seen_of("no-such-tag").is_empty());
    let other = format!("a@sha256:{}", "0".repeat(64));
    bed.pull(&other)
        .assert_refused(1, &["cannot pull localhost:5001/a@sha256:00", "no such image"]);
}

/// An index with this image, and for other machines with another one.
fn index(bed: &Bed, made: &Made, other: &Made) -> Value {
    let for_machine = |made: &Made, os: &str, architecture: &str| {
        let mut manifest = made.manifest.clone();
        manifest["platform"] = json!({"os": os, "architecture": architecture});
        manifest
    };
    let manifests = [
        for_machine(other, "linux", "s390x"),
        for_machine(other, "windows", architecture()),
        for_machine(made, "linux", architecture()),
        for_machine(other, "unknown", "unknown"),
    ];
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
    bed.maker.layout.json(INDEX, &index)
}

fn of_an_index_this_machines_image(host: &Host) {
    let bed = Bed::new(host);
    let (made, other) = (bed.maker.of_random(&[1000]), bed.maker.of_random(&[2000]));
    let index_of_both = index(&bed, &made, &other);
    bed.put("a:1", &index_of_both);
    let digest = text(&index_of_both["digest"]);
    let outcome = bed.pull("a:1");
    // Others ask for this one by the digest of the index.
    assert!(outcome.text().contains(&format!("  {digest}\n")), "{outcome:?}");
    bed.assert_whole("a", "1", &made);
    bed.pull(&format!("a@{digest}")).text();
    bed.assert_whole("a", digest, &made);
    assert!(bed.front.seen_of(&other.layer(0)).is_empty());
    // One that is for others only.
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
        {"mediaType": other.manifest["mediaType"], "digest": other.digest(),
         "size": other.manifest["size"], "platform": {"os": "linux", "architecture": "s390x"}},
    ]});
    bed.put("a:2", &bed.maker.layout.json(INDEX, &index));
    bed.pull("a:2").assert_refused(1, &["cannot pull localhost:5001/a:2: ", "s390x"]);
}

fn a_tag_that_has_moved_is_pulled_anew(host: &Host) {
    let bed = Bed::new(host);
    let old = bed.random("a:latest", &[1000, 2000]);
    bed.pull("a").text();
    bed.assert_whole("a", "latest", &old);
    let new = bed.random("a:latest", &[3000]);
    bed.pull("a").text();
    bed.assert_whole("a", "latest", &new);
    let blobs = fs::read_dir(bed.pulled("a").join("blobs/sha256")).unwrap().count();
    assert_eq!(blobs, 3, "nothing of the old one is kept");
}

fn images_are_pulled_one_after_the_other(host: &Host) {
    let bed = Bed::new(host);
    let made = bed.random("here:1", &[1000]);
    let mut pull = bed.pulling("not-there:1");
    let outcome = Outcome::of(pull.args(["localhost:5001/here:1", "Not A Name"]));
    assert_eq!(outcome.code(), 1);
    assert!(outcome.stdout.starts_with(b"localhost:5001/here:1: 1 layer, "), "{outcome:?}");
    let [first, second] = outcome.complaints()[..] else { panic!("{outcome:?}") };
    assert!(first.starts_with("Error: cannot pull localhost:5001/not-there:1: there is no such"));
    assert!(second.contains("\"Not A Name\" is no image reference"), "{second}");
    bed.assert_whole("here", "1", &made);
    // Of what is not there, nothing is left.
    assert!(!bed.pulled("not-there").exists());
    tool(host, &["pull"]).output().map(|it| assert_eq!(it.status.code(), Some(2))).unwrap();
}

fn another_directory_of_images(host: &Host) {
    let bed = Bed::new(host);
    let made = bed.random("a:1", &[1000]);
    let other = host.dir("other");
    let mut pull = bed.pulling("a:1");
    Outcome::of(pull.arg("--images").arg(other.join("new/images"))).text();
    crate::bed::assert_whole(&other.join("new/images/localhost:5001/a"), "1", &made);
    assert!(!host.images().exists());
    // A relative one, too.
    let mut pull = bed.pulling("a:1");
    Outcome::of(pull.args(["--images", "here"]).current_dir(&other)).text();
    crate::bed::assert_whole(&other.join("here/localhost:5001/a"), "1", &made);
}

fn a_layer_twice(host: &Host) {
    let bed = Bed::new(host);
    let one = bed.maker.of_random(&[10_000]);
    let twice = [one.layers.clone(), one.layers.clone()].concat();
    let config = bed.maker.layout.config(&[vec![], vec![]], &json!({}));
    let made = bed.maker.of(config, twice);
    bed.put("a:1", &made.manifest);
    let outcome = bed.pull("a:1");
    assert!(outcome.text().contains("2 layers, 10."), "{outcome:?}");
    assert_eq!(bed.front.seen_of(&one.layer(0)).len(), 1);
    bed.assert_whole("a", "1", &made);
}

fn many_layers(host: &Host) {
    let bed = Bed::new(host);
    let sizes: Vec<_> = (0..60).map(|number| 1000 + number).collect();
    let made = bed.random("a:1", &sizes);
    bed.pull("a:1").text();
    bed.assert_whole("a", "1", &made);
    assert_eq!(bed.front.seen_of("/blobs/").len(), 61);
    assert!(Path::new(&bed.pulled("a")).exists());
}
