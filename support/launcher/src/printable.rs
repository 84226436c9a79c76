//! Text that others have chosen, made fit for a terminal.
//!
//! A file, an image or a process is called whatever somebody likes: also an escape sequence that
//! clears the screen or types into it, or a newline that forges a line of ours.

/// As many characters may a line have. The longest that we mean to say name a hundred tags.
const MAX_LINE: usize = 1 << 14;

/// The text with everything escaped that does not print as itself: control characters, what Unicode
/// calls format characters (Cf: some change the direction of writing, others are not seen), bytes
/// that are no UTF-8. A backslash is escaped too, so that
/// no text can pass for an escaped one.
pub fn printable(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\'' | '"' => text.push(character),
                _ => text.extend(character.escape_debug()),
            }
        }
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    text
}

/// A message of ours with words of others in it, as one line. A backslash stays: most names in it
/// were escaped already, when they were put in quotes.
///
/// Words of others can be very many. Of a long message the beginning stays, and the end, where the
/// advice is.
pub(crate) fn as_one_line(message: &str) -> String {
    let mut line = String::with_capacity(message.len());
    for character in message.chars() {
        match character {
            '\'' | '"' | '\\' => line.push(character),
            _ => line.extend(character.escape_debug()),
        }
    }
    if line.chars().nth(MAX_LINE).is_none() {
        return line;
    }
    let start: String = line.chars().take(MAX_LINE * 3 / 4).collect();
    let end: String = line.chars().rev().take(MAX_LINE / 4 - 3).collect();
    format!("{start} … {}", end.chars().rev().collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_raw() {
        assert_eq!(printable(b"sh -c 'echo \"a\"'"), "sh -c 'echo \"a\"'");
        assert_eq!(printable(b"\x1b[2J\n\r\x07"), "\\u{1b}[2J\\n\\r\\u{7}");
        assert_eq!(printable("\u{9b}2J\u{202e}txt.exe".as_bytes()), "\\u{9b}2J\\u{202e}txt.exe");
        assert_eq!(printable("\u{200b}\u{2028}".as_bytes()), "\\u{200b}\\u{2028}");
        assert_eq!(printable(b"a\xffb\x9b"), "a\\xffb\\x9b");
        assert_eq!(printable(br"\n"), r"\\n");
        assert_eq!(printable("Grüße 日本".as_bytes()), "Grüße 日本");
    }

    #[test]
    fn no_format_character_reaches_the_terminal() {
        const CF: [(u32, u32); 21] = [
            (0xad, 0xad),
            (0x600, 0x605),
            (0x61c, 0x61c),
            (0x6dd, 0x6dd),
            (0x70f, 0x70f),
            (0x890, 0x891),
            (0x8e2, 0x8e2),
            (0x180e, 0x180e),
            (0x200b, 0x200f),
            (0x202a, 0x202e),
            (0x2060, 0x2064),
            (0x2066, 0x206f),
            (0xfeff, 0xfeff),
            (0xfff9, 0xfffb),
            (0x110bd, 0x110bd),
            (0x110cd, 0x110cd),
            (0x13430, 0x13438),
            (0x1bca0, 0x1bca3),
            (0x1d173, 0x1d17a),
            (0xe0001, 0xe0001),
            (0xe0020, 0xe007f),
        ];
        for character in CF.into_iter().flat_map(|(first, last)| first..=last) {
            let text = char::from_u32(character).unwrap().to_string();
            let escaped = format!("\\u{{{character:x}}}");
            assert_eq!(printable(text.as_bytes()), escaped);
            assert_eq!(as_one_line(&text), escaped);
            assert!(!format!("{text:?}{:?}", std::path::Path::new(&text)).contains(&text));
        }
    }

    #[test]
    fn a_message_is_one_line_and_escaped_once() {
        let message = "cannot open \"a\\nb\": it is\n\u{202e}a 'FIFO'\u{9b}";
        let line = "cannot open \"a\\nb\": it is\\n\\u{202e}a 'FIFO'\\u{9b}";
        assert_eq!(as_one_line(message), line);
        assert_eq!(as_one_line(line), line);
    }

    #[test]
    fn of_a_long_message_the_end_stays_too() {
        let line =
            as_one_line(&format!("it is no image, but {} (what to do)", "ä".repeat(1 << 20)));
        assert!(line.starts_with("it is no image, but ä") && line.ends_with("ä (what to do)"));
        assert_eq!(line.chars().count(), MAX_LINE);
        assert_eq!(as_one_line(&line), line);
    }
}
