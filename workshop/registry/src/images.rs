//! `cargo workshop images`: which were pulled, and away with some of them.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use image::missing::{Missing, pull_line};
use image::store::Store;
use workshop::say;

use crate::each::each;
use crate::list::Listed;
use crate::remove::remove;

/// What to do with them.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum What {
    /// Remove images, and whatever no other image has of them
    Remove {
        /// By the names that the list has
        #[arg(value_name = "IMAGE", required = true)]
        images: Vec<String>,
    },
}

/// Lists or removes images. `directory` is the one that was given.
pub(crate) fn images(
    store: &Store,
    directory: Option<&Path>,
    what: Option<&What>,
) -> Result<ExitCode> {
    match what {
        Some(What::Remove { images }) => each(images, |image| {
            remove(image, store, directory).with_context(|| format!("cannot remove {image}"))
        }),
        None => list(store, directory).map(|()| ExitCode::SUCCESS),
    }
}

fn list(store: &Store, directory: Option<&Path>) -> Result<()> {
    let listed = Listed::of(store)?;
    if listed.is_empty() {
        let missing = Missing { reference: "alpine".parse()?, others: Vec::new() };
        let pull = pull_line(&[missing], directory);
        return say!("No images in {:?}. To have one: {pull}", store.directory());
    }
    say!("{listed}")
}
