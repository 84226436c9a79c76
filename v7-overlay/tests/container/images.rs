//! `--image`: the formats, what an image asks for, and what is wrong with a wrong one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use image::digest::Digest;
use serde_json::{Value, json};
use tar::EntryType;
use testbed::{Host, Suite};

use crate::archive::{Archive, gzip, header};
use crate::image::{INDEX, LAYER, Layout, architecture, base, layout, named};
use crate::xattrs::xattrs;

pub fn add(suite: Suite) -> Suite {
    suite
        .both("every_compression", every_compression)
        .both("a_layout_in_a_tar_archive", a_layout_in_a_tar_archive)
        .both("what_docker_save_writes", what_docker_save_writes)
        .both("a_tag_chooses", a_tag_chooses)
        .both("an_index_for_many_machines", an_index_for_many_machines)
        .both("an_image_for_another_machine", an_image_for_another_machine)
        .both("entrypoint_cmd_env_workdir", entrypoint_cmd_env_workdir)
        .root("the_images_user", the_images_user)
        .user("the_images_user_with_a_range", Host::with_subordinate_ids(the_images_user))
        .user("the_images_user_needs_root", the_images_user_needs_root)
        .both("whiteouts_in_any_order", whiteouts_in_any_order)
        .both("an_opaque_directory_in_any_order", an_opaque_directory_in_any_order)
        .both("whiteouts_in_opaque_directories_are_no_files", whiteouts_in_opaque)
        .both("changes_know_what_a_layer_hides", changes_know_what_a_layer_hides)
        .both("a_root_that_hides_all_below", a_root_that_hides_all_below)
        .both("links_of_all_kinds", links_of_all_kinds)
        .both("attributes_are_kept", attributes_are_kept)
        .both("long_names_and_times", long_names_and_times)
        .both("a_sparse_file", a_sparse_file)
        .both("missing_directories_are_made", missing_directories_are_made)
        .both("no_image_at_all", no_image_at_all)
        .both("wrong_checksums_name_the_blob", wrong_checksums_name_the_blob)
}

fn sh(config: &Value) -> Value {
    let mut config = config.clone();
    config["Env"] = json!(["PATH=/bin"]);
    config
}

/// An image with busybox and these layers.
fn image(host: &Host, layers: Vec<Archive>, config: &Value) -> Layout {
    let mut all = vec![base(host).finish()];
    all.extend(layers.into_iter().map(Archive::finish));
    let directory = host.dir(&format!("image{}", count(Path::new("/tmp"))));
    layout(&directory, &all, &sh(config))
}

fn count(directory: &Path) -> usize {
    fs::read_dir(directory).unwrap().count()
}

/// What a script prints in an image.
#[track_caller]
fn prints(host: &Host, image: &Layout, script: &str) -> String {
    host.run(["--image", image.str(), "sh", "-c", script]).text().to_owned()
}

fn every_compression(host: &Host) {
    let layers = [base(host).finish(), Archive::new().file("hello", "hello\n").finish()];
    let zstd = |content: &[u8]| zstd::encode_all(content, 3).unwrap();
    let none = |content: &[u8]| content.to_vec();
    let twice = |content: &[u8]| {
        // gzip(1): "concatenated" files are one, and pigz and eStargz write such.
        let (one, two) = content.split_at(1000);
        [gzip(one), gzip(two)].concat()
    };
    type Compress = dyn Fn(&[u8]) -> Vec<u8>;
    let kinds: [(&str, &Compress); 4] =
        [("", &none), ("+gzip", &|content| gzip(content)), ("+gzip", &twice), ("+zstd", &zstd)];
    for (suffix, compress) in kinds {
        let layout = Layout::new(host.dir(&format!("image{}", count(Path::new("/tmp")))));
        let config = layout.config(&layers, &sh(&json!({})));
        let media_type = format!("{LAYER}{suffix}");
        let blobs: Vec<_> =
            layers.iter().map(|layer| layout.blob(&media_type, &compress(layer))).collect();
        let manifest = layout.manifest(&config, &blobs);
        layout.index(&[manifest]);
        assert_eq!(prints(host, &layout, "cat /hello"), "hello\n", "{suffix}");
        fs::remove_dir_all(host.cache()).unwrap();
    }
}

/// A tar archive of a directory, made by tar(1).
fn tar_of(directory: &Path) -> PathBuf {
    let archive = directory.with_extension("tar");
    let mut tar = Command::new("tar");
    let status = tar.arg("-cf").arg(&archive).arg("-C").arg(directory).arg(".").status();
    assert!(status.unwrap().success());
    archive
}

fn a_layout_in_a_tar_archive(host: &Host) {
    let layout = image(host, vec![Archive::new().file("hello", "hello\n")], &json!({}));
    let archive = tar_of(&layout.path);
    host.own(&archive);
    let archive = archive.to_str().unwrap();
    fs::remove_dir_all(&layout.path).unwrap();
    assert_eq!(host.run(["--image", archive, "cat", "/hello"]).text(), "hello\n");
    assert_eq!(host.run(["--image", archive, "cat", "/hello"]).text(), "hello\n", "again");
}

/// docker save wrote a directory for each layer, and links where two are the same; newer versions
/// write blobs. Both have a manifest.json.
fn what_docker_save_writes(host: &Host) {
    let layers = [base(host).finish(), Archive::new().file("hello", "hello\n").finish()];
    let directory = host.dir("saved");
    for (name, layer) in ["a", "b"].iter().zip(&layers) {
        fs::create_dir(directory.join(name)).unwrap();
        fs::write(directory.join(name).join("layer.tar"), layer).unwrap();
    }
    fs::create_dir(directory.join("c")).unwrap();
    std::os::unix::fs::symlink("../b/layer.tar", directory.join("c/layer.tar")).unwrap();
    let diff_ids: Vec<_> = [0, 1, 1].map(|n: usize| Digest::of(&layers[n]).to_string()).to_vec();
    let config = json!({
        "architecture": architecture(), "os": "linux",
        "config": {"Cmd": ["cat", "/hello"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    let config = config.to_string();
    let name = format!("{}.json", Digest::of(config.as_bytes()).hex());
    fs::write(directory.join(&name), &config).unwrap();
    let manifest = json!([{
        "Config": name, "RepoTags": ["hello:1", "localhost:5000/hello:2"],
        "Layers": ["a/layer.tar", "b/layer.tar", "c/layer.tar"],
    }]);
    fs::write(directory.join("manifest.json"), manifest.to_string()).unwrap();
    let archive = tar_of(&directory);
    host.own(&archive);
    let archive = archive.to_str().unwrap();
    for name in ["", ":1", ":2", ":hello:1"].map(|tag| format!("{archive}{tag}")) {
        if name.ends_with("hello:1") {
            continue; // its tag is 1
        }
        assert_eq!(host.run(["--image", &name]).text(), "hello\n", "{name}");
    }
    host.run(["--image", &format!("{archive}:3")]).assert_refused(125, &["\"3\"", "hello:1"]);
    fs::write(directory.join(&name), format!("{config} ")).unwrap();
    host.run(["--image", tar_of(&directory).to_str().unwrap()])
        .assert_refused(125, &[&name, "damaged"]);
}

fn a_tag_chooses(host: &Host) {
    let layout = Layout::new(host.dir("image"));
    let make = |name: &str| {
        let layers = [base(host).file("name", name).finish()];
        named(layout.image(&layers, &sh(&json!({"Cmd": ["cat", "/name"]}))), name)
    };
    let (one, two, latest) = (make("one"), make("two"), make("latest"));
    layout.index(&[one.clone(), two.clone()]);
    let tagged = |tag: &str| format!("{}{tag}", layout.str());
    assert_eq!(host.run(["--image", &tagged(":two")]).text(), "two");
    host.run(["--image", &tagged("")]).assert_refused(125, &["2 images", "PATH:TAG", "one, two"]);
    host.run(["--image", &tagged(":x")]).assert_refused(125, &["no tag \"x\"", "one, two"]);
    layout.index(&[one, two, latest]);
    assert_eq!(host.run(["--image", layout.str()]).text(), "latest");
}

fn an_index_for_many_machines(host: &Host) {
    let layout = Layout::new(host.dir("image"));
    let config = sh(&json!({"Cmd": ["cat", "/name"]}));
    let make = |name: &str| layout.image(&[base(host).file("name", name).finish()], &config);
    let for_platform = |mut manifest: Value, os: &str, architecture: &str| {
        manifest["platform"] = json!({"os": os, "architecture": architecture});
        manifest
    };
    let manifests = [
        for_platform(make("of windows"), "windows", architecture()),
        for_platform(make("of s390x"), "linux", "s390x"),
        for_platform(make("of this machine"), "linux", architecture()),
        for_platform(make("an attestation"), "unknown", "unknown"),
    ];
    layout.index(&manifests);
    assert_eq!(host.run(["--image", layout.str()]).text(), "of this machine");
    // As in a registry: one more index in between.
    let index = layout.json(INDEX, &json!({"schemaVersion": 2, "manifests": manifests}));
    layout.index(&[named(index, "1.0")]);
    assert_eq!(host.run(["--image", &format!("{}:1.0", layout.str())]).text(), "of this machine");
    layout.index(&manifests[..2]);
    host.run(["--image", layout.str()]).assert_refused(125, &["linux/s390x", architecture()]);
}

fn an_image_for_another_machine(host: &Host) {
    let layout = Layout::new(host.dir("image"));
    let layer = layout.blob(LAYER, &base(host).finish());
    let config = json!({
        "architecture": "riscv128", "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
    });
    let config = layout.json("application/vnd.oci.image.config.v1+json", &config);
    let manifest = layout.manifest(&config, &[layer]);
    layout.index(&[manifest]);
    host.run(["--image", layout.str()]).assert_refused(125, &["riscv128", architecture()]);
}

fn entrypoint_cmd_env_workdir(host: &Host) {
    let config = json!({
        "Entrypoint": ["/bin/sh", "-c", "echo $0 $1; pwd; echo $A $B"], "Cmd": ["zero", "one"],
        "WorkingDir": "/srv/made",
    });
    let mut config = sh(&config);
    config["Env"] = json!(["PATH=/bin", "A=of the image", "B=too"]);
    let layout = layout(&host.dir("image"), &[base(host).finish()], &config);
    let run = |more: &[&str]| {
        let arguments = [&["--image", layout.str()], more].concat();
        host.run(arguments).text().to_owned()
    };
    assert_eq!(run(&[]), "zero one\n/srv/made\nof the image too\n");
    assert_eq!(run(&["x"]), "x\n/srv/made\nof the image too\n");
    assert_eq!(run(&["-w", "/tmp", "-e", "A=mine"]), "zero one\n/tmp\nmine too\n");
    assert_eq!(run(&["-w", "relative"]), "zero one\n/relative\nof the image too\n");
}

fn accounts() -> Archive {
    Archive::new()
        .file("etc/passwd", "root:x:0:0::/root:/bin/sh\napp:x:100:101::/srv:/bin/sh\n")
        .file("etc/group", "root:x:0:\napp:x:101:\nmore:x:7:app\n")
}

fn the_images_user(host: &Host) {
    let layout = image(host, vec![accounts()], &json!({"User": "app"}));
    let script = "id -u; id -g; id -G; echo $HOME";
    assert_eq!(prints(host, &layout, script), "100\n101\n101 7\n/srv\n");
    let run = host.run(["--image", layout.str(), "-u", "0", "id", "-u"]);
    assert_eq!(run.text(), "0\n");
    let layout = image(host, vec![accounts()], &json!({"User": "nosuch"}));
    host.run(["--image", layout.str()]).assert_refused(125, &["nosuch", "no such user"]);
}

fn the_images_user_needs_root(host: &Host) {
    let layout = image(host, vec![accounts()], &json!({"User": "app"}));
    host.run(["--image", layout.str(), "id"]).assert_refused(125, &["100", "give 0 as user"]);
    let run = host.run(["--image", layout.str(), "-u", "0", "id", "-u"]);
    assert_eq!(run.text(), "0\n");
}

fn lower() -> Archive {
    Archive::new()
        .directory("d/")
        .file("d/deleted", "")
        .file("d/replaced", "old")
        .directory("d/sub/")
        .file("d/sub/old", "")
        .file("d/kept", "")
        .directory("gone/")
        .file("gone/x", "")
}

fn whiteouts_in_any_order(host: &Host) {
    let expected = "d\nd/kept\nd/replaced\nd/sub\nd/sub/new\n";
    let entries: [fn(Archive) -> Archive; 4] = [
        |archive| archive.file("d/.wh.deleted", "").file(".wh.gone", ""),
        |archive| archive.file("d/.wh.replaced", "").file("d/.wh.sub", ""),
        |archive| archive.file("d/replaced", "new"),
        |archive| archive.directory("d/sub/").file("d/sub/new", ""),
    ];
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 1, 3, 0], [1, 3, 0, 2]] {
        let start = Archive::new().directory("d/");
        let upper = order.into_iter().fold(start, |archive, n: usize| entries[n](archive));
        let layout = image(host, vec![lower(), upper], &json!({}));
        let script = "find d gone 2>/dev/null | sort; cat d/replaced";
        assert_eq!(prints(host, &layout, script), format!("{expected}new"), "{order:?}");
    }
}

fn an_opaque_directory_in_any_order(host: &Host) {
    for is_first in [true, false] {
        let mut upper = Archive::new().directory("d/");
        if is_first {
            upper = upper.file("d/.wh..wh..opq", "");
        }
        upper = upper.file("d/new", "").directory("d/sub/");
        if !is_first {
            upper = upper.file("d/.wh..wh..opq", "");
        }
        let layout = image(host, vec![lower(), upper], &json!({}));
        assert_eq!(prints(host, &layout, "find d | sort"), "d\nd/new\nd/sub\n", "{is_first}");
    }
}

/// overlayfs reads an opaque directory directly, and would list them.
fn whiteouts_in_opaque(host: &Host) {
    let upper = Archive::new()
        .directory("d/")
        .file("d/.wh.deleted", "")
        .directory("d/sub/")
        .file("d/sub/.wh.old", "")
        .file("d/.wh..wh..opq", "");
    let layout = image(host, vec![lower(), upper], &json!({}));
    assert_eq!(prints(host, &layout, "ls -A d d/sub 2>&1"), "d:\nsub\n\nd/sub:\n");
}

/// What lower layers have, but another one hides, was not there.
fn changes_know_what_a_layer_hides(host: &Host) {
    let upper = Archive::new()
        .directory("d/")
        .file("d/.wh..wh..opq", "")
        .file("d/own", "")
        .file(".wh.gone", "");
    let layout = image(host, vec![lower(), upper], &json!({}));
    let script = "echo >/d/kept; echo >/d/own; echo >/gone";
    let outcome = host.run(["--image", layout.str(), "--changes", "sh", "-c", script]);
    assert_eq!(outcome.text(), "C /d\nA /d/kept\nC /d/own\nA /gone\n");
}

fn a_root_that_hides_all_below(host: &Host) {
    let all = base(host).file(".wh..wh..opq", "");
    let layout = image(host, vec![lower(), all], &json!({}));
    assert_eq!(prints(host, &layout, "ls -d /d /gone /bin 2>/dev/null; true"), "/bin\n");
}

fn links_of_all_kinds(host: &Host) {
    let upper = Archive::new()
        .directory("run/")
        .directory("var/")
        .link("var/run", "/run")
        .file("var/run/pid", "1\n")
        .directory("etc/")
        .link("up", "../../../etc")
        .file("up/new", "in etc\n")
        .file("one", "content\n")
        .hard_link("two", "one")
        .hard_link("etc/three", "/one")
        .hard_link("a-link", "var/run")
        .link("dangling", "/no/where");
    let layout = image(host, vec![upper], &json!({}));
    let script = "cat /run/pid /etc/new /two /etc/three; stat -c %h /one; \
                  for link in /var/run /a-link /dangling; do readlink $link; done";
    let expected = "1\nin etc\ncontent\ncontent\n3\n/run\n/run\n/no/where\n";
    assert_eq!(prints(host, &layout, script), expected);
}

fn attributes_are_kept(host: &Host) {
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut owned = header("owned", EntryType::Regular);
    owned.set_uid(1234);
    owned.set_gid(3_000_000_000); // more than fits into octal digits: base 256
    owned.set_mode(0o6751);
    let mut sticky = header("sticky/", EntryType::Directory);
    sticky.set_mode(0o3777);
    let upper = Archive::new()
        .entry(&sticky, b"")
        .file("sticky/later", "")
        .entry(&owned, b"")
        .pax(&[
            ("SCHILY.xattr.security.capability", &capability),
            ("SCHILY.xattr.user.note", b"a\0b"),
            ("SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
            ("SCHILY.xattr.security.selinux", b"of the builder"),
        ])
        .file("capable", "");
    let layout = image(host, vec![upper], &json!({}));
    let script = "stat -c '%n %a %u %g %Y' /sticky /owned /capable";
    let owners = if host.is_root() { "1234 3000000000" } else { "0 0" };
    let expected = format!(
        "/sticky 3777 0 0 1000000000\n\
         /owned 6751 {owners} 1000000000\n\
         /capable 644 0 0 1000000000\n"
    );
    assert_eq!(prints(host, &layout, script), expected);
    let found = xattrs(&top_layer(host).join("capable"));
    let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["security.capability", "user.note"]);
    assert_eq!(found[1].1, b"a\0b");
    // In a user namespace the kernel notes whose root may use it (capabilities(7), version 3), and
    // does not show that to this root itself.
    let is_version_3 = found[0].1.len() == 24;
    assert_eq!(is_version_3, !host.is_root() && !host.has_user_namespace(), "{found:?}");
}

/// The directory of the layer that was unpacked last.
fn top_layer(host: &Host) -> PathBuf {
    let entries = fs::read_dir(host.cache().join("layers")).unwrap();
    let trees = entries.map(|entry| entry.unwrap().path().join("tree"));
    trees.into_iter().find(|tree| tree.join("capable").exists()).unwrap()
}

fn long_names_and_times(host: &Host) {
    let long = format!("{}/{}", "d".repeat(200), "f".repeat(200));
    let pax = format!("{}/{}", "p".repeat(250), "q".repeat(250));
    let upper = Archive::new()
        .long_name(&long)
        .file("ignored", "gnu\n")
        .pax(&[("path", pax.as_bytes()), ("mtime", b"-1.5"), ("uid", b"0")])
        .file("ignored", "pax\n");
    let layout = image(host, vec![upper], &json!({}));
    let script = format!("cat /{long} /{pax}; stat -c %y /{pax}; ls /ignored 2>&1 | wc -l");
    assert_eq!(
        prints(host, &layout, &script),
        "gnu\npax\n1969-12-31 23:59:58.500000000 +0000\n1\n"
    );
}

fn a_sparse_file(host: &Host) {
    let directory = host.dir("sparse");
    let script =
        "truncate -s 5m file; printf data | dd of=file bs=1 seek=3145728 conv=notrunc status=none";
    let status = Command::new("sh").args(["-c", script]).current_dir(&directory).status();
    assert!(status.unwrap().success());
    let mut tar = Command::new("tar");
    let output =
        tar.args(["--format=gnu", "-S", "-cf", "-", "file"]).current_dir(&directory).output();
    let archive = output.unwrap().stdout;
    assert!(archive.len() < 100_000, "tar wrote it as a sparse file");
    let layers = [base(host).finish(), archive];
    let layout = layout(&host.dir("image"), &layers, &sh(&json!({})));
    let script = "stat -c %s /file; dd if=/file bs=1 skip=3145728 count=4 2>/dev/null";
    assert_eq!(prints(host, &layout, script), "5242880\ndata");
    let of_rest = "dd if=/file bs=1M count=3 2>/dev/null | tr -d '\\0' | wc -c; stat -c %b /file";
    let busybox = format!("busybox sh -c \"{}\"", of_rest.replace('$', "\\$"));
    let text = prints(
        host,
        &layout,
        &busybox.replace("| tr", "| busybox tr").replace("dd if", "busybox dd if"),
    );
    let (zeros, blocks) = text.trim().split_once('\n').unwrap();
    assert_eq!(zeros, "0");
    assert!(blocks.parse::<u64>().unwrap() < 1000, "the holes stay holes: {blocks}");
}

/// As in Docker: with the mode 755, and root's.
fn missing_directories_are_made(host: &Host) {
    let upper = Archive::new().file("a/b/c", "found\n");
    let layout = image(host, vec![upper], &json!({}));
    assert_eq!(prints(host, &layout, "cat /a/b/c; stat -c %a /a"), "found\n755\n");
}

fn no_image_at_all(host: &Host) {
    let directory = host.dir("empty");
    let file = directory.join("file");
    fs::write(&file, "not a tar archive").unwrap();
    let run = |path: &Path| host.run([Path::new("--image"), path]);
    run(&directory).assert_refused(125, &["index.json", "manifest.json"]);
    run(&file).assert_refused(125, &["tar archive"]);
    run(Path::new("/no/such/image")).assert_refused(
        125,
        &["/no/such/image", "ENOENT", "copy docker://NAME oci:/no/such/image"],
    );
    run(Path::new("/no/such/image:tag")).assert_refused(125, &["/no/such/image", "ENOENT"]);
    run(Path::new("/dev/null")).assert_refused(125, &["/dev/null", "no regular file"]);
    if !host.is_root() {
        let closed = directory.join("closed");
        fs::write(&closed, "").unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
        run(&closed).assert_refused(125, &["EACCES", "(this user may not read it: sudo chmod"]);
        fs::remove_file(closed).unwrap();
    }
    fs::write(directory.join("index.json"), "{").unwrap();
    run(&directory).assert_refused(125, &["cannot understand index.json"]);
    fs::write(directory.join("index.json"), r#"{"manifests": []}"#).unwrap();
    run(&directory).assert_refused(125, &["no image is in it"]);
}

fn wrong_checksums_name_the_blob(host: &Host) {
    let layers = [base(host).finish(), Archive::new().file("x", "x").finish()];
    let good = layout(&host.dir("good"), &layers, &sh(&json!({})));
    let refused = |layout: &Layout, words: &[&str]| {
        if host.cache().exists() {
            fs::remove_dir_all(host.cache()).unwrap(); // an unpacked layer's file is not looked at
        }
        host.run(["--image", layout.str(), "true"]).assert_refused(125, words);
        assert!(unfinished(host).is_empty(), "{:?}", unfinished(host));
    };
    for entry in fs::read_dir(good.path.join("blobs/sha256")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let content = fs::read(&path).unwrap();
        let mut changed = content.clone();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        fs::write(&path, &changed).unwrap();
        refused(&good, &[name, "damaged"]);
        fs::write(&path, &content[1..]).unwrap();
        refused(&good, &[name, &content.len().to_string()]);
        fs::remove_file(&path).unwrap();
        refused(&good, &[name, "ENOENT"]);
        fs::write(&path, &content).unwrap();
    }
    // The right file, but not what the configuration says of its content.
    let layout = Layout::new(host.dir("diff-id"));
    let config = layout.config(&[layers[0].clone(), b"another".to_vec()], &json!({}));
    let blobs: Vec<_> = layers.iter().map(|layer| layout.blob(LAYER, layer)).collect();
    let manifest = layout.manifest(&config, &blobs);
    layout.index(&[manifest]);
    let blob = blobs[1]["digest"].as_str().unwrap();
    refused(&layout, &[blob, "decompressed", "damaged"]);
    assert_eq!(host.run(["--image", good.str(), "cat", "/x"]).text(), "x");
}

/// Unfinished layers in the cache.
pub fn unfinished(host: &Host) -> Vec<PathBuf> {
    let entries = fs::read_dir(host.cache().join("layers")).into_iter().flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.to_string_lossy().contains("unfinished")).collect()
}
