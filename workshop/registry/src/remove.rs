//! Images go, with everything that no other image has.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Result, anyhow};
use door::nearest;
use image::missing::{Missing, what_is_missing};
use image::reference::Reference;
use image::store::{Layout, PARTIAL, Store};
use launcher::command_line::errno_in;
use workshop::say;

use crate::contents::{full_name, name_of, size_of_all, size_of_layout};
use crate::layout::Locked;
use crate::progress::in_words;

/// Removes one. `directory` is the one that was given.
pub(crate) fn remove(image: &str, store: &Store, directory: Option<&Path>) -> Result<()> {
    let reference: Reference = image.parse()?;
    let layout = store.layout(&reference);
    let locked = if layout.path.is_dir() { Locked::open(&layout)? } else { None };
    let Some(locked) = locked else {
        return Err(not_here(reference, Vec::new(), store, directory));
    };
    let before = size_of_layout(&layout.path)?;
    let removed = match layout.images() {
        Ok(images) => {
            let version = reference.version.to_string();
            let names: Vec<_> = images.iter().map(name_of).collect();
            let is_here = names.contains(&version);
            if !is_here && !is_begun(&layout, &names)? {
                return Err(not_here(reference, names, store, directory));
            }
            if is_here {
                locked.remove(&version)?;
            }
            locked.sweep()?;
            if is_here { reference.to_string() } else { format!("parts of {}", layout.name) }
        }
        Err(error) if errno_in(&error).is_some() => return Err(error),
        // Nobody can tell any more which images these blobs are of.
        Err(_) => {
            locked.remove_blobs(&HashSet::new())?;
            format!("all of {}, which was damaged", layout.name)
        }
    };
    locked.remove_partial()?;
    let freed = before.saturating_sub(size_of_layout(&layout.path)?);
    locked.close(store)?;
    say!("Removed {removed}: {} freed", in_words(freed))
}

/// Whether a pull was cut off here.
fn is_begun(layout: &Layout, names: &[String]) -> Result<bool> {
    let has_parts = size_of_all(&layout.path.join(PARTIAL))? > 0;
    Ok(has_parts || (names.is_empty() && layout.path.join("oci-layout").exists()))
}

/// That there is none of this name, and which one may be meant.
fn not_here(
    reference: Reference,
    others: Vec<String>,
    store: &Store,
    directory: Option<&Path>,
) -> anyhow::Error {
    let typed = reference.to_string();
    let has_others = !others.is_empty();
    let what = what_is_missing(&[Missing { reference, others }], directory);
    let all = all_names(store).unwrap_or_default();
    let meant = nearest(&typed, all.iter().map(String::as_str)).filter(|_| !has_others);
    let meant = meant.map(|it| format!("do you mean {it}? ")).unwrap_or_default();
    anyhow!("{what} ({meant}cargo workshop images lists all)")
}

fn all_names(store: &Store) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for Layout { name, path } in store.layouts()? {
        let images = Layout { name: name.clone(), path }.images().unwrap_or_default();
        names.extend(images.iter().map(|image| full_name(&name, image)));
    }
    Ok(names)
}
