//! COMMAND and its arguments pass through untouched.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use crate::{Host, Outcome, Suite};

pub fn add(suite: Suite) -> Suite {
    suite
        .both("arguments_pass_through", arguments_pass_through)
        .both("arguments_need_not_be_text", arguments_need_not_be_text)
        .both("options_after_the_command_are_its_own", options_after_the_command_are_its_own)
        .both("a_command_may_look_like_an_option", a_command_may_look_like_an_option)
        .both("a_long_argument_passes", a_long_argument_passes)
        .both("the_default_command_is_a_shell", the_default_command_is_a_shell)
        .both("help_names_the_rootfs", help_names_the_rootfs)
}

/// Prints every argument in brackets.
const SHOW: [&str; 4] = ["sh", "-c", r#"for arg; do printf "[%s]" "$arg"; done"#, "name"];

fn arguments_pass_through(host: &Host) {
    let tricky =
        ["-x", "--", "", " a  b ", "$HOME", "`id`", "*", "\\n", "'", "\"", "a\nb", "-", "é"];
    let outcome = host.run(SHOW.iter().chain(&tricky));
    let expected: String = tricky.iter().map(|argument| format!("[{argument}]")).collect();
    assert_eq!(outcome.text(), expected);
}

fn arguments_need_not_be_text(host: &Host) {
    let bytes: Vec<u8> = (1..=255).collect();
    let outcome = Outcome::of(host.launcher().args(SHOW).arg(OsStr::from_bytes(&bytes)));
    assert_eq!(outcome.stdout, [b"[", &bytes[..], b"]"].concat());
}

fn options_after_the_command_are_its_own(host: &Host) {
    for arguments in [
        &["-x"][..],
        &["--"],
        &["--", "--"],
        &["--help"],
        &["--version"],
        &["--rootfs", "/nowhere"],
        &["--rootfs=/nowhere", "-v", "a:b", "--hostname", "x", "--no-such-option"],
    ] {
        let outcome = host.run(["echo"].iter().chain(arguments));
        assert_eq!(outcome.text(), arguments.join(" ") + "\n");
    }
    // A `--` before the command ends our own options, and goes.
    assert_eq!(host.run(["--", "echo", "--", "-x"]).text(), "-- -x\n");
}

fn a_command_may_look_like_an_option(host: &Host) {
    let rootfs = host.own_rootfs();
    let script = rootfs.join("bin/-x");
    fs::write(&script, "#!/bin/sh\necho \"$0 $*\"\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let outcome =
        Outcome::of(host.launcher().arg("--rootfs").arg(rootfs).args(["--", "-x", "--", "-y"]));
    assert!(outcome.text().ends_with("-x -- -y\n"), "{outcome:?}");
}

fn a_long_argument_passes(host: &Host) {
    let long = "x".repeat(100_000);
    assert_eq!(host.run(["echo", &long]).text().len(), long.len() + 1);
}

fn the_default_command_is_a_shell(host: &Host) {
    let script = host.dir("input").join("script");
    fs::write(&script, "echo \"$0\"; exit 7\n").unwrap();
    let outcome = Outcome::of(host.launcher().stdin(fs::File::open(script).unwrap()));
    assert_eq!((outcome.code(), &outcome.stdout[..]), (7, &b"/bin/sh\n"[..]));
}

fn help_names_the_rootfs(host: &Host) {
    let outcome = host.run(["--help"]);
    let rootfs = host.rootfs();
    assert!(outcome.text().contains(rootfs.to_str().unwrap()), "{outcome:?}");
    assert!(!host.cache().exists(), "--help made the rootfs");
}
