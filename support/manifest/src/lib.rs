//! A Pod manifest: the fields that this course has a chapter for, and an error for every other.
//!
//! What the API server of Kubernetes refuses is refused here too, so that a manifest that runs here
//! runs on a cluster.
//!
//! | module | what it does |
//! |---|---|
//! | `pod` | what a manifest says, as types |
//! | `names`, `quantity` | how single values are written |
//! | `variables` | what `$(NAME)` stands for |
//! | `limits` | how much a text may stand for |
//! | `node`, `document` | YAML as a tree, in which every value knows its place |
//! | `fields` | the fields of a mapping: read with one line each, and what is wrong is collected |
//! | `values`, `reading` | which field is read as what |
//! | `checks` | what must be so among fields |
//!
//! The reader is our own, on a parser of YAML. With serde (serde-saphyr 2.2 was tried) an error has
//! no path, an unknown field has no line, `'80'` is a number and `'true'` a boolean, which the API
//! server refuses; and twelve more crates are compiled.

mod checks;
mod document;
mod fields;
mod limits;
mod names;
mod node;
mod pod;
mod quantity;
mod reading;
mod values;
mod variables;

pub use pod::{
    Container, EmptyDir, LEAST_MEMORY, Limits, Medium, Mount, Pod, Port, Resources, RestartPolicy,
    SecurityContext, Source, Volume,
};

use anyhow::{Context, Result};
use launcher::bounded;
use std::fs::File;
use std::path::Path;

/// Reads the manifest in a file. It may be a FIFO or `/dev/stdin`, where somebody is still writing.
///
/// # Errors
/// If it cannot be read, or something is wrong with it.
pub fn read(path: &Path) -> Result<Pod> {
    let file = File::open(path).with_context(|| format!("cannot read {path:?}"))?;
    let text = bounded::read(file, limits::MAX_SIZE as u64)
        .with_context(|| format!("cannot read {path:?}"))?;
    let text = String::from_utf8(text).ok().with_context(|| format!("{path:?} is no UTF-8"))?;
    Pod::read(&text).with_context(|| format!("{}", path.display()))
}

#[cfg(test)]
mod tests;
