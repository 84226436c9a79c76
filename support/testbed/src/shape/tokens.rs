//! Rust as a row of words and marks: comments are gone, and a string is one token.
//!
//! What a macro is given is read like everything else. A parser of the whole language (syn) leaves
//! it alone, and half of our code stands in `assert!`, `ensure!` and `format!`.

/// A piece of a source file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A name, a keyword or a number.
    Word(&'a str),
    /// A string, without its quotes; a character.
    Text(&'a str),
    /// `::`
    Colons,
    /// Any other character.
    Mark(char),
}

/// The tokens of a source file that compiles.
pub(super) fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let (token, length) = match comment(rest).or_else(|| lifetime(rest)) {
            Some(length) => (None, length),
            None if first.is_whitespace() => (None, first.len_utf8()),
            None => one(rest, first),
        };
        tokens.extend(token);
        rest = &rest[length..];
    }
    tokens
}

/// The token at the beginning of `rest`, and how many bytes it has.
fn one(rest: &str, first: char) -> (Option<Token<'_>>, usize) {
    if let Some((text, length)) = literal(rest) {
        return (Some(Token::Text(text)), length);
    }
    if rest.starts_with("::") {
        return (Some(Token::Colons), 2);
    }
    let raw = if rest.starts_with("r#") { 2 } else { 0 }; // r#type is a name
    match word(&rest[raw..]) {
        0 => (Some(Token::Mark(first)), first.len_utf8()),
        length => (Some(Token::Word(&rest[raw..raw + length])), raw + length),
    }
}

/// How many bytes of a word `rest` begins with.
fn word(rest: &str) -> usize {
    rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
}

/// How long the comment is that `rest` begins with. Comments of the second kind may be nested.
fn comment(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    rest.starts_with("/*").then_some(())?;
    let (mut at, mut depth) = (2, 1);
    while depth > 0 && at < rest.len() {
        match rest.as_bytes()[at..] {
            [b'/', b'*', ..] => (at, depth) = (at + 2, depth + 1),
            [b'*', b'/', ..] => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
    }
    Some(at)
}

/// How long the lifetime or the label is, `'a`, that `rest` begins with.
fn lifetime(rest: &str) -> Option<usize> {
    let name = rest.strip_prefix('\'')?;
    let length = word(name);
    (length > 0 && !name[length..].starts_with('\'')).then_some(1 + length)
}

/// The string or character that `rest` begins with, and how many bytes it has with its quotes.
fn literal(rest: &str) -> Option<(&str, usize)> {
    let prefix = ["br", "cr", "r", "b", "c", ""].into_iter().find(|it| rest.starts_with(it))?;
    let quoted = &rest[prefix.len()..];
    if prefix.ends_with('r') {
        let hashes = quoted.len() - quoted.trim_start_matches('#').len();
        let inside = quoted[hashes..].strip_prefix('"')?;
        let end = inside.find(&format!("\"{}", "#".repeat(hashes)))?;
        return Some((&inside[..end], prefix.len() + 2 * (hashes + 1) + end));
    }
    let quote = quoted.chars().next().filter(|it| ['"', '\''].contains(it))?;
    let mut is_escaped = false;
    let end = quoted[1..].find(|c| {
        let is_end = c == quote && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        is_end
    })?;
    Some((&quoted[1..=end], prefix.len() + end + 2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Token::{Colons, Mark, Text, Word};

    #[test]
    fn words_and_marks() {
        let expected = [Word("a"), Colons, Word("b"), Mark('('), Word("r"), Mark(')'), Mark(';')];
        assert_eq!(tokens("a::b(r);"), expected);
        assert_eq!(tokens("r#type"), [Word("type")]);
    }

    #[test]
    fn comments_are_gone() {
        assert_eq!(tokens("/// [`a::b`]\nx // y\n/* z /* { */ */"), [Word("x")]);
        assert_eq!(tokens("\"// no comment\""), [Text("// no comment")]);
    }

    #[test]
    fn a_string_is_one_token() {
        let source = r##"("a::b \" {" r#"c " d"# b"e" 'f' '\'' '"' b'\\' '::' )"##;
        let texts = ["a::b \\\" {", "c \" d", "e", "f", "\\'", "\"", "\\\\", "::"];
        let inside: Vec<_> =
            tokens(source).into_iter().filter(|it| !matches!(it, Mark(_))).collect();
        assert_eq!(inside, texts.map(Text));
    }

    #[test]
    fn a_lifetime_begins_no_character() {
        let source = "fn f<'a>(x: &'a str) { 'l: loop { break 'l } }";
        assert!(!tokens(source).iter().any(|token| matches!(token, Text(_))));
        assert_eq!(tokens(source).last(), Some(&Mark('}')));
    }
}
