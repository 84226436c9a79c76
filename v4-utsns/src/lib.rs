//! Step 4: a process with its own hostname (uts_namespaces(7)).
//!
//! The new idea is one line: sethostname(2) changes the name of the UTS namespace that the caller
//! is in, and of no other. ("UTS" is the structure of uname(2), which carries the name: Unix
//! Time-sharing System.)

use anyhow::{Context, Result};

/// The longest name that the kernel takes, in bytes (sethostname(2)).
const HOST_NAME_MAX: usize = 64;

// ANCHOR: hostname
/// `--hostname`, for the command lines of all steps from here on.
#[derive(Debug, clap::Args)]
pub struct HostnameArgs {
    /// Hostname of the container
    #[arg(long, value_name = "NAME", default_value = "container", value_parser = parse_hostname)]
    pub hostname: String,
}

/// Takes a hostname of 1 to 64 bytes: parts of letters, digits and `-`, with dots between them
/// (hostname(7), RFC 1123). The kernel would take any bytes. But the name is printed in prompts,
/// and it becomes a line of /etc/hosts (v5), where a newline begins the next one.
fn parse_hostname(text: &str) -> Result<String, String> {
    let is_part = |part: &str| {
        let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !part.is_empty()
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.bytes().all(is_inner)
    };
    match text.len() {
        0 => Err("it is empty".into()),
        1..=HOST_NAME_MAX if text.split('.').all(is_part) => Ok(text.to_owned()),
        1..=HOST_NAME_MAX => Err("a hostname has letters, digits, and - or . between them".into()),
        length => Err(format!("it has {length} bytes, and the kernel takes {HOST_NAME_MAX}")),
    }
}
// ANCHOR_END: hostname

// ANCHOR: set_hostname
/// sethostname(2). To be called in a UTS namespace of one's own: in the host's, as root, it would
/// rename the host.
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN in the user namespace that owns this UTS namespace.
pub fn set_hostname(name: &str) -> Result<()> {
    nix::unistd::sethostname(name).with_context(|| format!("cannot set the hostname to {name:?}"))
}
// ANCHOR_END: set_hostname

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostname_has_1_to_64_bytes() {
        assert!(parse_hostname("").is_err());
        assert!(parse_hostname(&"x".repeat(64)).is_ok());
        assert!(parse_hostname(&"x".repeat(65)).is_err());
        assert!(parse_hostname(&"ä".repeat(33)).is_err(), "66 bytes in 33 letters");
    }

    #[test]
    fn a_hostname_is_one_word_everywhere() {
        for name in ["a", "web-1", "Web.example.org", "10.0.0.1"] {
            assert_eq!(parse_hostname(name), Ok(name.to_owned()));
        }
        for name in
            ["a\nb", "a b", "a\tb", "a\u{9b}", "-a", "a-", "a.-b", ".a", "a.", "a..b", "a_b", "ä"]
        {
            assert!(parse_hostname(name).is_err_and(|it| it.contains("letters, digits")), "{name}");
        }
    }
}
