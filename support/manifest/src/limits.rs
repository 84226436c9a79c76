//! What a text may stand for. A page of it can mean gigabytes: an alias in YAML, and `$(NAME)` in
//! Kubernetes, stand for something longer, which has such words in it again.

/// How many bytes a manifest may have, also with its aliases and variables expanded: as many as the
/// API server takes in a request.
pub(crate) const MAX_SIZE: usize = 3 << 20;

/// How deep values may be nested.
pub(crate) const MAX_DEPTH: usize = 100;

/// How many values there may be, with aliases written out.
pub(crate) const MAX_VALUES: usize = 100_000;
