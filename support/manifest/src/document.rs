//! From the text of a file to the tree of its values.

use crate::limits::{MAX_DEPTH, MAX_SIZE, MAX_VALUES};
use crate::node::{Node, Value};
use anyhow::{Result, anyhow, bail};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, StrInput};
use std::collections::HashMap;

/// Reads the one document of a file.
///
/// # Errors
/// What is wrong with it, with line and column.
pub(crate) fn read(text: &str) -> Result<Node> {
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        so_far: Amount { values: 0, bytes: 0 },
    };
    reader.document()
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

    fn document(&mut self) -> Result<Node> {
        let mut root = None;
        loop {
            let (event, place) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(_) if root.is_some() => {
                    bail!("it has a second document (line {}): one pod at a time", place.line())
                }
                Event::DocumentStart(_) => {
                    let (event, place) = self.next()?;
                    root = Some(self.value(event, place, 0)?);
                }
                _ => {}
            }
        }
        Ok(root.ok_or_else(|| anyhow!("it is empty"))?.into_top())
    }

    fn value(&mut self, event: Event<'a>, place: Marker, depth: usize) -> Result<Node> {
        let (line, column) = (place.line(), place.col() + 1);
        if depth > MAX_DEPTH {
            bail!("it is nested too deep (line {line}, column {column})");
        }
        let (anchor, value) = match event {
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor) else {
                    bail!("an alias to what contains it (line {line}, column {column})");
                };
                self.so_far.add(Amount::of(node), place)?;
                return Ok(node.at((line, column)));
            }
            Event::Scalar(text, style, anchor, tag) => {
                let is_tagged = tag.is_some_and(|tag| tag.suffix == "str");
                let is_quoted = style != ScalarStyle::Plain || is_tagged;
                (anchor, Value::Scalar { text: text.into(), is_quoted })
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
            Event::MappingStart(anchor, _) => {
                let mut entries = Vec::new();
                loop {
                    let (event, place) = match self.next()? {
                        (Event::MappingEnd, _) => break,
                        key => key,
                    };
                    let key = self.value(event, place, depth + 1)?;
                    let (event, place) = self.next()?;
                    let value = self.value(event, place, depth + 1)?;
                    entries.push((key, value));
                }
                (anchor, Value::Map(entries))
            }
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
}
