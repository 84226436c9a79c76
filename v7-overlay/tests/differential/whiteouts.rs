//! Whiteouts in every form and order (image-spec, layer.md).

use tar::EntryType;

use crate::archive::Archive;
use crate::case::{Add, Case, Raw, start};

fn lower() -> Archive {
    start()
        .file("f", "text")
        .link("l", "f")
        .directory("d/")
        .file("d/a", "a")
        .file("d/b", "b")
        .directory("d/sub/")
        .file("d/sub/c", "c")
        .directory("e/")
}

/// A directory `d/sub` of another owner.
fn own() -> Raw {
    let mut raw = Raw::new("d/sub/", EntryType::Directory);
    raw.0.set_mode(0o3711);
    raw.0.set_uid(5);
    raw.0.set_gid(6);
    raw
}

fn upper() -> Archive {
    Archive::new().directory("./")
}

fn above(name: &str, upper: Archive) -> Case {
    Case::of_layers(name, [lower(), upper])
}

pub fn cases() -> Vec<Case> {
    let mut cases = of_files();
    cases.extend(opaque());
    cases.extend(odd());
    cases.extend(of_three_layers());
    cases.extend(orders());
    cases
}

fn of_files() -> Vec<Case> {
    vec![
        above("of a file", upper().file(".wh.f", "")),
        above("of a link", upper().file(".wh.l", "")),
        above("of a directory", upper().file(".wh.d", "")),
        above("of an empty directory", upper().file(".wh.e", "")),
        above("of nothing", upper().file(".wh.x", "")),
        above("in a directory", upper().directory("d/").file("d/.wh.a", "")),
        above("in a directory without an entry", upper().file("d/.wh.a", "")),
        above("in a directory that is not there", upper().file("x/.wh.a", "")),
        above("of a file, with a path", upper().file("./.wh.f", "")),
        above("of a file, absolute", upper().file("/.wh.f", "")),
        above(
            "of all files of a directory",
            upper().directory("d/").file("d/.wh.a", "").file("d/.wh.b", "").file("d/.wh.sub", ""),
        ),
        above("twice", upper().file(".wh.f", "").file(".wh.f", "")),
        above("of a file in a file", upper().file("f/.wh.x", "")),
        above("without a root", Archive::new().file(".wh.f", "")),
        above("before a new file", upper().file(".wh.f", "").file("f", "new")),
        above("after a new file", upper().file("f", "new").file(".wh.f", "")),
        above(
            "before a new directory",
            upper().file(".wh.d", "").directory("d/").file("d/new", ""),
        ),
        above("after a new directory", upper().directory("d/").file("d/new", "").file(".wh.d", "")),
        above(
            "between a directory and its file",
            upper().directory("d/").file(".wh.d", "").file("d/new", ""),
        ),
        above("before a file in place of a directory", upper().file(".wh.d", "").file("d", "file")),
        above("after a file in place of a directory", upper().file("d", "file").file(".wh.d", "")),
        above(
            "in a directory, after a file in its place",
            upper().file("d", "file").file("d/.wh.a", ""),
        ),
        above(
            "in a directory, before a file in its place",
            upper().file("d/.wh.a", "").file("d", "file"),
        ),
        above("before an implied directory", upper().file(".wh.d", "").file("d/new", "")),
        above("after an implied directory", upper().file("d/new", "").file(".wh.d", "")),
        above("of a directory and of what is in it", upper().file(".wh.d", "").file("d/.wh.a", "")),
        above(
            "of what is in a directory, and of it",
            upper().file("d/.wh.a", "").file(".wh.d", ""),
        ),
        above("before a new link", upper().file(".wh.d", "").link("d", "e")),
        above("deep", upper().file("d/sub/.wh.c", "")),
        above(
            "of a subdirectory and a new one",
            upper().directory("d/").file("d/.wh.sub", "").directory("d/sub/").file("d/sub/new", ""),
        ),
        Case::new("in the lowest layer", lower().file(".wh.x", "")),
        Case::new("in the lowest layer, of its own file", lower().file(".wh.f", "")),
    ]
}

fn opaque() -> Vec<Case> {
    let opq = "d/.wh..wh..opq";
    vec![
        above("opaque", upper().directory("d/").file(opq, "")),
        above("opaque, no entry of its directory", upper().file(opq, "")),
        above("opaque first", upper().file(opq, "").directory("d/").file("d/new", "")),
        above("opaque last", upper().directory("d/").file("d/new", "").file(opq, "")),
        above(
            "opaque between",
            upper().directory("d/").file("d/one", "").file(opq, "").file("d/two", ""),
        ),
        above("opaque twice", upper().directory("d/").file(opq, "").file(opq, "")),
        above(
            "opaque, with a file of the same name",
            upper().directory("d/").file(opq, "").file("d/a", "new"),
        ),
        above(
            "opaque last, with a file of the same name",
            upper().directory("d/").file("d/a", "new").file(opq, ""),
        ),
        above(
            "opaque, with a new subdirectory",
            upper().directory("d/").file(opq, "").directory("d/sub/").file("d/sub/n", ""),
        ),
        above(
            "opaque last, with a new subdirectory",
            upper().directory("d/").directory("d/sub/").file("d/sub/n", "").file(opq, ""),
        ),
        above(
            "opaque, with an implied subdirectory",
            upper().directory("d/").file(opq, "").file("d/sub/n", ""),
        ),
        above(
            "opaque last, with an implied subdirectory",
            upper().directory("d/").file("d/sub/n", "").file(opq, ""),
        ),
        above("opaque and a whiteout", upper().directory("d/").file(opq, "").file("d/.wh.a", "")),
        above(
            "opaque and a whiteout below",
            upper().directory("d/").file(opq, "").directory("d/sub/").file("d/sub/.wh.c", ""),
        ),
        above(
            "opaque subdirectory",
            upper().directory("d/sub/").file("d/sub/.wh..wh..opq", "").file("d/sub/n", ""),
        ),
        above("opaque root", upper().file(".wh..wh..opq", "").file("new", "")),
        above("opaque root last", upper().file("new", "").file(".wh..wh..opq", "")),
        above("opaque root, called ./", upper().file("./.wh..wh..opq", "").file("new", "")),
        above(
            "opaque, not there before",
            upper().directory("x/").file("x/.wh..wh..opq", "").file("x/n", ""),
        ),
        above("opaque, no such directory", upper().file("x/.wh..wh..opq", "")),
        above("opaque in place of a file", upper().directory("f/").file("f/.wh..wh..opq", "")),
        above("opaque through a link", Archive::new().link("d2", "d").file("d2/.wh..wh..opq", "")),
        above("opaque, then a file in its place", upper().file(opq, "").file("d", "file")),
        above(
            "opaque, with a hard link",
            upper().directory("d/").file(opq, "").file("d/n", "n").hard_link("d/m", "d/n"),
        ),
        above("implied in an opaque directory", upper().file(opq, "").file("d/sub/n", "")),
        above("implied in an opaque directory, its mark last", {
            upper().file("d/sub/n", "").file("x", "").file(opq, "")
        }),
        Case::of_layers(
            "implied in an opaque directory, over an own one",
            [
                start().directory("d/").raw_entry(&own(), b"").file("d/a", ""),
                upper().file(opq, "").file("d/sub/n", ""),
            ],
        ),
        Case::of_layers(
            "implied below a deleted directory, over an own one",
            [
                start().directory("d/").raw_entry(&own(), b"").file("d/a", ""),
                upper().file(".wh.d", "").file("d/sub/n", ""),
            ],
        ),
        above("implied below a deleted directory, in place of a file", {
            upper().file(".wh.d", "").file("d/a/n", "")
        }),
        above("implied in an opaque directory, in place of a file", {
            upper().file(opq, "").file("d/a/n", "")
        }),
        Case::new("opaque in the lowest layer", lower().file(opq, "")),
    ]
}

fn odd() -> Vec<Case> {
    let of_kind = |name: &str, kind: EntryType| {
        let mut raw = Raw::new(name, kind);
        if kind == EntryType::Symlink || kind == EntryType::Link {
            raw.0.set_link_name("e").unwrap();
        }
        raw
    };
    let mut cases = vec![
        above("of no name", upper().file(".wh.", "")),
        above("of .", upper().file(".wh..", "")),
        above("of ..", upper().file(".wh...", "")),
        above("of .. in a directory", upper().file("d/.wh...", "")),
        above("with content", upper().file(".wh.f", "content").file("last", "")),
        above("of a whiteout", upper().file(".wh..wh.f", "")),
        above(
            "of an opaque mark, with content",
            upper().file("d/.wh..wh..opq", "x").file("last", ""),
        ),
        above("a directory called .wh.f", upper().directory(".wh.f/")),
        above(
            "a file in a directory called .wh.d",
            upper().directory(".wh.d/").file(".wh.d/x", ""),
        ),
        above("aufs: .wh..wh.aufs", upper().file(".wh..wh.aufs", "").file("last", "")),
        above("aufs: .wh..wh.orph", upper().directory(".wh..wh.orph/").file("last", "")),
        above("aufs: .wh..wh.plnk", upper().directory(".wh..wh.plnk/").file("last", "")),
        above("aufs: a file in .wh..wh.plnk", {
            upper().directory(".wh..wh.plnk/").file(".wh..wh.plnk/1.2", "x").file("last", "")
        }),
        above("aufs: a hard link to .wh..wh.plnk", {
            let archive = upper().directory(".wh..wh.plnk/").file(".wh..wh.plnk/1.2", "x");
            archive.hard_link("h", ".wh..wh.plnk/1.2").file("last", "")
        }),
        above("aufs: .wh..wh.x in a directory", upper().file("d/.wh..wh.x", "").file("last", "")),
        above("overlayfs: the device 0:0", upper().device("f", EntryType::Char, 0, 0)),
        above("overlayfs: trusted.overlay.opaque", {
            upper().pax(&[("SCHILY.xattr.trusted.overlay.opaque", b"y")]).directory("d/")
        }),
        above("overlayfs: user.overlay.opaque", {
            upper().pax(&[("SCHILY.xattr.user.overlay.opaque", b"y")]).directory("d/")
        }),
        above("overlayfs: user.overlay.whiteout", {
            upper().pax(&[("SCHILY.xattr.user.overlay.whiteout", b"y")]).file("f", "")
        }),
        above("not a whiteout: .wha", upper().file(".wha", "")),
        above("not a whiteout: x.wh.f", upper().file("x.wh.f", "")),
        above("not a whiteout: .WH.f", upper().file(".WH.f", "")),
    ];
    for kind in [
        EntryType::Directory,
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Fifo,
        EntryType::Char,
    ] {
        for name in [".wh.f", "d/.wh..wh..opq"] {
            let archive = upper().raw_entry(&of_kind(name, kind), b"").file("last", "");
            cases.push(above(&format!("{name} of type {:?}", kind.as_byte() as char), archive));
        }
    }
    cases
}

fn of_three_layers() -> Vec<Case> {
    let three = |name: &str, second: Archive, third: Archive| {
        Case::of_layers(name, [lower(), second, third])
    };
    vec![
        three("and a file above it", upper().file(".wh.f", ""), upper().file("f", "third")),
        three(
            "and a directory above it",
            upper().file(".wh.d", ""),
            upper().directory("d/").file("d/new", ""),
        ),
        three(
            "and an implied directory above it",
            upper().file(".wh.d", ""),
            upper().file("d/new", ""),
        ),
        three("of what the second added", upper().file("n", ""), upper().file(".wh.n", "")),
        three("of what the second replaced", upper().file("f", "2"), upper().file(".wh.f", "")),
        three(
            "opaque, and a file above it",
            upper().file("d/.wh..wh..opq", "").file("d/n", ""),
            upper().file("d/a", "third"),
        ),
        three(
            "opaque twice, in two layers",
            upper().file("d/.wh..wh..opq", "").file("d/n", ""),
            upper().file("d/.wh..wh..opq", "").file("d/m", ""),
        ),
        three(
            "of a directory, of which the second replaced a file",
            upper().directory("d/").file("d/a", "2"),
            upper().file(".wh.d", ""),
        ),
        three(
            "a file in place of a directory, and a directory again",
            upper().file("d", "2"),
            upper().directory("d/").file("d/n", ""),
        ),
        three(
            "a directory in place of a file, and a file again",
            upper().directory("f/").file("f/n", ""),
            upper().file("f", "3"),
        ),
        three("nothing between", upper(), upper().file(".wh.f", "")),
        three(
            "opaque root, and more above it",
            upper().file(".wh..wh..opq", "").file("n", ""),
            upper().file("d/a", "third"),
        ),
        three("the same layer twice", upper().file("n", ""), upper().file("n", "")),
        Case::of_layers(
            "the lowest layer again, on top",
            [lower(), upper().file(".wh.f", ""), lower()],
        ),
    ]
}

/// Every order of five entries that say something about one directory.
fn orders() -> Vec<Case> {
    let entries: [(char, Add); 4] = [
        ('D', |archive| archive.directory("d/")),
        ('O', |archive| archive.file("d/.wh..wh..opq", "")),
        ('F', |archive| archive.file("d/a", "new")),
        ('W', |archive| archive.file(".wh.d", "")),
    ];
    let mut cases = Vec::new();
    for number in 0..4 * 4 * 4 * 4 {
        let order: Vec<usize> = (0..4).map(|place| number >> (2 * place) & 3).collect();
        let is_permutation = (0..4).all(|entry| order.contains(&entry));
        if !is_permutation {
            continue;
        }
        let name: String = order.iter().map(|entry| entries[*entry].0).collect();
        let archive = order.iter().fold(upper(), |archive, entry| entries[*entry].1(archive));
        cases.push(above(&format!("order {name}"), archive));
    }
    cases
}
