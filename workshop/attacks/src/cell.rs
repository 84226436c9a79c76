//! What came of an attack: a cell of the table.

/// What came of an attack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    /// The victim was harmed.
    Leaks,
    /// It was not. The errno of the call that failed, or what else happened.
    Stopped(String),
}

const LEAKS: &str = "leaks";

impl Cell {
    pub(super) fn text(&self) -> &str {
        match self {
            Cell::Leaks => LEAKS,
            Cell::Stopped(how) => how,
        }
    }

    pub(super) fn of(text: String) -> Cell {
        if text == LEAKS { Cell::Leaks } else { Cell::Stopped(text) }
    }
}
