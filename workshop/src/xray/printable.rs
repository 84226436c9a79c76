//! Text that others have chosen, made fit for a terminal.
//!
//! A process names itself and its arguments as it likes, also in escape sequences that would clear
//! the screen or type into it, and in newlines that would forge a line of our table.

/// The text with everything escaped that does not print as itself: control characters, those that
/// change the direction of writing, bytes that are no UTF-8. A backslash is escaped too, so that
/// no text can pass for an escaped one.
pub(super) fn printable(bytes: &[u8]) -> String {
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

/// At most so many characters of the text.
pub(super) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}...", &text[..end]),
    }
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
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(shortened("äöü", 3), "äöü");
        assert_eq!(shortened("äöü", 2), "äö...");
    }
}
