//! The table for the terminal, and the parts of the book that are made from the same cells.

use std::fmt::Write as _;

use super::attack::{Attack, Depends};
use super::cell::Cell;
use super::matrix::{Matrix, Row};
use super::who::Who;
use workshop::STEPS;

/// How wide a cell is: the longest errno, and a space.
const WIDTH: usize = 13;

/// Marks of the table, as the book's page explains them.
const MARKS: [(&str, &str); 2] = [
    ("own", "the call succeeded, and what it reached is the container's own."),
    ("refused", "the launcher did not start such a container, and said why."),
];

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
    text + &legend(matrix)
}

/// What those marks mean that stand in the table and are no errno.
fn legend(matrix: &Matrix) -> String {
    let stands_there = |mark: &str| {
        matrix
            .rows
            .iter()
            .flat_map(Row::cells)
            .any(|cell| *cell != Cell::Leaks && cell.text() == mark)
    };
    let marks = MARKS.iter().filter(|(mark, _)| stands_there(mark));
    let lines: String = marks.map(|(mark, meaning)| format!("{mark}: {meaning}\n")).collect();
    if lines.is_empty() { lines } else { format!("\n{lines}") }
}

fn line<'a>(name: &str, cells: impl Iterator<Item = &'a str>) -> String {
    let mut line = format!("{name:25}");
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
    match cell {
        cell if depends(row, place, cell).is_some() => {
            let is_as_host = place > 0 && row.attack.depends(row.who, 0).is_some();
            if is_as_host { "*as the host*" } else { "*depends*" }.to_owned()
        }
        Cell::Leaks => "**leaks**".to_owned(),
        Cell::Stopped(how) if how == "own" => how.clone(),
        Cell::Stopped(errno) => format!("`{errno}`"),
    }
}

/// What decides over this cell, if it says one of the two things that it can say.
fn depends(row: &Row, place: usize, cell: &Cell) -> Option<Depends> {
    let depends = row.attack.depends(row.who, place);
    depends.filter(|it| *cell == Cell::Leaks || cell.text() == it.refusal)
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
    let link = |step: &str| format!("[{}]({step}.md)", short(step));
    if let Some((_, step)) = step {
        return format!("The step that stops it for root: {}.", link(step));
    }
    let mut steps = STEPS.iter().enumerate();
    match steps.find_map(|(index, step)| Some((step, attack.depends(Who::Root, index + 1)?))) {
        Some((step, Depends { is_stopped, .. })) => {
            format!("The step that stops it for root, {is_stopped}: {}.", link(step))
        }
        None => "No step stops it for root.".to_owned(),
    }
}

/// What of the attacks works in one step, and what it has stopped.
fn chapter(matrix: &Matrix, index: usize) -> String {
    let place = index + 1; // before the steps there is the host
    let leaking = |who| {
        let rows = matrix.rows.iter().filter(move |row| row.who == who);
        let linked = rows.filter_map(|row| {
            let cell = row.cells().nth(place)?;
            match depends(row, place, cell) {
                Some(depends) => Some(link(row, depends.leaks)),
                None => (*cell == Cell::Leaks).then(|| link(row, "")),
            }
        });
        links(linked)
    };
    let stopped = matrix.rows.iter().filter(|row| row.who == Who::Root).filter_map(|row| {
        let (before, now) = (row.cells().nth(index)?, row.cells().nth(place)?);
        if *before != Cell::Leaks || depends(row, index, before).is_some() {
            return None;
        }
        match depends(row, place, now) {
            Some(depends) => Some(link(row, depends.is_stopped)),
            None => (*now != Cell::Leaks).then(|| link(row, "")),
        }
    });
    let name = short(STEPS[index]);
    let mut text =
        format!("A test carries out [the attacks](attacks.md) in {name}. These still work:\n\n");
    for who in [Who::Root, Who::User] {
        text += &wrapped(&format!("- {}: {}", who.title(), leaking(who)));
    }
    let stopped = links(stopped);
    text += &wrapped(&format!("- and stopped, for root, since the step before: {stopped}"));
    text
}

/// A link to the explanation of an attack, and when that is so.
fn link(row: &Row, when: &str) -> String {
    let id = row.attack.id;
    let when = if when.is_empty() { String::new() } else { format!(" ({when})") };
    format!("[{id}](attacks.md#{id}){when}")
}

fn links(links: impl Iterator<Item = String>) -> String {
    let links: Vec<_> = links.collect();
    if links.is_empty() { "none.".to_owned() } else { format!("{}.", links.join(", ")) }
}
