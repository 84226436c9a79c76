//! `<<`: the entries of another mapping, merged into this one.

use crate::node::{Node, Value};
use crate::place::shortened;
use anyhow::{Result, bail};
use std::collections::HashSet;
use std::rc::Rc;

/// The entries of a mapping.
#[derive(Default)]
pub(crate) struct Entries {
    own: Vec<(Node, Node)>,
    merged: Vec<(Node, Node)>,
    /// The names of both.
    names: HashSet<Rc<str>>,
}

impl Entries {
    /// Adds an entry of its own. It counts in place of one that is merged.
    pub(crate) fn add(&mut self, key: Node, value: Node) {
        self.names.extend(name(&key));
        self.own.push((key, value));
    }

    /// Merges the entries of this mapping, or of all in this list: of two with one key the first
    /// one counts.
    ///
    /// # Errors
    /// If it is none of these; or if it has a key that was there before: then Kubernetes takes the
    /// one that is merged, which surprises who knows YAML, and whoever reads the file.
    pub(crate) fn merge(&mut self, from: Node) -> Result<()> {
        let (line, column) = from.place().position();
        let mappings = match from.value {
            Value::List(mappings) => mappings,
            _ => vec![from],
        };
        let mut seen = HashSet::new();
        for mapping in mappings {
            let Value::Map(entries) = mapping.value else {
                bail!("<< merges a mapping, or a list of them (line {line}, column {column})");
            };
            for (key, value) in entries {
                let name = name(&key);
                if let Some(twice) = name.as_ref().filter(|name| self.names.contains(*name)) {
                    bail!(
                        "<< has {:?}, which stands before it: to Kubernetes the later one \
                         counts, to others the one that is not merged (put << first; line {line}, \
                         column {column})",
                        shortened(twice)
                    );
                }
                if name.is_none_or(|name| seen.insert(name)) {
                    self.merged.push((key, value));
                }
            }
        }
        self.names.extend(seen);
        Ok(())
    }

    /// All of them.
    pub(crate) fn merged(mut self) -> Vec<(Node, Node)> {
        if !self.merged.is_empty() {
            let own: HashSet<Rc<str>> = self.own.iter().filter_map(|(key, _)| name(key)).collect();
            self.merged.retain(|(key, _)| name(key).is_none_or(|name| !own.contains(&name)));
            self.own.append(&mut self.merged);
        }
        self.own
    }
}

fn name(key: &Node) -> Option<Rc<str>> {
    match &key.value {
        Value::Scalar { text, .. } => Some(Rc::clone(text)),
        _ => None,
    }
}
