//! What a word without quotes is to Kubernetes: its YAML is that of version 1.1, as go-yaml reads
//! it, and the result has to be JSON.

use crate::place::shortened;

/// What a scalar is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scalar {
    Text,
    Nothing,
    Boolean(bool),
    Integer(i128),
    Float(f64),
    /// Infinite or not a number: JSON has no such value.
    NoJson,
}

/// What a scalar is: a word without quotes (`is_plain`) is looked at; `tag` is the name of a tag of
/// YAML's own, or empty, if a tag stands before it.
///
/// # Errors
/// If it is not what its tag says, or nothing that JSON has.
pub(crate) fn read(text: &str, is_plain: bool, tag: Option<&str>) -> Result<Scalar, String> {
    let scalar = match tag {
        None if !is_plain => Scalar::Text,
        None => resolve(text),
        Some("binary") => return Err("a !!binary is not supported here: write the text".into()),
        Some("int" | "float" | "bool" | "null") => resolve(text),
        Some(_) => Scalar::Text,
    };
    let (is_it, kind) = (|kinds: &[&str]| tag.is_none_or(|tag| kinds.contains(&tag)), tag);
    match scalar {
        Scalar::NoJson => Err(format!(
            "{text} is no value to Kubernetes, which makes JSON of YAML (quote it: \"{text}\")"
        )),
        Scalar::Integer(_) if is_it(&["int", "float"]) => Ok(scalar),
        Scalar::Float(_) if is_it(&["float"]) => Ok(scalar),
        Scalar::Boolean(_) if is_it(&["bool"]) => Ok(scalar),
        Scalar::Nothing if is_it(&["null"]) => Ok(scalar),
        Scalar::Text
            if !kind.is_some_and(|tag| ["int", "float", "bool", "null"].contains(&tag)) =>
        {
            Ok(scalar)
        }
        _ => Err(format!("{:?} is no !!{}", shortened(text), kind.unwrap_or_default())),
    }
}

/// What a word without quotes is. Times such as `1:30` and dates are texts there.
pub(crate) fn resolve(text: &str) -> Scalar {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Scalar::Nothing,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Scalar::Boolean(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Scalar::Boolean(false)
        }
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF"
        | "-.inf" | "-.Inf" | "-.INF" => Scalar::NoJson,
        _ => number(text),
    }
}

/// Underscores between the digits are passed over.
fn number(text: &str) -> Scalar {
    let is_number = text.starts_with(|c: char| c.is_ascii_digit() || "+-".contains(c))
        || text
            .strip_prefix('.')
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    if !is_number || text.len() > 400 {
        return Scalar::Text; // no double has more
    }
    let digits = text.replace('_', "");
    if let Some(integer) = integer(&digits) {
        return Scalar::Integer(integer);
    }
    let may_be_float = digits.chars().all(|c| c.is_ascii_digit() || "+-.eE".contains(c));
    match digits.parse::<f64>() {
        Ok(float) if may_be_float && float.is_finite() => Scalar::Float(float),
        _ => Scalar::Text,
    }
}

/// As Go reads an integer: `0x`, `0o` and `0b` say its base, and so does a zero in front of it.
fn integer(digits: &str) -> Option<i128> {
    let (sign, digits) = match digits.as_bytes().first()? {
        b'-' => (-1, &digits[1..]),
        b'+' => (1, &digits[1..]),
        _ => (1, digits),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let prefix = digits.get(..2).map(str::to_ascii_lowercase);
    let (base, rest) = match prefix.as_deref() {
        Some("0x") => (16, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        Some("0b") => (2, &digits[2..]),
        Some(two) if two.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    if rest.starts_with(['+', '-']) {
        return None;
    }
    let integer = sign * i128::from_str_radix(rest, base).ok()?;
    let range = i128::from(i64::MIN)..=i128::from(u64::MAX);
    Some(integer).filter(|integer| range.contains(integer))
}

/// The integer that a zero in front of it makes octal, which is another one than it looks like;
/// none if it means what it looks like.
pub(crate) fn octal_in_disguise(text: &str) -> Option<i128> {
    let digits = text.replace('_', "");
    let is_octal = digits.trim_start_matches(['+', '-']).starts_with('0');
    let looks_like: i128 = digits.parse().ok()?;
    integer(&digits).filter(|integer| is_octal && *integer != looks_like)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What kubectl 1.32 makes of each, seen by `kubectl annotate --local -o json`.
    #[test]
    fn a_word_without_quotes_is_what_kubernetes_reads() {
        for text in ["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"] {
            assert_eq!(resolve(text), Scalar::Boolean(true), "{text}");
        }
        for text in ["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"] {
            assert_eq!(resolve(text), Scalar::Boolean(false), "{text}");
        }
        for text in ["", "~", "null", "Null", "NULL"] {
            assert_eq!(resolve(text), Scalar::Nothing, "{text}");
        }
        for text in [".nan", ".NaN", ".inf", "-.Inf", "+.INF"] {
            assert_eq!(resolve(text), Scalar::NoJson, "{text}");
        }
        for (text, integer) in [
            ("0", 0),
            ("-0", 0),
            ("07", 7),
            ("010", 8),
            ("01000", 512),
            ("-010", -8),
            ("0_7", 7),
            ("0o17", 15),
            ("0O17", 15),
            ("0x10", 16),
            ("0X1_0", 16),
            ("-0x10", -16),
            ("0b101", 5),
            ("+0b1", 1),
            ("1_000", 1000),
            ("1__000_", 1000),
            ("+1", 1),
            ("9223372036854775808", 1 << 63),
        ] {
            assert_eq!(resolve(text), Scalar::Integer(integer), "{text}");
        }
        for (text, float) in [
            ("08", 8.0),
            ("1e3", 1000.0),
            ("1E+3", 1000.0),
            ("1.", 1.0),
            ("1.e3", 1000.0),
            (".5", 0.5),
            ("-.5", -0.5),
            ("1_0.5", 10.5),
            ("09.5", 9.5),
            ("1e-3", 0.001),
            ("18446744073709551616", 18_446_744_073_709_551_616.0),
        ] {
            assert_eq!(resolve(text), Scalar::Float(float), "{text}");
        }
        for text in [
            "yEs",
            "nO",
            "tRUE",
            "t",
            "f",
            "nUll",
            ".Nan",
            "+.nan",
            "inf",
            "nan",
            "+inf",
            "infinity",
            "0o8",
            "0xg",
            "0x",
            "0b2",
            "0b",
            "_1000",
            "+-1",
            "+",
            "--",
            "1e",
            "1e+",
            ".",
            "..",
            "._5",
            "1.5.5",
            "1e400",
            "0x1p4",
            "1:30",
            "1:30:00",
            "-1:30",
            "2020-01-01",
            "2020-1-1T1:2:3Z",
            "2020-01-01 00:00:00",
            "1,000",
            "1k",
            "64Mi",
            "=",
            "<<x",
            "0x-1",
        ] {
            assert_eq!(resolve(text), Scalar::Text, "{text}");
        }
    }

    #[test]
    fn a_zero_in_front_is_octal_in_disguise() {
        for (text, octal) in [("010", 8), ("01000", 512), ("-010", -8), ("0_10", 8), ("0755", 493)]
        {
            assert_eq!(octal_in_disguise(text), Some(octal), "{text}");
        }
        for text in ["0", "07", "08", "00", "10", "0x10", "0o17", "010.5", "a", ""] {
            assert_eq!(octal_in_disguise(text), None, "{text}");
        }
    }
}
