//! From the text of a file to the tree of its values.

use crate::limits::{MAX_DEPTH, MAX_SIZE, MAX_VALUES};
use crate::merge::Entries;
use crate::node::{Node, Value};
use crate::scalar;
use anyhow::{Result, anyhow, bail};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, StrInput, Tag};
use std::collections::HashMap;

/// Reads the documents of a file, without the empty ones.
///
/// # Errors
/// What is wrong with it, with line and column.
pub(crate) fn read(text: &str) -> Result<Vec<Node>> {
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        so_far: Amount { values: 0, bytes: 0 },
    };
    reader.documents()
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    so_far: Amount,
}

/// How many values, and bytes of text in them.
#[derive(Clone, Copy)]
struct Amount {
    values: usize,
    bytes: usize,
}

impl Amount {
    /// Of this value and all in it.
    fn of(node: &Node) -> Amount {
        let inner: Vec<&Node> = match &node.value {
            Value::Scalar { .. } => Vec::new(),
            Value::List(entries) => entries.iter().collect(),
            Value::Map(entries) => entries.iter().flat_map(|(key, value)| [key, value]).collect(),
        };
        inner.into_iter().map(Amount::of).fold(Amount::of_one(&node.value), |sum, it| Amount {
            values: sum.values + it.values,
            bytes: sum.bytes + it.bytes,
        })
    }

    /// Of this value without those in it.
    fn of_one(value: &Value) -> Amount {
        match value {
            Value::Scalar { text, .. } => Amount { values: 1, bytes: text.len() },
            _ => Amount { values: 1, bytes: 0 },
        }
    }

    /// Adds some more, from this place on; or an error if that is too much.
    fn add(&mut self, more: Amount, place: Marker) -> Result<()> {
        *self = Amount { values: self.values + more.values, bytes: self.bytes + more.bytes };
        if self.values > MAX_VALUES || self.bytes > MAX_SIZE {
            bail!(
                "it has more than {MAX_VALUES} values or {MAX_SIZE} bytes, with its aliases \
                 written out (line {}, column {})",
                place.line(),
                place.col() + 1
            );
        }
        Ok(())
    }
}

/// The name of a tag of YAML's own, such as `int` of `!!int`; of any other tag none.
fn core_name(tag: &Tag) -> &str {
    if tag.is_yaml_core_schema() { &tag.suffix } else { "" }
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Marker)> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, span.start)),
            Some(Err(error)) => {
                let (place, what) = (error.marker(), error.info());
                bail!("it is no YAML: {what} (line {}, column {})", place.line(), place.col() + 1)
            }
            None => bail!("it ends too early"),
        }
    }

    fn documents(&mut self) -> Result<Vec<Node>> {
        let mut documents = Vec::new();
        loop {
            let (event, _) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(documents),
                Event::DocumentStart(_) => {
                    self.anchors.clear();
                    let (event, place) = self.next()?;
                    let document = self.value(event, place, 0)?;
                    if !document.is_null() {
                        documents.push(document.into_top());
                    }
                }
                _ => {}
            }
        }
    }

    fn value(&mut self, event: Event<'a>, place: Marker, depth: usize) -> Result<Node> {
        let (line, column) = (place.line(), place.col() + 1);
        if depth > MAX_DEPTH {
            bail!("it is nested too deep (line {line}, column {column})");
        }
        let (anchor, value) = match event {
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor) else {
                    bail!(
                        "an alias: its document has no such anchor before it, or that contains it \
                         (line {line}, column {column})"
                    );
                };
                self.so_far.add(Amount::of(node), place)?;
                return Ok(node.at((line, column)));
            }
            Event::Scalar(text, style, anchor, tag) => {
                let is_plain = style == ScalarStyle::Plain;
                let tag = tag.as_deref().map(core_name);
                let scalar = scalar::read(&text, is_plain, tag)
                    .map_err(|what| anyhow!("{what} (line {line}, column {column})"))?;
                (anchor, Value::Scalar { text: text.into(), scalar })
            }
            Event::SequenceStart(anchor, _) => {
                let mut entries = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break,
                        (event, place) => entries.push(self.value(event, place, depth + 1)?),
                    }
                }
                (anchor, Value::List(entries))
            }
            Event::MappingStart(anchor, _) => (anchor, Value::Map(self.entries(depth)?)),
            other => bail!("{other:?} where a value should be (line {line}, column {column})"),
        };
        self.so_far.add(Amount::of_one(&value), place)?;
        let node = Node::new((line, column), value);
        if anchor > 0 {
            self.so_far.add(Amount::of(&node), place)?; // a copy waits for its aliases
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    /// The keys and values of a mapping, and of those that `<<` merges into it.
    fn entries(&mut self, depth: usize) -> Result<Vec<(Node, Node)>> {
        let mut entries = Entries::default();
        loop {
            let (event, place) = match self.next()? {
                (Event::MappingEnd, _) => return Ok(entries.merged()),
                key => key,
            };
            let is_merge = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, _, None)
                if text == "<<");
            let key = self.value(event, place, depth + 1)?;
            let (event, place) = self.next()?;
            let value = self.value(event, place, depth + 1)?;
            match is_merge {
                true => entries.merge(value)?,
                false => entries.add(key, value),
            }
        }
    }
}
