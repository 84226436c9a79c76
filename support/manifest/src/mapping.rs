//! The fields of a mapping, read by their names. What is wrong is collected, so that a file is
//! explained at once.

use crate::fault::{Fault, Faults, Known, Unsupported};
use crate::node::{Node, Value};
use crate::place::Place;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::rc::Rc;

/// What is found in a file beside its values.
#[derive(Default)]
pub(crate) struct Found {
    /// What is wrong.
    pub(crate) faults: Faults,
    /// The fields that mean nothing here.
    pub(crate) passed_over: Vec<Place>,
}

impl Found {
    /// Reads a mapping.
    pub(crate) fn mapping<T: Default>(
        &mut self,
        node: &Node,
        mapping: impl FnOnce(&mut Fields) -> T,
    ) -> T {
        let mut fields = Fields::of(node, self);
        let value = mapping(&mut fields);
        fields.end();
        value
    }
}

/// The fields of a mapping. A field is known if it is asked for, so no list of names is kept.
///
/// A value that is wrong, or not there, is noted, and reading goes on with the default of its type.
/// Nobody gets to see that: in the end there is an error in place of the whole.
pub(crate) struct Fields<'a> {
    of: &'a Node,
    /// Keys and values that nobody has asked for yet.
    left: Vec<(&'a Rc<str>, &'a Node, &'a Node)>,
    known: Known,
    found: &'a mut Found,
}

impl<'a> Fields<'a> {
    /// A value that must be there.
    pub(crate) fn required<T: Default>(
        &mut self,
        name: &'static str,
        value: fn(&Node) -> Result<T, Fault>,
    ) -> T {
        let read = self.optional(name, value);
        self.there(name, read)
    }

    /// A value that may be left out. `null` is as if it were not there.
    pub(crate) fn optional<T: Default>(
        &mut self,
        name: &'static str,
        value: fn(&Node) -> Result<T, Fault>,
    ) -> Option<T> {
        let node = self.take(name)?;
        Some(self.found.faults.unless(value(node)))
    }

    /// A list of values that may be left out.
    pub(crate) fn values<T: Default>(
        &mut self,
        name: &'static str,
        value: fn(&Node) -> Result<T, Fault>,
    ) -> Option<Vec<T>> {
        let list = self.take(name)?.list();
        let faults = &mut self.found.faults;
        let nodes = faults.unless(list);
        Some(nodes.iter().map(|node| faults.unless(value(node))).collect())
    }

    /// Values by keys.
    pub(crate) fn by_key<T: Default>(
        &mut self,
        name: &'static str,
        key: fn(&Node) -> Result<String, Fault>,
        value: fn(&Node) -> Result<T, Fault>,
    ) -> BTreeMap<String, T> {
        let mut by_key = BTreeMap::new();
        let Some(node) = self.take(name) else { return by_key };
        let faults = &mut self.found.faults;
        for (key_node, value_node) in faults.unless(node.mapping()) {
            let key = faults.unless(key(key_node));
            if by_key.insert(key, faults.unless(value(value_node))).is_some() {
                faults.add(value_node.wrong("it is there twice"));
            }
        }
        by_key
    }

    /// A mapping that must be there.
    pub(crate) fn required_mapping<T: Default>(
        &mut self,
        name: &'static str,
        mapping: impl FnOnce(&mut Fields) -> T,
    ) -> T {
        let read = self.mapping(name, mapping);
        self.there(name, read)
    }

    /// A mapping that may be left out.
    pub(crate) fn mapping<T: Default>(
        &mut self,
        name: &'static str,
        mapping: impl FnOnce(&mut Fields) -> T,
    ) -> Option<T> {
        let node = self.take(name)?;
        Some(self.found.mapping(node, mapping))
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

    /// A field that changes nothing for one pod on this machine: its value is checked, and that it
    /// is passed over is told.
    pub(crate) fn pass_over<T>(
        &mut self,
        name: &'static str,
        value: fn(&Node) -> Result<T, Fault>,
    ) {
        self.known.passed_over.push(name);
        let Some((key, node)) = self.take_with_key(name) else { return };
        match value(node) {
            Ok(_) if node.is_empty() => {}
            Ok(_) => self.found.passed_over.push(key.place().clone()),
            Err(fault) => self.found.faults.add(fault),
        }
    }

    /// A value that may be left out, and means less here than in a cluster, which is told.
    pub(crate) fn told<T: Default>(
        &mut self,
        name: &'static str,
        value: fn(&Node) -> Result<T, Fault>,
    ) -> Option<T> {
        self.known.used.push(name);
        let (key, node) = self.take_with_key(name)?;
        self.found.passed_over.push(key.place().clone());
        Some(self.found.faults.unless(value(node)))
    }

    /// A field that can only say what is so here anyway; else it is not supported, for this reason.
    pub(crate) fn only(
        &mut self,
        name: &'static str,
        is_so_anyway: fn(&Node) -> Result<bool, Fault>,
        else_told: &'static str,
    ) {
        self.known.passed_over.push(name);
        let Some((key, node)) = self.take_with_key(name) else { return };
        match is_so_anyway(node) {
            Ok(true) => {}
            Ok(false) => {
                let unsupported = Unsupported::value(key.place(), else_told);
                self.found.faults.add_unsupported(unsupported);
            }
            Err(fault) => self.found.faults.add(fault),
        }
    }

    /// Notes that something is wrong with the mapping itself.
    pub(crate) fn refuse(&mut self, what: impl fmt::Display) {
        self.found.faults.add(self.of.wrong(what));
    }

    fn of(node: &'a Node, found: &'a mut Found) -> Fields<'a> {
        let faults = &mut found.faults;
        let entries = faults.unless(node.mapping());
        let mut left = Vec::with_capacity(entries.len());
        let mut seen = HashSet::with_capacity(entries.len());
        for (key, value) in entries {
            match &key.value {
                Value::Scalar { text, .. } if seen.insert(text) => left.push((text, key, value)),
                Value::Scalar { .. } => faults.add(value.wrong("it is there twice")),
                _ => faults.add(key.wrong(format_args!("{} cannot be a key here", key.kind()))),
            }
        }
        Fields { of: node, left, known: Known::default(), found }
    }

    /// What was not asked for is not known: a field is never dropped in silence, also if it is null.
    fn end(self) {
        let known = Rc::new(self.known);
        for (name, key, _) in self.left {
            self.found.faults.add_unsupported(Unsupported::field(name, key.place(), &known));
        }
    }

    fn entries<T: Default>(
        &mut self,
        name: &'static str,
        mapping: fn(&mut Fields) -> T,
    ) -> Option<Vec<T>> {
        let list = self.take(name)?.list();
        let nodes = self.found.faults.unless(list);
        Some(nodes.iter().map(|node| self.found.mapping(node, mapping)).collect())
    }

    fn take(&mut self, name: &'static str) -> Option<&'a Node> {
        self.known.used.push(name);
        self.take_with_key(name).map(|(_, value)| value)
    }

    fn take_with_key(&mut self, name: &str) -> Option<(&'a Node, &'a Node)> {
        let index = self.left.iter().position(|(other, ..)| ***other == *name)?;
        let (_, key, value) = self.left.swap_remove(index);
        Some((key, value)).filter(|(_, value)| !value.is_null())
    }

    fn there<T: Default>(&mut self, name: &str, value: Option<T>) -> T {
        value.unwrap_or_else(|| {
            self.refuse(format_args!("the field {name} is missing"));
            T::default()
        })
    }
}
