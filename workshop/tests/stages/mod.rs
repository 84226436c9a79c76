//! The steps, as they are now: what these tests start is not what somebody built last.

use std::env;
use std::process::Command;

/// Builds the programs of all steps, unless this process is one of a trial, or there is nothing to
/// build with (in the virtual machine, what started it has built them).
pub fn build() {
    let is_trial = env::args().any(|it| it.starts_with("--in-") || it == "--list");
    if is_trial || env::var_os("TESTBED_IS_BUILT").is_some() {
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
