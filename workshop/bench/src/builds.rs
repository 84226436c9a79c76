//! What the first `cargo run -p v3-pidns` costs a learner who waits for it, and the first
//! `cargo workshop pull`.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use super::programs::{Programs, cargo, succeed};
use super::scratch::Scratch;
use super::table::Table;

/// How many crates are compiled for the step, our own among them.
pub fn count_crates(programs: &Programs, table: &mut Table) -> Result<()> {
    let mut tree = cargo(&programs.workspace)?;
    tree.args(["tree", "-p", "v3-pidns", "--edges", "normal,build", "--prefix", "none"]);
    let told = String::from_utf8(succeed(&mut tree)?)?;
    // A crate that was shown before is marked with (*).
    let crates: BTreeSet<&str> =
        told.lines().map(|line| line.trim_end_matches(" (*)")).filter(|c| !c.is_empty()).collect();
    table.counted("crates of v3-pidns", crates.len(), 30);
    Ok(())
}

/// A build from nothing, and one after a change: in a copy, so that the checkout stays untouched.
pub fn measure(programs: &Programs, scratch: &Scratch, table: &mut Table) -> Result<()> {
    let sources = scratch.make("build")?;
    copy_sources(&programs.workspace, sources.path())?;
    // Downloads are not what is measured.
    succeed(cargo(sources.path())?.args(["fetch", "--quiet"]))?;

    let first = seconds(&mut build(sources.path(), "v3-pidns")?)?;
    table.timed("cargo build -p v3-pidns, first", first, 20.0, "s");

    let main = sources.path().join("v3-pidns/src/main.rs");
    let mut again = Vec::new();
    for turn in 0..5 {
        let mut file = OpenOptions::new().append(true).open(&main)?;
        writeln!(file, "// change {turn}")?;
        again.push(seconds(&mut build(sources.path(), "v3-pidns")?)?);
    }
    again.sort_unstable_by(f64::total_cmp);
    let median = again.get(again.len() / 2).copied().unwrap_or_default();
    table.timed("the same after a change in main.rs", median, 2.0, "s");

    fs::remove_dir_all(sources.path().join("target"))?;
    let first = seconds(&mut build(sources.path(), "registry")?)?;
    table.timed("cargo build -p registry, first", first, 90.0, "s");
    Ok(())
}

fn build(directory: &Path, package: &str) -> Result<Command> {
    let mut build = cargo(directory)?;
    build.args(["build", "--quiet", "--offline", "-p", package, "--target-dir"]);
    build.arg(directory.join("target"));
    Ok(build)
}

fn seconds(command: &mut Command) -> Result<f64> {
    let start = Instant::now();
    succeed(command)?;
    Ok(start.elapsed().as_secs_f64())
}

/// Everything but what was built and what git keeps.
fn copy_sources(from: &Path, to: &Path) -> Result<()> {
    let mut directories: Vec<PathBuf> = vec![PathBuf::new()];
    while let Some(inner) = directories.pop() {
        for entry in fs::read_dir(from.join(&inner))? {
            let entry = entry?;
            let name = inner.join(entry.file_name());
            if name == Path::new("target") || name == Path::new(".git") {
                continue;
            }
            if entry.file_type()?.is_dir() {
                fs::create_dir(to.join(&name))?;
                directories.push(name);
            } else if entry.file_type()?.is_file() {
                let target = to.join(&name);
                fs::copy(entry.path(), &target)
                    .with_context(|| format!("cannot copy to {}", target.display()))?;
            }
        }
    }
    Ok(())
}
