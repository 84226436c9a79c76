//! The steps, as they are now: what these tests start is not what somebody built last.

use std::env;
use std::process::Command;

/// Builds the programs of all steps, unless this process is one of a trial.
pub fn build() {
    if env::args().any(|argument| argument.starts_with("--in-") || argument == "--list") {
        return;
    }
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--workspace", "--bins"]);
    let is_release = env::current_exe()
        .is_ok_and(|exe| exe.components().any(|part| part.as_os_str() == "release"));
    if is_release {
        cargo.arg("--release");
    }
    let built = cargo.status().expect("run cargo");
    assert!(built.success(), "the steps do not build");
}
