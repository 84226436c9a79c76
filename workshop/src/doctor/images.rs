//! The images that were pulled: how many, and what they take. They are nobody's leftovers.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use launcher::command_line::one_line;
use launcher::{Caller, bounded};
use nix::fcntl::ResolveFlag;
use serde_json::Value;

use super::finding::{Finding, SETUP};

/// As large may an index be: registries have this limit for manifests.
const MAX_INDEX: u64 = 4 << 20;

/// No name of an image leads further down.
const MAX_DEPTH: usize = 128;

/// What is in the directory of images.
#[derive(Debug, Default)]
struct Found {
    directory: PathBuf,
    images: usize,
    bytes: u64,
}

pub(super) fn probe() -> Finding {
    let name = "images";
    match look() {
        Ok(found) if found.is_empty() => Finding::good(name, format!("none {}", found.place())),
        Ok(found) => {
            let lists = "cargo workshop images lists them";
            Finding::good(name, format!("{} {} ({lists})", found.amount(), found.place()))
        }
        Err(error) => Finding::note(name, one_line(&error)).page(SETUP),
    }
}

/// What is said of them when everything else is removed; nothing if there are none.
pub(super) fn left() -> Result<Option<String>> {
    let found = look()?;
    let text = || {
        let (amount, place) = (found.amount(), found.place());
        format!("left images: {amount} {place} (cargo workshop images remove NAME)")
    };
    Ok((!found.is_empty()).then(text))
}

fn look() -> Result<Found> {
    let directory = Caller::of_this_process().images()?;
    let mut found = Found { directory: directory.clone(), ..Found::default() };
    found.add(&directory, 0)?;
    Ok(found)
}

impl Found {
    fn is_empty(&self) -> bool {
        self.images == 0 && self.bytes == 0
    }

    fn amount(&self) -> String {
        // Less than a tenth is nothing that anybody would miss.
        let tenths = self.bytes / 100_000;
        format!("{}, {}.{} MB", self.images, tenths / 10, tenths % 10)
    }

    fn place(&self) -> String {
        format!("in {}", self.directory.display())
    }

    /// Adds what is below a directory, which may change at any time.
    fn add(&mut self, directory: &Path, depth: usize) -> Result<()> {
        let cannot = || format!("cannot list {directory:?}");
        let entries = match fs::read_dir(directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            entries => entries.with_context(cannot)?,
        };
        for entry in entries {
            let entry = entry.with_context(cannot)?;
            // Not through links: they may lead in a circle.
            let Ok(found) = entry.metadata() else { continue };
            if found.is_dir() && depth < MAX_DEPTH {
                self.add(&entry.path(), depth + 1)?;
            } else if found.is_file() {
                self.bytes += found.len();
            }
            if entry.file_name() == "index.json" {
                self.images += images_in(&entry.path());
            }
        }
        Ok(())
    }
}

/// How many images an index has. (What is wrong with one, `cargo workshop images` tells.)
fn images_in(index: &Path) -> usize {
    let content = bounded::read_file(index, ResolveFlag::empty(), MAX_INDEX).unwrap_or_default();
    let index: Value = serde_json::from_slice(&content).unwrap_or_default();
    index["manifests"].as_array().map_or(0, Vec::len)
}
