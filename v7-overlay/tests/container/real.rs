//! Images that other people's tools build, unpacked by us and by one of those tools, and compared
//! entry by entry.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest as _, Sha256};
use testbed::{Host, Suite};

use crate::xattrs::xattrs;

/// Where a host sees the file that `DEBIAN_ROOT` names.
const DEBIAN: &str = "/run/testbed/debian.tar";

pub fn add(suite: Suite) -> Suite {
    let suite = match std::env::var_os("DEBIAN_ROOT") {
        Some(archive) => suite.expose(archive, DEBIAN),
        None => suite,
    };
    suite
        .both("real_image_of_umoci_in_all_formats", all_formats)
        .long()
        .both("real_image_of_buildah", buildah)
        .long()
        .both("real_image_of_a_debian", debian)
        .long()
}

/// Runs one of the tools, as whoever the test is about or as the host's root.
#[track_caller]
fn tool(mut command: Command) {
    let program = command.get_program().to_owned();
    let output = command.env("TMPDIR", "/tmp").output();
    let output = output.unwrap_or_else(|error| panic!("{program:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[track_caller]
fn root(program: &str, arguments: &str) {
    let mut command = Command::new(program);
    command.args(arguments.split(' ')).env("HOME", "/root").current_dir("/tmp/real");
    tool(command);
}

/// The tools build as root, and as root of one id some of them refuse.
fn prepare(host: &Host, tools: &[&str]) {
    if host.has_user_namespace() {
        host.skip("the tools that build images need root");
    }
    for tool in tools {
        if Command::new(tool).arg("--version").output().is_err() {
            host.skip(format!("no {tool} on this machine"));
        }
    }
    host.dir("real");
}

/// A script for the files of an image.
fn shell(directory: &str, script: &str) {
    let mut command = Command::new("sh");
    command.args(["-e", "-c", script]).current_dir(directory);
    tool(command);
}

/// Every kind of file.
const FILES: &str = "mkdir -p bin etc tmp proc dev sub/deep; chmod 1777 tmp; chmod 700 sub/deep
    cp /run/testbed/busybox bin/busybox; for name in sh cat sleep; do ln bin/busybox bin/$name; done
    echo content >etc/file; chown 12:34 etc/file; chmod 640 etc/file
    touch 'sub/ä b' sub/set-id; chmod 6755 sub/set-id; mkfifo sub/fifo; mknod sub/node c 1 3
    ln -s /etc/file sub/absolute; ln -s ../nowhere sub/dangling; truncate -s 3M sub/sparse
    n=$(printf '%0200d' 0); mkdir sub/$n; echo long >sub/$n/$n
    touch -d 1999-12-31T23:59:59.5 etc/file
    mkdir gone replaced opaque; touch gone/x replaced/old opaque/old etc/deleted
    setfattr -n user.note -v value etc/file; setcap cap_net_raw+ep sub/set-id";

/// What a second layer changes.
const CHANGES: &str = "rm -r gone etc/deleted; rm -r replaced; echo file >replaced
    rm -r opaque; mkdir opaque; touch opaque/new; echo more >>etc/file
    chown 5 sub; rm sub/dangling";

/// /tmp/real/oci:two, with two layers, by umoci.
fn build_with_umoci(host: &Host) {
    prepare(host, &["umoci", "skopeo", "setfattr", "setcap"]);
    root("umoci", "init --layout oci");
    root("umoci", "new --image oci:two");
    root("umoci", "unpack --image oci:two bundle");
    for script in [FILES, CHANGES] {
        shell("/tmp/real/bundle/rootfs", script);
        root("umoci", "repack --refresh-bundle --image oci:two bundle");
    }
    root("umoci", "config --image oci:two --config.cmd /bin/cat --config.cmd /etc/file");
}

fn all_formats(host: &Host) {
    build_with_umoci(host);
    let copy = |arguments: &str| {
        root("skopeo", &format!("--tmpdir /tmp --insecure-policy copy {arguments}"))
    };
    copy("oci:oci:two oci-archive:archive.tar:two");
    copy("oci:oci:two docker-archive:saved.tar:x:two");
    copy("--dest-compress-format zstd docker-archive:saved.tar oci:zstd:two");
    let of_zstd = fs::read_dir("/tmp/real/zstd/blobs/sha256").unwrap();
    let magic = [0x28, 0xb5, 0x2f, 0xfd];
    let is_zstd = |path: PathBuf| fs::read(path).unwrap().starts_with(&magic);
    assert_eq!(of_zstd.filter(|it| is_zstd(it.as_ref().unwrap().path())).count(), 2);
    let expected = unpacked_by_umoci(host, "oci:two");
    for name in ["oci", "archive.tar", "saved.tar", "saved.tar:two", "zstd:two"] {
        let image = format!("/tmp/real/{name}");
        assert_eq!(host.run(["--image", &image]).text(), "content\nmore\n", "{name}");
        assert_same(&unpacked_by_us(host, &image), &expected);
        fs::remove_dir_all(host.cache().join("layers")).unwrap();
    }
}

fn buildah(host: &Host) {
    prepare(host, &["buildah", "umoci", "setfattr", "setcap"]);
    let store = "--storage-driver vfs --root /tmp/real/store --runroot /tmp/real/run";
    let build = |arguments: &str| root("buildah", &format!("{store} {arguments}"));
    fs::create_dir("/tmp/real/files").unwrap();
    shell("/tmp/real/files", FILES);
    build("from --name it scratch");
    build("copy it /tmp/real/files /");
    build("config --entrypoint [\"/bin/cat\",\"/etc/file\"] --workingdir /w it");
    build("commit --format oci it oci:/tmp/real/oci:one");
    build("commit --format docker it docker-archive:/tmp/real/saved.tar:x:one");
    build("rm it");
    host.own("/run/libpod");
    let expected = unpacked_by_umoci(host, "oci:one");
    for name in ["oci", "saved.tar"] {
        let image = format!("/tmp/real/{name}");
        assert_eq!(host.run(["--image", &image]).text(), "content\n");
        assert_same(&unpacked_by_us(host, &image), &expected);
        fs::remove_dir_all(host.cache().join("layers")).unwrap();
    }
}

/// A whole system. `DEBIAN_ROOT` names a tar archive of what debootstrap makes.
fn debian(host: &Host) {
    if !Path::new(DEBIAN).exists() {
        host.skip("DEBIAN_ROOT names no tar archive of a Debian root (debootstrap makes one)");
    }
    prepare(host, &["umoci"]);
    fs::create_dir("/tmp/real/debian").unwrap();
    let mut tar = Command::new("tar");
    tar.args(["--xattrs", "--numeric-owner", "-C", "/tmp/real/debian", "-xf", DEBIAN]);
    tool(tar);
    root("umoci", "init --layout oci");
    root("umoci", "new --image oci:debian");
    root("umoci", "insert --image oci:debian debian /");
    fs::remove_dir_all("/tmp/real/debian").unwrap();
    let expected = unpacked_by_umoci(host, "oci:debian");
    assert!(expected.len() > 3000, "{}", expected.len());
    assert_same(&unpacked_by_us(host, "/tmp/real/oci:debian"), &expected);
    let image = "/tmp/real/oci:debian";
    assert_eq!(host.run(["--image", image, "perl", "-e", "print 6 * 7"]).text(), "42");
}

/// What `umoci unpack` makes of an image, without root `umoci unpack --rootless`.
fn unpacked_by_umoci(host: &Host, image: &str) -> BTreeMap<String, String> {
    let bundle = host.dir("by-umoci");
    shell("/tmp/real", "chmod -R a+rX .");
    let mut umoci = host.command("umoci");
    umoci.args(["unpack", "--image", image]).current_dir("/tmp/real");
    if !host.is_root() {
        umoci.arg("--rootless");
    }
    tool({
        umoci.arg(bundle.join("it"));
        umoci
    });
    entries(host, &bundle.join("it/rootfs"))
}

/// What a container of ours sees, but for what is mounted in it.
fn unpacked_by_us(host: &Host, image: &str) -> BTreeMap<String, String> {
    // A cat (also by the entry point that one of the images has) that waits for its input.
    let options = ["--image", image, "-w", "/", "-u", "0", "/bin/cat"];
    assert_eq!(host.run(options).code(), 0);
    let running = host.follow(host.launcher().args(options).arg("-").stdin(Stdio::piped()));
    running.wait_for_program("cat");
    entries(host, Path::new(&format!("/proc/{}/root", running.command())))
}

/// Type, mode, owner, size, time, link, device, attributes and checksum of every file in a tree.
fn entries(host: &Host, root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut to_visit = vec![root.join(".")];
    while let Some(path) = to_visit.pop() {
        let name = path.strip_prefix(root).unwrap().display().to_string();
        let of_file = fs::symlink_metadata(&path).unwrap();
        let kind = of_file.file_type();
        // What is mounted in a container of ours, and on what.
        if ["sys", "etc/hostname", "etc/hosts", "etc/resolv.conf"].contains(&name.as_str()) {
            continue;
        }
        if kind.is_dir() {
            if name != "proc" && name != "dev" {
                let below = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path());
                to_visit.extend(below);
            } else {
                continue;
            }
        }
        if !host.is_root() && (kind.is_char_device() || name == "sub/node") {
            continue; // umoci makes an empty file of it, we nothing
        }
        let (mode, uid, gid) = (of_file.mode(), of_file.uid(), of_file.gid());
        let mut text = format!("{mode:o} {uid}:{gid}");
        if kind.is_file() {
            let sum = Sha256::digest(fs::read(&path).unwrap());
            text += &format!(" {} bytes, {} links, {sum:x?}", of_file.len(), of_file.nlink());
        }
        if kind.is_symlink() {
            text += &format!(" -> {}", fs::read_link(&path).unwrap().display());
        }
        if !kind.is_dir() {
            text += &format!(" {}.{}", of_file.mtime(), of_file.mtime_nsec());
        }
        text += &format!(" device {}", of_file.rdev());
        for (attribute, value) in xattrs(&path) {
            // umoci notes the owner that it could not set, and cannot set capabilities.
            let is_different = !host.is_root()
                && (attribute == "user.rootlesscontainers" || attribute == "security.capability");
            if !is_different && !attribute.contains("overlay") {
                text += &format!(" {attribute}={value:x?}");
            }
        }
        found.insert(name, text);
    }
    found
}

#[track_caller]
fn assert_same(found: &BTreeMap<String, String>, expected: &BTreeMap<String, String>) {
    let names: std::collections::BTreeSet<_> = found.keys().chain(expected.keys()).collect();
    let different: Vec<_> = names
        .into_iter()
        .filter(|name| found.get(*name) != expected.get(*name))
        .map(|name| format!("{name}\n  {:?}\n  {:?}", found.get(name), expected.get(name)))
        .collect();
    assert!(
        different.is_empty(),
        "{} of {} differ (ours, umoci's):\n{}",
        different.len(),
        found.len(),
        different[..different.len().min(5)].join("\n")
    );
    assert!(found.len() > 15, "{found:?}");
}
