//! The learner's own files: a package `exercises/` in the checkout, which git does not see.
//!
//! It is a workspace of its own: what does not compile in there keeps nothing else from being
//! built. It takes the checkout's list of exact versions and its target directory, so nothing is
//! downloaded that was not needed for the workshop itself.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use launcher::program;

use super::exercise::Exercise;
use super::source::{Variant, cut};
use crate::checkout;

/// The manifest of a package with programs of learners, in a directory of the checkout.
pub const MANIFEST: &str = include_str!("../../exercises/manifest.toml");

/// For a `cargo run` by hand in there, and for `cargo workshop` after it: the checkout's alias asks
/// for a package of the workspace that one stands in.
pub const SETTINGS: &str = r#"# Made by `cargo workshop`, unless you take this line away.
[build]
target-dir = "../target"

[alias]
workshop = "run --quiet --manifest-path ../Cargo.toml --package door --"
"#;

/// The learner's package.
pub(super) struct Desk {
    checkout: PathBuf,
}

/// What came out of a build.
pub(super) enum Built {
    /// The program's path.
    Program(PathBuf),
    /// The compiler has said why not.
    Nothing,
}

impl Desk {
    /// Finds its place. Nothing is made yet.
    pub(super) fn open() -> Result<Desk> {
        Ok(Desk { checkout: checkout()? })
    }

    pub(super) fn directory(&self) -> PathBuf {
        self.checkout.join("exercises")
    }

    /// The learner's file for an exercise.
    pub(super) fn file_of(&self, exercise: &Exercise) -> PathBuf {
        self.directory().join("src/bin").join(format!("{}.rs", exercise.id))
    }

    /// Makes the package, and the file if there is none. Whether it made the file.
    pub(super) fn lay_out(&self, exercise: &Exercise) -> Result<bool> {
        self.make_package()?;
        make(&self.file_of(exercise), &cut(exercise.source, &Variant::Starter))
    }

    /// Makes the package, or brings it up to date: what cargo needs, none of the learner's files.
    fn make_package(&self) -> Result<()> {
        let directory = self.directory();
        for name in ["src/bin", ".cargo"] {
            let path = directory.join(name);
            fs::create_dir_all(&path).with_context(|| format!("cannot make {path:?}"))?;
        }
        let versions = self.checkout.join("Cargo.lock");
        let versions = fs::read_to_string(&versions)
            .with_context(|| format!("cannot read the exact versions in {versions:?}"))?;
        renew(&directory.join("Cargo.lock"), &versions)?;
        renew(&directory.join("Cargo.toml"), MANIFEST)?;
        renew(&directory.join(".cargo/config.toml"), SETTINGS)?;
        make(&directory.join(".gitignore"), "*\n").map(drop)
    }

    /// Puts the starter back, and keeps what was there. Tells where.
    pub(super) fn put_back(&self, exercise: &Exercise) -> Result<PathBuf> {
        let file = self.file_of(exercise);
        let kept = self.directory().join("kept");
        fs::create_dir_all(&kept).with_context(|| format!("cannot make {kept:?}"))?;
        let mut names = (1..1000).map(|number| kept.join(format!("{}.{number}.rs", exercise.id)));
        let kept =
            names.find(|path| !path.exists()).context("you have reset it a thousand times")?;
        fs::rename(&file, &kept).with_context(|| format!("cannot move {file:?} to {kept:?}"))?;
        self.lay_out(exercise)?;
        Ok(kept)
    }

    /// Builds the learner's program, offline.
    pub(super) fn build(&self, exercise: &Exercise) -> Result<Built> {
        let file = self.file_of(exercise);
        if !file.exists() {
            bail!("there is no {file:?} yet (cargo workshop start {})", exercise.id);
        }
        self.make_package()?;
        let target = self.checkout.join("target");
        let cannot = "cannot run cargo (is it on your PATH?)";
        let mut build = cargo_build(&self.directory(), &target).context(cannot)?;
        let built = build.args(["--bin", exercise.id]).status().context(cannot)?;
        let program = target.join("debug").join(exercise.id);
        Ok(if built.success() { Built::Program(program) } else { Built::Nothing })
    }
}

/// `cargo build` of a package of exercises: without network, next to what is built already.
///
/// # Errors
/// ENOENT if there is no cargo.
pub fn cargo_build(package: &Path, target: &Path) -> io::Result<Command> {
    let mut cargo = program::command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))?;
    cargo.args(["build", "--quiet", "--offline"]).current_dir(package);
    cargo.env_remove("CARGO_TARGET_DIR").arg("--target-dir").arg(target);
    Ok(cargo)
}

/// Writes a file whose first line says that it is made, unless a learner has taken that line away.
fn renew(path: &Path, content: &str) -> Result<()> {
    let is_ours = match fs::read_to_string(path) {
        Ok(old) => old != content && old.lines().next() == content.lines().next(),
        Err(error) if error.kind() == ErrorKind::NotFound => true,
        Err(error) => return Err(error).with_context(|| format!("cannot read {path:?}")),
    };
    if is_ours {
        fs::write(path, content).with_context(|| format!("cannot write {path:?}"))?;
    }
    Ok(())
}

/// Makes a file, never in place of one that is there. Whether it made one.
fn make(path: &Path, content: &str) -> Result<bool> {
    let cannot = || format!("cannot write {path:?}");
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => file.write_all(content.as_bytes()).map(|()| true).with_context(cannot),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error).with_context(cannot),
    }
}
