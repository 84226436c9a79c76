//! What is wrong with a tar archive, in words.

use std::io;

/// The tar crate quotes a header that is none, and that can be any bytes: of a compressed archive,
/// say. They tell nobody anything.
pub(crate) fn in_words(error: io::Error) -> io::Error {
    let text = error.to_string();
    let is_text = text.chars().all(|it| it == ' ' || it.is_ascii_graphic());
    match error.raw_os_error() {
        None if !is_text || text.starts_with("numeric field") => {
            io::Error::other("there is no header where one should be")
        }
        _ => error,
    }
}

/// By which program a file is compressed, as its first bytes say, and what undoes it.
pub(crate) fn compression(start: [u8; 4]) -> Option<(&'static str, &'static str)> {
    match start {
        [0x1f, 0x8b, ..] => Some(("gzip", "gunzip")),
        [0x28, 0xb5, 0x2f, 0xfd] => Some(("zstd", "unzstd")),
        [0xfd, b'7', b'z', b'X'] => Some(("xz", "unxz")),
        [b'B', b'Z', b'h', _] => Some(("bzip2", "bunzip2")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blobs::Blobs;
    use launcher::command_line::one_line;

    #[test]
    fn no_byte_of_an_archive_is_told() {
        for header in [[0x1f_u8; 512], [0xff; 512], [b'D'; 512]] {
            let mut archive = tar::Archive::new(&header[..]);
            let error = archive.entries().unwrap().next().unwrap().map(drop).unwrap_err();
            let text = in_words(error).to_string();
            assert_eq!(text, "there is no header where one should be");
        }
        let error = in_words(io::Error::from_raw_os_error(libc::EIO));
        assert_eq!(error.raw_os_error(), Some(libc::EIO));
        assert_eq!(in_words(io::Error::other("it ends early")).to_string(), "it ends early");
    }

    #[test]
    fn a_compressed_archive_is_told_with_what_undoes_it() {
        let place = nix::unistd::mkdtemp(&std::env::temp_dir().join("damage-XXXXXX")).unwrap();
        for (start, program) in [
            (&b"\x1f\x8b\x08\0"[..], "by gzip (gunzip it"),
            (b"\x28\xb5\x2f\xfd", "by zstd (unzstd it"),
            (b"\xfd7zXZ\0", "by xz (unxz it"),
            (b"BZh9", "by bzip2 (bunzip2 it"),
            (b"?", "as a tar archive"),
            (b"", "as a tar archive"),
        ] {
            let file = place.join("image.tar.x");
            std::fs::write(&file, start).unwrap();
            let error = one_line(&Blobs::open(&file, String::new).unwrap_err());
            assert!(error.contains(program), "{error}");
        }
        std::fs::remove_dir_all(place).unwrap();
    }
}
