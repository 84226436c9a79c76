//! A Pod manifest: the fields that this course has a chapter for, and an error for every other.
//!
//! What the API server of Kubernetes refuses is refused here too, so that a manifest that runs here
//! runs on a cluster.
//!
//! | module | what it does |
//! |---|---|
//! | `pod`, `config` | what a manifest says, as types |
//! | `names`, `quantity`, `base64` | how single values are written |
//! | `variables` | what `$(NAME)` stands for |
//! | `limits` | how much a text may stand for |
//! | `scalar` | what a word of YAML is to Kubernetes: a text, a number, a boolean |
//! | `node`, `place`, `merge`, `document` | YAML as a tree, in which every value knows its place |
//! | `mapping`, `fault` | the fields of a mapping, and what is wrong with them, all of it |
//! | `values`, `fields` | which field is read as what: a line for each |
//! | `checks` | what must be so among fields |
//! | `objects`, `manifest` | from a file, which may have several objects, to a pod |
//!
//! The reader is our own, on a parser of YAML. With serde (serde-saphyr 2.2 was tried) an error has
//! no path, an unknown field has no line, `'80'` is a number and `'true'` a boolean, which the API
//! server refuses; and twelve more crates are compiled.

mod base64;
mod checks;
mod config;
mod document;
mod fault;
mod fields;
mod limits;
mod manifest;
mod mapping;
mod merge;
mod names;
mod node;
mod objects;
mod place;
mod pod;
mod quantity;
mod scalar;
mod values;
mod variables;

pub use config::{ConfigMap, Secret};
pub use manifest::{Manifest, Wanted};
pub use pod::{
    Container, EmptyDir, LEAST_MEMORY, Limits, Medium, Mount, Pod, Port, Protocol, Requests,
    Resources, RestartPolicy, SecurityContext, Source, Volume,
};

use anyhow::{Context, Result};
use launcher::bounded;
use std::fs::File;
use std::path::Path;

/// Reads the manifest in a file. It may be a FIFO or `/dev/stdin`, where somebody is still writing;
/// `-` is standard input.
///
/// # Errors
/// If it cannot be read, or something is wrong with it.
pub fn read(path: &Path, wanted: &Wanted) -> Result<Manifest> {
    let name = if path == Path::new("-") { Path::new("/dev/stdin") } else { path };
    let file = File::open(name).with_context(|| format!("cannot read {name:?}"))?;
    let text = bounded::read(file, limits::MAX_SIZE as u64)
        .with_context(|| format!("cannot read {name:?}"))?;
    let text = String::from_utf8(text).ok().with_context(|| format!("{name:?} is no UTF-8"))?;
    Manifest::read(&text, wanted).with_context(|| format!("{}", name.display()))
}

#[cfg(test)]
mod tests;
