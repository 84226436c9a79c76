//! Numbers in headers: every field in every encoding.

use tar::EntryType;

use crate::archive::Archive;
use crate::case::{
    Case, Field, GID, GNU, MAGIC, MAJOR, MINOR, MODE, MTIME, OLD, Raw, SIZE, TYPE, UID, USTAR,
    start,
};

/// The encodings of a number in a field of so many bytes.
fn encodings(field: Field, value: u64) -> Vec<(&'static str, Vec<u8>)> {
    let (length, digits) = (field.length, field.length - 1);
    let octal = |width: usize| format!("{value:0width$o}").into_bytes();
    let end = |mut text: Vec<u8>, end: &[u8]| {
        text.extend(end);
        text
    };
    let short = format!("{value:o}");
    let mut base_256 = vec![0; length];
    base_256[length - 8..].copy_from_slice(&value.to_be_bytes());
    base_256[0] |= 0x80;
    vec![
        ("octal with a zero byte", end(octal(digits), b"\0")),
        ("octal with a space", end(octal(digits), b" ")),
        ("octal with a space and a zero byte", end(octal(digits - 1), b" \0")),
        ("octal without an end", octal(length)),
        ("octal with spaces before it", format!("{short:>digits$}\0").into_bytes()),
        ("octal with spaces behind it", format!("{short:<length$}").into_bytes()),
        ("octal with zero bytes behind it", short.clone().into_bytes()),
        ("octal with spaces on both sides", format!(" {short} ").into_bytes()),
        ("octal with something behind its end", format!("{short}\x001").into_bytes()),
        ("base 256", base_256),
    ]
}

/// What is no number, or another one.
fn oddities(field: Field) -> Vec<(&'static str, Vec<u8>)> {
    let length = field.length;
    let mut large = vec![0; length];
    large[0] = 0x80;
    large[length - 4..].copy_from_slice(&[0xff; 4]);
    let mut larger = vec![0xff; length];
    larger[0] = 0x80;
    vec![
        ("spaces", vec![b' '; length]),
        ("zero bytes", vec![0; length]),
        ("a space and zero bytes", vec![b' ']),
        ("letters", b"abc\0".to_vec()),
        ("an 8", b"0000008\0"[8 - length.min(8)..].to_vec()),
        ("a minus", b"-1\0".to_vec()),
        ("a plus", b"+1\0".to_vec()),
        ("minus one in base 256", vec![0xff; length]),
        ("4294967295 in base 256", large),
        ("all ones in base 256", larger),
    ]
}

/// Each field, with a value and a header that has all others.
fn fields() -> [(Field, u64, Raw); 7] {
    let file = || Raw::file("it", 5);
    let device =
        || Raw::new("it", EntryType::Block).set(MAJOR, b"0000007\0").set(MINOR, b"0000001\0");
    [
        (MODE, 0o4751, file()),
        (UID, 1234, file()),
        (GID, 4321, file()),
        (SIZE, 5, file()),
        (MTIME, 0o7_654_321_012, file()),
        (MAJOR, 8, device()),
        (MINOR, 17, device()),
    ]
}

fn case(name: String, raw: &Raw) -> Case {
    let content: &[u8] = if raw.0.as_bytes()[TYPE.from] == b'4' { b"" } else { b"12345" };
    Case::new(name, start().raw_entry(raw, content).file("last", "last"))
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (field, value, raw) in fields() {
        for (name, bytes) in encodings(field, value).into_iter().chain(oddities(field)) {
            let raw = raw.clone().set(field, &bytes);
            cases.push(case(format!("{}: {name}", field.name), &raw));
        }
    }
    cases.extend(times());
    cases.extend(modes());
    cases.extend(checksums());
    cases.extend(magics());
    cases
}

fn times() -> Vec<Case> {
    let base_256 = |value: i64| {
        let sign = if value < 0 { 0xff } else { 0 };
        let mut bytes = vec![sign; 4];
        bytes.extend(value.to_be_bytes());
        bytes[0] |= 0x80;
        bytes
    };
    [-1, -1_000_000_000, 0, i64::from(u32::MAX) + 5, 1 << 33]
        .into_iter()
        .flat_map(|time| {
            let [file, directory] = [Raw::file("it", 5), Raw::new("it/", EntryType::Directory)]
                .map(|raw| raw.set(MTIME, &base_256(time)));
            let link = Raw::new("it", EntryType::Symlink).set(MTIME, &base_256(time));
            let mut link = link;
            link.0.set_link_name("last").unwrap();
            [
                case(format!("time {time} of a file"), &file),
                Case::new(
                    format!("time {time} of a directory"),
                    start().raw_entry(&directory, b""),
                ),
                Case::new(format!("time {time} of a link"), start().raw_entry(&link, b"")),
            ]
        })
        .collect()
}

fn modes() -> Vec<Case> {
    let modes: [&[u8]; 9] = [
        b"0000000", b"0000777", b"0007777", b"0004755", b"0002755", b"0001777", b"0100644",
        b"0040755", b"7777777",
    ];
    let of = |mode: &[u8], kind: EntryType| {
        let mut raw = Raw::new("it", kind).set(MODE, mode);
        if kind == EntryType::Symlink {
            raw.0.set_link_name("nowhere").unwrap();
        }
        let name = format!("mode {} of type {:?}", mode.escape_ascii(), kind.as_byte() as char);
        Case::new(name, start().raw_entry(&raw, b""))
    };
    let kinds = [EntryType::Regular, EntryType::Directory, EntryType::Fifo, EntryType::Symlink];
    kinds.iter().flat_map(|kind| modes.iter().map(move |mode| of(mode, *kind))).collect()
}

/// A header's sum in other writings: of bytes with a sign, with other ends, wrong.
fn checksums() -> Vec<Case> {
    let with = |name: &str, is_signed: bool, write: fn(u32) -> Vec<u8>| {
        let mut raw = Raw::file("n\u{e4}me", 0);
        let bytes = raw.0.as_mut_bytes();
        bytes[148..156].fill(b' ');
        let sum: i32 = bytes
            .iter()
            .map(|byte| if is_signed { i32::from(byte.cast_signed()) } else { i32::from(*byte) })
            .sum();
        let text = write(sum.cast_unsigned());
        bytes[148..156].fill(0);
        bytes[148..148 + text.len()].copy_from_slice(&text);
        let archive = start().raw(raw.0.as_bytes()).file("last", "last");
        Case::new(format!("checksum {name}"), archive)
    };
    vec![
        with("with a zero byte and a space", false, |sum| format!("{sum:06o}\0 ").into_bytes()),
        with("with a space and a zero byte", false, |sum| format!("{sum:06o} \0").into_bytes()),
        with("with a zero byte", false, |sum| format!("{sum:07o}\0").into_bytes()),
        with("without an end", false, |sum| format!("{sum:08o}").into_bytes()),
        with("with spaces before it", false, |sum| format!("{sum:>6o}\0 ").into_bytes()),
        with("with spaces behind it", false, |sum| format!("{sum:<8o}").into_bytes()),
        with("of bytes with a sign", true, |sum| format!("{sum:06o}\0 ").into_bytes()),
        with("that is wrong", false, |sum| format!("{:06o}\0 ", sum + 1).into_bytes()),
        with("of spaces", false, |_| b"        ".to_vec()),
    ]
}

fn magics() -> Vec<Case> {
    let magics: [(&str, &[u8]); 7] = [
        ("none", OLD),
        ("ustar", USTAR),
        ("GNU", GNU),
        ("ustar of version 01", b"ustar\x0001"),
        ("ustar without version", b"ustar\0\0\0"),
        ("ustar with spaces", b"ustar 00"),
        ("nonsense", b"nonsense"),
    ];
    magics
        .into_iter()
        .map(|(name, magic)| {
            let archive = [("file", 5), ("empty", 0)].into_iter().fold(
                Archive::new()
                    .raw_entry(&Raw::new("./", EntryType::Directory).set(MAGIC, magic), b""),
                |archive, (name, length)| {
                    archive
                        .raw_entry(&Raw::file(name, length).set(MAGIC, magic), &b"12345"[..length])
                },
            );
            Case::new(format!("magic {name}"), archive)
        })
        .collect()
}
