//! `cargo root -p STEP`: cargo builds as the caller, sudo runs what was built; su without sudo.
//!
//! Who the caller is, and what there is on PATH, says a directory with scripts in place of `id`,
//! `sudo` and `su`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, with the line that did it")]

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nix::unistd::mkdtemp;

/// The directory, which is all there is on PATH. Dropped, it is removed.
struct Programs(PathBuf);

impl Programs {
    fn new(uid: u32, ways_to_root: &[&str]) -> Programs {
        let template = Path::new(env!("CARGO_TARGET_TMPDIR")).join("instead-of-sudo-XXXXXX");
        let programs = Programs(mkdtemp(&template).unwrap());
        programs.put("id", &format!("echo {uid}"));
        for name in ways_to_root {
            // It only says what it would do.
            programs.put(name, &format!("printf '%s|' {name} \"$@\"; echo"));
        }
        // What cargo itself calls: the compiler, the linker and what that calls.
        for name in ["sh", "cargo", "rustc", "cc", "gcc", "ld", "as", "ar"] {
            let path = env::var_os("PATH").unwrap_or_default();
            let found = env::split_paths(&path).map(|it| it.join(name)).find(|it| it.exists());
            if let Some(found) = found {
                symlink(found, programs.0.join(name)).unwrap();
            }
        }
        programs
    }

    fn put(&self, name: &str, script: &str) {
        let path = self.0.join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    }

    /// Called in a directory below the one with the alias, as in `exercises/`.
    fn cargo_root(&self, arguments: &[&str]) -> Output {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        Command::new(cargo)
            .args(["root", "--quiet", "--offline", "-p", "v1-chroot", "--"])
            .args(arguments)
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
            .env("PATH", &self.0)
            .output()
            .unwrap()
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn said(output: &Output) -> String {
    let words = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    words(&output.stdout) + &words(&output.stderr)
}

#[test]
fn cargo_root_runs_the_stage_through_sudo() {
    let output = Programs::new(1000, &["sudo", "su"]).cargo_root(&["id", "a b", "--", "-x"]);
    let said = said(&output);
    assert!(said.starts_with("sudo|-E|/"), "{said}");
    assert!(said.ends_with("/debug/v1-chroot|id|a b|--|-x|\n"), "{said}");
}

#[test]
fn without_sudo_it_is_su() {
    let output = Programs::new(1000, &["su"]).cargo_root(&["id", "a b", "--", "-x"]);
    let said = said(&output);
    assert!(said.starts_with("su|--preserve-environment|"), "{said}");
    assert!(said.contains("command=exec \"$0\" \"$@\"|--|root|/"), "{said}");
    assert!(said.ends_with("/debug/v1-chroot|id|a b|--|-x|\n"), "{said}");
}

#[test]
fn who_is_root_needs_neither() {
    let output = Programs::new(0, &["sudo", "su"]).cargo_root(&["--help"]);
    assert!(output.status.success(), "{output:?}");
    assert!(said(&output).contains("Usage: v1-chroot"), "{output:?}");
}

#[test]
fn without_both_it_is_one_line() {
    let output = Programs::new(1000, &[]).cargo_root(&["id"]);
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    let said = said(&output);
    assert_eq!(said.lines().count(), 1, "{said}");
    for words in ["Error: cannot find sudo or su: ENOENT", "install sudo", "/debug/v1-chroot id"] {
        assert!(said.contains(words), "no {words:?} in {said}");
    }
}
