//! What a layer says about those below it, without an entry of its own.

use std::fs;
use std::path::PathBuf;

use serde_json::json;
use tar::{EntryType, Header};
use testbed::{Host, Suite};

use crate::archive::{Archive, header};
use crate::image::{base, layout};

pub fn add(suite: Suite) -> Suite {
    suite
        .both("an_implied_directory_is_that_of_below", an_implied_directory)
        .both("the_root_directory_is_that_of_below", the_root_directory)
        .both("a_path_goes_through_a_link_of_below", a_path_through_a_link)
        .both("a_hard_link_to_a_file_of_below", a_hard_link)
        .both("a_hard_link_to_what_is_no_file_of_below", a_hard_link_to_no_file)
        .both("what_a_layer_deletes_does_not_come_back", what_a_layer_deletes)
        .both("a_whiteout_of_nothing_is_not_listed", a_whiteout_of_nothing)
        .both("a_layer_is_another_one_over_others", a_layer_over_others)
        .both("what_is_needed_is_told_apart_by_its_whole_name", whole_names)
        .both("a_list_of_needs_has_an_end", a_long_list)
        .both("a_layer_between_two_copies_of_another", between_two_copies)
        .both("a_layer_that_was_removed_in_part_is_unpacked_anew", a_layer_removed_in_part)
        .user("rm_leaves_no_half_layer_with_a_range", rm_leaves_no_half_layer)
}

fn directory(name: &str, mode: u32, owner: u32) -> Header {
    let mut header = header(name, EntryType::Directory);
    header.set_mode(mode);
    header.set_uid(owner.into());
    header.set_gid(owner.into());
    header
}

/// What a script prints in an image with these layers, above busybox.
#[track_caller]
fn prints(host: &Host, layers: &[Archive], script: &str) -> String {
    let mut all = vec![base(host).finish()];
    all.extend(layers.iter().map(|layer| layer.clone().finish()));
    let place = host.dir(&format!("image{}", fs::read_dir("/tmp").unwrap().count()));
    let image = layout(&place, &all, &json!({"Env": ["PATH=/bin"]}));
    host.run(["--net", "none", "--image", image.str(), "sh", "-c", script]).text().to_owned()
}

/// The layers in the cache that were unpacked over others.
fn over_others(host: &Host) -> Vec<PathBuf> {
    let entries = fs::read_dir(host.cache().join("layers")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.to_string_lossy().contains("-over-")).collect()
}

fn an_implied_directory(host: &Host) {
    let owner = if host.is_root() { 5 } else { 0 };
    let lower = Archive::new()
        .pax(&[("SCHILY.xattr.user.note", b"kept")])
        .entry(&directory("t/", 0o1777, 5), b"")
        .entry(&directory("t/in/", 0o700, 5), b"");
    let upper = || Archive::new().file("t/x", "x").file("t/in/y", "y").file("n/z", "z");
    let script = "stat -c '%n %a %u %g %Y' /t /t/in; stat -c '%n %a %u' /n; cat /t/x /t/in/y /n/z";
    let expected = format!(
        "/t 1777 {owner} {owner} 1000000000\n/t/in 700 {owner} {owner} 1000000000\n/n 755 0\nxyz"
    );
    assert_eq!(prints(host, &[lower.clone(), upper()], script), expected);
    assert_eq!(over_others(host).len(), 1);
    let attribute = fs::read_dir(over_others(host).remove(0).join("tree/t"));
    assert_eq!(attribute.unwrap().count(), 2);
    // Also by a third layer, and by a whiteout.
    let deletes = Archive::new().file("t/.wh.x", "");
    let script = "stat -c '%n %a %u %g' /t; ls /t";
    let expected = format!("/t 1777 {owner} {owner}\nin\n");
    assert_eq!(prints(host, &[lower, upper(), deletes], script), expected);
}

fn the_root_directory(host: &Host) {
    let owner = if host.is_root() { 5 } else { 0 };
    let lower = Archive::new().entry(&directory("./", 0o751, 5), b"").file("old", "");
    let upper = Archive::new().file("new", "");
    let script = "stat -c '%a %u %g' /; ls -d /old /new";
    let expected = format!("751 {owner} {owner}\n/new\n/old\n");
    assert_eq!(prints(host, &[lower, upper], script), expected);
    assert_eq!(over_others(host), Vec::<PathBuf>::new());
}

/// As in a Debian, whose /bin is a link to usr/bin.
fn a_path_through_a_link(host: &Host) {
    let lower = || {
        let there = Archive::new().directory("e/").directory("e/sub/").file("e/old", "old\n");
        there.link("d", "e").link("far", "/d/sub")
    };
    let upper = || Archive::new().file("d/new", "new\n").file("far/deep/f", "f\n");
    let script = "readlink /d; cat /e/old /e/new /e/sub/deep/f; readlink /far";
    let expected = "e\nold\nnew\nf\n/d/sub\n";
    assert_eq!(prints(host, &[lower(), upper()], script), expected);
    let deletes = Archive::new().file("d/.wh.old", "");
    let opaque = Archive::new().file("far/.wh..wh..opq", "");
    let script = "readlink /d; ls /e /e/sub";
    let expected = "e\n/e:\nnew\nsub\n\n/e/sub:\n";
    assert_eq!(prints(host, &[lower(), upper(), deletes, opaque], script), expected);
    // A link of this layer to a directory of below.
    let upper = Archive::new().link("l", "e/sub").file("l/f", "f\n");
    assert_eq!(prints(host, &[lower(), upper], "cat /e/sub/f; cat /e/old"), "f\nold\n");
    // Where a file stands below, there is no directory.
    let image = [base(host), Archive::new().file("f", "old\n"), Archive::new().file("f/x", "")];
    let image = layout(&host.dir("refused"), &image.map(Archive::finish), &json!({}));
    let refused = ["cannot unpack", "\"f/x\"", "a file stands in its place", "ENOTDIR"];
    host.run(["--image", image.str(), "true"]).assert_refused(125, &refused);
}

fn a_hard_link(host: &Host) {
    let lower = Archive::new().directory("d/").file("d/f", "content\n").link("d/s", "f");
    let upper = Archive::new().hard_link("h", "d/f").hard_link("t", "d/s");
    let script = "cat /h /t; readlink /t; [ $(stat -c %i /h) = $(stat -c %i /d/f) ] && echo one;
        stat -c '%a %Y' /h";
    let expected = "content\ncontent\nf\none\n644 1000000000\n";
    // (/t is a link to "f" of the root directory then.)
    let upper = upper.link("f", "d/f");
    assert_eq!(prints(host, &[lower.clone(), upper], script), expected);
    let image = [base(host), lower, Archive::new().file(".wh.d", "").hard_link("h", "nowhere")];
    let image = layout(&host.dir("refused"), &image.map(Archive::finish), &json!({}));
    let refused = ["cannot unpack", "cannot link it to \"nowhere\"", "ENOENT"];
    host.run(["--image", image.str(), "true"]).assert_refused(125, &refused);
}

fn a_hard_link_to_no_file(host: &Host) {
    let lower = || {
        let fifo = header("fifo", EntryType::Fifo);
        Archive::new().entry(&fifo, b"").file("f", "content\n").device("nul", EntryType::Char, 1, 3)
    };
    let upper = Archive::new()
        .device("other", EntryType::Char, 1, 5)
        .hard_link("h", "f")
        .hard_link("p", "fifo")
        .hard_link("n", "nul");
    let script = "cat /h; [ -p /p ] && echo fifo; for it in n nul other; do
        [ -c /$it ] && echo device; done";
    let devices = if host.is_root() { "device\ndevice\ndevice\n" } else { "" };
    let expected = format!("content\nfifo\n{devices}");
    assert_eq!(prints(host, &[lower(), upper], &format!("{script}; true")), expected);
}

fn what_a_layer_deletes(host: &Host) {
    let lower = || {
        let there = Archive::new().directory("d/").link("d/e", "/tmp").file("d/f", "old\n");
        there.entry(&directory("d/sub/", 0o700, 0), b"").file("d/sub/file", "")
    };
    let cleared = || Archive::new().directory("d/").file("d/.wh..wh..opq", "");
    let upper = cleared().file("d/e/x", "x\n").file("d/sub/y", "").file("d/sub/file/z", "");
    let script = "cat /d/e/x; ls /tmp; stat -c '%a %F' /d/e /d/sub /d/sub/file";
    let expected = "x\n755 directory\n755 directory\n755 directory\n";
    assert_eq!(prints(host, &[lower(), upper], script), expected);
    for deletes in [cleared(), Archive::new().file("d/.wh.f", "")] {
        let layers = [base(host), lower(), deletes.hard_link("h", "d/f")].map(Archive::finish);
        let place = host.dir(&format!("refused{}", fs::read_dir("/tmp").unwrap().count()));
        let image = layout(&place, &layers, &json!({}));
        let refused = ["cannot unpack", "cannot link it to \"d/f\"", "ENOENT"];
        host.run(["--image", image.str(), "true"]).assert_refused(125, &refused);
    }
}

/// overlayfs leaves whiteouts out of directories that it merges, and lists those in others.
fn a_whiteout_of_nothing(host: &Host) {
    let lower = || Archive::new().file("file", "stays\n");
    let upper = Archive::new()
        .file("new/.wh.x", "")
        .directory("own/")
        .file("own/.wh.y", "")
        .file("file/.wh.z", "");
    let script = "ls /own /new; cat /file; echo done";
    let expected = "/new:\n\n/own:\nstays\ndone\n";
    assert_eq!(prints(host, &[lower(), upper], script), expected);
}

/// It is kept once for each chain of layers below it, and alone where they change nothing.
fn a_layer_over_others(host: &Host) {
    let upper = || Archive::new().file("t/x", "x");
    for (mode, kept) in [(0o755, 0), (0o700, 1), (0o711, 2)] {
        let lower = Archive::new().entry(&directory("t/", mode, 0), b"");
        let script = "stat -c %a /t; cat /t/x";
        assert_eq!(prints(host, &[lower, upper()], script), format!("{mode:o}\nx"));
        assert_eq!(over_others(host).len(), kept, "{mode:o}");
    }
}

/// The end of one name can be another.
fn whole_names(host: &Host) {
    let root = || Archive::new().entry(&directory("./", 0o711, 0), b"");
    for name in ["bla/x", "blu/x"] {
        let upper = Archive::new().file(name, "x").hard_link("h", "a");
        let lower = Archive::new().file("a", "content");
        assert_eq!(prints(host, &[lower, upper], "cat /h"), "content", "{name}");
    }
    for name in ["conf.d/x", "e/x"] {
        let upper = Archive::new().file(name, "x");
        assert_eq!(prints(host, &[root(), upper], "stat -c %a /"), "711\n", "{name}");
    }
}

/// What is too long to be written down is unpacked over the layers below in any case.
fn a_long_list(host: &Host) {
    let lower = Archive::new()
        .entry(&directory("./", 0o711, 0), b"")
        .entry(&directory("d7/", 0o700, 0), b"");
    let deep = "/d".repeat(120);
    let upper = (0..40).fold(Archive::new(), |archive, number| {
        let name = format!("d{number}{deep}/f");
        archive.pax(&[("path", name.as_bytes())]).file("f", "")
    });
    let script = "stat -c %a / /d7 /d8; find /d39 -type f | wc -l";
    assert_eq!(prints(host, &[lower, upper], script), "711\n700\n755\n1\n");
}

fn between_two_copies(host: &Host) {
    let a = || Archive::new().link("lib", "usr/lib").directory("usr/lib/").file("fa", "a");
    let b = Archive::new().file("lib/x", "x").hard_link("h", "fa");
    let script = "cat /usr/lib/x /h /fa; readlink /lib";
    assert_eq!(prints(host, &[a(), b, a()], script), "xaausr/lib\n");
}

fn a_layer_removed_in_part(host: &Host) {
    let image = layout(&host.dir("image"), &[base(host).finish()], &json!({"Env": ["PATH=/bin"]}));
    let run = || host.run(["--image", image.str(), "ls", "/bin/busybox"]).text().to_owned();
    assert_eq!(run(), "/bin/busybox\n");
    let layers = host.cache().join("layers");
    let all = || fs::read_dir(&layers).unwrap().map(|entry| entry.unwrap().path());
    for directory in all() {
        if directory.join("needs").exists() {
            fs::remove_file(directory.join("needs")).unwrap();
            fs::remove_file(directory.join("tree/bin/busybox")).unwrap();
        } else {
            fs::remove_dir_all(directory).unwrap();
        }
    }
    assert_eq!(run(), "/bin/busybox\n");
    // As earlier versions of this course had them: the files of a layer in its own directory.
    for directory in all() {
        fs::remove_dir_all(directory.join("tree")).ok();
        fs::remove_file(directory.join("needs")).ok();
        fs::remove_file(directory.join("layers")).ok();
        fs::create_dir(directory.join("bin")).unwrap();
    }
    assert_eq!(run(), "/bin/busybox\n");
}

/// Without root, rm cannot remove what is in directories of others.
fn rm_leaves_no_half_layer(host: &Host) {
    host.give_subordinate_ids();
    let closed = Archive::new().entry(&directory("of-7/", 0o700, 7), b"").file("of-7/f", "f\n");
    let layers = [base(host).finish(), closed.finish()];
    let image = layout(&host.dir("image"), &layers, &json!({"Env": ["PATH=/bin"]}));
    let run = || host.run(["--image", image.str(), "cat", "/of-7/f"]).text().to_owned();
    assert_eq!(run(), "f\n");
    let rm = host.command("rm").arg("-rf").arg(host.cache()).output().unwrap();
    assert!(String::from_utf8_lossy(&rm.stderr).contains("Permission denied"), "{rm:?}");
    assert_eq!(run(), "f\n");
}
