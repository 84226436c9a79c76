//! Links of both kinds, and entries whose path leads through one.

use tar::EntryType;

use crate::archive::Archive;
use crate::case::{Case, MODE, Raw, UID, start};

pub fn cases() -> Vec<Case> {
    let mut cases = symbolic();
    cases.extend(through());
    cases.extend(hard());
    cases.extend(hard_across_layers());
    cases
}

fn symbolic() -> Vec<Case> {
    let targets = [
        "f",
        "./f",
        "/f",
        "d/f",
        "../f",
        "../../../f",
        "/",
        ".",
        "..",
        "nowhere",
        "l",
        "d/",
        "//f",
        "f\n",
        "a b",
        "\u{e4}",
    ];
    let of = |target: &str| {
        Case::new(
            format!("link to {target:?}"),
            start().file("f", "").directory("d/").link("l", target),
        )
    };
    let mut cases: Vec<_> = targets.map(of).into();
    cases.push(Case::new("link to nothing", start().link("l", "").file("last", "")));
    cases.push(Case::new("link in a directory", start().directory("d/").link("d/l", "../f")));
    let owned = Raw::new("l", EntryType::Symlink).set(UID, b"0000005\0").set(MODE, b"0000700\0");
    let mut owned = owned;
    owned.0.set_link_name("x").unwrap();
    cases.push(Case::new("link with an owner", start().raw_entry(&owned, b"")));
    cases
}

/// Entries whose directory is a symbolic link.
fn through() -> Vec<Case> {
    let mut cases = Vec::new();
    let start = || start().directory("d/").directory("e/");
    for target in ["d", "./d", "/d", "../d", "../../d", "missing", "/missing/deep", "l", "e/../d"] {
        let lower = || start().link("l", target);
        let name = format!("through a link to {target}");
        cases.push(Case::new(format!("{name}: file"), lower().file("l/f", "text")));
        cases.push(Case::new(
            format!("{name}: directory"),
            lower().directory("l/sub/").file("l/sub/f", ""),
        ));
        let upper = || Archive::new().directory("./");
        cases.push(Case::of_layers(
            format!("{name}: file above"),
            [lower(), upper().file("l/f", "text")],
        ));
        cases.push(Case::of_layers(
            format!("{name}: entry of the directory above"),
            [lower(), upper().directory("l/").file("l/f", "text")],
        ));
    }
    cases.push(Case::new(
        "through two links",
        start().link("a", "d").link("b", "a").file("b/f", ""),
    ));
    cases.push(Case::new(
        "through a link in a directory",
        start().link("d/up", "../e").file("d/up/f", ""),
    ));
    cases.push(Case::new(
        "through a link to a file",
        start().file("f", "").link("l", "f").file("l/x", ""),
    ));
    cases.push(Case::new("link to a directory, hard link through it", {
        start().link("l", "d").file("d/f", "text").hard_link("h", "l/f")
    }));
    cases.push(Case::new("hard link below a link", {
        start().link("l", "d").file("f", "text").hard_link("l/h", "f")
    }));
    cases.push(Case::of_layers(
        "whiteout through a link",
        [
            start().file("d/f", "").link("l", "d"),
            Archive::new().directory("./").file("l/.wh.f", ""),
        ],
    ));
    cases.push(Case::of_layers(
        "link replaced, then a file in it",
        [
            start().link("l", "d").file("d/f", ""),
            Archive::new().directory("./").file(".wh.l", "").directory("l/").file("l/g", ""),
        ],
    ));
    cases
}

fn hard() -> Vec<Case> {
    let file = || start().file("f", "text");
    let fifo = Raw::new("p", EntryType::Fifo);
    let other = |mode: &[u8], uid: &[u8]| {
        let mut raw = Raw::new("h", EntryType::Link).set(MODE, mode).set(UID, uid);
        raw.0.set_link_name("f").unwrap();
        raw
    };
    vec![
        Case::new("hard link", file().hard_link("h", "f")),
        Case::new("hard link to ./f", file().hard_link("h", "./f")),
        Case::new("hard link to /f", file().hard_link("h", "/f")),
        Case::new("hard link to d/../f", file().directory("d/").hard_link("h", "d/../f")),
        Case::new("hard link to ../f", file().hard_link("h", "../f")),
        Case::new("hard link to ../../etc/passwd", file().hard_link("h", "../../etc/passwd")),
        Case::new("hard link in a directory", file().directory("d/").hard_link("d/h", "f")),
        Case::new(
            "hard link to one in a directory",
            start().directory("d/").file("d/f", "text").hard_link("h", "d/f"),
        ),
        Case::new(
            "hard link, not beside it",
            start().directory("d/").file("d/f", "text").hard_link("d/h", "f").file("f", ""),
        ),
        Case::new("two hard links", file().hard_link("h", "f").hard_link("i", "f")),
        Case::new("hard link to a hard link", file().hard_link("h", "f").hard_link("i", "h")),
        Case::new("hard link to itself", file().hard_link("f", "f")),
        Case::new(
            "hard link to itself, without a file",
            start().hard_link("f", "f").file("last", ""),
        ),
        Case::new("hard link twice", file().hard_link("h", "f").hard_link("h", "f")),
        Case::new(
            "hard link to another file, twice",
            file().file("g", "").hard_link("h", "f").hard_link("h", "g"),
        ),
        Case::new("hard link to a later file", start().hard_link("h", "f").file("f", "text")),
        Case::new("hard link to nothing", start().hard_link("h", "f")),
        Case::new("hard link without a target", file().hard_link("h", "")),
        Case::new("hard link to a directory", start().directory("d/").hard_link("h", "d")),
        Case::new("hard link to the root", start().hard_link("h", ".")),
        Case::new("hard link to a link", file().link("l", "f").hard_link("h", "l")),
        Case::new("hard link to a dangling link", start().link("l", "nowhere").hard_link("h", "l")),
        Case::new(
            "hard link to an absolute link",
            start().link("l", "/etc/passwd").hard_link("h", "l"),
        ),
        Case::new("hard link to a fifo", start().raw_entry(&fifo, b"").hard_link("h", "p")),
        Case::new(
            "hard link to a device",
            start().device("c", EntryType::Char, 1, 3).hard_link("h", "c"),
        ),
        Case::new("hard link, its file replaced", file().hard_link("h", "f").file("f", "other")),
        Case::new("hard link replaced", file().hard_link("h", "f").file("h", "other")),
        Case::new(
            "hard link, its file replaced by a directory",
            file().hard_link("h", "f").directory("f/"),
        ),
        Case::new(
            "hard link with another mode",
            file().raw_entry(&other(b"0000600\0", b"0000000\0"), b""),
        ),
        Case::new(
            "hard link with another owner",
            file().raw_entry(&other(b"0000644\0", b"0000005\0"), b""),
        ),
        Case::new(
            "hard link with an attribute",
            file().pax(&[("SCHILY.xattr.user.a", b"1")]).hard_link("h", "f"),
        ),
        Case::new("hard link with a time", file().pax(&[("mtime", b"5")]).hard_link("h", "f")),
        Case::new("hard link to a set-id file", {
            let mut raw = Raw::new("f", EntryType::Regular);
            raw.0.set_mode(0o6755);
            raw.0.set_uid(5);
            start().raw_entry(&raw, b"").hard_link("h", "f")
        }),
        Case::new("hard link to a directory's trailing slash", file().hard_link("h", "f/")),
        Case::new("hard link of a name with a slash", file().hard_link("h/", "f")),
    ]
}

fn hard_across_layers() -> Vec<Case> {
    let lower = || start().directory("d/").file("d/f", "text");
    let upper = || Archive::new().directory("./");
    vec![
        Case::of_layers("hard link into a lower layer", [lower(), upper().hard_link("h", "d/f")]),
        Case::of_layers(
            "hard link into a lower layer, in its directory",
            [lower(), upper().hard_link("d/h", "d/f")],
        ),
        Case::of_layers(
            "hard link to a file of both layers",
            [lower(), upper().file("d/f", "new").hard_link("h", "d/f")],
        ),
        Case::of_layers(
            "hard link into a lower layer, before its own file",
            [lower(), upper().hard_link("h", "d/f").file("d/f", "new")],
        ),
        Case::of_layers(
            "hard link to a deleted file",
            [lower(), upper().file("d/.wh.f", "").hard_link("h", "d/f")],
        ),
        Case::of_layers(
            "one of two names replaced above",
            [lower().hard_link("h", "d/f"), upper().file("h", "new")],
        ),
        Case::of_layers(
            "one of two names deleted above",
            [lower().hard_link("h", "d/f"), upper().file(".wh.h", "")],
        ),
        Case::of_layers(
            "both names anew above",
            [lower().hard_link("h", "d/f"), upper().file("d/f", "new").hard_link("h", "d/f")],
        ),
        Case::of_layers(
            "hard link over three layers",
            [lower(), upper().file("x", ""), upper().hard_link("h", "d/f")],
        ),
    ]
}
