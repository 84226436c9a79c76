//! `cargo workshop images`: the list of what was pulled, and what goes when one of them is removed.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking, with the line that did it"
)]

#[path = "../../../v7-overlay/tests/container/archive.rs"]
#[expect(dead_code, reason = "v7's tests make stranger archives")]
mod archive;
#[path = "../../../v7-overlay/tests/container/image.rs"]
#[expect(dead_code, reason = "v7's tests make stranger images")]
mod image;
#[path = "../../tests/stages/mod.rs"]
mod stages;

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use nix::fcntl::{Flock, FlockArg};
use serde_json::{Value, json};
use testbed::{BIN, Host, Outcome, Suite};

use archive::Archive;
use image::{INDEX, Layout, base, named};

fn main() -> ExitCode {
    stages::build();
    Suite::of_no_stage()
        .both("without_images_it_says_how_to_pull", without_images)
        .both("what_was_pulled_is_listed", what_was_pulled_is_listed)
        .both("what_no_other_image_has_goes", what_no_other_image_has_goes)
        .both("an_empty_layout_goes_and_one_inside_it_stays", an_empty_layout_goes)
        .both("a_wrong_name_is_told_the_nearest", a_wrong_name_is_told_the_nearest)
        .both("what_was_begun_is_told_and_goes", what_was_begun_is_told_and_goes)
        .both("what_is_damaged_is_told_and_goes", what_is_damaged_is_told_and_goes)
        .both("the_images_of_all_machines_go_together", the_images_of_all_machines)
        .both("names_that_deceive_are_escaped", names_that_deceive_are_escaped)
        .both("remove_waits_for_a_pull", remove_waits_for_a_pull)
        .both("a_reader_may_have_enough", a_reader_may_have_enough)
        .both("the_help_fits_on_a_screen", the_help_fits_on_a_screen)
        .run()
}

fn tool(host: &Host, arguments: &[&str]) -> Command {
    let mut tool = host.command(Path::new(BIN).join("registry"));
    tool.arg("images").args(arguments);
    tool
}

fn images(host: &Host, arguments: &[&str]) -> Outcome {
    Outcome::of(&mut tool(host, arguments))
}

/// The directory of images, which belongs to the user.
fn directory(host: &Host) -> PathBuf {
    let images = host.images();
    fs::create_dir_all(&images).unwrap();
    give(host, &images);
    images
}

/// Gives a directory to the user, with all that is in it.
fn give(host: &Host, path: &Path) {
    host.give(path);
    if path.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| give(host, &entry.unwrap().path()));
    }
}

/// An image that prints what it is, in a layout. All have the same lower layer.
fn image(host: &Host, layout: &Layout, says: &str) -> Value {
    let layers = [base(host).finish(), Archive::new().file("says", says).finish()];
    layout.image(&layers, &json!({"Env": ["PATH=/bin"], "Cmd": ["cat", "/says"]}))
}

/// A repository with an image for each of these names, as a pull leaves it.
fn pulled(host: &Host, name: &str, tags: &[&str]) -> Layout {
    let images = directory(host);
    let layout = Layout::new(images.join(name));
    fs::create_dir(layout.path.join("partial")).unwrap();
    let all = tags.iter().map(|tag| named(image(host, &layout, &format!("{name}:{tag}")), tag));
    layout.index(&all.collect::<Vec<_>>());
    give(host, &images);
    layout
}

/// What the index of a layout lists.
fn index(layout: &Layout) -> Vec<Value> {
    let index = fs::read(layout.path.join("index.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    index["manifests"].as_array().unwrap().clone()
}

fn names(layout: &Layout) -> Vec<String> {
    let name = |it: Value| {
        it["annotations"]["org.opencontainers.image.ref.name"].as_str().unwrap().to_owned()
    };
    index(layout).into_iter().map(name).collect()
}

fn digest(descriptor: &Value) -> &str {
    descriptor["digest"].as_str().unwrap()
}

fn blobs(layout: &Layout) -> usize {
    fs::read_dir(layout.path.join("blobs/sha256")).unwrap().count()
}

/// The bytes of its blobs.
fn size(layout: &Layout) -> u64 {
    let blobs = fs::read_dir(layout.path.join("blobs/sha256")).unwrap();
    blobs.map(|blob| blob.unwrap().metadata().unwrap().len()).sum()
}

/// The lines of a list, each by its words.
fn rows(outcome: &Outcome) -> Vec<Vec<&str>> {
    outcome.text().lines().map(|line| line.split_whitespace().collect()).collect()
}

/// The names in the list.
#[track_caller]
fn listed(host: &Host) -> Vec<String> {
    let outcome = images(host, &[]);
    let mut rows = rows(&outcome);
    let last = rows.pop().unwrap();
    assert!(last[1].starts_with("image"), "{last:?}");
    rows.into_iter().skip(1).map(|row| row[0].to_owned()).collect()
}

/// What an image prints when v7 runs it.
#[track_caller]
fn says(host: &Host, name: &str) -> String {
    let mut v7 = host.stage("v7-overlay");
    Outcome::of(v7.args(["--net", "none", "--image", name])).text().to_owned()
}

fn without_images(host: &Host) {
    let directory = host.images();
    let pull = if host.is_root() { "root -q -p registry -- pull" } else { "workshop pull" };
    let none = format!("No images in {directory:?}. To have one: cargo {pull} alpine:latest\n");
    assert_eq!(images(host, &[]).text(), none);
    assert!(!directory.exists());
    let elsewhere = images(host, &["--images", "/tmp/my images"]);
    let line = format!("cargo {pull} --images '/tmp/my images' alpine:latest\n");
    assert!(elsewhere.text().ends_with(&line), "{elsewhere:?}");
}

fn what_was_pulled_is_listed(host: &Host) {
    let alpine = pulled(host, "alpine", &["latest", "3.20"]);
    let digest = format!("sha256:{}", "0".repeat(64));
    let hello = pulled(host, "localhost:5000/hello", &[&digest]);
    let git = pulled(host, "alpine/git", &["2"]);
    let outcome = images(host, &[]);
    let mut rows = rows(&outcome);
    let sum = rows.pop().unwrap();
    assert_eq!(rows.remove(0), ["IMAGE", "SIZE", "DIGEST", "PULLED"]);
    let names: Vec<_> = rows.iter().map(|row| row[0]).collect();
    let by_digest = format!("localhost:5000/hello@{digest}");
    assert_eq!(names, ["alpine:latest", "alpine:3.20", "alpine/git:2", &by_digest]);
    for row in &rows {
        assert_eq!(row[3].len(), 12, "{row:?}");
        assert!(row[4].parse::<u64>().is_ok() && row[6] == "ago", "{row:?}");
    }
    // The two of alpine have a layer in common: it is counted once.
    let bytes = (size(&alpine) + size(&hello) + size(&git)) as f64 / 1e6;
    let of_rows: f64 = rows.iter().map(|row| row[1].parse::<f64>().unwrap()).sum();
    let said: f64 = sum[2].parse().unwrap();
    assert!((said - bytes).abs() < 0.01 && said + 0.5 < of_rows, "{bytes} {outcome:?}");
    assert_eq!(sum[..2], ["4", "images,"]);
    assert_eq!(sum[3..].join(" "), format!("MB in {:?}", host.images()));
    let elsewhere = host.images().join("localhost:5000");
    let elsewhere = images(host, &["--images", elsewhere.to_str().unwrap()]);
    assert!(elsewhere.text().contains(&format!("\nhello@{digest} ")), "{elsewhere:?}");
}

fn what_no_other_image_has_goes(host: &Host) {
    let alpine = pulled(host, "alpine", &["latest", "3.20", "3.19"]);
    let before = size(&alpine);
    assert_eq!(blobs(&alpine), 3 * 3 + 1);
    let outcome = images(host, &["remove", "docker.io/library/alpine:3.20"]);
    let freed = before - size(&alpine);
    assert!(outcome.text().starts_with("Removed alpine:3.20: "), "{outcome:?}");
    assert!((1..3000).contains(&freed), "{freed}");
    assert_eq!((blobs(&alpine), names(&alpine)), (2 * 3 + 1, vec!["latest".into(), "3.19".into()]));
    assert_eq!(says(host, "alpine"), "alpine:latest");
    assert_eq!(says(host, "alpine:3.19"), "alpine:3.19");
    // Another name of the same image.
    let latest = index(&alpine)[0].clone();
    alpine.index(&[latest.clone(), named(latest, "3")]);
    give(host, &alpine.path);
    assert!(images(host, &["remove", "alpine"]).text().ends_with(" freed\n"));
    assert_eq!(blobs(&alpine), 4);
    assert_eq!(says(host, "alpine:3"), "alpine:latest");
}

fn an_empty_layout_goes(host: &Host) {
    pulled(host, "alpine", &["latest"]);
    let git = pulled(host, "alpine/git", &["latest"]);
    pulled(host, "localhost:5000/a/b/c", &["latest"]);
    let outcome = images(host, &["remove", "alpine", "nginx", "localhost:5000/a/b/c"]);
    assert_eq!(outcome.code(), 1, "{outcome:?}");
    assert_eq!(outcome.complaints().len(), 1, "{outcome:?}");
    assert!(outcome.complaints()[0].contains("cannot remove nginx: nginx:latest was not pulled"));
    assert_eq!(String::from_utf8_lossy(&outcome.stdout).lines().count(), 2, "{outcome:?}");
    let left = |path: &Path| -> Vec<_> {
        fs::read_dir(path).unwrap().map(|it| it.unwrap().file_name()).collect()
    };
    assert_eq!(left(&host.images()), ["alpine"]);
    assert_eq!(left(&host.images().join("alpine")), ["git"]);
    assert_eq!(listed(host), ["alpine/git:latest"]);
    assert_eq!(names(&git), ["latest"]);
    images(host, &["remove", "alpine/git"]).text();
    assert!(left(&host.images()).is_empty());
}

fn a_wrong_name_is_told_the_nearest(host: &Host) {
    pulled(host, "nginx", &["1.27", "1.26"]);
    pulled(host, "grafana/grafana", &["latest"]);
    let by = if host.is_root() { " by root" } else { "" };
    let lists = "(cargo workshop images lists all)";
    let others = format!("nginx:latest was not pulled{by}, only nginx:1.26, nginx:1.27 {lists}");
    images(host, &["remove", "nginx"]).assert_refused(1, &[&others]);
    let meant = "(do you mean grafana/grafana:latest? cargo workshop images lists all)";
    images(host, &["remove", "grafana/grafnaa"]).assert_refused(1, &[meant]);
    images(host, &["remove", "postgres"]).assert_refused(1, &["postgres:latest was not", lists]);
    images(host, &["remove", "../x"]).assert_refused(1, &["cannot remove ../x: \"../x\" is no"]);
    // What is only above another repository is none.
    images(host, &["remove", "grafana"]).assert_refused(1, &["grafana:latest was not pulled"]);
    assert_eq!(listed(host).len(), 3);
}

fn what_was_begun_is_told_and_goes(host: &Host) {
    let layout = pulled(host, "alpine", &[]);
    fs::remove_file(layout.path.join("index.json")).unwrap();
    let part = format!("partial/sha256-{}", "0".repeat(64));
    fs::write(layout.path.join(&part), vec![0; 1_500_000]).unwrap();
    layout.blob("a configuration", b"{}");
    give(host, &layout.path);
    let nginx = pulled(host, "nginx", &["latest"]);
    fs::write(nginx.path.join(&part), vec![0; 1_500_000]).unwrap();
    give(host, &nginx.path);
    let outcome = images(host, &[]);
    let rows = rows(&outcome);
    let part = "1.50 MB - in part: pull goes on with it";
    assert_eq!(rows[1].join(" "), format!("alpine {part}"));
    assert_eq!(rows[2][0], "nginx:latest");
    assert_eq!(rows[3].join(" "), format!("nginx {part}"));
    assert_eq!(rows[4][..2], ["1", "image,"], "{outcome:?}");
    let removed = images(host, &["remove", "alpine", "nginx:1"]);
    assert_eq!(
        removed.text(),
        "Removed parts of alpine: 1.50 MB freed\nRemoved parts of nginx: 1.50 MB freed\n"
    );
    assert!(!layout.path.exists());
    assert_eq!(listed(host), ["nginx:latest"]);
    assert_eq!(says(host, "nginx"), "nginx:latest");
}

fn what_is_damaged_is_told_and_goes(host: &Host) {
    let sparse = pulled(host, "sparse", &["latest"]);
    let manifest = fs::read(sparse.blob_path(digest(&index(&sparse)[0]))).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    fs::remove_file(sparse.blob_path(digest(&manifest["layers"][0]))).unwrap();
    let headless = pulled(host, "headless", &["1", "2"]);
    fs::remove_file(headless.blob_path(digest(&index(&headless)[0]))).unwrap();
    let broken = pulled(host, "broken", &["latest"]);
    fs::write(broken.path.join("index.json"), "{\"manifests\": [{}").unwrap();
    let list = images(host, &[]);
    let lines: Vec<_> = list.text().lines().collect();
    for (line, words) in [
        (1, ["broken ", "damaged: cannot read the images in", "cannot understand index.json"]),
        (2, ["headless:1 ", "damaged: cannot read ", "ENOENT"]),
        (3, ["headless:2 ", " ago", ""]),
        (4, ["sparse:latest ", "not whole: pull it again", ""]),
    ] {
        for word in words {
            assert!(lines[line].contains(word), "no {word:?} in: {}", lines[line]);
        }
    }
    // Which blobs are another's, nobody can tell while one is damaged.
    let before = blobs(&headless);
    assert!(images(host, &["remove", "headless:2"]).text().ends_with(": 0 B freed\n"));
    assert_eq!(blobs(&headless), before);
    for name in ["headless:1", "sparse", "broken:7"] {
        let removed = images(host, &["remove", name]);
        assert!(!removed.text().contains(" 0 B freed"), "{removed:?}");
    }
    assert_eq!(fs::read_dir(host.images()).unwrap().count(), 0);
}

/// As `skopeo copy --all` has them: an index in the index. One of its images is not there.
fn the_images_of_all_machines(host: &Host) {
    let layout = pulled(host, "all", &[]);
    let [one, two, three] = ["one", "two", "three"].map(|says| image(host, &layout, says));
    let mut none = one.clone();
    none["digest"] = json!(format!("sha256:{}", "0".repeat(64)));
    let content = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [one, two, none]});
    let of_all = layout.json(INDEX, &content);
    layout.index(&[named(of_all, "latest"), named(three, "3")]);
    give(host, &layout.path);
    assert_eq!(listed(host), ["all:latest", "all:3"]);
    let list = images(host, &[]);
    assert!(!list.text().contains("damaged") && !list.text().contains("whole"), "{list:?}");
    assert_eq!(blobs(&layout), 3 * 3 + 1 + 1);
    images(host, &["remove", "all:3"]).text();
    assert_eq!(blobs(&layout), 2 * 3 + 1 + 1);
    images(host, &["remove", "all"]).text();
    assert!(!layout.path.exists());
}

fn names_that_deceive_are_escaped(host: &Host) {
    let layout = pulled(host, "alpine", &["\u{202e}tag", "a\nb"]);
    let index = index(&layout);
    pulled(host, "x\u{1b}[2J/Y", &["latest"]);
    let list = images(host, &[]);
    let text = list.text();
    assert!(!text.contains(['\u{202e}', '\u{1b}']), "{text:?}");
    let of = |place: usize| format!("alpine@{}", digest(&index[place]));
    assert!(text.contains(&of(0)) && text.contains(&of(1)), "{text}");
    assert_eq!(text.lines().count(), 1 + 3 + 1, "{text}");
    images(host, &["remove", &of(0)]).text();
    assert_eq!(blobs(&layout), 4);
    let wrong = images(host, &["remove", "\u{1b}[2J"]);
    wrong.assert_refused(1, &["cannot remove ", "is no image reference"]);
    assert!(!wrong.stderr.contains('\u{1b}'));
}

fn remove_waits_for_a_pull(host: &Host) {
    let layout = pulled(host, "alpine", &["latest"]);
    let lock = File::open(&layout.path).unwrap();
    let lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock).map_err(|(_, it)| it).unwrap();
    let mut remove = tool(host, &["remove", "alpine"]);
    let mut remove = remove.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut note = String::new();
    BufReader::new(remove.stderr.take().unwrap()).read_line(&mut note).unwrap();
    assert_eq!(note, "Note: another process writes alpine: waiting for it\n");
    assert_eq!((names(&layout).len(), blobs(&layout)), (1, 4));
    drop(lock);
    assert!(remove.wait().unwrap().success());
    assert!(!layout.path.exists());
}

fn a_reader_may_have_enough(host: &Host) {
    pulled(host, "alpine", &["latest"]);
    Outcome::assert_ends_unread(|| tool(host, &[]));
}

fn the_help_fits_on_a_screen(host: &Host) {
    for arguments in [&["--help"][..], &["remove", "--help"]] {
        images(host, arguments).assert_fits_on_a_screen();
    }
}
