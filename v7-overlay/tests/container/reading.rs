//! Layers as others read them: each field and each order for which programs once differed.

use std::fs;
use std::process::Command;

use serde_json::json;
use tar::{EntryType, Header};
use testbed::{Host, Suite};

use crate::archive::{Archive, header};
use crate::image::{Layout, base, layout};

pub fn add(suite: Suite) -> Suite {
    suite
        .both("of_repeated_records_the_last_one_counts", repeated_records)
        .root("ids_of_pax_headers_and_of_binary_fields", ids)
        .both("a_record_may_hold_a_newline", a_record_may_hold_a_newline)
        .both("what_is_no_file_has_no_content", what_is_no_file_has_no_content)
        .both("blank_fields_are_zero", blank_fields_are_zero)
        .both("names_of_every_format", names_of_every_format)
        .both("sparse_files_of_every_format", sparse_files_of_every_format)
        .both("any_kind_replaces_any_kind", any_kind_replaces_any_kind)
        .both("what_replaced_a_file_hides_all_below", what_replaced_a_file_hides_all_below)
        .user("a_device_that_is_left_out", left_out_devices)
        .both("an_archive_may_end_early", an_archive_may_end_early)
        .both("notes_of_aufs_are_passed_over", notes_of_aufs_are_passed_over)
        .both("attributes_that_cannot_be_set", attributes_that_cannot_be_set)
        .both("a_directory_keeps_its_time", a_directory_keeps_its_time)
}

/// An image of a base and these layers.
pub fn image(host: &Host, layers: Vec<Archive>) -> Layout {
    let mut all = vec![base(host).finish()];
    all.extend(layers.into_iter().map(Archive::finish));
    let number = fs::read_dir("/tmp").unwrap().count();
    layout(&host.dir(&format!("image{number}")), &all, &json!({"Env": ["PATH=/bin"]}))
}

/// What a script prints in such an image.
#[track_caller]
pub fn prints(host: &Host, layers: Vec<Archive>, script: &str) -> String {
    let image = image(host, layers);
    host.run(["--net", "none", "--image", image.str(), "sh", "-c", script]).text().to_owned()
}

fn file(name: &str, change: impl Fn(&mut Header)) -> Archive {
    let mut header = header(name, EntryType::Regular);
    change(&mut header);
    Archive::new().entry(&header, b"")
}

fn repeated_records(host: &Host) {
    let mut link = header("link", EntryType::Symlink);
    link.set_link_name_literal("of-the-header").unwrap();
    let mut hard = header("hard", EntryType::Link);
    hard.set_link_name_literal("of-the-header").unwrap();
    let layer = Archive::new()
        .pax(&[("path", b"first"), ("path", b"last"), ("size", b"1"), ("size", b"4")])
        .raw(&file("header", |_| {}).without_end())
        .raw(&[&b"last"[..], &[0; 508]].concat())
        .pax(&[("linkpath", b"first"), ("linkpath", b"target")])
        .entry(&link, b"")
        .pax(&[("linkpath", b"first"), ("linkpath", b"last")])
        .entry(&hard, b"")
        .pax(&[("mtime", b"1"), ("mtime", b"2.5"), ("path", b"x"), ("path", b"")])
        .file("time", "");
    let script = "cat /last; echo; readlink /link; cat /hard; echo; stat -c %y /time; \
                  ls /first /x /header 2>/dev/null; true";
    let expected = "last\ntarget\nlast\n1970-01-01 00:00:02.500000000 +0000\n";
    assert_eq!(prints(host, vec![layer], script), expected);
}

fn ids(host: &Host) {
    let layer = file("pax", |header| header.set_uid(7));
    let layer = Archive::new()
        .pax(&[("uid", b"1"), ("uid", b"2000000"), ("gid", b"1"), ("gid", b"3000000000")])
        .raw(&layer.without_end())
        .raw(&file("binary", |header| header.set_uid(4_294_967_294)).without_end());
    let script = "stat -c '%u %g' /pax /binary";
    assert_eq!(prints(host, vec![layer], script), "2000000 3000000000\n4294967294 0\n");
}

fn a_record_may_hold_a_newline(host: &Host) {
    let layer = Archive::new()
        .pax(&[("SCHILY.xattr.user.note", b"a\nb\n"), ("path", b"a\nb")])
        .file("header", "found\n");
    assert_eq!(prints(host, vec![layer], "cat '/a\nb'"), "found\n");
}

/// Their size is that of something else (POSIX: what it means for a link, nobody has said).
fn what_is_no_file_has_no_content(host: &Host) {
    let sized = |name: &str, kind: EntryType| {
        let mut header = header(name, kind);
        header.set_size(1 << 40);
        header
    };
    let mut link = sized("link", EntryType::Symlink);
    link.set_link_name_literal("target").unwrap();
    let mut hard = sized("hard", EntryType::Link);
    hard.set_link_name_literal("file").unwrap();
    let mut device = sized("device", EntryType::Char);
    device.set_device_major(1).unwrap();
    device.set_device_minor(3).unwrap();
    let mut oldest = sized("oldest/", EntryType::Regular);
    oldest.as_old_mut().linkflag = [0];
    oldest.set_mode(0o755);
    let mut directory = sized("directory/", EntryType::Directory);
    directory.set_mode(0o755);
    let layer = Archive::new()
        .file("file", "content\n")
        .entry(&link, b"")
        .entry(&hard, b"")
        .entry(&device, b"")
        .entry(&sized("fifo", EntryType::Fifo), b"")
        .entry(&directory, b"")
        .entry(&oldest, b"")
        .pax(&[("size", b"512")])
        .entry(&header("pax", EntryType::Fifo), b"")
        .file("last", "last\n");
    let script = "cat /hard /last; readlink /link; test -p /fifo -a -p /pax && ls -d /directory \
                  /oldest";
    let expected = "content\nlast\ntarget\n/directory\n/oldest\n";
    assert_eq!(prints(host, vec![layer], script), expected);
}

fn blank_fields_are_zero(host: &Host) {
    let blank = |byte: u8| {
        move |header: &mut Header| {
            let old = header.as_old_mut();
            (old.mode, old.uid, old.gid) = ([byte; 8], [byte; 8], [byte; 8]);
            (old.size, old.mtime) = ([byte; 12], [byte; 12]);
        }
    };
    let layer = file("zeros", blank(0)).raw(&file("blanks", blank(b' ')).without_end());
    let script = "stat -c '%a %u %g %s %Y' /zeros /blanks";
    assert_eq!(prints(host, vec![layer], script), "0 0 0 0 0\n0 0 0 0 0\n");
}

/// Beside ours, which GNU tar's header has.
fn names_of_every_format(host: &Host) {
    let ustar = |header: &mut Header| {
        let mut bytes = Header::new_ustar();
        bytes.as_mut_bytes()[..257].copy_from_slice(&header.as_bytes()[..257]);
        bytes.as_mut_bytes()[345..351].copy_from_slice(b"prefix");
        *header = bytes;
    };
    let oldest = |header: &mut Header| {
        let mut bytes = Header::new_old();
        bytes.as_mut_bytes()[..257].copy_from_slice(&header.as_bytes()[..257]);
        bytes.as_mut_bytes()[345..351].copy_from_slice(b"prefix"); // means nothing there
        *header = bytes;
    };
    let hundred = "h".repeat(100); // without a zero byte
    let mut cut = header("././@LongLink", EntryType::GNULongName);
    cut.set_size(7);
    let layer = file("ustar", ustar)
        .raw(&file("oldest", oldest).without_end())
        .raw(&file(&hundred, |_| {}).without_end())
        .pax(&[("path", b"of-pax")])
        .long_name("of-gnu")
        .file("of-the-header", "")
        .entry(&cut, b"of-x\0yz")
        .file("of-the-header", "")
        .long_name("no")
        .long_name("")
        .file("of-the-end", "");
    let script = format!("ls -d /prefix/ustar /oldest /{hundred} /of-*");
    let expected = format!("/{hundred}\n/of-gnu\n/of-the-end\n/of-x\n/oldest\n/prefix/ustar\n");
    assert_eq!(prints(host, vec![layer], &script), expected);
}

fn sparse_files_of_every_format(host: &Host) {
    let directory = host.dir("sparse");
    let script = "truncate -s 5m file; echo after >after; for at in 100000 3145728 4000000; do
                  printf data | dd of=file bs=1 seek=$at conv=notrunc status=none; done";
    let status = Command::new("sh").args(["-c", script]).current_dir(&directory).status();
    assert!(status.unwrap().success());
    let sum = |file: &str| format!("busybox md5sum {file}; stat -c '%s %b' {file}");
    for format in [
        &["--format=gnu"][..],
        &["--format=posix", "--sparse-version=0.0"],
        &["--format=posix", "--sparse-version=0.1"],
        &["--format=posix", "--sparse-version=1.0"],
    ] {
        let mut tar = Command::new("tar");
        tar.args(format).args(["-S", "-cf", "-", "file", "after"]).current_dir(&directory);
        let archive = tar.output().unwrap().stdout;
        assert!(archive.len() < 100_000, "tar wrote it as a sparse file");
        let layer = Archive::new().raw(&archive);
        let text = prints(host, vec![layer], &format!("{}; cat /after", sum("/file")));
        let mut here = Command::new("md5sum");
        let here = here.arg("file").current_dir(&directory).output().unwrap().stdout;
        let here = String::from_utf8(here).unwrap();
        let mut lines = text.lines();
        assert_eq!(lines.next().unwrap()[..32], here[..32], "{format:?}");
        let (size, blocks) = lines.next().unwrap().split_once(' ').unwrap();
        assert_eq!(size, "5242880");
        assert!(blocks.parse::<u64>().unwrap() < 1000, "the holes stay holes: {blocks}");
        assert_eq!(lines.next(), Some("after"));
    }
}

fn any_kind_replaces_any_kind(host: &Host) {
    type Add = fn(Archive, &str) -> Archive;
    let kinds: [(&str, Add); 5] = [
        ("file", |archive, name| archive.file(name, "")),
        ("dir", |archive, name| archive.directory(name).file(&format!("{name}/in"), "")),
        ("link", |archive, name| archive.link(name, "/bin")),
        ("fifo", |archive, name| archive.entry(&header(name, EntryType::Fifo), b"")),
        ("hard", |archive, name| archive.hard_link(name, "bin/linked")),
    ];
    let mut layer = Archive::new().file("bin/linked", "");
    for (first, add_first) in kinds {
        for (second, add_second) in kinds {
            let name = format!("{first}-{second}");
            layer = add_second(add_first(layer, &name), &name);
        }
    }
    let script = "for first in file dir link fifo hard; do
                  test -f /$first-file -a ! -L /$first-file && test -f /$first-dir/in &&
                  test -L /$first-link && test -p /$first-fifo && test -f /$first-hard ||
                  echo $first; done; ls -A /bin/in 2>/dev/null; true";
    assert_eq!(prints(host, vec![layer], script), "");
}

/// A file of this layer has hidden the directory below it, and a later entry does not bring back
/// what was in there.
fn what_replaced_a_file_hides_all_below(host: &Host) {
    let lower = || {
        ["d", "e", "f"].into_iter().fold(Archive::new(), |archive, name| {
            archive.directory(name).file(&format!("{name}/old"), "")
        })
    };
    let upper = Archive::new()
        .file("d", "")
        .directory("d/")
        .file("d/new", "")
        .directory("e/")
        .file("e", "")
        .directory("e/")
        .file(".wh.f", "")
        .file("f", "")
        .directory("f/");
    assert_eq!(prints(host, vec![lower(), upper], "find /d /e /f"), "/d\n/d/new\n/e\n/f\n");
}

fn left_out_devices(host: &Host) {
    let lower = Archive::new().directory("d/").file("d/old", "").file("f", "");
    let upper = Archive::new()
        .directory("d/")
        .device("d", EntryType::Block, 7, 0)
        .file("f", "")
        .device("f", EntryType::Char, 1, 3)
        .hard_link("second", "f")
        .file("new", "");
    let image = image(host, vec![lower, upper]);
    let script = "ls -d /d /f /second /new 2>/dev/null; true";
    let run = host.run(["--net", "none", "--image", image.str(), "sh", "-c", script]);
    assert_eq!(run.text(), "/new\n");
    assert!(run.stderr.contains("device nodes left out: 3\n"), "{run:?}");
}

/// Without blocks of zeros, without what fills the last block, after a header for nothing.
fn an_archive_may_end_early(host: &Host) {
    let start = || Archive::new().file("f", "found\n");
    let whole = start().without_end();
    let for_nothing = start().pax(&[("path", b"x")]).long_name("x").without_end();
    for archive in [&whole[..], &whole[..512 + 6], &for_nothing] {
        let layers = [base(host).finish(), archive.to_vec()];
        let image = layout(&host.dir(&format!("early{}", archive.len())), &layers, &json!({}));
        let run = host.run(["--net", "none", "--image", image.str(), "/bin/cat", "/f"]);
        assert_eq!(run.text(), "found\n");
    }
}

fn notes_of_aufs_are_passed_over(host: &Host) {
    let layer = Archive::new()
        .file(".wh..wh.aufs", "")
        .directory(".wh..wh.orph/")
        .directory(".wh..wh.plnk/")
        .file(".wh..wh.plnk/1.2", "")
        .file("etc/.wh..wh.plnk/deep/er", "")
        .file("there", "");
    assert_eq!(prints(host, vec![layer], "ls -A /etc; ls -Ad /.wh* /there 2>/dev/null; true"), {
        "hostname\nhosts\nresolv.conf\n/there\n"
    });
}

/// Security modules, other users' access lists, files that cannot have them: one attribute is not
/// worth an image.
fn attributes_that_cannot_be_set(host: &Host) {
    let acl = [
        &2_u32.to_le_bytes()[..], // version
        &[1, 0, 7, 0, 255, 255, 255, 255],
        &[2, 0, 7, 0, 0, 0, 0, 0xf0], // a user whom no user namespace maps
        &[4, 0, 5, 0, 255, 255, 255, 255],
        &[0x10, 0, 7, 0, 255, 255, 255, 255],
        &[0x20, 0, 5, 0, 255, 255, 255, 255],
    ]
    .concat();
    let note = ("SCHILY.xattr.user.note", &b"x"[..]);
    let none = ("SCHILY.xattr.user.note", &b""[..]); // pax(1): an empty value is none
    let mut link = header("link", EntryType::Symlink);
    link.set_link_name_literal("target").unwrap();
    let layer = Archive::new()
        .pax(&[note])
        .entry(&link, b"")
        .pax(&[note])
        .entry(&header("fifo", EntryType::Fifo), b"")
        .pax(&[note, none])
        .entry(&header("fifo", EntryType::Fifo), b"")
        .pax(&[("SCHILY.xattr.nosuch.name", b"x"), note])
        .file("file", "")
        .pax(&[("SCHILY.xattr.trusted.note", b"x")])
        .file("trusted", "")
        .pax(&[("SCHILY.xattr.system.posix_acl_access", &acl)])
        .file("acl", "");
    let image = image(host, vec![layer]);
    let run = || host.run(["--net", "none", "--image", image.str(), "ls", "/file", "/acl"]);
    let (first, second) = (run(), run());
    assert_eq!(first.text(), "/acl\n/file\n");
    let count = if host.is_root() && !host.has_user_namespace() { 3 } else { 5 };
    let told = format!("cannot be set here, and are left out: {count}\n");
    assert!(first.stderr.contains(&told), "{first:?}");
    assert_eq!(second.text(), "/acl\n/file\n");
    assert!(!second.stderr.contains("attributes"), "told once: {second:?}");
}

/// What comes into a directory later, or goes, changes the time that it has on disk.
fn a_directory_keeps_its_time(host: &Host) {
    let layer = Archive::new()
        .directory("d/")
        .directory("d/e/")
        .file("d/e/f", "")
        .file("d/f", "")
        .directory("d/e/g/h/")
        .link("l", "d")
        .file("l/x", "")
        .file("l/e/.wh.y", "")
        .file("d/f", "again")
        .file("d/e/.wh..wh..opq", "");
    let script = "stat -c '%Y %n' /d /d/e /d/e/g/h; ls /d/e";
    let expected = "1000000000 /d\n1000000000 /d/e\n1000000000 /d/e/g/h\nf\ng\n";
    assert_eq!(prints(host, vec![layer], script), expected);
}
