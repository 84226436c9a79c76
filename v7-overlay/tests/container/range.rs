//! A range of ids without root: who files belong to, inside and outside, and what fails.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use serde_json::json;
use tar::{EntryType, Header};
use testbed::{Host, Outcome, Suite};

use crate::archive::{Archive, header};
use crate::image::{Layout, base, layout};

pub fn add(suite: Suite) -> Suite {
    suite
        .user("owners_and_users_with_a_range", owners_and_users)
        .user("who_is_not_in_the_range_is_told_once_with_a_range", who_is_not_in_the_range)
        .user("whose_root_is_unknown_is_roots_with_a_range", whose_root_is_unknown)
        .user("who_is_unknown_has_no_set_id_programs_with_a_range", no_set_id_programs)
        .user("with_one_id_the_way_to_more_is_told", with_one_id)
        .user("a_layer_is_of_one_map_with_a_range", a_layer_is_of_one_map)
        .user("whose_files_a_volume_has_with_a_range", whose_files_a_volume_has)
        .user("why_newuidmap_fails_with_a_range", why_newuidmap_fails)
        .user("one_map_without_the_other_with_a_range", one_map_without_the_other)
        .user("what_an_upper_directory_keeps_with_a_range", what_an_upper_directory_keeps)
}

/// The first id that the range gives to a container: 1.
const ONE: u32 = Host::SUBORDINATE_IDS.0;

fn owned(name: &str, kind: EntryType, owner: u32, group: u32) -> Header {
    let mut header = header(name, kind);
    header.set_uid(owner.into());
    header.set_gid(group.into());
    header.set_mode(if kind == EntryType::Directory { 0o755 } else { 0o644 });
    header
}

/// An image with files of users.
fn image(host: &Host) -> Layout {
    let files = Archive::new()
        .entry(&owned("srv/", EntryType::Directory, 33, 33), b"")
        .entry(&owned("srv/www", EntryType::Regular, 33, 5), b"")
        .entry(&owned("srv/root", EntryType::Regular, 0, 0), b"")
        .file("etc/passwd", "www:x:33:33::/srv:/bin/sh\n")
        .file("etc/group", "www:x:33:\ntty:x:5:www\n");
    let layers = [base(host).finish(), files.finish()];
    let config = json!({"Env": ["PATH=/bin"], "User": "www"});
    layout(&host.dir("image"), &layers, &config)
}

const LIST: &str = "cd /srv; stat -c '%n %u %g' . www root; id";

fn list(host: &Host, image: &Layout) -> Outcome {
    host.run(["--image", image.str(), "sh", "-c", LIST])
}

fn cached(host: &Host) -> Vec<PathBuf> {
    let entries = fs::read_dir(host.cache().join("layers")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.join("tree").exists()).map(|path| path.join("tree")).collect()
}

fn owner(path: impl AsRef<std::path::Path>) -> (u32, u32) {
    let found = fs::symlink_metadata(path).unwrap();
    (found.uid(), found.gid())
}

fn owners_and_users(host: &Host) {
    host.give_subordinate_ids();
    let image = image(host);
    let outcome = list(host, &image);
    assert_eq!(
        outcome.text(),
        ". 33 33\nwww 33 5\nroot 0 0\nuid=33(www) gid=33(www) groups=5(tty)\n"
    );
    assert!(!outcome.stderr.contains("belong to root"), "{}", outcome.stderr);
    let layer = cached(host).into_iter().find(|layer| layer.join("srv").exists()).unwrap();
    assert_eq!(owner(layer.join("srv/www")), (ONE + 32, ONE + 4));
    assert_eq!(owner(layer.join("srv/root")), (host.uid(), host.uid()));
    let as_other = host.run(["--image", image.str(), "-u", "65536:7", "id"]);
    assert_eq!(as_other.text(), "uid=65536 gid=7\n");
    let too_large = host.run(["--image", image.str(), "-u", "65537", "id"]);
    too_large.assert_refused(125, &["cannot become user 65537", "setuid: EINVAL", "end at 65536"]);
}

fn who_is_not_in_the_range(host: &Host) {
    host.give_subordinate_ids();
    let files = Archive::new()
        .entry(&owned("far", EntryType::Regular, 70_000, 5), b"")
        .entry(&owned("further", EntryType::Regular, 5, 4_000_000_000), b"");
    let layers = [base(host).finish(), files.finish()];
    let image = layout(&host.dir("image"), &layers, &json!({"Env": ["PATH=/bin"]}));
    let run = || host.run(["--image", image.str(), "stat", "-c", "%u %g", "/far", "/further"]);
    let outcome = run();
    assert_eq!(outcome.text(), "0 5\n5 0\n");
    let told = "files of others that belong to root now: 2";
    assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
    assert!(!run().stderr.contains(told));
}

/// The kernel shows it as nobody's; and nobody is a user of the container, who must not have `/`.
fn whose_root_is_unknown(host: &Host) {
    host.give_subordinate_ids();
    let rootfs = host.own_rootfs();
    chown(&rootfs, Some(0), Some(0)).unwrap();
    host.own(rootfs.parent().unwrap());
    let script =
        ["sh", "-c", "busybox stat -c '%u %g' /; (echo x > /new) 2>/dev/null || echo refused"];
    for options in [["--layer"], ["--rootfs"]] {
        for range in ["learner:100000:65536\n", "learner:100000:1000\n"] {
            host.write_subordinate_ids("subuid", range);
            host.write_subordinate_ids("subgid", range);
            let as_nobody = if range.contains(":65536") { "65534" } else { "999" };
            let user = ["-u", as_nobody].into_iter();
            let all = options.into_iter().chain([rootfs.to_str().unwrap()]).chain(user);
            assert_eq!(host.run(all.chain(script)).text(), "0 0\nrefused\n", "{options:?}");
        }
    }
}

fn no_set_id_programs(host: &Host) {
    host.give_subordinate_ids();
    let program = |name: &str, owner| {
        let mut header = owned(name, EntryType::Regular, owner, owner);
        header.set_mode(0o6755);
        header
    };
    let files =
        Archive::new().entry(&program("of-33", 33), b"").entry(&program("of-70000", 70_000), b"");
    let layers = [base(host).finish(), files.finish()];
    let image = layout(&host.dir("image"), &layers, &json!({"Env": ["PATH=/bin"]}));
    let run = host.run(["--image", image.str(), "stat", "-c", "%a %u", "/of-33", "/of-70000"]);
    assert_eq!(run.text(), "6755 33\n755 0\n");
}

fn with_one_id(host: &Host) {
    let image = image(host);
    let script = ["--image", image.str(), "-u", "0", "sh", "-c", LIST];
    let outcome = host.run(script);
    assert!(outcome.text().starts_with(". 0 0\nwww 0 0\nroot 0 0\nuid=0"), "{}", outcome.text());
    let told = "files of others that belong to root now: 2: ";
    assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
    assert!(!host.run(script).stderr.contains(told));
    list(host, &image)
        .assert_refused(125, &["cannot become user 33", "give 0 as user", "root is alone here"]);
}

fn a_layer_is_of_one_map(host: &Host) {
    host.give_subordinate_ids();
    let image = image(host);
    let expected = list(host, &image).text().to_owned();
    let of_first = cached(host).len();
    for file in ["subuid", "subgid"] {
        host.write_subordinate_ids(file, "learner:300000:1000\n1000:400000:65536\n");
    }
    assert_eq!(list(host, &image).text(), expected);
    assert_eq!(cached(host).len(), 2 * of_first);
    for file in ["subuid", "subgid"] {
        host.write_subordinate_ids(file, "");
    }
    let alone = host.run(["--image", image.str(), "-u", "0", "sh", "-c", LIST]);
    assert!(alone.text().starts_with(". 0 0\nwww 0 0\n"), "{}", alone.text());
    assert_eq!(cached(host).len(), 3 * of_first);
}

fn whose_files_a_volume_has(host: &Host) {
    host.give_subordinate_ids();
    let directory = host.dir("volume");
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).unwrap();
    for (name, owner) in [("own", host.uid()), ("others", 1234), ("of-range", ONE + 32)] {
        fs::write(directory.join(name), "").unwrap();
        chown(directory.join(name), Some(owner), Some(owner)).unwrap();
    }
    let volume = format!("{}:/v", directory.display());
    let script = "cd /v; stat -c '%n %u %g' own others of-range; echo x > made; rm of-range";
    let outcome = host.run(["-v", &volume, "-u", "33:33", "sh", "-c", script]);
    assert_eq!(outcome.text(), "own 0 0\nothers 65534 65534\nof-range 33 33\n");
    assert_eq!(owner(directory.join("made")), (ONE + 32, ONE + 32));
    assert!(!directory.join("of-range").exists());
    // Root inside is nobody else outside: what is not mapped, it may not touch.
    let refused = host.run(["-v", &volume, "sh", "-c", "echo x > /v/others"]);
    assert_ne!(refused.code(), 0);
    // How to remove by hand what belongs to the range.
    assert_eq!(host.run(["-v", &volume, "rm", "/v/made"]).code(), 0);
    assert!(!directory.join("made").exists());
}

/// Asks for a user whom only a range can bring, and returns what is said without one.
fn refusal(host: &Host, prepare: impl FnOnce(&mut Command)) -> String {
    let mut command = host.launcher();
    prepare(command.args(["-u", "33", "true"]));
    let outcome = Outcome::of(&mut command);
    outcome.assert_refused(125, &["cannot become user 33", "root is alone here"]);
    outcome.stderr
}

fn why_newuidmap_fails(host: &Host) {
    host.give_subordinate_ids();
    assert_eq!(host.run(["-u", "33", "true"]).code(), 0);
    let said = refusal(host, |command| {
        // SAFETY: one system call.
        unsafe { command.pre_exec(|| Ok(nix::sys::prctl::set_no_new_privs()?)) };
    });
    assert!(said.contains("no_new_privs is set here"), "{said}");
    // A range in which the user's own id is, too.
    host.write_subordinate_ids("subuid", "learner:500:65536\n");
    let said = refusal(host, |_| ());
    assert!(said.contains("Invalid argument") && said.contains("overlap"), "{said}");
    host.write_subordinate_ids("subuid", "somebody:100000:65536\nlearner:x:y\n");
    let said = refusal(host, |_| ());
    let way = "/etc/subuid gives you no ids: sudo usermod --add-subuids 165536-231071 $USER";
    assert!(said.contains(way), "{said}");
    host.give_subordinate_ids();
    let copy = host.dir("programs").join("newuidmap");
    fs::copy("/usr/bin/newuidmap", &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o4755)).unwrap(); // in vain
    let path = format!("{}:/usr/bin:/bin", copy.parent().unwrap().display());
    let said = refusal(host, |command| {
        command.env("PATH", path);
    });
    assert!(said.contains("write to uid_map failed"), "{said}");
    assert!(said.contains(&format!("{copy:?} is on a mount with nosuid")), "{said}");
}

/// Half a map would be worse than none: files would keep their users, and lose their groups.
fn one_map_without_the_other(host: &Host) {
    host.give_subordinate_ids();
    host.write_subordinate_ids("subgid", "learner:500:65536\n");
    let outcome = host.run(["true"]);
    outcome.assert_refused(125, &["cannot map more groups than your own", "overlap"]);
}

fn what_an_upper_directory_keeps(host: &Host) {
    host.give_subordinate_ids();
    let image = image(host);
    let upper = host.dir("kept").join("upper");
    let options = ["--image", image.str(), "--upper", upper.to_str().unwrap()];
    let run = |script| host.run(options.into_iter().chain(["-u", "0", "sh", "-c", script]));
    let written = "echo x > /tmp/of-7; chown 7:8 /tmp/of-7; rm /srv/root; chown 9:9 /srv";
    assert_eq!(run(written).code(), 0);
    assert_eq!(owner(upper.join("tmp/of-7")), (ONE + 6, ONE + 7));
    assert_eq!(owner(upper.join("srv")), (ONE + 8, ONE + 8));
    assert_eq!(run("stat -c '%u %g' /tmp/of-7 /srv").text(), "7 8\n9 9\n");
    assert!(!upper.parent().unwrap().join(".upper.work").exists());
}
