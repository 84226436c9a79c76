//! Which field is read as what: a line for each.

pub(crate) mod container;
pub(crate) mod pod;
pub(crate) mod volume;
