//! `cargo root -p STEP`: cargo builds as the caller, sudo runs what was built.

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use nix::unistd::mkdtemp;

/// A `sudo` that only says what it would do.
const SUDO: &str = "#!/bin/sh\necho \"sudo $*\"\n";

#[test]
fn cargo_root_runs_the_stage_through_sudo() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("instead-of-sudo-XXXXXX");
    let directory = mkdtemp(&directory).unwrap();
    let sudo = directory.join("sudo");
    fs::write(&sudo, SUDO).unwrap();
    fs::set_permissions(&sudo, Permissions::from_mode(0o755)).unwrap();

    let mut path = directory.clone().into_os_string();
    path.push(":");
    path.push(env::var_os("PATH").unwrap_or_default());
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["root", "--quiet", "--offline", "-p", "v1-chroot", "--", "id", "-u", "--", "-x"])
        .current_dir(workspace)
        .env("PATH", path)
        .output()
        .unwrap();

    fs::remove_dir_all(directory).unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(said.starts_with("sudo -E "), "{said}{complaint}");
    assert!(said.ends_with("/debug/v1-chroot id -u -- -x\n"), "{said}{complaint}");
}
