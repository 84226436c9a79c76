//! PAX records (pax(1), "pax Interchange Format"): those that mean something, those that do not,
//! repeated, empty, wrong.

use tar::EntryType;

use crate::archive::Archive;
use crate::case::{Case, Raw, start};

pub fn cases() -> Vec<Case> {
    let mut cases = records();
    cases.extend(repeats());
    cases.extend(headers());
    cases.extend(damaged());
    cases.extend(global());
    cases.extend(sparse());
    cases
}

/// A file called `f`, behind these records.
fn file(name: &str, records: &[(&str, &[u8])]) -> Case {
    Case::new(name, start().pax(records).file("f", "12345").file("last", "last"))
}

fn records() -> Vec<Case> {
    let long = "l".repeat(200);
    let values: Vec<(&str, &[u8])> = vec![
        ("path", b"other"),
        ("path", b"./other"),
        ("path", b"/other"),
        ("path", b"../other"),
        ("path", b"d/other"),
        ("path", b"\xff"),
        ("path", b"a\nb"),
        ("path", b"a=b"),
        ("path", b""),
        ("path", b"a\0b"),
        ("path", b"other/"),
        ("linkpath", b"other"),
        ("uid", b"1234"),
        ("uid", b"2097152"),
        ("uid", b"4294967294"),
        ("uid", b"4294967295"),
        ("uid", b"4294967296"),
        ("uid", b"-1"),
        ("uid", b"abc"),
        ("uid", b"0x10"),
        ("uid", b" 5"),
        ("uid", b"1.5"),
        ("uid", b""),
        ("gid", b"1234"),
        ("gid", b"4294967294"),
        ("gid", b"-1"),
        ("gid", b""),
        ("size", b"5"),
        ("size", b"3"),
        ("size", b""),
        ("size", b"-1"),
        ("size", b"abc"),
        ("size", b"99999999999999999999"),
        ("mtime", b"1234567890"),
        ("mtime", b"1234567890.5"),
        ("mtime", b"1234567890.123456789123"),
        ("mtime", b"1234567890."),
        ("mtime", b".5"),
        ("mtime", b"-1.5"),
        ("mtime", b"-0.5"),
        ("mtime", b"+5"),
        ("mtime", b"0"),
        ("mtime", b"4294967301"),
        ("mtime", b"99999999999999999999"),
        ("mtime", b"abc"),
        ("mtime", b"1e9"),
        ("mtime", b""),
        ("atime", b"1"),
        ("atime", b"abc"),
        ("ctime", b"1"),
        ("ctime", b"abc"),
        ("uname", b"daemon"),
        ("gname", b"daemon"),
        ("comment", b"of no meaning"),
        ("charset", b"ISO-IR 10646 2000 UTF-8"),
        ("hdrcharset", b"BINARY"),
        ("realtime.any", b"1"),
        ("security.any", b"1"),
        ("SCHILY.dev", b"1"),
        ("SCHILY.ino", b"1"),
        ("SCHILY.nlink", b"2"),
        ("SCHILY.devmajor", b"1"),
        ("SCHILY.fflags", b"nodump"),
        ("SCHILY.acl.access", b"user::rw-,group::r--,other::---"),
        ("LIBARCHIVE.creationtime", b"1"),
        ("LIBARCHIVE.xattr.user.a", b"YWJj"),
        ("MSWINDOWS.fileattr", b"32"),
        ("RHT.security.selinux", b"x"),
        ("VENDOR.unknown", b"x"),
        ("unknown", b"x"),
        ("GNU.volume.label", b"x"),
        ("mode", b"0000"),
    ];
    let mut cases: Vec<_> = values
        .iter()
        .map(|(key, value)| file(&format!("{key}={}", value.escape_ascii()), &[(key, value)]))
        .collect();
    let link = |name: &str, value: &[u8]| {
        Case::new(name, start().pax(&[("linkpath", value)]).link("l", "x"))
    };
    let hard = |name: &str, value: &[u8]| {
        let archive = start().file("f", "text").pax(&[("linkpath", value)]);
        Case::new(name, archive.hard_link("h", "x"))
    };
    cases.extend([
        link("linkpath of a link", b"other"),
        link("linkpath of a link, long", long.as_bytes()),
        link("linkpath of a link, empty", b""),
        link("linkpath of a link, zero byte", b"a\0b"),
        link("linkpath of a link, other bytes", b"\xff"),
        hard("linkpath of a hard link", b"f"),
        hard("linkpath of a hard link, absolute", b"/f"),
        file("path, long", &[("path", long.as_bytes())]),
        file("path of many directories", &[("path", "d/".repeat(100).as_bytes())]),
        file("two records", &[("path", b"other"), ("uid", b"5")]),
        Case::new("path of a directory", start().pax(&[("path", b"other")]).directory("d/")),
        Case::new(
            "path of a directory with slash",
            start().pax(&[("path", b"other/")]).directory("d/"),
        ),
        Case::new(
            "mtime of a directory",
            start().pax(&[("mtime", b"5.5")]).directory("d/").file("d/a", ""),
        ),
        Case::new("mtime of a link", start().pax(&[("mtime", b"5.5")]).link("l", "x")),
        Case::new("uid of a link", start().pax(&[("uid", b"5")]).link("l", "x")),
        Case::new("size of a longer file", {
            let raw = Raw::file("f", 0);
            start().pax(&[("size", b"5")]).raw_entry(&raw, b"12345").file("last", "")
        }),
        Case::new(
            "size of a directory",
            start().pax(&[("size", b"5")]).directory("d/").file("last", ""),
        ),
        Case::new("uid, blank in the header", {
            let raw = Raw::file("f", 0).set(crate::case::UID, b"        ");
            start().pax(&[("uid", b"77")]).raw_entry(&raw, b"")
        }),
    ]);
    cases
}

fn repeats() -> Vec<Case> {
    vec![
        file("path twice", &[("path", b"one"), ("path", b"two")]),
        file("path twice, then empty", &[("path", b"one"), ("path", b"")]),
        file("path empty, then one", &[("path", b""), ("path", b"one")]),
        file("uid twice", &[("uid", b"1"), ("uid", b"2")]),
        file("gid twice", &[("gid", b"1"), ("gid", b"2")]),
        file("mtime twice", &[("mtime", b"1"), ("mtime", b"2")]),
        file("size twice", &[("size", b"1"), ("size", b"5")]),
        file("uid twice, then empty", &[("uid", b"1"), ("uid", b"")]),
        Case::new(
            "linkpath twice",
            start().pax(&[("linkpath", b"one"), ("linkpath", b"two")]).link("l", "x"),
        ),
        Case::new(
            "linkpath of a hard link twice",
            start()
                .file("one", "1")
                .file("two", "2")
                .pax(&[("linkpath", b"one"), ("linkpath", b"two")])
                .hard_link("l", "x"),
        ),
        file("attribute twice", &[("SCHILY.xattr.user.a", b"1"), ("SCHILY.xattr.user.a", b"2")]),
    ]
}

/// Headers before a header.
fn headers() -> Vec<Case> {
    let path = |value: &'static [u8]| [("path", value)];
    let uid = [("uid", &b"5"[..])];
    let name = || "n".repeat(150);
    vec![
        Case::new("two headers", start().pax(&path(b"one")).pax(&uid).file("f", "")),
        Case::new(
            "two headers with a path",
            start().pax(&path(b"one")).pax(&path(b"two")).file("f", ""),
        ),
        Case::new(
            "path over a GNU long name",
            start().long_name(&name()).pax(&path(b"one")).file("f", ""),
        ),
        Case::new(
            "path before a GNU long name",
            start().pax(&path(b"one")).long_name(&name()).file("f", ""),
        ),
        Case::new("uid before a GNU long name", start().pax(&uid).long_name(&name()).file("f", "")),
        Case::new("uid behind a GNU long name", start().long_name(&name()).pax(&uid).file("f", "")),
        Case::new("linkpath over a GNU long link", {
            let long = EntryType::GNULongLink;
            start().long(long, b"long\0").pax(&[("linkpath", b"pax")]).link("l", "x")
        }),
        Case::new("header before the end", start().file("f", "").pax(&path(b"one"))),
        Case::new("header of no records", start().pax(&[]).file("f", "")),
        Case::new("header for one entry only", start().pax(&uid).file("f", "").file("g", "")),
        Case::new("header before a global one", {
            let global = Raw::new("g", EntryType::XGlobalHeader);
            start().pax(&uid).raw_entry(&global, b"").file("f", "")
        }),
        Case::new("header of Solaris", {
            let mut raw = Raw::file("x", 12);
            raw.0.set_entry_type(EntryType::new(b'X'));
            start().raw_entry(&raw, b"12 path=one\n").file("f", "")
        }),
        Case::new("header before a whiteout", start().pax(&uid).file(".wh.x", "")),
        Case::new("path of a whiteout", start().pax(&path(b".wh.x")).file("x", "")),
    ]
}

fn damaged() -> Vec<Case> {
    let with = |name: &str, content: &[u8]| {
        let mut raw = Raw::file("pax", content.len());
        raw.0.set_entry_type(EntryType::XHeader);
        Case::new(format!("records {name}"), start().raw_entry(&raw, content).file("f", ""))
    };
    vec![
        with("without an end of line", b"11 path=one"),
        with("too short", b"10 path=one\n"),
        with("too long", b"99 path=one\n"),
        with("without a length", b"path=one\n"),
        with("without an equals sign", b"9 pathon\n"),
        with("with a zero length", b"0 path=one\n"),
        with("with zeros before the length", b"014 path=one1\n"),
        with("with a negative length", b"-12 path=one\n"),
        with("without a key", b"7 =one\n"),
        with("with spaces before the length", b" 12 path=one\n"),
        with("with zero bytes behind them", b"12 path=one\n\0\0\0\0"),
        with("with an empty line behind them", b"12 path=one\n\n"),
        with("of nothing but a line", b"\n"),
    ]
}

fn global() -> Vec<Case> {
    let with = |records: &[u8]| {
        let mut raw = Raw::file("pax_global_header", records.len());
        raw.0.set_entry_type(EntryType::XGlobalHeader);
        start().raw_entry(&raw, records).file("f", "12345").directory("d/").file("d/g", "")
    };
    vec![
        Case::new("global comment", with(b"19 comment=0123456\n")),
        Case::new("global uid", with(b"8 uid=5\n")),
        Case::new("global mtime", with(b"11 mtime=5\n")),
        Case::new("global path", with(b"12 path=one\n")),
        Case::new("global attribute", with(b"26 SCHILY.xattr.user.a=1\n\0")),
        Case::new("global, damaged", with(b"99 path=one\n")),
        Case::new("global, empty", with(b"")),
    ]
}

/// Sparse files, in the four ways.
fn sparse() -> Vec<Case> {
    let zeros = |text: &str| text.to_owned();
    let gnu = |parts: &[(u64, u64)], real: u64, content: &[u8]| {
        let mut raw = Raw::file("sparse", content.len());
        raw.0.set_entry_type(EntryType::GNUSparse);
        let bytes = raw.0.as_mut_bytes();
        for (index, (from, length)) in parts.iter().enumerate() {
            let place = 386 + 24 * index;
            bytes[place..place + 12].copy_from_slice(format!("{from:011o}\0").as_bytes());
            bytes[place + 12..place + 24].copy_from_slice(format!("{length:011o}\0").as_bytes());
        }
        bytes[483..495].copy_from_slice(format!("{real:011o}\0").as_bytes());
        start().raw_entry(&raw, content).file("last", "last")
    };
    let one_zero = |name: &str, records: &[(&str, &[u8])], content: &[u8]| {
        let raw = Raw::file("GNUSparseFile.0/sparse", content.len());
        Case::new(name, start().pax(records).raw_entry(&raw, content).file("last", "last"))
    };
    let mut map = zeros("2\n1000\n5\n3000\n5\n").into_bytes();
    map.resize(512, 0);
    map.extend(b"1234567890");
    vec![
        Case::new("GNU sparse", gnu(&[(1000, 5), (3000, 5)], 4000, b"1234567890")),
        Case::new("GNU sparse, its end a hole", gnu(&[(0, 5), (4000, 0)], 4000, b"12345")),
        Case::new("GNU sparse, all a hole", gnu(&[(4000, 0)], 4000, b"")),
        Case::new("GNU sparse, no hole", gnu(&[(0, 5)], 5, b"12345")),
        Case::new("GNU sparse, out of order", gnu(&[(3000, 5), (1000, 5)], 4000, b"1234567890")),
        Case::new("GNU sparse, too much content", gnu(&[(1000, 5)], 4000, b"1234567890")),
        Case::new("GNU sparse, too little content", gnu(&[(1000, 15)], 4000, b"1234567890")),
        Case::new("GNU sparse, beyond its size", gnu(&[(1000, 10)], 500, b"1234567890")),
        one_zero(
            "PAX sparse 0.0",
            &[
                ("GNU.sparse.size", b"4000"),
                ("GNU.sparse.numblocks", b"2"),
                ("GNU.sparse.offset", b"1000"),
                ("GNU.sparse.numbytes", b"5"),
                ("GNU.sparse.offset", b"3000"),
                ("GNU.sparse.numbytes", b"5"),
            ],
            b"1234567890",
        ),
        one_zero(
            "PAX sparse 0.1",
            &[
                ("GNU.sparse.size", b"4000"),
                ("GNU.sparse.numblocks", b"2"),
                ("GNU.sparse.map", b"1000,5,3000,5"),
                ("GNU.sparse.name", b"sparse"),
            ],
            b"1234567890",
        ),
        one_zero(
            "PAX sparse 1.0",
            &[
                ("GNU.sparse.major", b"1"),
                ("GNU.sparse.minor", b"0"),
                ("GNU.sparse.name", b"sparse"),
                ("GNU.sparse.realsize", b"4000"),
            ],
            &map,
        ),
        one_zero(
            "PAX sparse of the future",
            &[("GNU.sparse.major", b"2"), ("GNU.sparse.minor", b"0")],
            &map,
        ),
        Case::new("PAX sparse, name only", {
            let raw = Raw::file("f", 4);
            Archive::new().pax(&[("GNU.sparse.name", b"other")]).raw_entry(&raw, b"text")
        }),
    ]
}
