//! Every type of entry: with content, in every format, and in place of each other.

use tar::EntryType;

use crate::archive::Archive;
use crate::case::{Case, GNU, LINK, MAJOR, MINOR, OLD, Raw, SIZE, USTAR, start};

/// Makes something under a name.
type Make = fn(Archive, &str) -> Archive;

/// What stands under a name: how it is called, and how it is made.
const KINDS: [(&str, Make); 7] = [
    ("file", |archive, name| archive.file(name, "text")),
    ("directory", |archive, name| archive.directory(&format!("{name}/"))),
    ("full directory", |archive, name| {
        archive.directory(&format!("{name}/")).file(&format!("{name}/in"), "in")
    }),
    ("link", |archive, name| archive.link(name, "target")),
    ("hard link", |archive, name| archive.hard_link(name, "target/file")),
    ("fifo", |archive, name| archive.raw_entry(&Raw::new(name, EntryType::Fifo), b"")),
    ("device", |archive, name| archive.device(name, EntryType::Char, 1, 3)),
];

pub fn cases() -> Vec<Case> {
    let mut cases = replaced();
    cases.extend(with_content());
    cases.extend(formats());
    cases.extend(unknown());
    cases.extend(sizes());
    cases.extend(attributes_of_repeats());
    cases
}

/// Each in place of each, in the same layer and in a higher one.
fn replaced() -> Vec<Case> {
    let start = || start().directory("target/").file("target/file", "target");
    let mut cases = Vec::new();
    for (first, make_first) in KINDS {
        for (second, make_second) in KINDS {
            let one = make_second(make_first(start(), "it"), "it").file("last", "");
            cases.push(Case::new(format!("{first}, then {second}"), one));
            let upper = make_second(Archive::new().directory("./").hard_link_target(second), "it");
            let layers = [make_first(start(), "it"), upper];
            cases.push(Case::of_layers(format!("{first}, then {second} above"), layers));
        }
    }
    cases
}

impl Archive {
    /// A hard link's target has to be in its layer.
    fn hard_link_target(self, kind: &str) -> Archive {
        if kind == "hard link" { self.file("target/file", "other") } else { self }
    }
}

/// Sizes where no content is, and content where the type has none.
fn with_content() -> Vec<Case> {
    let kinds = [
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Char,
        EntryType::Block,
        EntryType::Fifo,
        EntryType::Directory,
    ];
    let raw = |kind: EntryType| {
        let raw = Raw::new("it", kind).set(SIZE, b"00000000005");
        match kind {
            EntryType::Symlink | EntryType::Link => raw.set(LINK, b"first"),
            EntryType::Char | EntryType::Block => raw.set(MAJOR, b"0000001").set(MINOR, b"0000003"),
            _ => raw,
        }
    };
    let mut cases = Vec::new();
    for kind in kinds {
        for (format, magic) in [("GNU", GNU), ("ustar", USTAR)] {
            let name =
                |what| format!("type {:?} with a size, {what}, {format}", kind.as_byte() as char);
            let raw = raw(kind).format(magic);
            let raw = if matches!(kind, EntryType::Char | EntryType::Block) {
                raw.set(MAJOR, b"0000001").set(MINOR, b"0000003")
            } else {
                raw
            };
            let archive = || start().file("first", "first");
            let without = archive().raw_entry(&raw, b"").file("last", "last");
            let with = archive().raw_entry(&raw, b"12345").file("last", "last");
            cases.push(Case::new(name("without content"), without));
            cases.push(Case::new(name("with content"), with));
        }
    }
    cases
}

fn formats() -> Vec<Case> {
    let kinds = [b'0', 0, b'1', b'2', b'3', b'4', b'5', b'6', b'7'];
    let mut cases = Vec::new();
    for (format, magic) in [("GNU", GNU), ("ustar", USTAR), ("old", OLD)] {
        for kind in kinds {
            let mut raw = Raw::new("it", EntryType::new(kind)).format(magic);
            raw = match kind {
                b'1' | b'2' => raw.set(LINK, b"first"),
                b'3' | b'4' => raw.set(MAJOR, b"0000001").set(MINOR, b"0000003"),
                _ => raw,
            };
            let archive = start().file("first", "first").raw_entry(&raw, b"").file("last", "");
            let kind = [kind].escape_ascii().to_string();
            cases.push(Case::new(format!("type {kind}, {format}"), archive));
        }
    }
    let contiguous = {
        let mut raw = Raw::file("it", 5);
        raw.0.set_entry_type(EntryType::Continuous);
        start().raw_entry(&raw, b"12345").file("last", "last")
    };
    cases.push(Case::new("contiguous file", contiguous));
    let devices: [(&str, EntryType, u32, u32); 6] = [
        ("0:0, char", EntryType::Char, 0, 0),
        ("0:0, block", EntryType::Block, 0, 0),
        ("0:1", EntryType::Char, 0, 1),
        ("large minor", EntryType::Char, 1, 70000),
        ("large major", EntryType::Block, 4000, 1),
        ("both large", EntryType::Block, 300, 300),
    ];
    for (name, kind, major, minor) in devices {
        let archive = start().device("it", kind, major, minor);
        cases.push(Case::new(format!("device {name}"), archive));
    }
    cases
}

/// Types that a layer has no use for.
fn unknown() -> Vec<Case> {
    b"89AZaz\x01\xffDMNVSIE"
        .iter()
        .map(|kind| {
            let mut raw = Raw::file("it", 5);
            raw.0.set_entry_type(EntryType::new(*kind));
            let archive = start().raw_entry(&raw, b"12345").file("last", "last");
            Case::new(format!("unknown type {}", [*kind].escape_ascii()), archive)
        })
        .collect()
}

fn sizes() -> Vec<Case> {
    [1, 511, 512, 513, 1023, 1024, 1025, 32768, 65535, 65536, 65537, 1_000_000]
        .into_iter()
        .map(|size| {
            let content = (0..size).map(|it| char::from(b'a' + u8::try_from(it % 23).unwrap()));
            let content: String = content.collect();
            Case::new(
                format!("file of {size} bytes"),
                start().file("it", &content).file("last", ""),
            )
        })
        .collect()
}

/// Of several entries for a directory, and for a file.
fn attributes_of_repeats() -> Vec<Case> {
    let with = |name: &str, kind: EntryType, mode: u32, uid: u64, time: u64| {
        let mut raw = Raw::new(name, kind);
        raw.0.set_mode(mode);
        raw.0.set_uid(uid);
        raw.0.set_mtime(time);
        raw
    };
    let directory = |mode, uid, time| with("d/", EntryType::Directory, mode, uid, time);
    let file = |mode, uid, time| with("f", EntryType::Regular, mode, uid, time);
    let note = |value: &'static [u8]| [("SCHILY.xattr.user.note", value)];
    let (one, two) = (directory(0o711, 1, 111), directory(0o3777, 2, 222));
    let (low, high) = (file(0o4711, 1, 111), file(0o600, 2, 222));
    vec![
        Case::new("directory twice", start().raw_entry(&one, b"").raw_entry(&two, b"")),
        Case::new(
            "directory twice, a file between",
            start().raw_entry(&one, b"").file("d/a", "").raw_entry(&two, b"").file("d/b", ""),
        ),
        Case::of_layers(
            "directory in two layers",
            [start().raw_entry(&one, b"").file("d/a", ""), start().raw_entry(&two, b"")],
        ),
        Case::new("file twice", start().raw_entry(&low, b"").raw_entry(&high, b"")),
        Case::of_layers(
            "file in two layers",
            [start().raw_entry(&low, b""), start().raw_entry(&high, b"")],
        ),
        Case::of_layers(
            "directory with an attribute, then without",
            [start().pax(&note(b"1")).raw_entry(&one, b""), start().raw_entry(&two, b"")],
        ),
        Case::of_layers(
            "directory with an attribute, then with another",
            [
                start().pax(&note(b"1")).raw_entry(&one, b""),
                start().pax(&[("SCHILY.xattr.user.more", b"2")]).raw_entry(&two, b""),
            ],
        ),
        Case::new(
            "directory with an attribute, then without, in a layer",
            start().pax(&note(b"1")).raw_entry(&one, b"").raw_entry(&two, b""),
        ),
        Case::of_layers(
            "file with an attribute, then without",
            [start().pax(&note(b"1")).raw_entry(&low, b""), start().raw_entry(&high, b"")],
        ),
        Case::of_layers(
            "directory above, its files below",
            [
                start().raw_entry(&one, b"").file("d/a", "a").file("d/b", "b"),
                start().raw_entry(&two, b"").file("d/b", "c"),
            ],
        ),
    ]
}
