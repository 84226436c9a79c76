//! Quantities, as Kubernetes writes them: `64Mi`, `0.5`, `250m`, `1e3`.

/// A quantity in thousandths, rounded up: the finest that a limit can be.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn in_thousandths(text: &str) -> Result<u128, String> {
    let form = || format!("{text:?} is not a quantity, such as 0.5, 250m, 64Mi or 1e3");
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    if unsigned.starts_with('-') {
        return Err(format!("{text} is less than zero"));
    }
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return Err(form());
    }
    let (two, ten) = power(suffix).ok_or_else(form)?;
    // digits * 2^two * 10^(ten - length of the fraction + 3)
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Ok(0);
    }
    let too_large = || format!("{text} is too large");
    let digits: u128 = digits.parse().map_err(|_| too_large())?;
    let exponent = ten - i32::try_from(fraction.len()).map_err(|_| too_large())? + 3;
    let shifted = digits.checked_mul(1 << two).ok_or_else(too_large)?;
    let scale = 10_u128.checked_pow(exponent.unsigned_abs());
    let result = match (exponent >= 0, scale) {
        (true, Some(scale)) => shifted.checked_mul(scale).ok_or_else(too_large)?,
        (true, None) => return Err(too_large()),
        (false, Some(scale)) => shifted.div_ceil(scale),
        (false, None) => 1,
    };
    if result > u128::from(u64::MAX) * 1000 { Err(too_large()) } else { Ok(result) }
}

/// What a suffix multiplies by: a power of two and one of ten.
fn power(suffix: &str) -> Option<(u32, i32)> {
    Some(match suffix {
        "" => (0, 0),
        "n" => (0, -9),
        "u" => (0, -6),
        "m" => (0, -3),
        "k" => (0, 3),
        "M" => (0, 6),
        "G" => (0, 9),
        "T" => (0, 12),
        "P" => (0, 15),
        "E" => (0, 18),
        "Ki" => (10, 0),
        "Mi" => (20, 0),
        "Gi" => (30, 0),
        "Ti" => (40, 0),
        "Pi" => (50, 0),
        "Ei" => (60, 0),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E'])?;
            let exponent: i32 = exponent.parse().ok()?;
            (0, Some(exponent).filter(|exponent| (-100..=100).contains(exponent))?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_mean_what_kubernetes_means() {
        for (text, thousandths) in [
            ("1", 1000),
            ("0.5", 500),
            (".5", 500),
            ("5.", 5000),
            ("+1", 1000),
            ("250m", 250),
            ("0.1m", 1),
            ("1n", 1),
            ("100u", 1),
            ("1k", 1_000_000),
            ("64Mi", (64 << 20) * 1000),
            ("1.5Gi", (3 << 29) * 1000),
            ("1e3", 1_000_000),
            ("1E-3", 1),
            ("2E", 2_000_000_000_000_000_000_000),
            ("0", 0),
            ("0.0", 0),
            ("1e-99", 1),
        ] {
            assert_eq!(in_thousandths(text), Ok(thousandths), "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_told() {
        for text in
            ["", "banana", "12Q", "1K", "64MB", "64 Mi", "m", ".", "1.2.3", "1e", "0x10", "1_000"]
        {
            let told = in_thousandths(text);
            assert!(
                told.as_ref().is_err_and(|it| it.contains("not a quantity")),
                "{text} {told:?}"
            );
        }
        assert!(in_thousandths("-1").is_err_and(|told| told.contains("less than zero")));
        for text in ["1e99", "99999999999999999999999999999999999999999", "20Ei", "1e30"] {
            let told = in_thousandths(text);
            assert!(told.as_ref().is_err_and(|told| told.contains("too large")), "{text} {told:?}");
        }
    }
}
