//! YAML as a tree in which every value knows its place: an error can name the field and its line.

use crate::fault::Fault;
use crate::place::{FieldPath, Place};
use crate::scalar::{Scalar, octal_in_disguise};
use std::fmt;
use std::rc::Rc;

/// A value and its place in the file.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    place: Place,
    pub(crate) value: Value,
}

/// What a value is made of.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// As it is written, and what that is to Kubernetes.
    Scalar {
        text: Rc<str>,
        scalar: Scalar,
    },
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
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
    /// A value at this line and column, counted from 1, of a tree that has no top yet.
    pub(crate) fn new(position: (usize, usize), value: Value) -> Node {
        Node { place: Place::top(position), value }
    }

    /// The same at another line and column: an alias.
    pub(crate) fn at(&self, position: (usize, usize)) -> Node {
        Node { place: Place::top(position), value: self.value.clone() }
    }

    /// Makes this the top, and gives all that is in it their places below.
    pub(crate) fn into_top(mut self) -> Node {
        self.set_path(Rc::new(FieldPath::Top));
        self
    }

    /// Where it stands.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// What is wrong with this value.
    pub(crate) fn wrong(&self, what: impl fmt::Display) -> Fault {
        Fault::new(&self.place, what)
    }

    /// The keys and values of a mapping.
    ///
    /// # Errors
    /// If it is something else.
    pub(crate) fn mapping(&self) -> Result<&[(Node, Node)], Fault> {
        match &self.value {
            Value::Map(entries) => Ok(entries),
            _ => Err(self.wrong(format_args!("it is {}, not a mapping", self.kind()))),
        }
    }

    /// The value of a field; `None` if it is not there, or is null, which is the same.
    ///
    /// # Errors
    /// If this is no mapping.
    pub(crate) fn field(&self, name: &str) -> Result<Option<&Node>, Fault> {
        let is_it =
            |key: &Node| matches!(&key.value, Value::Scalar { text, .. } if **text == *name);
        let entry = self.mapping()?.iter().find(|(key, _)| is_it(key));
        Ok(entry.map(|(_, value)| value).filter(|value| !value.is_null()))
    }

    /// The value of a field that has to be there.
    ///
    /// # Errors
    /// If it is not, or this is no mapping.
    pub(crate) fn needed(&self, name: &str) -> Result<&Node, Fault> {
        self.field(name)?.ok_or_else(|| self.wrong(format_args!("the field {name} is missing")))
    }

    /// The entries of the list in a field; none if it is not there.
    ///
    /// # Errors
    /// If this is no mapping, or that is no list.
    pub(crate) fn entries(&self, name: &str) -> Result<&[Node], Fault> {
        self.field(name)?.map_or(Ok(&[]), Node::list)
    }

    /// The entries of a list.
    ///
    /// # Errors
    /// If it is something else.
    pub(crate) fn list(&self) -> Result<&[Node], Fault> {
        match &self.value {
            Value::List(entries) => Ok(entries),
            _ => Err(self.wrong(format_args!("it is {}, not a list", self.kind()))),
        }
    }

    /// A text.
    ///
    /// # Errors
    /// If it is something else: a number or a word such as `yes` must be quoted to be a text.
    pub(crate) fn text(&self) -> Result<&str, Fault> {
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
    pub(crate) fn boolean(&self) -> Result<bool, Fault> {
        match &self.value {
            Value::Scalar { scalar: Scalar::Boolean(boolean), .. } => Ok(*boolean),
            _ => Err(self.wrong(format_args!("it is {}, not true or false", self.kind()))),
        }
    }

    /// An integer between these two. A zero in front of it makes it octal: as few mean that, it is
    /// refused.
    ///
    /// # Errors
    /// If it is something else.
    pub(crate) fn integer(&self, least: i64, most: i64) -> Result<i64, Fault> {
        self.refuse_octal()?;
        self.integer_or_octal(least, most)
    }

    /// An integer between these two, also an octal one: the mode of a file is written so.
    ///
    /// # Errors
    /// If it is something else.
    pub(crate) fn integer_or_octal(&self, least: i64, most: i64) -> Result<i64, Fault> {
        let number = match self.value {
            Value::Scalar { scalar: Scalar::Integer(number), .. } => number,
            // `1e3` is 1000 in the JSON that Kubernetes makes of it.
            Value::Scalar { scalar: Scalar::Float(number), .. } if number.fract() == 0.0 => {
                number as i128
            }
            Value::Scalar { scalar: Scalar::Float(_), .. } => {
                return Err(self.wrong("it is not an integer"));
            }
            _ => return Err(self.wrong(format_args!("it is {}, not an integer", self.kind()))),
        };
        let in_range = i64::try_from(number).ok().filter(|it| (least..=most).contains(it));
        in_range
            .ok_or_else(|| self.wrong(format_args!("{number} is not between {least} and {most}")))
    }

    /// A text, or a number as it is in JSON: a quantity may be either.
    ///
    /// # Errors
    /// If it is something else.
    pub(crate) fn text_or_number(&self) -> Result<Rc<str>, Fault> {
        self.refuse_octal()?;
        match &self.value {
            Value::Scalar { text, scalar: Scalar::Text } => Ok(Rc::clone(text)),
            Value::Scalar { scalar: Scalar::Integer(number), .. } => Ok(number.to_string().into()),
            Value::Scalar { scalar: Scalar::Float(number), .. } => Ok(number.to_string().into()),
            _ => Err(self.wrong(format_args!("it is {}, not a quantity", self.kind()))),
        }
    }

    fn refuse_octal(&self) -> Result<(), Fault> {
        let Value::Scalar { text, scalar: Scalar::Integer(_) } = &self.value else { return Ok(()) };
        let Some(octal) = octal_in_disguise(text) else { return Ok(()) };
        let decimal = text.replace('_', "");
        let (sign, digits) = match decimal.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None => ("", &*decimal),
        };
        let digits = digits.trim_start_matches(['+', '0']);
        Err(self.wrong(format_args!(
            "to Kubernetes {text} is octal, the number {octal} (write {sign}{digits}, or {octal} if \
             that is what you mean)"
        )))
    }

    pub(crate) fn is_null(&self) -> bool {
        self.kind() == Kind::Nothing
    }

    /// Whether nothing is in it.
    pub(crate) fn is_empty(&self) -> bool {
        match &self.value {
            Value::Scalar { scalar, .. } => *scalar == Scalar::Nothing,
            Value::List(entries) => entries.is_empty(),
            Value::Map(entries) => entries.is_empty(),
        }
    }

    /// What a value is to the API server.
    pub(crate) fn kind(&self) -> Kind {
        match &self.value {
            Value::List(_) => Kind::List,
            Value::Map(_) => Kind::Mapping,
            Value::Scalar { scalar, .. } => match scalar {
                Scalar::Text => Kind::Text,
                Scalar::Nothing => Kind::Nothing,
                Scalar::Boolean(_) => Kind::Boolean,
                Scalar::Integer(_) | Scalar::Float(_) | Scalar::NoJson => Kind::Number,
            },
        }
    }

    /// Gives this value and all in it their places.
    fn set_path(&mut self, path: Rc<FieldPath>) {
        match &mut self.value {
            Value::Scalar { .. } => {}
            Value::List(entries) => {
                for (index, entry) in entries.iter_mut().enumerate() {
                    let name = entry.name_of_container(&path);
                    entry.set_path(Rc::new(FieldPath::Entry(Rc::clone(&path), index, name)));
                }
            }
            Value::Map(entries) => {
                for (key, value) in entries {
                    let name = match &key.value {
                        Value::Scalar { text, .. } => Rc::clone(text),
                        _ => "?".into(),
                    };
                    let inner = Rc::new(FieldPath::Field(Rc::clone(&path), name));
                    key.place.set_path(Rc::clone(&inner));
                    value.set_path(inner);
                }
            }
        }
        self.place.set_path(path);
    }

    /// The name in an entry of a list of containers.
    fn name_of_container(&self, list: &FieldPath) -> Option<Rc<str>> {
        match self.field("name") {
            Ok(Some(Node { value: Value::Scalar { text, .. }, .. }))
                if list.is_field("containers") || list.is_field("initContainers") =>
            {
                Some(Rc::clone(text))
            }
            _ => None,
        }
    }
}
