//! What a PAX header says about the next file: records `LENGTH KEY=VALUE\n` (pax(1)).

use anyhow::{Context, Result};
use std::ops::Range;

/// The records of a header, in their order.
#[derive(Debug, Default)]
pub(super) struct Records {
    content: Vec<u8>,
    /// Where in it key and value of each record are.
    places: Vec<(Range<usize>, Range<usize>)>,
}

impl Records {
    /// Takes the content of a PAX header apart.
    ///
    /// # Errors
    /// If it is damaged.
    pub(super) fn parse(content: Vec<u8>) -> Result<Records> {
        let mut places = Vec::new();
        let mut start = 0;
        while start < content.len() {
            let (key, value) =
                record(&content[start..]).context("a record of its PAX header is damaged")?;
            let at = |range: Range<usize>| start + range.start..start + range.end;
            let next = start + value.end + 1;
            places.push((at(key), at(value)));
            start = next;
        }
        Ok(Records { content, places })
    }

    /// Keys and values, as they stand there.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (&[u8], &[u8])> {
        let part = |place: &Range<usize>| &self.content[place.clone()]; // parse() has looked
        self.places.iter().map(move |(key, value)| (part(key), part(value)))
    }

    /// The value of a key. Of several the last one counts; if it is empty, there is none, and the
    /// header's own holds.
    pub(super) fn text(&self, key: &str) -> Option<&[u8]> {
        let (_, value) = self.iter().rfind(|(found, _)| *found == key.as_bytes())?;
        Some(value).filter(|value| !value.is_empty())
    }

    /// The same for a number.
    ///
    /// # Errors
    /// If it is none.
    pub(super) fn number(&self, key: &str) -> Result<Option<i64>> {
        let number = |text: &[u8]| str::from_utf8(text).ok()?.parse().ok();
        let Some(text) = self.text(key) else { return Ok(None) };
        Ok(Some(number(text).with_context(|| format!("its {key} is no number"))?))
    }
}

/// Where key and value of the first record are. The value may hold anything, so only the length
/// says where it ends.
fn record(content: &[u8]) -> Option<(Range<usize>, Range<usize>)> {
    let find = |byte: u8, from: usize| {
        Some(from + content.get(from..)?.iter().position(|found| *found == byte)?)
    };
    let key = find(b' ', 0)? + 1;
    let length: usize = str::from_utf8(&content[..key - 1]).ok()?.parse().ok()?;
    let end = length.checked_sub(1).filter(|end| content.get(*end) == Some(&b'\n'))?;
    let equals = find(b'=', key).filter(|equals| *equals > key && *equals < end)?;
    Some((key..equals, equals + 1..end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(content: &[u8]) -> Option<Records> {
        Records::parse(content.to_vec()).ok()
    }

    #[test]
    fn a_value_may_hold_anything() {
        let records = parse(b"8 a=1\n2\n8 b=x=\0\n5 c=\n").unwrap();
        let all: Vec<_> = records.iter().collect();
        assert_eq!(all, [(&b"a"[..], &b"1\n2"[..]), (b"b", b"x=\0"), (b"c", b"")]);
    }

    #[test]
    fn of_several_the_last_one_counts() {
        let records = parse(b"7 a=10\n7 a=20\n6 b=1\n5 b=\n").unwrap();
        assert_eq!(records.number("a").unwrap(), Some(20));
        assert_eq!(records.text("b"), None);
        assert_eq!(records.text("c"), None);
    }

    #[test]
    fn what_is_damaged_is_refused() {
        assert!(parse(b"").is_some());
        for bad in [
            &b"x a=1\n"[..],
            b"6 a=1",
            b"5 a=1\n",
            b"7 a=1\n",
            b"99 a=1\n",
            b"5 =1\n",
            b"4 a\n",
            b"0 a=1\n",
            b"3 \n=",
            b"6 a=1\n\0",
            b"18446744073709551615 a=1\n",
        ] {
            assert!(parse(bad).is_none(), "{}", bad.escape_ascii());
        }
        assert!(parse(b"7 a=1x\n").unwrap().number("a").is_err());
    }
}
