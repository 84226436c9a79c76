//! Extended attributes on every type of entry.

use tar::EntryType;

use crate::archive::Archive;
use crate::case::{Add, Case, Raw, start};

const CAPABILITY: &[u8] = &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// An ACL of a user 5 (acl(5), in the kernel's form).
const ACL: &[u8] = &[
    2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 5, 0, 0, 0, 4, 0, 4, 0, 255, 255, 255,
    255, 16, 0, 4, 0, 255, 255, 255, 255, 32, 0, 4, 0, 255, 255, 255, 255,
];

pub fn cases() -> Vec<Case> {
    let names: [(&str, &[u8]); 12] = [
        ("user.note", b"value"),
        ("user.note", b""),
        ("user.note", b"a\0b\xff\n"),
        ("user.a=b", b"value"),
        ("trusted.note", b"value"),
        ("security.capability", CAPABILITY),
        ("security.capability", b"nonsense"),
        ("security.ima", b"\x03value"),
        ("security.note", b"value"),
        ("system.posix_acl_access", ACL),
        ("system.unknown", b"value"),
        ("unknown", b"value"),
    ];
    let kinds: [(&str, Add); 5] = [
        ("file", |archive| archive.file("it", "text")),
        ("directory", |archive| archive.directory("it/")),
        ("link", |archive| archive.link("it", "x")),
        ("fifo", |archive| archive.raw_entry(&Raw::new("it", EntryType::Fifo), b"")),
        ("device", |archive| archive.device("it", EntryType::Char, 1, 3)),
    ];
    let mut cases = Vec::new();
    for (kind, make) in kinds {
        for (name, value) in names {
            let key = format!("SCHILY.xattr.{name}");
            let archive = make(start().pax(&[(&key, value)])).file("last", "");
            let value =
                if value.len() < 10 { value.escape_ascii().to_string() } else { "...".into() };
            cases.push(Case::new(format!("{name}={value} of a {kind}"), archive));
        }
    }
    let long = format!("SCHILY.xattr.user.{}", "n".repeat(250));
    let longer = format!("SCHILY.xattr.user.{}", "n".repeat(251));
    let large = vec![b'v'; 2000];
    cases.extend([
        Case::new("long name", start().pax(&[(&long, b"v")]).file("it", "")),
        Case::new("too long a name", start().pax(&[(&longer, b"v")]).file("it", "")),
        Case::new("long value", start().pax(&[("SCHILY.xattr.user.a", &large)]).file("it", "")),
        Case::new("empty name", start().pax(&[("SCHILY.xattr.", b"v")]).file("it", "")),
        Case::new("user. and nothing", start().pax(&[("SCHILY.xattr.user.", b"v")]).file("it", "")),
        Case::new(
            "two attributes",
            start()
                .pax(&[("SCHILY.xattr.user.a", b"1"), ("SCHILY.xattr.user.b", b"2")])
                .file("it", ""),
        ),
        Case::new(
            "selinux",
            start().pax(&[("SCHILY.xattr.security.selinux", b"x")]).file("it", ""),
        ),
        Case::new(
            "nfs4_acl",
            start().pax(&[("SCHILY.xattr.system.nfs4_acl", b"x")]).file("it", ""),
        ),
        Case::new("capability and an owner", {
            let mut raw = Raw::new("it", EntryType::Regular);
            raw.0.set_uid(5);
            raw.0.set_mode(0o6755);
            start().pax(&[("SCHILY.xattr.security.capability", CAPABILITY)]).raw_entry(&raw, b"")
        }),
        Case::new(
            "of the root",
            Archive::new().pax(&[("SCHILY.xattr.user.a", b"1")]).directory("./"),
        ),
        Case::new("of a read-only file", {
            let mut raw = Raw::new("it", EntryType::Regular);
            raw.0.set_mode(0o400);
            start().pax(&[("SCHILY.xattr.user.a", b"1")]).raw_entry(&raw, b"")
        }),
        Case::new("of a sticky directory", {
            let mut raw = Raw::new("it", EntryType::Directory);
            raw.0.set_mode(0o1777);
            raw.0.set_uid(5);
            start().pax(&[("SCHILY.xattr.user.a", b"1")]).raw_entry(&raw, b"")
        }),
    ]);
    cases
}
