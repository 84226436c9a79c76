//! Names, as the API server checks them.

/// A label (RFC 1123): what a container, a volume and a hostname are called.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn label(text: &str) -> Result<(), String> {
    has_length(text, 63)?;
    match is_part(text) {
        true => Ok(()),
        false => {
            Err(format!("{text:?} is no name: small letters, digits and - (not first, not last)"))
        }
    }
}

/// Parts with dots between them: what a pod is called.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn subdomain(text: &str) -> Result<(), String> {
    has_length(text, 253)?;
    match text.split('.').all(is_part) {
        true => Ok(()),
        false => Err(format!(
            "{text:?} is no name: small letters, digits, - and . (not first, not last)"
        )),
    }
}

/// What a port is called (RFC 6335: `IANA_SVC_NAME`).
///
/// # Errors
/// What is wrong with it.
pub(crate) fn service(text: &str) -> Result<(), String> {
    has_length(text, 15)?;
    match is_part(text) && !text.contains("--") && text.contains(|c: char| c.is_ascii_lowercase()) {
        true => Ok(()),
        false => Err(format!(
            "{text:?} is no name of a port: small letters, at least one, digits and single - (not \
             first, not last)"
        )),
    }
}

/// The key of a label: `app`, `app.kubernetes.io/name`.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn qualified(text: &str) -> Result<(), String> {
    let name = match text.split_once('/') {
        Some((prefix, name)) => {
            subdomain(prefix)?;
            name
        }
        None => text,
    };
    has_length(name, 63)?;
    label_value(name)
}

/// The value of a label. It may be empty.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn label_value(text: &str) -> Result<(), String> {
    let is_inner = |c: char| c.is_ascii_alphanumeric();
    let is_right = text.is_empty()
        || text.starts_with(is_inner)
            && text.ends_with(is_inner)
            && text.chars().all(|c| is_inner(c) || "-_.".contains(c));
    match (text.len(), is_right) {
        (64.., _) => has_length(text, 63),
        (_, true) => Ok(()),
        (_, false) => Err(format!(
            "{text:?} is none of a label: letters, digits, -, _ and . (not first, not last)"
        )),
    }
}

/// The key of a ConfigMap or Secret.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn config_key(text: &str) -> Result<(), String> {
    has_length(text, 253)?;
    let is_right = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    match is_right && text != "." && !text.starts_with("..") {
        true => Ok(()),
        false => Err(format!("{text:?} is no key: letters, digits, -, _ and .")),
    }
}

fn has_length(text: &str, most: usize) -> Result<(), String> {
    match text.len() {
        0 => Err("it is empty".into()),
        length if length > most => {
            Err(format!("it has {length} characters, and {most} are the most"))
        }
        _ => Ok(()),
    }
}

/// Whether it is made of small letters and digits, and of `-` between them.
fn is_part(text: &str) -> bool {
    let is_outer = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.starts_with(is_outer)
        && text.ends_with(is_outer)
        && text.chars().all(|c| is_outer(c) || c == '-')
}

/// The name of an environment variable.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn variable(text: &str) -> Result<(), String> {
    match text.chars().find(|c| !(' '..='~').contains(c) || *c == '=') {
        _ if text.is_empty() => Err("it is empty".into()),
        Some(_) => Err(format!("{text:?} is no name of a variable: printable, and without =")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_dns() {
        for name in ["a", "web-1", "0", &"x".repeat(63)] {
            assert_eq!(label(name), Ok(()), "{name}");
        }
        for name in ["", "Web", "a_b", "-a", "a-", "a.b", "ä", &"x".repeat(64)] {
            assert!(label(name).is_err(), "{name}");
        }
        for name in ["a", "a.b", "web-1.example", &"x".repeat(100), &"x".repeat(253)] {
            assert_eq!(subdomain(name), Ok(()), "{name}");
        }
        for name in
            ["", ".", "a..b", "a.-b", "A", &"x".repeat(254), &format!("{}-", "x".repeat(70))]
        {
            assert!(subdomain(name).is_err(), "{name}");
        }
    }
}
