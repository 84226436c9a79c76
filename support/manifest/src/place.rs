//! Where a value stands: its path from the top, its line and column.

use std::fmt;
use std::rc::Rc;

/// How much of a path is told: a key may have megabytes.
const MOST_SHOWN: usize = 200;

/// Where a value stands.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    path: Rc<FieldPath>,
    line: usize,
    column: usize,
}

/// The way from the top to a value, by its last step: it is put together for an error only. (A copy
/// of the whole way in every value would grow with the square of the file.)
#[derive(Debug)]
pub(crate) enum FieldPath {
    Top,
    Field(Rc<FieldPath>, Rc<str>),
    /// An entry of a list; of a container, with its name.
    Entry(Rc<FieldPath>, usize, Option<Rc<str>>),
}

impl Place {
    /// The top, at this line and column.
    pub(crate) fn top((line, column): (usize, usize)) -> Place {
        Place { path: Rc::new(FieldPath::Top), line, column }
    }

    /// Says by which way one comes here.
    pub(crate) fn set_path(&mut self, path: Rc<FieldPath>) {
        self.path = path;
    }

    /// Such as `spec.containers[0].name`.
    pub(crate) fn path(&self) -> String {
        match &*self.path {
            FieldPath::Top => "the manifest".into(),
            path => shortened(&path.to_string()),
        }
    }

    /// Line and column, counted from 1.
    pub(crate) fn position(&self) -> (usize, usize) {
        (self.line, self.column)
    }
}

impl fmt::Display for Place {
    /// Such as `container "a", line 9, column 5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.path.container() {
            write!(f, "container {:?}, ", shortened(name))?;
        }
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

impl FieldPath {
    /// Whether its last step is this field.
    pub(crate) fn is_field(&self, wanted: &str) -> bool {
        matches!(self, FieldPath::Field(_, name) if **name == *wanted)
    }

    /// The name of the container in which this is.
    fn container(&self) -> Option<&str> {
        match self {
            FieldPath::Top => None,
            FieldPath::Entry(.., Some(name)) => Some(name),
            FieldPath::Field(above, _) | FieldPath::Entry(above, ..) => above.container(),
        }
    }
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
            FieldPath::Entry(above, index, _) => write!(f, "{above}[{index}]"),
        }
    }
}

/// Without its middle, if it is long.
pub(crate) fn shortened(text: &str) -> String {
    let half = MOST_SHOWN / 2;
    if text.chars().count() <= MOST_SHOWN {
        return text.to_owned();
    }
    let start: String = text.chars().take(half).collect();
    let end: Vec<char> = text.chars().rev().take(half).collect();
    format!("{start}...{}", end.into_iter().rev().collect::<String>())
}
