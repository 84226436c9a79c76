//! YAML as a tree in which every value knows its place: an error can name the field and its line.

use anyhow::{Result, anyhow};
use std::fmt;
use std::rc::Rc;

/// A value and its place in the file.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    place: Rc<FieldPath>,
    line: usize,
    column: usize,
    pub(crate) value: Value,
}

/// What a value is made of.
#[derive(Clone, Debug)]
pub(crate) enum Value {
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
enum FieldPath {
    Top,
    Field(Rc<FieldPath>, Rc<str>),
    Entry(Rc<FieldPath>, usize),
}

impl fmt::Display for FieldPath {
    /// Such as `spec.containers[0].name`; empty at the top.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FieldPath::Top => Ok(()),
            FieldPath::Field(above, name) if matches!(**above, FieldPath::Top) => {
                write!(f, "{name}")
            }
            FieldPath::Field(above, name) => write!(f, "{above}.{name}"),
            FieldPath::Entry(above, index) => write!(f, "{above}[{index}]"),
        }
    }
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
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
    /// A value at this place, counted from 1, of a tree that has no top yet.
    pub(crate) fn new((line, column): (usize, usize), value: Value) -> Node {
        Node { place: Rc::new(FieldPath::Top), line, column, value }
    }

    /// The same at another place: an alias.
    pub(crate) fn at(&self, (line, column): (usize, usize)) -> Node {
        Node { line, column, ..self.clone() }
    }

    /// Makes this the top, and gives all that is in it their places below.
    pub(crate) fn into_top(mut self) -> Node {
        self.set_path(Rc::new(FieldPath::Top));
        self
    }

    /// Such as `spec.containers[0].name`; empty at the top.
    pub(crate) fn path(&self) -> impl fmt::Display {
        &self.place
    }

    /// Line and column, counted from 1.
    pub(crate) fn position(&self) -> (usize, usize) {
        (self.line, self.column)
    }

    /// An error about this value: its path, what is wrong with it, and its place.
    pub(crate) fn wrong(&self, what: impl fmt::Display) -> anyhow::Error {
        let Node { place, line, column, .. } = self;
        match **place {
            FieldPath::Top => anyhow!("the manifest: {what} (line {line}, column {column})"),
            _ => anyhow!("{place}: {what} (line {line}, column {column})"),
        }
    }

    /// The keys and values of a mapping.
    ///
    /// # Errors
    /// If it is something else.
    pub(crate) fn mapping(&self) -> Result<&[(Node, Node)]> {
        match &self.value {
            Value::Map(entries) => Ok(entries),
            _ => Err(self.wrong(format_args!("it is {}, not a mapping", self.kind()))),
        }
    }

    /// The value of a field; `None` if it is not there, or is null, which is the same.
    ///
    /// # Errors
    /// If this is no mapping.
    pub(crate) fn field(&self, name: &str) -> Result<Option<&Node>> {
        let is_it =
            |key: &Node| matches!(&key.value, Value::Scalar { text, .. } if **text == *name);
        let entry = self.mapping()?.iter().find(|(key, _)| is_it(key));
        Ok(entry.map(|(_, value)| value).filter(|value| !value.is_null()))
    }

    /// The entries of the list in a field; none if it is not there.
    ///
    /// # Errors
    /// If this is no mapping, or that is no list.
    pub(crate) fn entries(&self, name: &str) -> Result<&[Node]> {
        self.field(name)?.map_or(Ok(&[]), Node::list)
    }

    /// The entries of a list.
    ///
    /// # Errors
    /// If it is something else.
    pub(crate) fn list(&self) -> Result<&[Node]> {
        match &self.value {
            Value::List(entries) => Ok(entries),
            _ => Err(self.wrong(format_args!("it is {}, not a list", self.kind()))),
        }
    }

    /// A text.
    ///
    /// # Errors
    /// If it is something else: a number or a word such as `true` must be quoted to be a text.
    pub(crate) fn text(&self) -> Result<&str> {
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
    pub(crate) fn boolean(&self) -> Result<bool> {
        match (&self.value, self.kind()) {
            (Value::Scalar { text, .. }, Kind::Boolean) => Ok(is_true(text)),
            (_, kind) => Err(self.wrong(format_args!("it is {kind}, not true or false"))),
        }
    }

    /// An integer between these two.
    ///
    /// # Errors
    /// If it is something else.
    pub(crate) fn integer(&self, least: i64, most: i64) -> Result<i64> {
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
    pub(crate) fn text_or_number(&self) -> Result<&str> {
        match (&self.value, self.kind()) {
            (Value::Scalar { text, .. }, Kind::Text | Kind::Number) => Ok(text),
            (_, kind) => Err(self.wrong(format_args!("it is {kind}, not a quantity"))),
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        self.kind() == Kind::Nothing
    }

    /// What a value is to the API server. Its YAML is that of version 1.1, in which `yes` and `off`
    /// are booleans.
    pub(crate) fn kind(&self) -> Kind {
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
    fn set_path(&mut self, place: Rc<FieldPath>) {
        match &mut self.value {
            Value::Scalar { .. } => {}
            Value::List(entries) => {
                for (index, entry) in entries.iter_mut().enumerate() {
                    entry.set_path(Rc::new(FieldPath::Entry(Rc::clone(&place), index)));
                }
            }
            Value::Map(entries) => {
                for (key, value) in entries {
                    let name = match &key.value {
                        Value::Scalar { text, .. } => Rc::clone(text),
                        _ => "?".into(),
                    };
                    let inner = Rc::new(FieldPath::Field(Rc::clone(&place), name));
                    key.place = Rc::clone(&inner);
                    value.set_path(inner);
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
