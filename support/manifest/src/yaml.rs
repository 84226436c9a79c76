//! YAML as a tree in which every value knows its place: an error can name the field and its line.

use anyhow::{Result, anyhow, bail};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, StrInput};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::rc::Rc;

/// How deep values may be nested, how many there may be, and how many bytes of text: aliases
/// multiply.
const MAX_DEPTH: usize = 100;
const MAX_VALUES: usize = 100_000;
const MAX_TEXT: usize = super::MAX_SIZE;

/// A value and its place in the file.
#[derive(Clone, Debug)]
pub struct Node {
    place: Rc<Place>,
    line: usize,
    column: usize,
    value: Value,
}

#[derive(Clone, Debug)]
enum Value {
    /// `is_quoted`: then it is a text, whatever it looks like.
    Scalar {
        text: Rc<str>,
        is_quoted: bool,
    },
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

/// The way from the top to a value, by its last step: it is put together for an error only. (A copy
/// of the whole way in every value would grow with the square of the file.)
#[derive(Debug)]
enum Place {
    Top,
    Field(Rc<Place>, Rc<str>),
    Entry(Rc<Place>, usize),
}

impl fmt::Display for Place {
    /// Such as `spec.containers[0].name`; empty at the top.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Top => Ok(()),
            Place::Field(above, name) if matches!(**above, Place::Top) => write!(f, "{name}"),
            Place::Field(above, name) => write!(f, "{above}.{name}"),
            Place::Entry(above, index) => write!(f, "{above}[{index}]"),
        }
    }
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Boolean,
    Nothing,
    List,
    Mapping,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Text => "a text",
            Kind::Number => "a number",
            Kind::Boolean => "a boolean",
            Kind::Nothing => "nothing",
            Kind::List => "a list",
            Kind::Mapping => "a mapping",
        })
    }
}

impl Node {
    /// Reads the one document of a file.
    ///
    /// # Errors
    /// What is wrong with it, with line and column.
    pub fn read(text: &str) -> Result<Node> {
        let mut reader = Reader {
            parser: Parser::new_from_str(text),
            anchors: HashMap::new(),
            so_far: Amount { values: 0, bytes: 0 },
        };
        reader.document()
    }

    /// An error about this value: its path, what is wrong with it, and its place.
    pub fn wrong(&self, what: impl fmt::Display) -> anyhow::Error {
        let Node { place, line, column, .. } = self;
        match **place {
            Place::Top => anyhow!("the manifest: {what} (line {line}, column {column})"),
            _ => anyhow!("{place}: {what} (line {line}, column {column})"),
        }
    }

    /// The fields of a mapping.
    ///
    /// # Errors
    /// If it is something else, or a key is there twice.
    pub fn fields(&self) -> Result<Fields<'_>> {
        let Value::Map(entries) = &self.value else {
            return Err(self.wrong(format_args!("it is {}, not a mapping", self.kind())));
        };
        let mut left: Vec<(&str, &Node)> = Vec::with_capacity(entries.len());
        let mut seen = HashSet::with_capacity(entries.len());
        for (key, value) in entries {
            let Value::Scalar { text, .. } = &key.value else {
                return Err(key.wrong(format_args!("{} cannot be a key here", key.kind())));
            };
            if !seen.insert(text) {
                return Err(value.wrong("it is there twice"));
            }
            left.push((text, value));
        }
        left.retain(|(_, value)| !value.is_null()); // as if it were not there
        Ok(Fields { of: self, left })
    }

    /// The entries of a list.
    ///
    /// # Errors
    /// If it is something else.
    pub fn list(&self) -> Result<&[Node]> {
        match &self.value {
            Value::List(entries) => Ok(entries),
            _ => Err(self.wrong(format_args!("it is {}, not a list", self.kind()))),
        }
    }

    /// A text.
    ///
    /// # Errors
    /// If it is something else: a number or a word such as `true` must be quoted to be a text.
    pub fn text(&self) -> Result<&str> {
        match (&self.value, self.kind()) {
            (Value::Scalar { text, .. }, Kind::Text) => Ok(text),
            (Value::Scalar { text, .. }, kind) => {
                Err(self.wrong(format_args!("it is {kind}, not a text (quote it: \"{text}\")")))
            }
            (_, kind) => Err(self.wrong(format_args!("it is {kind}, not a text"))),
        }
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// If it is something else.
    pub fn boolean(&self) -> Result<bool> {
        match (&self.value, self.kind()) {
            (Value::Scalar { text, .. }, Kind::Boolean) => Ok(is_true(text)),
            (_, kind) => Err(self.wrong(format_args!("it is {kind}, not true or false"))),
        }
    }

    /// An integer between these two.
    ///
    /// # Errors
    /// If it is something else.
    pub fn integer(&self, least: i64, most: i64) -> Result<i64> {
        let number = match (&self.value, self.kind()) {
            (Value::Scalar { text, .. }, Kind::Number) => text.parse::<i64>(),
            (_, kind) => return Err(self.wrong(format_args!("it is {kind}, not an integer"))),
        };
        let number = number.map_err(|_| self.wrong("it is not an integer"))?;
        if !(least..=most).contains(&number) {
            return Err(self.wrong(format_args!("{number} is not between {least} and {most}")));
        }
        Ok(number)
    }

    /// A text or a number, as it is written: a quantity may be either.
    ///
    /// # Errors
    /// If it is something else.
    pub fn text_or_number(&self) -> Result<&str> {
        match (&self.value, self.kind()) {
            (Value::Scalar { text, .. }, Kind::Text | Kind::Number) => Ok(text),
            (_, kind) => Err(self.wrong(format_args!("it is {kind}, not a quantity"))),
        }
    }

    fn is_null(&self) -> bool {
        self.kind() == Kind::Nothing
    }

    /// What a value is to the API server. Its YAML is that of version 1.1, in which `yes` and `off`
    /// are booleans.
    fn kind(&self) -> Kind {
        let (text, is_quoted) = match &self.value {
            Value::List(_) => return Kind::List,
            Value::Map(_) => return Kind::Mapping,
            Value::Scalar { text, is_quoted } => (&**text, *is_quoted),
        };
        let is_one_of = |words: &[&str]| words.contains(&text.to_ascii_lowercase().as_str());
        match text {
            _ if is_quoted => Kind::Text,
            "" | "~" => Kind::Nothing,
            _ if is_one_of(&["null"]) => Kind::Nothing,
            _ if is_one_of(&["true", "false", "yes", "no", "on", "off"]) => Kind::Boolean,
            _ if looks_like_a_number(text) => Kind::Number,
            _ => Kind::Text,
        }
    }

    /// Gives this value and all in it their places.
    fn set_place(&mut self, place: Rc<Place>) {
        match &mut self.value {
            Value::Scalar { .. } => {}
            Value::List(entries) => {
                for (index, entry) in entries.iter_mut().enumerate() {
                    entry.set_place(Rc::new(Place::Entry(Rc::clone(&place), index)));
                }
            }
            Value::Map(entries) => {
                for (key, value) in entries {
                    let name = match &key.value {
                        Value::Scalar { text, .. } => Rc::clone(text),
                        _ => "?".into(),
                    };
                    let inner = Rc::new(Place::Field(Rc::clone(&place), name));
                    key.place = Rc::clone(&inner);
                    value.set_place(inner);
                }
            }
        }
        self.place = place;
    }
}

fn is_true(text: &str) -> bool {
    ["true", "yes", "on"].contains(&text.to_ascii_lowercase().as_str())
}

fn looks_like_a_number(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    let digits = text.trim_start_matches(['+', '-']).replace('_', "");
    let is_prefixed = ["0x", "0o", "0b"].iter().any(|prefix| {
        digits.strip_prefix(prefix).is_some_and(|rest| u64::from_str_radix(rest, 16).is_ok())
    });
    begins && (digits.parse::<f64>().is_ok() || is_prefixed || [".inf", ".nan"].contains(&&*digits))
}

/// The fields of a mapping, taken one by one. What is left at the end is not known here.
#[derive(Debug)]
pub struct Fields<'a> {
    of: &'a Node,
    left: Vec<(&'a str, &'a Node)>,
}

impl<'a> Fields<'a> {
    /// Takes a field; `None` if it is not there.
    pub fn take(&mut self, name: &str) -> Option<&'a Node> {
        let index = self.left.iter().position(|(other, _)| *other == name)?;
        Some(self.left.swap_remove(index).1)
    }

    /// Takes a field that must be there.
    ///
    /// # Errors
    /// If it is not.
    pub fn require(&mut self, name: &str) -> Result<&'a Node> {
        let of = self.of;
        self.take(name).ok_or_else(|| of.wrong(format_args!("the field {name} is missing")))
    }

    /// Refuses what was not taken: a field is never dropped in silence.
    ///
    /// # Errors
    /// If there is such a field.
    pub fn end(self, known: &str) -> Result<()> {
        match self.left.iter().min_by_key(|(_, node)| (node.line, node.column)) {
            None => Ok(()),
            Some((_, node)) => {
                Err(node.wrong(format_args!("no such field is supported here (known: {known})")))
            }
        }
    }
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
    /// Adds some more, from this place on; or an error if that is too much.
    fn add(&mut self, more: Amount, place: Marker) -> Result<()> {
        *self = Amount { values: self.values + more.values, bytes: self.bytes + more.bytes };
        if self.values > MAX_VALUES || self.bytes > MAX_TEXT {
            bail!(
                "it has more than {MAX_VALUES} values or {MAX_TEXT} bytes, with its aliases \
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
        let mut root = root.ok_or_else(|| anyhow!("it is empty"))?;
        root.set_place(Rc::new(Place::Top));
        Ok(root)
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
                self.so_far.add(node.amount(), place)?;
                return Ok(Node { line, column, ..node.clone() });
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
        self.so_far.add(value.own_amount(), place)?;
        let node = Node { place: Rc::new(Place::Top), line, column, value };
        if anchor > 0 {
            self.so_far.add(node.amount(), place)?; // a copy waits for its aliases
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }
}

impl Node {
    /// Of this value and all in it.
    fn amount(&self) -> Amount {
        let inner: Vec<&Node> = match &self.value {
            Value::Scalar { .. } => Vec::new(),
            Value::List(entries) => entries.iter().collect(),
            Value::Map(entries) => entries.iter().flat_map(|(key, value)| [key, value]).collect(),
        };
        inner.into_iter().map(Node::amount).fold(self.value.own_amount(), |sum, it| Amount {
            values: sum.values + it.values,
            bytes: sum.bytes + it.bytes,
        })
    }
}

impl Value {
    /// Of this value without those in it.
    fn own_amount(&self) -> Amount {
        match self {
            Value::Scalar { text, .. } => Amount { values: 1, bytes: text.len() },
            _ => Amount { values: 1, bytes: 0 },
        }
    }
}
