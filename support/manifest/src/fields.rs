//! The fields of a mapping, read by their names. What is wrong is collected, so that a file is
//! explained at once.

use crate::node::{Node, Value};
use anyhow::{Result, anyhow};
use std::collections::HashSet;
use std::fmt;
use std::rc::Rc;
use strsim::osa_distance;

/// How many unknown fields are told: the line is for a person.
const MOST_TOLD: usize = 20;

/// Reads a whole file, from its top.
///
/// # Errors
/// All fields that nobody asked for, and the first value that cannot be what it should.
pub(crate) fn read<T: Default>(top: &Node, mapping: fn(&mut Fields) -> T) -> Result<T> {
    let mut wrong = Wrong::default();
    let result = wrong.mapping(top, mapping);
    match wrong.told() {
        None => Ok(result),
        Some(error) => Err(error),
    }
}

/// The fields of a mapping. A field is known if it is asked for, so no list of names is kept.
///
/// A value that is wrong, or not there, is noted, and reading goes on with the default of its type.
/// Nobody gets to see that: in the end there is an error in place of the whole.
pub(crate) struct Fields<'a> {
    of: &'a Node,
    /// Keys and values that nobody has asked for yet.
    left: Vec<(&'a str, &'a Node, &'a Node)>,
    known: Vec<&'static str>,
    wrong: &'a mut Wrong,
}

impl<'a> Fields<'a> {
    /// A value that must be there.
    pub(crate) fn required<T: Default>(
        &mut self,
        name: &'static str,
        value: fn(&Node) -> Result<T>,
    ) -> T {
        let read = self.optional(name, value);
        self.there(name, read)
    }

    /// A value that may be left out. `null` is as if it were not there.
    pub(crate) fn optional<T: Default>(
        &mut self,
        name: &'static str,
        value: fn(&Node) -> Result<T>,
    ) -> Option<T> {
        let node = self.take(name)?;
        Some(self.wrong.unless(value(node)))
    }

    /// A mapping that must be there.
    pub(crate) fn required_mapping<T: Default>(
        &mut self,
        name: &'static str,
        mapping: fn(&mut Fields) -> T,
    ) -> T {
        let read = self.mapping(name, mapping);
        self.there(name, read)
    }

    /// A mapping that may be left out.
    pub(crate) fn mapping<T: Default>(
        &mut self,
        name: &'static str,
        mapping: fn(&mut Fields) -> T,
    ) -> Option<T> {
        let node = self.take(name)?;
        Some(self.wrong.mapping(node, mapping))
    }

    /// A list of mappings that must be there.
    pub(crate) fn required_list<T: Default>(
        &mut self,
        name: &'static str,
        mapping: fn(&mut Fields) -> T,
    ) -> Vec<T> {
        let read = self.entries(name, mapping);
        self.there(name, read)
    }

    /// A list of mappings; left out, it is empty.
    pub(crate) fn list<T: Default>(
        &mut self,
        name: &'static str,
        mapping: fn(&mut Fields) -> T,
    ) -> Vec<T> {
        self.entries(name, mapping).unwrap_or_default()
    }

    /// Notes that something is wrong with the mapping itself.
    pub(crate) fn refuse(&mut self, what: impl fmt::Display) {
        self.wrong.add(self.of.wrong(what));
    }

    fn of(node: &'a Node, wrong: &'a mut Wrong) -> Fields<'a> {
        let entries = wrong.unless(node.mapping());
        let mut left = Vec::with_capacity(entries.len());
        let mut seen = HashSet::with_capacity(entries.len());
        for (key, value) in entries {
            match &key.value {
                Value::Scalar { text, .. } if seen.insert(text) => left.push((&**text, key, value)),
                Value::Scalar { .. } => wrong.add(value.wrong("it is there twice")),
                _ => wrong.add(key.wrong(format_args!("{} cannot be a key here", key.kind()))),
            }
        }
        left.retain(|(_, _, value)| !value.is_null()); // as if it were not there
        Fields { of: node, left, known: Vec::new(), wrong }
    }

    /// What was not asked for is not known: a field is never dropped in silence.
    fn end(self) {
        let known: Rc<[_]> = self.known.into();
        let unknown = self.left.into_iter();
        self.wrong.unknown.extend(
            unknown.map(|(_, key, _)| Unknown { key: key.clone(), known: Rc::clone(&known) }),
        );
    }

    fn entries<T: Default>(
        &mut self,
        name: &'static str,
        mapping: fn(&mut Fields) -> T,
    ) -> Option<Vec<T>> {
        let list = self.take(name)?.list();
        let nodes = self.wrong.unless(list);
        Some(nodes.iter().map(|node| self.wrong.mapping(node, mapping)).collect())
    }

    fn take(&mut self, name: &'static str) -> Option<&'a Node> {
        self.known.push(name);
        let index = self.left.iter().position(|(other, ..)| *other == name)?;
        Some(self.left.swap_remove(index).2)
    }

    fn there<T: Default>(&mut self, name: &str, value: Option<T>) -> T {
        value.unwrap_or_else(|| {
            self.refuse(format_args!("the field {name} is missing"));
            T::default()
        })
    }
}

/// What is wrong with a file.
#[derive(Default)]
struct Wrong {
    unknown: Vec<Unknown>,
    value: Option<anyhow::Error>,
}

impl Wrong {
    /// The value. If there is none, the error is kept, unless there was one before.
    fn unless<T: Default>(&mut self, value: Result<T>) -> T {
        value.unwrap_or_else(|error| {
            self.add(error);
            T::default()
        })
    }

    fn add(&mut self, error: anyhow::Error) {
        self.value.get_or_insert(error);
    }

    fn mapping<T: Default>(&mut self, node: &Node, mapping: fn(&mut Fields) -> T) -> T {
        let mut fields = Fields::of(node, self);
        let value = mapping(&mut fields);
        fields.end();
        value
    }

    /// In one line.
    fn told(mut self) -> Option<anyhow::Error> {
        self.unknown.sort_by_key(|it| it.key.position());
        let unknown = match &*self.unknown {
            [] => return self.value,
            [one] => one.told_alone(),
            several => {
                let told: Vec<_> = several.iter().take(MOST_TOLD).map(Unknown::to_string).collect();
                let more = match several.len() - told.len() {
                    0 => String::new(),
                    more => format!(", and {more} more"),
                };
                let (number, told) = (several.len(), told.join(", "));
                anyhow!("{number} fields are not supported here: {told}{more}")
            }
        };
        Some(match self.value {
            None => unknown,
            Some(value) => anyhow!("{unknown}; and {value}"),
        })
    }
}

/// A field that nobody asked for.
struct Unknown {
    key: Node,
    known: Rc<[&'static str]>,
}

impl Unknown {
    fn told_alone(&self) -> anyhow::Error {
        let hint = match (self.meant(), &*self.known) {
            (Some(meant), _) => format!(": did you mean {meant}?"),
            (None, []) => " (known: none)".into(),
            (None, known) => format!(" (known: {})", known.join(", ")),
        };
        self.key.wrong(format_args!("no such field is supported here{hint}"))
    }

    /// The field of which this is a likely typo.
    fn meant(&self) -> Option<&'static str> {
        let Value::Scalar { text, .. } = &self.key.value else { return None };
        let most = if text.len() < 8 { 1 } else { 2 };
        let distance = |known: &str| match known.len().abs_diff(text.len()) <= most {
            true => osa_distance(&known.to_lowercase(), &text.to_lowercase()),
            false => usize::MAX, // a key may have megabytes
        };
        let near = self.known.iter().map(|known| (distance(known), *known)).min()?;
        Some(near.1).filter(|_| near.0 <= most)
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, _) = self.key.position();
        write!(f, "{} (line {line}", self.key.path())?;
        if let Some(meant) = self.meant() {
            write!(f, ", did you mean {meant}?")?;
        }
        f.write_str(")")
    }
}
