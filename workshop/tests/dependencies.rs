//! What a learner waits for: neither steps nor the course compile a client of registries.

#![expect(clippy::expect_used, reason = "a test fails by panicking, with the line that did it")]

use std::env;
use std::process::Command;

/// What speaks HTTP and TLS, and what would run it.
const OF_REGISTRIES: [&str; 5] = ["tokio", "reqwest", "ureq", "rustls", "ring"];

#[test]
fn only_the_package_of_registries_has_a_client() {
    if env::var_os("TESTBED_IS_BUILT").is_some() {
        return; // nothing to ask: in the virtual machine there is no cargo
    }
    for package in ["workshop", "v3-pidns", "v7-overlay", "v8-pause"] {
        let packages = tree(package);
        for name in OF_REGISTRIES {
            assert!(!packages.iter().any(|it| it == name), "{package} depends on {name}");
        }
    }
    assert!(tree("registry").iter().any(|it| it == "ureq"), "cargo tree shows what there is");
}

/// The names that `cargo tree` shows.
fn tree(package: &str) -> Vec<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["tree", "--offline", "--locked", "--prefix", "none", "--package", package]);
    let output = cargo.output().expect("run cargo tree");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{error}");
    let text = String::from_utf8(output.stdout).expect("cargo prints UTF-8");
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}
