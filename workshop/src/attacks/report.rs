//! The table for the terminal, and the parts of the book.

use std::fmt::Write as _;

use super::STEPS;
use super::matrix::Matrix;
use super::trial::Who;

/// How wide a cell is: the longest errno.
const WIDTH: usize = 13;

fn title(who: Who) -> &'static str {
    match who {
        Who::Root => "as root",
        Who::User => "without root",
    }
}

/// The short name of a step: v1.
fn short(step: &str) -> &str {
    step.split('-').next().unwrap_or(step)
}

/// The table, with an explanation of each attack if asked.
pub(super) fn for_terminal(matrix: &Matrix, with_words: bool) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    for attack in matrix.attacks.iter().filter(|_| with_words) {
        let _ = writeln!(text, "{}: {}.\n", attack.id, attack.does);
        let _ = writeln!(text, "{}", attack.why);
        if !attack.docker.is_empty() {
            let _ = writeln!(text, "{}", attack.docker);
        }
        text.push('\n');
    }
    for who in [Who::Root, Who::User] {
        let rows: Vec<_> = matrix.rows.iter().filter(|row| row.who == who).collect();
        if rows.is_empty() {
            continue;
        }
        let _ = write!(text, "{:20}{:WIDTH$}", title(who), "host");
        for step in STEPS {
            let _ = write!(text, "{:WIDTH$}", short(step));
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        for row in rows {
            let _ = write!(text, "{:20}", row.attack.id);
            for cell in row.steps.iter().fold(vec![&row.host], |mut all, cell| {
                all.push(cell);
                all
            }) {
                let _ = write!(text, "{:WIDTH$}", cell.text());
            }
            text.truncate(text.trim_end().len());
            text.push('\n');
        }
        text.push('\n');
    }
    text
}

/// Every part of the book that is made from the matrix, between the lines that mark it there.
pub(super) fn for_book(_matrix: &Matrix) -> String {
    String::new()
}
