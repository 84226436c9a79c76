//! Names: where they stand, how they are written, where they lead.

use tar::EntryType;

use crate::archive::Archive;
use crate::case::{Case, GNU, LINK, NAME, OLD, PREFIX, Raw, USTAR, start};

pub fn cases() -> Vec<Case> {
    let mut cases = written();
    cases.extend(out_of_the_root());
    cases.extend(long());
    cases.extend(prefixes());
    cases.extend(implied());
    cases.extend(ends());
    cases.extend(roots());
    cases
}

/// Names of files and directories that are legal, in all ways of writing.
fn written() -> Vec<Case> {
    let names: [&[u8]; 18] = [
        b"./a",
        b"/a",
        b"//a",
        b"././a",
        b"d/./a",
        b"d//a",
        b"d/a",
        b"./d/a",
        b"/d/a",
        b"a b",
        b"a\nb",
        b"a\\b",
        b"\xff\xfe",
        b"a:b",
        b"...",
        b"..a",
        b"a..",
        b"-a",
    ];
    let mut cases = Vec::new();
    for name in names {
        let text = name.escape_ascii();
        let file = Raw::file("", 4).set(NAME, name);
        let archive = || start().directory("d/");
        cases.push(Case::new(format!("file {text}"), archive().raw_entry(&file, b"text")));
        let directory = Raw::new("", EntryType::Directory).set(NAME, name);
        let archive = archive().raw_entry(&directory, b"");
        cases.push(Case::new(format!("directory {text}"), archive));
    }
    for (name, kind) in [
        ("d/", EntryType::Directory),
        ("d", EntryType::Directory),
        ("d//", EntryType::Directory),
        ("./d/.", EntryType::Directory),
        ("f/", EntryType::Regular),
        ("f/.", EntryType::Regular),
        ("s/", EntryType::Symlink),
        ("p/", EntryType::Fifo),
        ("", EntryType::Regular),
        ("", EntryType::Directory),
        (".", EntryType::Regular),
        ("/", EntryType::Regular),
        ("/", EntryType::Directory),
        (".", EntryType::Symlink),
    ] {
        let raw =
            Raw::new(name, kind).set(LINK, if kind == EntryType::Symlink { b"x" } else { b"" });
        let name = format!("type {:?} called {name:?}", kind.as_byte() as char);
        cases.push(Case::new(name, start().raw_entry(&raw, b"").file("last", "")));
    }
    let old = Raw::new("d/", EntryType::Regular).format(OLD);
    cases.push(Case::new("old directory", start().raw_entry(&old, b"").file("d/a", "")));
    let mut old = old;
    old.0.set_entry_type(EntryType::new(0));
    cases.push(Case::new("oldest directory", start().raw_entry(&old, b"").file("d/a", "")));
    let file = Raw::file("f", 4).format(OLD);
    cases.push(Case::new("oldest file", start().raw_entry(&file, b"text")));
    cases
}

fn out_of_the_root() -> Vec<Case> {
    ["../a", "d/../a", "d/../../a", "..", "d/..", "/../a", "./../a", "d/../d/a", "../../../a/../b"]
        .into_iter()
        .flat_map(|name| {
            let of = |kind| {
                let raw = Raw::new(name, kind);
                let name = format!("type {:?} called {name}", kind.as_byte() as char);
                Case::new(name, start().directory("d/").raw_entry(&raw, b"").file("last", ""))
            };
            [of(EntryType::Regular), of(EntryType::Directory)]
        })
        .collect()
}

fn long() -> Vec<Case> {
    let long_name = EntryType::GNULongName;
    let long_link = EntryType::GNULongLink;
    let name = format!("{}/{}", "d".repeat(120), "f".repeat(120));
    let target = format!("{}/{}", "t".repeat(120), "u".repeat(120));
    let full = "f".repeat(100);
    let deep = vec!["deep"; 60].join("/");
    let with_zero = |text: &str| [text.as_bytes(), b"\0"].concat();
    vec![
        Case::new("name of 100 letters", start().file(&full, "text")),
        Case::new("target of 100 letters", start().link("l", &full)),
        Case::new("name of 255 letters", start().long_name(&"n".repeat(255)).file("f", "")),
        Case::new("name of 256 letters", start().long_name(&"n".repeat(256)).file("f", "")),
        Case::new("GNU long name", start().long_name(&name).file("f", "text")),
        Case::new("GNU long name of a directory", start().long_name(&name).directory("d/")),
        Case::new(
            "GNU long name without a zero byte",
            start().long(long_name, name.as_bytes()).file("f", "text"),
        ),
        Case::new(
            "GNU long name with more behind its zero byte",
            start().long(long_name, b"name\0more").file("f", "text"),
        ),
        Case::new(
            "GNU long name with nothing in it",
            start().long(long_name, b"").file("f", "text"),
        ),
        Case::new(
            "GNU long name, twice",
            start().long_name(&name).long_name("second").file("f", ""),
        ),
        Case::new("GNU long name before nothing", start().file("f", "").long_name(&name)),
        Case::new("GNU long link", start().long(long_link, &with_zero(&target)).link("l", "t")),
        Case::new(
            "GNU long link and long name",
            start().long(long_link, &with_zero(&target)).long_name(&name).link("l", "t"),
        ),
        Case::new(
            "GNU long name and long link",
            start().long_name(&name).long(long_link, &with_zero(&target)).link("l", "t"),
        ),
        Case::new(
            "GNU long link of a hard link",
            start()
                .long_name(&name)
                .file("f", "text")
                .long(long_link, &with_zero(&name))
                .hard_link("h", "x"),
        ),
        Case::new(
            "GNU long link before a file",
            start().long(long_link, &with_zero(&target)).file("f", "text").link("l", "t"),
        ),
        Case::new("sixty directories deep", start().long_name(&deep).file("f", "text")),
    ]
}

/// A prefix is ustar's only: elsewhere these bytes are something else.
fn prefixes() -> Vec<Case> {
    let mut cases = Vec::new();
    for (format, magic) in [("ustar", USTAR), ("GNU", GNU), ("old", OLD)] {
        for (kind, name) in [(EntryType::Regular, "f"), (EntryType::Directory, "d/")] {
            for (prefix, text) in [("a", "short"), ("a/b/", "with a slash"), ("", "empty")] {
                let raw = Raw::new(name, kind).format(magic).set(PREFIX, prefix.as_bytes());
                let name = format!("prefix {text} of type {:?}, {format}", kind.as_byte() as char);
                cases.push(Case::new(name, start().raw_entry(&raw, b"")));
            }
        }
    }
    let full = Raw::file("", 4).set(NAME, &[b'n'; 100]).format(USTAR).set(PREFIX, &[b'p'; 155]);
    cases.push(Case::new("prefix of 155 letters", start().raw_entry(&full, b"text")));
    let star = Raw::file("f", 4).format(USTAR).set(PREFIX, &[b'p'; 131]);
    let mut star = star;
    star.0.as_mut_bytes()[508..].copy_from_slice(b"tar\0");
    cases.push(Case::new("prefix of star", start().raw_entry(&star, b"text")));
    let mut gnu = Raw::file("f", 4);
    gnu.0.as_mut_bytes()[345..369].copy_from_slice(b"07777777777\x0007777777776\0");
    cases.push(Case::new("GNU times in place of a prefix", start().raw_entry(&gnu, b"text")));
    cases
}

/// Directories that have no entry, or a later one.
fn implied() -> Vec<Case> {
    let mode = |mode: u32| {
        let mut raw = Raw::new("d/", EntryType::Directory);
        raw.0.set_mode(mode);
        raw.0.set_uid(5);
        raw.0.set_gid(6);
        raw
    };
    let own = || start().raw_entry(&mode(0o1777), b"");
    vec![
        Case::new("implied directory", start().file("d/a", "")),
        Case::new("implied directories", start().file("a/b/c/d", "").file("a/x/y", "")),
        Case::new("implied directory of a directory", start().directory("a/b/")),
        Case::new("implied directory of a link", start().link("a/b", "x")),
        Case::new("implied directory of a hard link", start().file("f", "").hard_link("a/b", "f")),
        Case::new("entry of a directory after its file", own().file("d/a", "").directory("d/")),
        Case::new("implied directory of a set-group-ID directory", {
            start().raw_entry(&mode(0o2755), b"").file("d/a/b", "")
        }),
        Case::of_layers(
            "implied over a directory, in one that is set-group-ID now",
            [
                start().file("d/sub/x", ""),
                start().raw_entry(&mode(0o2755), b"").file("d/sub/n", ""),
            ],
        ),
        Case::new("no root", Archive::new().file("a", "")),
        Case::new("a file as a directory", start().file("a", "").file("a/b", "")),
        Case::new(
            "a fifo as a directory",
            start().raw_entry(&Raw::new("a", EntryType::Fifo), b"").file("a/b", ""),
        ),
        Case::of_layers("implied over an own directory", [own(), Archive::new().file("d/a", "")]),
        Case::of_layers(
            "implied over an own directory, without a root",
            [own().file("d/x", ""), Archive::new().file("d/a/b", "")],
        ),
        Case::of_layers("implied twice", [start().file("d/a", ""), Archive::new().file("d/b", "")]),
        Case::of_layers("implied, then its own", [start().file("d/a", ""), own()]),
        Case::of_layers(
            "implied over a whiteout",
            [own().file("d/x", ""), Archive::new().file(".wh.d", "").file("d/a", "")],
        ),
        Case::of_layers(
            "implied over a file",
            [start().file("d", "file"), Archive::new().file("d/a", "")],
        ),
        Case::of_layers(
            "implied over a link to a directory",
            [start().directory("e/").link("d", "e"), Archive::new().file("d/a", "")],
        ),
        Case::of_layers(
            "implied in three layers",
            [own(), Archive::new().file("d/a", ""), Archive::new().file("d/b", "")],
        ),
        Case::of_layers(
            "implied by a whiteout",
            [own().file("d/a", "").file("d/b", ""), Archive::new().file("d/.wh.a", "")],
        ),
        Case::of_layers(
            "implied by an opaque mark",
            [own().file("d/a", ""), Archive::new().file("d/.wh..wh..opq", "")],
        ),
        Case::of_layers(
            "implied by a whiteout of nothing",
            [start(), Archive::new().file("d/.wh.a", "")],
        ),
    ]
}

/// How an archive may end, or not.
fn ends() -> Vec<Case> {
    let files = || start().file("a", "text").file("b", "");
    let bytes = |more: &[u8]| [files().without_end(), more.to_vec()].concat();
    let cut = |length: usize| {
        let mut bytes = start().file("a", &"x".repeat(2000)).without_end();
        bytes.truncate(bytes.len() - length);
        bytes
    };
    let garbage = [vec![0; 1024], vec![b'g'; 700]].concat();
    let more = [vec![0; 1024], Archive::new().file("c", "").finish()].concat();
    let after_one = [vec![0; 512], Archive::new().file("c", "").finish()].concat();
    vec![
        Case::of_bytes("end: two blocks", bytes(&[0; 1024])),
        Case::of_bytes("end: none", bytes(&[])),
        Case::of_bytes("end: one block", bytes(&[0; 512])),
        Case::of_bytes("end: 20 blocks", bytes(&[0; 10240])),
        Case::of_bytes("end: half a block", bytes(&[0; 200])),
        Case::of_bytes("end: more behind it", bytes(&garbage)),
        Case::of_bytes("end: another archive behind it", bytes(&more)),
        Case::of_bytes("end: an entry behind one block", bytes(&after_one)),
        Case::of_bytes("end: garbage in place of a header", bytes(&[b'g'; 512])),
        Case::of_bytes("end: in the padding of a file", cut(20)),
        Case::of_bytes("end: in a file", cut(700)),
        Case::of_bytes("end: in a header", start().without_end()[..300].to_vec()),
        Case::of_bytes("end: at once", vec![]),
        Case::of_bytes("end: nothing but its blocks", vec![0; 1024]),
    ]
}

/// The root directory itself.
fn roots() -> Vec<Case> {
    let root = |name: &str, mode: u32| {
        let mut raw = Raw::new(name, EntryType::Directory);
        raw.0.set_mode(mode);
        raw.0.set_uid(7);
        Archive::new().raw_entry(&raw, b"")
    };
    let of =
        |name: &str| Case::new(format!("root called {name:?}"), root(name, 0o751).file("a", ""));
    let mut cases: Vec<_> = ["./", ".", "/", "//", "", "././"].map(of).into();
    cases.extend([
        Case::new("root after its files", Archive::new().file("a", "").directory("./")),
        Case::of_layers(
            "root in the lower layer only",
            [root("./", 0o751), Archive::new().file("a", "")],
        ),
        Case::of_layers(
            "root in both layers",
            [root("./", 0o751), root("./", 0o755).file("a", "")],
        ),
        Case::of_layers(
            "root in the upper layer only",
            [Archive::new().file("a", ""), root("./", 0o711)],
        ),
    ]);
    cases
}
