//! The list of the images that were pulled.

use std::collections::HashSet;
use std::fmt::{self, Write};
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::Result;
use image::Descriptor;
use image::digest::Digest;
use image::reference::Reference;
use image::store::{BLOBS, Layout, PARTIAL, Store};
use indicatif::HumanDuration;
use launcher::command_line::one_line;

use crate::contents::{blob, full_name, mark, size_of, size_of_all, size_of_layout};
use crate::progress::in_words;

/// As many digits of a digest tell two images apart.
const DIGITS: usize = 12;

/// The longest name that makes its column wider.
const MAX_WIDTH: usize = 48;

/// What is in the directory of images.
pub(crate) struct Listed {
    directory: PathBuf,
    rows: Vec<[String; 4]>,
    images: usize,
    /// Bytes, those that images share counted once.
    size: u64,
}

impl Listed {
    /// Looks at all of it.
    pub(crate) fn of(store: &Store) -> Result<Listed> {
        let directory = store.directory().to_owned();
        let mut listed = Listed { directory, rows: Vec::new(), images: 0, size: 0 };
        for layout in store.layouts()? {
            listed.add(&layout)?;
        }
        Ok(listed)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn add(&mut self, layout: &Layout) -> Result<()> {
        let size = size_of_layout(&layout.path)?;
        self.size += size;
        let name = shown(layout);
        let images = match layout.images() {
            Ok(images) => images,
            Err(error) => {
                self.row(name, size, "-", format!("damaged: {}", one_line(&error)));
                return Ok(());
            }
        };
        let mut named = HashSet::new();
        let mut is_known = true;
        for image in &images {
            let mut blobs = HashSet::new();
            let marked = mark(&layout.path, image, &mut blobs);
            let size = size_of_blobs(layout, &blobs)?;
            let state = match &marked {
                Ok(()) if size.is_whole => since(layout, image),
                Ok(()) => "not whole: pull it again".to_owned(),
                Err(error) => format!("damaged: {}", one_line(error)),
            };
            let digits: String = image.digest.hex().chars().take(DIGITS).collect();
            self.row(full_name(&name, image), size.bytes, &digits, state);
            self.images += 1;
            is_known &= marked.is_ok();
            named.extend(blobs);
        }
        let mut parts = size_of_all(&layout.path.join(PARTIAL))?;
        if is_known {
            // A pull that ends in the middle leaves whole blobs, too.
            let all = size_of_all(&layout.path.join(BLOBS))?;
            parts += all.saturating_sub(size_of_blobs(layout, &named)?.bytes);
        }
        if parts > 0 || images.is_empty() {
            self.row(name, parts, "-", "in part: pull goes on with it".to_owned());
        }
        Ok(())
    }

    fn row(&mut self, name: String, size: u64, digest: &str, state: String) {
        self.rows.push([name, in_words(size), digest.to_owned(), state]);
    }
}

/// What there is of some blobs.
struct Size {
    bytes: u64,
    /// Whether each of them is there.
    is_whole: bool,
}

fn size_of_blobs(layout: &Layout, blobs: &HashSet<Digest>) -> Result<Size> {
    let mut size = Size { bytes: 0, is_whole: true };
    for digest in blobs {
        match size_of(&blob(&layout.path, digest))? {
            Some(found) => size.bytes += found,
            None => size.is_whole = false,
        }
    }
    Ok(size)
}

/// The name of a repository; or where it is, if no reference leads there.
fn shown(layout: &Layout) -> String {
    match layout.name.parse::<Reference>() {
        Ok(reference) if reference.name() == layout.name => layout.name.clone(),
        _ => format!("{:?}", layout.path),
    }
}

/// When it was pulled: pulling writes the manifest.
fn since(layout: &Layout, image: &Descriptor) -> String {
    let found = fs::symlink_metadata(blob(&layout.path, &image.digest));
    let modified = found.and_then(|it| it.modified()).unwrap_or_else(|_| SystemTime::now());
    format!("{} ago", HumanDuration(modified.elapsed().unwrap_or_default()))
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headings = ["IMAGE", "SIZE", "DIGEST", "PULLED"].map(str::to_owned);
        let rows = || [&headings].into_iter().chain(&self.rows);
        let width = |column: usize| {
            let widths = rows().map(|row| row[column].chars().count());
            widths.filter(|width| *width <= MAX_WIDTH).max().unwrap_or(0)
        };
        let [first, second, third] = [0, 1, 2].map(width);
        let mut text = String::new();
        for [name, size, digest, state] in rows() {
            writeln!(text, "{name:first$}  {size:>second$}  {digest:third$}  {state}")?;
        }
        let noun = if self.images == 1 { "image" } else { "images" };
        let size = in_words(self.size);
        write!(f, "{text}{} {noun}, {size} in {:?}", self.images, self.directory)
    }
}
