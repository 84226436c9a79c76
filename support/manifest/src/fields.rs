//! Which field is read as what: a line for each.

pub(crate) mod config;
pub(crate) mod container;
mod metadata;
pub(crate) mod pod;
pub(crate) mod volume;
