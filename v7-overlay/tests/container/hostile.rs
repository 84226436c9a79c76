//! Images that want out: each is refused, or stays in its layer. What lies outside is compared
//! before and after, every byte of it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tar::EntryType;
use testbed::elsewhere::{limit_data, limit_memory};
use testbed::{Host, Outcome, Suite};

use crate::archive::{Archive, gzip, header};
use crate::image::{CONFIG, INDEX, LAYER, Layout, MANIFEST, base, layout};
use crate::images::unfinished;

pub fn add(suite: Suite) -> Suite {
    let cases = archives();
    let cases = cases.into_iter().map(|(name, case)| (format!("hostile_{name}"), case));
    let add = |suite: Suite, (name, case): (String, Case)| {
        suite.both(name, move |host| try_archive(host, &case))
    };
    cases
        .fold(suite, add)
        .both("hostile_gzip_bomb", gzip_bomb)
        .long()
        .both("hostile_sparse_bomb", sparse_bomb)
        .both("hostile_repeated_directory", repeated_directory)
        .long()
        .both("hostile_many_whiteouts", many_whiteouts)
        .long()
        .both("hostile_many_directories", many_directories)
        .long()
        .both("hostile_truncated", truncated)
        .both("hostile_set_id_program_cannot_be_reached", set_id_program_cannot_be_reached)
        .both("hostile_descriptions", descriptions)
        .both("hostile_docker_save", docker_save)
        .both("hostile_accounts", accounts)
        .both("hostile_environment", environment)
        .both("hostile_archive_of_an_image", archive_of_an_image)
        .both("hostile_entry_point_in_the_way_of_our_mounts", in_the_way_of_our_mounts)
}

/// What becomes of a hostile archive.
enum Fate {
    /// It is refused, with these words.
    Refused(&'static [&'static str]),
    /// It is unpacked, all inside; a script in the container prints this.
    Contained(&'static str, &'static str),
}

struct Case {
    archive: fn() -> Archive,
    fate: Fate,
}

use Fate::{Contained, Refused};

/// The file outside that they are after. Its directory is there inside too.
const VICTIM: &str = "/tmp/outside/victim";

fn archives() -> Vec<(&'static str, Case)> {
    let case = |name, archive: fn() -> Archive, fate| (name, Case { archive, fate });
    vec![
        case(
            "dotdot",
            || Archive::new().file("../../outside/victim", "x"),
            Refused(&["through .."]),
        ),
        case("dotdot_inside", || Archive::new().file("a/../../b", "x"), Refused(&["through .."])),
        case(
            "absolute_name",
            || Archive::new().file(VICTIM, "inside\n"),
            Contained("cat /tmp/outside/victim", "inside\n"),
        ),
        case(
            "link_in_the_path",
            || with_outside().link("a", "/tmp/outside").file("a/victim", "inside\n"),
            Contained("cat /tmp/outside/victim", "inside\n"),
        ),
        case(
            "chain_of_links",
            || {
                with_outside()
                    .link("a", "../../../../../tmp")
                    .link("b", "a/outside")
                    .link("c", "/b")
                    .file("c/victim", "inside\n")
            },
            Contained("cat /tmp/outside/victim", "inside\n"),
        ),
        case(
            "link_to_what_is_only_outside",
            || Archive::new().link("a", "/tmp/outside").file("a/victim", "inside\n"),
            Contained("cat /tmp/outside/victim; readlink /a", "inside\n/tmp/outside\n"),
        ),
        case(
            "link_then_file",
            || with_outside().link("f", VICTIM).file("f", "inside\n"),
            Contained("cat /f; ls /tmp/outside", "inside\n"),
        ),
        case(
            "link_then_directory",
            || with_outside().link("d", "/tmp/outside").directory("d/").file("d/x", ""),
            Contained("ls /d /tmp/outside", "/d:\nx\n\n/tmp/outside:\n"),
        ),
        case(
            "links_in_a_circle",
            || Archive::new().link("a", "b").link("b", "a").file("a/x", ""),
            Refused(&["a/x", "ELOOP"]),
        ),
        case(
            "link_into_proc",
            || Archive::new().directory("proc/").link("a", "/proc/self/root").file("a/x", ""),
            Contained(
                "readlink /a; ls -d /x /proc/self/root/x 2>&1 | wc -l",
                "/proc/self/root\n2\n",
            ),
        ),
        case(
            "hard_link_outside",
            || Archive::new().hard_link("h", VICTIM),
            Refused(&["\"h\"", "cannot link it to", "ENOENT"]),
        ),
        case(
            "hard_link_by_dotdot",
            || Archive::new().hard_link("h", "../../tmp/outside/victim"),
            Refused(&["through .."]),
        ),
        case(
            "hard_link_through_a_link",
            || Archive::new().link("d", "/tmp/outside").hard_link("h", "d/victim"),
            Refused(&["cannot link it to", "ENOENT"]),
        ),
        case(
            "hard_link_to_a_link_then_file",
            || with_outside().link("s", VICTIM).hard_link("h", "s").file("h", "inside\n"),
            Contained("cat /h; readlink /s", "inside\n/tmp/outside/victim\n"),
        ),
        case(
            "hard_link_to_a_directory",
            || Archive::new().directory("d/").hard_link("h", "d"),
            Refused(&["EPERM"]),
        ),
        case("hard_link_to_the_root", || Archive::new().hard_link("h", "/"), Refused(&["EISDIR"])),
        case(
            "device_zero_zero",
            || Archive::new().device("bin", EntryType::Char, 0, 0),
            Refused(&["device 0:0"]),
        ),
        case(
            "fifo",
            || Archive::new().entry(&header("fifo", EntryType::Fifo), b"").file("fifo", "a file\n"),
            Contained("cat /fifo", "a file\n"),
        ),
        case("bare_whiteout", || Archive::new().file("etc/.wh.", ""), Refused(&["no name"])),
        case("whiteout_of_dot", || Archive::new().file("etc/.wh..", ""), Refused(&["no name"])),
        case("whiteout_of_dotdot", || Archive::new().file("etc/.wh...", ""), Refused(&["no name"])),
        case(
            "whiteout_through_a_link",
            || with_outside().link("a", "/tmp/outside").file("a/.wh.victim", ""),
            Contained("cat /tmp/outside/victim 2>/dev/null || echo gone", "gone\n"),
        ),
        case(
            "entry_below_a_whiteout",
            || Archive::new().file("etc/.wh.x/y", ""),
            Refused(&["through a deleted file"]),
        ),
        case(
            "opaque_after_its_siblings",
            || Archive::new().directory("etc/").file("etc/new", "").file("etc/.wh..wh..opq", ""),
            Contained("ls -A /etc", "hostname\nhosts\nnew\nresolv.conf\n"),
        ),
        case(
            "directory_file_directory",
            || {
                Archive::new()
                    .directory("x/")
                    .file("x/old", "")
                    .file("x", "a file")
                    .directory("x/")
                    .file("x/new", "")
            },
            Contained("ls -A /x", "new\n"),
        ),
        case(
            "directory_link_file",
            || {
                with_outside()
                    .directory("d/")
                    .file("d/x", "")
                    .link("d", "/tmp/outside")
                    .file("d/victim", "inside\n")
            },
            Contained("cat /tmp/outside/victim; readlink /d", "inside\n/tmp/outside\n"),
        ),
        case(
            "whiteout_below_a_file", // as umoci writes it where a directory became a file
            || Archive::new().file("tmp", "a file\n").file("tmp/.wh.x", ""),
            Contained("cat /tmp", "a file\n"),
        ),
        case(
            "file_in_the_path",
            || Archive::new().file("f", "").file("f/x", ""),
            Refused(&["ENOTDIR"]),
        ),
        case(
            "root_replaced_by_a_link",
            || Archive::new().link("./", "/tmp/outside").file("victim", "x"),
            Refused(&["root of a layer is no directory"]),
        ),
        case(
            "root_replaced_by_a_file",
            || Archive::new().file(".", ""),
            Refused(&["root of a layer"]),
        ),
        case("root_deleted", || Archive::new().file(".wh..", ""), Refused(&["no name"])),
        case("name_of_4096_bytes", || long(&"n".repeat(4096)), Refused(&["ENAMETOOLONG"])),
        case(
            "path_of_4000_bytes",
            || long(&vec!["n".repeat(199); 20].join("/")),
            Contained("find / -name 'nnn*' -type f 2>/dev/null | wc -l", "1\n"),
        ),
        case("deep_path", || long(&["d"; 2000].join("/")), Refused(&["deeper than 256"])),
        case(
            "deep_by_links",
            || {
                let deep = ["d"; 200].join("/");
                let below = Archive::new().long_name(&format!("{deep}/x")).file("short", "");
                let mut link = header("link", EntryType::Symlink);
                link.set_link_name_literal("d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d").unwrap();
                let through = format!("link/{}/x", ["e"; 240].join("/"));
                below.entry(&link, b"").long_name(&through).file("short", "")
            },
            Refused(&["deeper than 256"]),
        ),
        case(
            "header_of_two_megabytes",
            || long(&"n".repeat(2 << 20)),
            Refused(&["header of more"]),
        ),
        case(
            "size_in_pax_smuggles_an_entry",
            smuggled,
            Contained("wc -c </f; ls /x 2>&1; true", SMUGGLED),
        ),
        case(
            "size_in_pax_that_is_too_large",
            || Archive::new().pax(&[("size", b"99999999")]).file("f", "x"),
            Refused(&["\"f\""]),
        ),
        case("size_in_the_header_that_is_too_large", too_large, Refused(&["the entry"])),
        case(
            "duplicates",
            || Archive::new().file("f", "old").program("f", b"newest\n").file("f", "new\n"),
            Contained("cat /f; stat -c %a /f", "new\n644\n"),
        ),
        case(
            "a_wrong_header",
            || Archive::new().raw(&[b'x'; 512]).file("f", ""),
            Refused(&["damaged"]),
        ),
        case(
            "unknown_type",
            || Archive::new().entry(&header("volume", EntryType::new(b'V')), b""),
            Refused(&["unknown type", "'V'"]),
        ),
        case(
            "owner_too_large",
            || Archive::new().pax(&[("uid", b"4294967296")]).file("f", ""),
            Refused(&["owner is 4294967296"]),
        ),
        case(
            "owner_that_means_none", // chown(2) would change nothing
            || Archive::new().pax(&[("gid", b"4294967295")]).file("f", ""),
            Refused(&["group is 4294967295"]),
        ),
        case(
            "owner_below_zero",
            || Archive::new().pax(&[("uid", b"-1")]).file("f", ""),
            Refused(&["owner is -1"]),
        ),
        case(
            "size_below_zero",
            || Archive::new().pax(&[("size", b"-512")]).file("f", ""),
            Refused(&["damaged", "less than zero"]),
        ),
        case(
            "a_block_of_zeros_in_the_middle", // some would read on, others would not
            || Archive::new().file("f", "").raw(&[0; 512]).file("g", ""),
            Refused(&["a block of zeros"]),
        ),
        case(
            "parts_of_a_sparse_file_that_overlap",
            || sparse(&[("GNU.sparse.map", b"0,2,1,2"), ("GNU.sparse.size", b"3")]),
            Refused(&["not in order"]),
        ),
        case(
            "a_part_beyond_the_end",
            || sparse(&[("GNU.sparse.map", b"9223372036854775807,9"), ("GNU.sparse.size", b"3")]),
            Refused(&["more than its size"]),
        ),
        case(
            "parts_without_content",
            || sparse(&[("GNU.sparse.map", b"0,2,1000,2"), ("GNU.sparse.size", b"9999")]),
            Refused(&["\"f\"", "after 1 of 2 bytes"]),
        ),
        case(
            "content_of_no_part",
            || sparse(&[("GNU.sparse.map", b"0,2"), ("GNU.sparse.size", b"9999")]),
            Refused(&["\"f\"", "more content than parts"]),
        ),
        case(
            "a_map_without_an_end",
            || sparse(&[("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0")]),
            Refused(&["damaged"]),
        ),
        case(
            "marks_of_overlayfs",
            || {
                Archive::new()
                    .pax(&[
                        ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
                        ("SCHILY.xattr.user.overlay.opaque", b"y"),
                    ])
                    .directory("bin/")
            },
            Contained("echo the lower /bin is still there", "the lower /bin is still there\n"),
        ),
        case("garbage", || Archive::new().raw(&[0x55; 5000]), Refused(&["damaged"])),
    ]
}

/// A file of three bytes in the archive.
fn sparse(records: &[(&str, &[u8])]) -> Archive {
    Archive::new().pax(records).file("f", "abc")
}

fn with_outside() -> Archive {
    Archive::new().directory("tmp/").directory("tmp/outside/")
}

fn long(name: &str) -> Archive {
    Archive::new().long_name(name).file("short", "")
}

/// Two readers that do not agree about a size see different archives (CVE-2026-33055).
fn smuggled() -> Archive {
    let hidden = Archive::new().file("x", "").without_end();
    let mut lies = header("f", EntryType::Regular);
    lies.set_size(0);
    let size = hidden.len().to_string();
    Archive::new().pax(&[("size", size.as_bytes())]).entry(&lies, &hidden)
}

const SMUGGLED: &str = "512\nls: /x: No such file or directory\n";

fn too_large() -> Archive {
    let mut lies = header("f", EntryType::Regular);
    lies.set_size(1 << 40);
    Archive::new().entry(&lies, b"short")
}

/// The host outside of the cache, as one checksum: names, types, modes, owners, sizes, contents.
fn checksum_of_outside(host: &Host) -> String {
    let mut sum = Sha256::new();
    let mut to_visit =
        ["/tmp", "/home", "/root", "/run/mount", "/var/cache", "/dev"].map(PathBuf::from).to_vec();
    while let Some(path) = to_visit.pop() {
        if path.starts_with(host.cache()) || path.to_string_lossy().starts_with("/tmp/image") {
            continue;
        }
        let of_file = fs::symlink_metadata(&path).unwrap();
        let numbers = [of_file.mode(), of_file.uid(), of_file.gid()];
        sum.update(format!("{path:?} {numbers:?} {}", of_file.rdev()));
        if of_file.is_file() {
            sum.update(fs::read(&path).unwrap());
        } else if of_file.is_symlink() {
            sum.update(fs::read_link(&path).unwrap().as_os_str().as_encoded_bytes());
        } else if of_file.is_dir() {
            let mut entries: Vec<_> =
                fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect();
            entries.sort_unstable();
            to_visit.extend(entries);
        }
    }
    format!("{:x?}", sum.finalize())
}

/// Makes the victim, runs something, and requires that all outside is as it was.
fn unharmed(host: &Host, run: impl FnOnce()) {
    let outside = host.dir("outside");
    fs::write(outside.join("victim"), "of the host\n").unwrap();
    host.give(&outside.join("victim"));
    host.warm_up(); // makes ~/.cache
    let before = checksum_of_outside(host);
    run();
    assert_eq!(checksum_of_outside(host), before, "something outside has changed");
    assert_eq!(unfinished(host), Vec::<PathBuf>::new());
}

fn config() -> Value {
    json!({"Env": ["PATH=/bin"]})
}

fn run(host: &Host, layers: &[Vec<u8>], script: &str) -> Outcome {
    let image = layout(&host.dir("image"), layers, &config());
    // Whether there is a network does not matter to an archive, and a bridge would take longer.
    host.run(["--net", "none", "--image", image.str(), "sh", "-c", script])
}

fn try_archive(host: &Host, case: &Case) {
    let layers = [base(host).finish(), (case.archive)().finish()];
    unharmed(host, || match case.fate {
        Refused(words) => {
            let mut all = vec!["cannot unpack the layer sha256:"];
            all.extend(words);
            run(host, &layers, "true").assert_refused(125, &all);
        }
        Contained(script, expected) => assert_eq!(run(host, &layers, script).text(), expected),
    });
}

fn gzip_bomb(host: &Host) {
    let zeros = vec![0; 200 << 20];
    let mut large = header("zeros", EntryType::Regular);
    large.set_size(zeros.len() as u64);
    let bomb = Archive::new().entry(&large, &zeros).finish();
    let layout = layout(&host.dir("image"), &[base(host).finish(), bomb], &config());
    unharmed(host, || {
        let start = Instant::now();
        host.run(["--image", layout.str(), "--max-size", "20m", "true"])
            .assert_refused(125, &["20971520 bytes", "--max-size"]);
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    });
    // What stands behind the end of the archive counts too.
    let behind = [Archive::new().file("f", "").finish(), zeros].concat();
    let layout =
        crate::image::layout(&host.dir("image2"), &[base(host).finish(), behind], &config());
    host.run(["--image", layout.str(), "--max-size", "20m", "true"])
        .assert_refused(125, &["--max-size"]);
    host.run(["--image", layout.str(), "--max-size", "1g", "sh", "-c", "cat /f"]).text();
}

/// A file of a terabyte, all of it holes.
fn sparse_bomb(host: &Host) {
    let mut sparse = header("sparse", EntryType::GNUSparse);
    let gnu = sparse.as_gnu_mut().unwrap();
    gnu.set_real_size(1 << 40);
    gnu.sparse[0].set_offset(1 << 40);
    gnu.sparse[0].set_length(0);
    let layers = [base(host).finish(), Archive::new().entry(&sparse, b"").finish()];
    unharmed(host, || {
        run(host, &layers, "true").assert_refused(125, &["sparse", "--max-size"]);
    });
}

/// What has to be remembered of each directory until the end is remembered once.
fn repeated_directory(host: &Host) {
    let path = deep_path();
    let once = Archive::new().long_name(&path).directory("d").finish();
    let again = [&once[..once.len() - 1024]].concat().repeat(40_000);
    let layout = layout(&host.dir("image"), &[base(host).finish(), again], &config());
    let mut launcher = host.launcher();
    limit_memory(&mut launcher);
    unharmed(host, || {
        let script = format!("test -d /{path} && echo there");
        launcher.args(["--image", layout.str(), "sh", "-c", &script]);
        assert_eq!(Outcome::of(&mut launcher).text(), "there\n");
    });
}

/// Nothing has to be remembered of what is deleted: 20,000 names of 4,000 bytes.
fn many_whiteouts(host: &Host) {
    let path = deep_path();
    let mut archive = Archive::new();
    for number in 0..20_000 {
        archive = archive.long_name(&format!("{path}/.wh.{number}")).file("f", "");
    }
    unpacks_in_little_memory(host, archive);
}

/// Nor of directories, though filling one changes its time: 100,000 names of 250 bytes.
fn many_directories(host: &Host) {
    let name = "d".repeat(240);
    let mut archive = Archive::new();
    for number in 0..100_000 {
        archive = archive.long_name(&format!("{name}{number}/")).directory("d/");
    }
    unpacks_in_little_memory(host, archive);
}

fn unpacks_in_little_memory(host: &Host, archive: Archive) {
    let layout = layout(&host.dir("image"), &[base(host).finish(), archive.finish()], &config());
    let mut launcher = host.launcher();
    limit_data(&mut launcher, 32 << 20);
    launcher.args(["--net", "none", "--image", layout.str(), "echo", "unpacked"]);
    unharmed(host, || assert_eq!(Outcome::of(&mut launcher).text(), "unpacked\n"));
}

/// As long as a path of the kernel's may be, nearly.
fn deep_path() -> String {
    ["x".repeat(200).as_str(); 18].join("/")
}

fn truncated(host: &Host) {
    let whole = Archive::new().file("f", &"content".repeat(1000)).finish();
    let layout = Layout::new(host.dir("image"));
    let bottom = layout.blob(LAYER, &base(host).finish());
    unharmed(host, || {
        for (media_type, content) in [
            ("", whole[..600].to_vec()),
            ("", whole[..100].to_vec()),
            ("+gzip", gzip(&whole)[..40].to_vec()),
            ("+gzip", Vec::new()),
            ("+zstd", zstd::encode_all(&whole[..], 3).unwrap()[..20].to_vec()),
            ("+zstd", b"no zstd at all".to_vec()),
        ] {
            // The digests are right: whoever made this image meant it so.
            let blob = layout.blob(&format!("{LAYER}{media_type}"), &content);
            let config = layout.config(&[base(host).finish(), content.clone()], &config());
            let manifest = layout.manifest(&config, &[bottom.clone(), blob.clone()]);
            layout.index(&[manifest]);
            host.run(["--image", layout.str(), "true"])
                .assert_refused(125, &[blob["digest"].as_str().unwrap()]);
        }
    });
}

/// CVE-2021-41091: whoever reaches a set-user-ID program of an image on the host becomes its owner.
fn set_id_program_cannot_be_reached(host: &Host) {
    let mut program = header("bin/set-id", EntryType::Regular);
    program.set_mode(0o6755);
    let layers = [base(host).entry(&program, b"").finish()];
    unharmed(host, || {
        assert_eq!(run(host, &layers, "stat -c %a /bin/set-id").text(), "6755\n");
    });
    for closed in [host.cache(), host.cache().join("layers")] {
        let mode = fs::metadata(&closed).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{}", closed.display());
    }
}

fn descriptions(host: &Host) {
    let layout = Layout::new(host.dir("image"));
    let layers = [base(host).finish()];
    let good = layout.image(&layers, &config());
    let config_blob = layout.config(&layers, &config());
    let layer = layout.blob(LAYER, &layers[0]);
    let with = |key: &str, value: Value| {
        let mut changed = good.clone();
        changed[key] = value;
        changed
    };
    let manifest_with_layer = |key: &str, value: Value| {
        let mut changed = layer.clone();
        changed[key] = value;
        layout.manifest(&config_blob, &[changed])
    };
    let mut many = vec![layer.clone(), layer.clone()];
    let nested = (0..10).fold(good.clone(), |inner, _| {
        layout.json(INDEX, &json!({"schemaVersion": 2, "manifests": [inner]}))
    });
    let padded = format!("{}{}", " ".repeat(5 << 20), json!({}));
    let unknown = "application/vnd.example.unknown";
    unharmed(host, || {
        let refused = |manifest: Value, words: &[&str]| {
            layout.index(&[manifest]);
            host.run(["--image", layout.str(), "true"]).assert_refused(125, words);
        };
        refused(with("digest", json!("sha256:../../../../etc/passwd")), &["no SHA-256"]);
        refused(with("digest", json!("md5:00")), &["no digest"]);
        refused(with("digest", json!(format!("sha256:{}", "0".repeat(64)))), &["000000", "ENOENT"]);
        refused(with("mediaType", json!(unknown)), &["unknown media type", unknown]);
        refused(with("size", json!(1)), &["descriptor says 1"]);
        refused(with("size", json!(-1)), &["index.json"]);
        refused(with("size", json!(99_999_999)), &["99999999", "may have 4194304"]);
        refused(layout.blob(MANIFEST, padded.as_bytes()), &["may have 4194304"]);
        refused(layout.blob(MANIFEST, "[".repeat(100_000).as_bytes()), &["cannot understand"]);
        refused(manifest_with_layer("mediaType", json!(unknown)), &["unknown media type", unknown]);
        refused(manifest_with_layer("digest", json!("sha256:/etc/passwd")), &["no SHA-256"]);
        refused(manifest_with_layer("size", json!(1)), &["the manifest says 1"]);
        refused(layout.manifest(&layer, std::slice::from_ref(&layer)), &["configuration"]);
        refused(layout.manifest(&config_blob, &many), &["2 layers", "diff_ids for 1"]);
        many.clear();
        refused(layout.manifest(&config_blob, &many), &["0 layers", "diff_ids for 1"]);
        refused(nested, &["nested too deep"]);
        refused(layout.blob(CONFIG, b"{}"), &["unknown media type"]);
        fs::write(layout.path.join("index.json"), &padded).unwrap();
        host.run(["--image", layout.str()])
            .assert_refused(125, &["index.json", "may have 4194304"]);
        fs::remove_file(layout.path.join("index.json")).unwrap();
        let status =
            std::process::Command::new("mkfifo").arg(layout.path.join("index.json")).status();
        assert!(status.unwrap().success());
        host.run(["--image", layout.str()]).assert_refused(125, &["it is no regular file"]);
    });
}

fn docker_save(host: &Host) {
    let directory = host.dir("image");
    unharmed(host, || {
        for (config, layer) in [
            ("../outside/victim", "layer.tar"),
            ("/tmp/outside/victim", "layer.tar"),
            ("config.json", "../outside/victim"),
        ] {
            let manifest = json!([{"Config": config, "RepoTags": null, "Layers": [layer]}]);
            fs::write(directory.join("manifest.json"), manifest.to_string()).unwrap();
            let config = json!({
                "architecture": crate::image::architecture(), "os": "linux",
                "rootfs": {"diff_ids": [format!("sha256:{}", "0".repeat(64))]},
            });
            fs::write(directory.join("config.json"), config.to_string()).unwrap();
            fs::write(directory.join("layer.tar"), "").unwrap();
            host.run([Path::new("--image"), &directory])
                .assert_refused(125, &["outside of the image"]);
        }
    });
}

/// The container's own list of users may be anything.
fn accounts(host: &Host) {
    unharmed(host, || {
        for (number, accounts) in [
            Archive::new().entry(&header("etc/passwd", EntryType::Fifo), b""),
            Archive::new().link("etc/passwd", "/dev/zero"),
            Archive::new().directory("etc/passwd"),
        ]
        .into_iter()
        .enumerate()
        {
            let layers = [base(host).finish(), accounts.finish()];
            let image = layout(&host.dir(&format!("image{number}")), &layers, &config());
            host.run(["--image", image.str(), "-u", "app", "true"]).assert_refused(
                125,
                &["cannot read the container's /etc/passwd: it is no regular file"],
            );
        }
    });
}

/// A configuration of four megabytes can have a million variables. To look for each among all the
/// others took hours; what execve(2) does not take, it refuses.
fn environment(host: &Host) {
    let variables: Vec<_> = (0..300_000).map(|number| format!("V{number}=")).collect();
    let layers = [base(host).finish()];
    let image = layout(&host.dir("image"), &layers, &json!({ "Env": variables }));
    host.run(["--image", image.str(), "/bin/sh"])
        .assert_refused(126, &["E2BIG", "too long together"]);
}

/// The archive that holds the image is not trusted either.
fn archive_of_an_image(host: &Host) {
    let file = host.dir("image").join("archive.tar");
    let mut lies = header("index.json", EntryType::Regular);
    lies.set_size(1 << 40);
    let index = r#"{"manifests": []}"#;
    unharmed(host, || {
        for (archive, words) in [
            (Archive::new().entry(&lies, b"x"), &["ends in the middle"][..]),
            (Archive::new().link("index.json", VICTIM), &["index.json"]),
            (Archive::new().link("index.json", "index.json"), &["index.json"]),
            (Archive::new().file("../index.json", index), &["no image is in it"]),
        ] {
            fs::write(&file, archive.finish()).unwrap();
            host.run([Path::new("--image"), &file]).assert_refused(125, words);
        }
        // A name of eight gigabytes, all of them a hole in the file.
        let mut huge = header("././@LongLink", EntryType::GNULongName);
        huge.set_size(8 << 30);
        huge.set_cksum();
        fs::write(&file, huge.as_bytes()).unwrap();
        fs::File::options().write(true).open(&file).unwrap().set_len(9 << 30).unwrap();
        let mut launcher = host.launcher();
        limit_memory(&mut launcher);
        Outcome::of(launcher.arg("--image").arg(&file))
            .assert_refused(125, &["headers of more than 64 megabytes"]);
    });
}

/// CVE-2026-41579 and its kind: links of the image where the launcher mounts something.
fn in_the_way_of_our_mounts(host: &Host) {
    unharmed(host, || {
        for (number, name) in ["proc", "dev"].into_iter().enumerate() {
            let layers = [base(host).finish(), Archive::new().link(name, "/tmp/outside").finish()];
            let image = layout(&host.dir(&format!("image{number}")), &layers, &config());
            host.run(["--image", image.str(), "true"])
                .assert_refused(125, &[&format!("/{name}"), "symbolic link"]);
        }
    });
}
