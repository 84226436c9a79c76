//! A number of bytes, as a command line has it.

/// How many digits of a fraction count: one more is less than a byte, even with `t`.
const FRACTION: usize = 18;

/// Reads a number of bytes, as Docker has it: digits, perhaps a fraction, then perhaps a unit, in
/// small letters or capitals: `b`, `k`, `m`, `g` or `t`, or `kb`, `kib` and so on. All of them are
/// binary, so that `1k` is 1024 bytes. A part of a byte is left out.
///
/// Zero is a size. An option that wants more says so itself.
///
/// # Errors
/// What is wrong with the text. Nothing is less than zero.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let lower = text.trim().to_ascii_lowercase();
    let end = lower.find(|c: char| !c.is_ascii_digit() && !".-".contains(c)).unwrap_or(lower.len());
    let (number, unit) = lower.split_at(end);
    let shift = match unit.trim_start() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        unit => return Err(format!("{unit:?} is no unit: it is k, m or g")),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if number.contains('-') || fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
        return Err(format!("{number:?} is not a number"));
    }
    let size = bytes(whole, fraction, shift);
    size.ok_or_else(|| format!("{lower} is too large: no machine has so much"))
}

/// `whole.fraction` times two to the power of `shift`; none if that is no u64.
fn bytes(whole: &str, fraction: &str, shift: u32) -> Option<u64> {
    let fraction = &fraction[..fraction.len().min(FRACTION)];
    let number = |digits: &str| if digits.is_empty() { Some(0_u64) } else { digits.parse().ok() };
    let whole: u128 = u128::from(number(whole)?) << shift;
    let part = (u128::from(number(fraction)?) << shift) / 10_u128.pow(fraction.len() as u32);
    u64::try_from(whole + part).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sizes_as_docker_does() {
        for (text, bytes) in [
            ("0", 0),
            ("500", 500),
            ("3k", 3072),
            ("67108864", 67_108_864),
            ("67108864b", 67_108_864),
            ("65536k", 64 << 20),
            ("64m", 64 << 20),
            ("64M", 64 << 20),
            ("64MiB", 64 << 20),
            ("64 m", 64 << 20),
            ("1.5g", 3 << 29),
            (".5k", 512),
            ("1.k", 1024),
            ("2G", 2 << 30),
            ("1t", 1 << 40),
            ("0.9", 0),
            ("0.99999999999999999999999k", 1023),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn every_byte_counts_up_to_the_last() {
        for size in [(1 << 53) + 1, u64::MAX] {
            assert_eq!(parse_size(&size.to_string()), Ok(size));
        }
        assert_eq!(parse_size("16777215.9999999999999999t"), Ok(u64::MAX));
        for text in ["16777216t", "18446744073709551616", "20000000000g", &"9".repeat(99)] {
            let told = parse_size(text);
            assert!(
                told.as_ref().is_err_and(|told| told.contains("too large")),
                "{text}: {told:?}"
            );
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, fault) in [
            ("", "not a number"),
            ("m", "not a number"),
            (".", "not a number"),
            ("12x", "\"x\" is no unit"),
            ("1kk", "\"kk\" is no unit"),
            ("1gm", "\"gm\" is no unit"),
            ("1e3", "\"e3\" is no unit"),
            ("1.2.3m", "not a number"),
            ("-1", "not a number"),
            ("1-2", "not a number"),
            ("1.-2", "not a number"),
        ] {
            let told = parse_size(text);
            assert!(told.as_ref().is_err_and(|told| told.contains(fault)), "{text}: {told:?}");
        }
    }
}
