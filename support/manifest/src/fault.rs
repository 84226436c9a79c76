//! What is wrong with a manifest: all of it, in one line.

use crate::place::Place;
use anyhow::anyhow;
use std::fmt;
use std::rc::Rc;
use strsim::osa_distance;

/// How many faults of each kind are told: the line is for a person.
pub(crate) const MOST_TOLD: usize = 20;

/// How many values that are wrong are kept; of more, only the number.
const MOST_KEPT: usize = 1000;

/// A value that is wrong.
#[derive(Debug)]
pub(crate) struct Fault {
    place: Place,
    what: String,
}

impl Fault {
    /// What is wrong with the value at this place.
    pub(crate) fn new(place: &Place, what: impl fmt::Display) -> Fault {
        Fault { place: place.clone(), what: what.to_string() }
    }
}

impl fmt::Display for Fault {
    /// Its path, what is wrong with it, and its place.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.place.path(), self.what, self.place)
    }
}

impl From<Fault> for anyhow::Error {
    fn from(fault: Fault) -> anyhow::Error {
        anyhow!("{fault}")
    }
}

/// All that is wrong with a file.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    unsupported: Vec<Unsupported>,
    values: Vec<Fault>,
    more: usize,
}

impl Faults {
    /// The value. If there is none, the fault is kept, and there is the default.
    pub(crate) fn unless<T: Default>(&mut self, value: Result<T, Fault>) -> T {
        value.unwrap_or_else(|fault| {
            self.add(fault);
            T::default()
        })
    }

    /// Keeps a fault.
    pub(crate) fn add(&mut self, fault: Fault) {
        match self.values.len() < MOST_KEPT {
            true => self.values.push(fault),
            false => self.more += 1,
        }
    }

    /// Keeps a field that cannot be had here.
    pub(crate) fn add_unsupported(&mut self, unsupported: Unsupported) {
        self.unsupported.push(unsupported);
    }

    /// In one line, in the order of the file.
    ///
    /// # Errors
    /// If there is any.
    pub(crate) fn told(mut self) -> anyhow::Result<()> {
        self.unsupported.sort_by_key(|it| it.place.position());
        self.values.sort_by_key(|it| it.place.position());
        let unsupported = match &*self.unsupported {
            [] => None,
            [one] => Some(one.told_alone().to_string()),
            several => {
                let number = several.len();
                Some(format!("{number} fields are not supported here: {}", list(several, ", ", 0)))
            }
        };
        let values = (!self.values.is_empty()).then(|| list(&self.values, "; ", self.more));
        match (unsupported, values) {
            (None, None) => Ok(()),
            (Some(what), None) | (None, Some(what)) => Err(anyhow!(what)),
            (Some(unsupported), Some(values)) => Err(anyhow!("{unsupported}; and {values}")),
        }
    }
}

/// As many as a person reads.
fn list(all: &[impl fmt::Display], separator: &str, more: usize) -> String {
    let told: Vec<_> = all.iter().take(MOST_TOLD).map(|it| it.to_string()).collect();
    let end = match all.len() - told.len() + more {
        0 => String::new(),
        more => format!("{separator}and {more} more"),
    };
    told.join(separator) + &end
}

/// A field that nobody asked for, or a value of one that cannot be had here.
#[derive(Debug)]
pub(crate) struct Unsupported {
    place: Place,
    why: Why,
}

#[derive(Debug)]
enum Why {
    Unknown { name: Rc<str>, known: Rc<Known> },
    Value(&'static str),
}

/// The fields of a mapping.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Those that have a meaning here.
    pub(crate) used: Vec<&'static str>,
    /// Those that are taken all the same.
    pub(crate) passed_over: Vec<&'static str>,
}

impl Unsupported {
    /// A field that is none of the known ones.
    pub(crate) fn field(name: &Rc<str>, place: &Place, known: &Rc<Known>) -> Unsupported {
        let why = Why::Unknown { name: Rc::clone(name), known: Rc::clone(known) };
        Unsupported { place: place.clone(), why }
    }

    /// A field that cannot have this value.
    pub(crate) fn value(place: &Place, why: &'static str) -> Unsupported {
        Unsupported { place: place.clone(), why: Why::Value(why) }
    }

    fn told_alone(&self) -> Fault {
        let known = match &self.why {
            Why::Value(why) => return Fault::new(&self.place, why),
            Why::Unknown { known, .. } => &*known.used,
        };
        let hint = match (self.meant(), known) {
            (Some(meant), _) => format!(": did you mean {meant}?"),
            (None, []) => " (known: none)".into(),
            (None, known) => format!(" (known: {})", known.join(", ")),
        };
        Fault::new(&self.place, format_args!("no such field is supported here{hint}"))
    }

    /// The field of which this is a likely typo.
    fn meant(&self) -> Option<&'static str> {
        let Why::Unknown { name, known } = &self.why else { return None };
        let most = if name.len() < 8 { 1 } else { 2 };
        let distance = |known: &str| match known.len().abs_diff(name.len()) <= most {
            true => osa_distance(&known.to_lowercase(), &name.to_lowercase()),
            false => usize::MAX, // a key may have megabytes
        };
        let known = known.used.iter().chain(&known.passed_over);
        let near = known.map(|known| (distance(known), *known)).min()?;
        Some(near.1).filter(|_| near.0 <= most)
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}", self.place.path(), self.place)?;
        if let Some(meant) = self.meant() {
            write!(f, ", did you mean {meant}?")?;
        }
        f.write_str(")")
    }
}
