//! Step 8: a pod, several containers around one pause process.
pub mod manifest;
