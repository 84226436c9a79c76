//! The options of this step.

use clap::builder::{OsStringValueParser, TypedValueParser};
use launcher::parse_size;
use launcher::users::Digits;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The layers, for the command lines of all steps from here on.
#[derive(Debug, PartialEq, Eq, clap::Args)]
pub struct OverlayArgs {
    /// Pulled; or OCI layout (or its tar), docker save
    #[arg(long, value_name = "NAME|PATH[:TAG]", conflicts_with_all = ["rootfs", "layers"])]
    pub image: Option<PathBuf>,

    /// Directory as a layer (the first is on top)
    #[arg(long = "layer", value_name = "DIR", conflicts_with = "rootfs")]
    pub layers: Vec<PathBuf>,

    /// Where it writes to [default: in memory]
    #[arg(long, value_name = "DIR")]
    pub upper: Option<PathBuf>,

    /// At the end, list files added, changed, deleted
    #[arg(long)]
    pub changes: bool,

    /// Largest unpacked image
    #[arg(long, value_name = "BYTES[k|m|g]", default_value = "16g", value_parser = parse_size)]
    pub max_size: u64,
}

/// How large an unpacked image may be if nothing else is said, in bytes.
const MAX_SIZE: u64 = 16 << 30;

impl Default for OverlayArgs {
    /// Those of an empty command line.
    fn default() -> OverlayArgs {
        let layers = Vec::new();
        OverlayArgs { image: None, layers, upper: None, changes: false, max_size: MAX_SIZE }
    }
}

/// How the command is run, for the command lines of all steps from here on.
#[derive(Debug, clap::Args)]
pub struct ProcessArgs {
    /// Environment variable (no =VALUE: caller's)
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    #[arg(value_parser = OsStringValueParser::new().try_map(parse_variable))]
    pub env: Vec<OsString>,

    /// Working directory [default: the image's, or /]
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<PathBuf>,

    /// Name or number [default: the image's, or root]
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub user: Option<String>,

    /// What digits in a user mean, given here or in the image.
    #[arg(skip)]
    pub digits: Digits,
}

/// Takes `NAME=VALUE`; a bare `NAME` gets the value that the caller's environment has. A name is
/// one word; a value may be anything, as in Docker.
fn parse_variable(text: OsString) -> Result<OsString, String> {
    let name = text.as_bytes().split(|&byte| byte == b'=').next().unwrap_or_default();
    match str::from_utf8(name) {
        Ok("") => Err("its name is empty".into()),
        Ok(name) if !name.contains(char::is_control) => Ok(text),
        _ => Err("its name has a control character, or is no UTF-8".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use std::os::unix::ffi::OsStringExt;

    #[derive(Parser)]
    struct Args {
        #[command(flatten)]
        _container: v1_chroot::ContainerArgs, // --rootfs, with which there are no layers
        #[command(flatten)]
        overlay: OverlayArgs,
    }

    #[test]
    fn sizes_have_letters_as_in_docker() {
        let parse = |size: &str| {
            let option = format!("--max-size={size}");
            Args::try_parse_from(["v7-overlay", &option]).map(|args| args.overlay.max_size).ok()
        };
        assert_eq!(parse("0"), Some(0));
        assert_eq!(parse("500"), Some(500));
        assert_eq!(parse("3k"), Some(3072));
        assert_eq!(parse("2G"), Some(2 << 30));
        assert_eq!(parse("1.5g"), Some(3 << 29)); // and these as for --memory
        assert_eq!(parse("64MiB"), Some(64 << 20));
        assert_eq!(parse("1t"), Some(1 << 40));
        for bad in ["", "m", "-1", "1kk", "1gm", "20000000000g"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_empty_command_line_has_the_default() {
        let Args { overlay, .. } = Args::parse_from(["v7-overlay"]);
        assert_eq!(overlay, OverlayArgs::default());
    }

    #[test]
    fn a_variable_has_a_name() {
        assert!(parse_variable("A=".into()).is_ok() && parse_variable("A".into()).is_ok());
        assert!(parse_variable("=1".into()).is_err() && parse_variable("".into()).is_err());
        for name in ["A\nB", "A\x1b", "A\x7f", "A\u{9b}"] {
            assert!(parse_variable(format!("{name}=1").into()).is_err(), "{name:?}");
            assert!(parse_variable(format!("A={name}").into()).is_ok(), "{name:?} as a value");
        }
        assert!(parse_variable(OsString::from_vec(b"A\xff=1".to_vec())).is_err());
    }
}
