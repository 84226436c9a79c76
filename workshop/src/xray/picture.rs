//! What is drawn.

/// What is printed, and what could not be seen.
pub(super) struct Picture {
    pub(super) text: String,
    pub(super) notes: Vec<String>,
}
