//! What stands in the header of an entry: fields of fixed lengths. The tar crate knows where they
//! are.

use std::borrow::Cow;
use tar::Header;

/// Everything in an archive begins at a multiple of so many bytes.
pub(super) const BLOCK: u64 = 512;

/// The path in a header. That of ustar has two fields for it.
pub(super) fn path_in(header: &Header) -> Cow<'_, [u8]> {
    let name = until_zero(&header.as_old().name);
    let bytes = header.as_bytes();
    let prefix = match (&bytes[257..263], &bytes[508..]) {
        (b"ustar\0", b"tar\0") => &bytes[345..476], // as star writes it
        (b"ustar\0", _) => &bytes[345..500],
        _ => &[],
    };
    match until_zero(prefix) {
        [] => Cow::Borrowed(name),
        prefix => Cow::Owned([prefix, b"/", name].concat()),
    }
}

/// Whether the sum of a header's bytes is the one that it says. For the sum its own field counts
/// as blanks. (Some programs added signed bytes.)
pub(super) fn is_sum_right(header: &Header) -> bool {
    let bytes = header.as_bytes();
    let others = || bytes[..148].iter().chain(&bytes[156..]);
    let blanks = 8 * i64::from(b' ');
    let unsigned = blanks + others().map(|byte| i64::from(*byte)).sum::<i64>();
    let signed = || blanks + others().map(|byte| i64::from(byte.cast_signed())).sum::<i64>();
    let sum = number(&header.as_old().cksum);
    sum == Some(unsigned) || sum == Some(signed())
}

/// A number in a header: octal digits among blanks and zero bytes, or, if the first bit is set
/// (GNU), its bytes. A blank field is 0.
pub(super) fn number(field: &[u8]) -> Option<i64> {
    if let [first, rest @ ..] = field
        && first & 0x80 != 0
    {
        let sign = if first & 0x40 != 0 { -0x80 } else { 0 };
        let first = i128::from(first & 0x7f) + sign;
        let number = rest.iter().fold(first, |number, byte| (number << 8) + i128::from(*byte));
        return number.try_into().ok(); // no field is longer than 12 bytes
    }
    let is_blank = |byte: &u8| matches!(byte, 0 | b' ');
    let start = field.iter().position(|byte| !is_blank(byte)).unwrap_or(field.len());
    let text = until_zero(&field[start..]).trim_ascii();
    if text.is_empty() {
        return Some(0);
    }
    let is_octal = text.iter().all(|byte| matches!(byte, b'0'..=b'7'));
    i64::from_str_radix(str::from_utf8(text).ok().filter(|_| is_octal)?, 8).ok()
}

/// A text in a field, which ends at the first zero byte, or with the field.
pub(super) fn until_zero(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Whether a block is one of those that mark the end.
pub(super) fn is_zero(block: &[u8]) -> bool {
    block.iter().all(|byte| *byte == 0)
}
