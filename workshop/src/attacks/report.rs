//! The table for the terminal, and the parts of the book that are made from the same cells.

use std::fmt::Write as _;

use super::attack::Attack;
use super::matrix::{Matrix, Row};
use super::trial::{Cell, Who};
use crate::STEPS;

/// How wide a cell is: the longest errno, and a space.
const WIDTH: usize = 13;

/// The short name of a step: v1.
fn short(step: &str) -> &str {
    step.split('-').next().unwrap_or(step)
}

/// The table, with an explanation of each attack if asked.
pub(super) fn for_terminal(matrix: &Matrix, with_words: bool) -> String {
    let mut text = String::new();
    for attack in matrix.attacks.iter().filter(|_| with_words) {
        text += &format!("{}: {}.\n\n{}\n", attack.id, attack.does, wrapped(&words(attack)));
    }
    for who in [Who::Root, Who::User] {
        let rows: Vec<_> = matrix.rows.iter().filter(|row| row.who == who).collect();
        if rows.is_empty() {
            continue;
        }
        if who == Who::User && matrix.rows.len() > rows.len() {
            text.push('\n');
        }
        let titles = ["host"].into_iter().chain(STEPS.into_iter().map(short));
        text += &line(who.title(), titles);
        for row in rows {
            text += &line(row.attack.id, row.cells().map(Cell::text));
        }
    }
    text
}

fn line<'a>(name: &str, cells: impl Iterator<Item = &'a str>) -> String {
    let mut line = format!("{name:20}");
    for cell in cells {
        // Writing to a String cannot fail.
        let _ = write!(line, "{cell:WIDTH$}");
    }
    format!("{}\n", line.trim_end())
}

fn words(attack: &Attack) -> String {
    format!("{} {}", attack.why, attack.docker).trim_end().to_owned()
}

/// The text in lines of at most 100 columns.
fn wrapped(text: &str) -> String {
    let mut lines = String::new();
    let mut width = 0;
    for word in text.split_whitespace() {
        if width + 1 + word.len() > 100 {
            lines.push('\n');
            width = 0;
        } else if width > 0 {
            lines.push(' ');
            width += 1;
        }
        lines += word;
        width += word.len();
    }
    lines.push('\n');
    lines
}

/// Every part of the book that is made from the matrix, between the lines that mark it there.
pub(super) fn for_book(matrix: &Matrix) -> String {
    let is_root = matrix.rows.iter().any(|row| row.who == Who::Root);
    let mut parts = vec![("without-root".to_owned(), table(matrix, Who::User))];
    if is_root {
        parts.push(("as-root".to_owned(), table(matrix, Who::Root)));
        parts.push(("explained".to_owned(), explained(matrix)));
        let chapters = STEPS.iter().enumerate();
        parts.extend(chapters.map(|(index, step)| ((*step).to_owned(), chapter(matrix, index))));
    }
    let part = |(name, text)| format!("<!-- attacks {name} -->\n{text}<!-- end -->\n");
    parts.into_iter().map(part).collect()
}

fn table(matrix: &Matrix, who: Who) -> String {
    let steps: Vec<_> = STEPS.into_iter().map(short).collect();
    let mut text = format!("| {} | host | {} |\n", who.title(), steps.join(" | "));
    text += &format!("|---|---|{}\n", "---|".repeat(steps.len()));
    for row in matrix.rows.iter().filter(|row| row.who == who) {
        let id = row.attack.id;
        let cells: Vec<_> =
            row.cells().enumerate().map(|(at, cell)| shown(row, at, cell)).collect();
        text += &format!("| [{id}](#{id}) | {} |\n", cells.join(" | "));
    }
    text
}

/// A cell of the book, which must not depend on the machine that the book was made on.
fn shown(row: &Row, place: usize, cell: &Cell) -> String {
    let refusal = row.attack.depends_on.filter(|_| row.who == Who::User).map(|(_, errno)| errno);
    match cell {
        cell if refusal.is_some_and(|errno| *cell == Cell::Leaks || cell.text() == errno) => {
            if place == 0 { "*depends*" } else { "*as the host*" }.to_owned()
        }
        Cell::Leaks => "**leaks**".to_owned(),
        Cell::Stopped(how) if how == "own" => how.clone(),
        Cell::Stopped(errno) => format!("`{errno}`"),
    }
}

fn explained(matrix: &Matrix) -> String {
    let explain = |attack: &&Attack| {
        let Attack { id, does, .. } = attack;
        let text =
            wrapped(&format!("It tries to {does}. {} {}", words(attack), stopped_by(attack)));
        format!("### {id}\n\n{text}\n")
    };
    let text: String = matrix.attacks.iter().map(explain).collect();
    format!("\n{text}")
}

/// The chapter that stops it for root.
fn stopped_by(attack: &Attack) -> String {
    let mut steps = STEPS.iter().enumerate();
    let step = steps.find(|(index, _)| !attack.leaks_for_root.contains(&(index + 1)));
    step.map_or("No step stops it for root.".to_owned(), |(_, step)| {
        format!("The step that stops it for root: [{}]({step}.md).", short(step))
    })
}

/// What of the attacks works in one step, and what it has stopped.
fn chapter(matrix: &Matrix, index: usize) -> String {
    let leaking = |who| {
        let rows = matrix.rows.iter().filter(move |row| row.who == who);
        rows.filter(move |row| row.steps.get(index) == Some(&Cell::Leaks))
    };
    let stopped = matrix.rows.iter().filter(|row| row.who == Who::Root).filter(|row| {
        let mut before_and_now = row.cells().skip(index).map(|cell| *cell == Cell::Leaks);
        (before_and_now.next(), before_and_now.next()) == (Some(true), Some(false))
    });
    let name = short(STEPS[index]);
    let mut text =
        format!("A test carries out [the attacks](attacks.md) in {name}. These still work:\n\n");
    for who in [Who::Root, Who::User] {
        text += &wrapped(&format!("- {}: {}", who.title(), links(leaking(who))));
    }
    let stopped = links(stopped);
    text += &wrapped(&format!("- and stopped, for root, since the step before: {stopped}"));
    text
}

fn links<'a>(rows: impl Iterator<Item = &'a Row>) -> String {
    let link = |row: &Row| {
        let id = row.attack.id;
        let depends = row.attack.depends_on.is_some() && row.who == Who::User;
        format!("[{id}](attacks.md#{id}){}", if depends { " (if the kernel lets)" } else { "" })
    };
    let links: Vec<_> = rows.map(link).collect();
    if links.is_empty() { "none.".to_owned() } else { format!("{}.", links.join(", ")) }
}
