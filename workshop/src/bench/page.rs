//! The page "What it costs" of the book: its tables are one run's, written down by `--page`.
//!
//! The times in them are of one machine and one day. All the rest (who takes part, what each does,
//! which figures there are, their targets, what was counted) has to be what the benchmark says
//! today: `--check-page` compares that.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::programs::succeed;
use super::table::Table;

/// Where it is in the checkout.
const PAGE: &str = "book/src/costs.md";

/// What stands around the tables.
const BEGIN: &str = "<!-- written by cargo workshop bench --page -->";
const END: &str = "<!-- end -->";

/// The line that tells of the machine begins so.
const MACHINE: &str = "Measured ";

/// Writes the tables into the page.
///
/// # Errors
/// If the page lacks its marks, or cannot be written.
pub fn write(workspace: &Path, machine: &str, table: &Table) -> Result<()> {
    let page = read(workspace)?;
    let (before, _, after) = parts(&page)?;
    let date = String::from_utf8(succeed(Command::new("date").args(["-u", "+%-d %B %Y"]))?)?;
    let machine = format!("{MACHINE}{machine}, on {}.", date.trim());
    let text =
        format!("{before}{BEGIN}\n\n{}\n\n{}\n{END}{after}", wrapped(&machine), tables(table));
    fs::write(workspace.join(PAGE), text).with_context(|| format!("cannot write {PAGE}"))
}

/// Compares everything in the tables that is not a time.
///
/// # Errors
/// Which line of the page differs from what the benchmark says today.
pub fn check(workspace: &Path, table: &Table) -> Result<()> {
    let page = read(workspace)?;
    let (_, tables_of_page, _) = parts(&page)?;
    let fresh = tables(table);
    let mut fresh = fresh.lines().filter(is_row);
    let mut written = tables_of_page.lines().filter(is_row);
    loop {
        match (fresh.next(), written.next()) {
            (None, None) => return Ok(()),
            (now, then) if now.map(lasting) == then.map(lasting) => {}
            (now, then) => bail!(
                "{PAGE} is stale (cargo workshop bench --page writes it anew):\n  page:  {}\n  \
                 today: {}",
                then.unwrap_or("nothing more"),
                now.unwrap_or("nothing more")
            ),
        }
    }
}

fn read(workspace: &Path) -> Result<String> {
    fs::read_to_string(workspace.join(PAGE)).with_context(|| format!("cannot read {PAGE}"))
}

/// Before the mark, between the marks, after them.
fn parts(page: &str) -> Result<(&str, &str, &str)> {
    let missing = || format!("{PAGE} has no lines {BEGIN} and {END}");
    let (before, rest) = page.split_once(BEGIN).with_context(missing)?;
    let (tables, after) = rest.split_once(END).with_context(missing)?;
    ensure!(!after.contains(BEGIN), "{PAGE} has two lines {BEGIN}");
    Ok((before, tables, after))
}

fn is_row(line: &&str) -> bool {
    line.starts_with('|')
}

/// The cells of a row that are the same in every run: the first two, and a count.
fn lasting(row: &str) -> Vec<&str> {
    let mut cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
    let is_count = cells.get(2).is_some_and(|cell| cell.parse::<usize>().is_ok());
    if !is_count {
        cells.truncate(2);
    }
    cells
}

fn tables(table: &Table) -> String {
    let mut text = "| start to end | what it does | fastest, ms | median, ms |\n\
                    |---|---|---:|---:|\n"
        .to_owned();
    for start in &table.starts {
        let [fastest, median] = match &start.times {
            Ok(times) => times.map(|time| format!("{time:.2}")),
            Err(_) => ["-", "-"].map(str::to_owned),
        };
        text += &format!("| {} | {} | {fastest} | {median} |\n", start.name, start.does);
    }
    text += "\n| figure | target | result | met |\n|---|---|---:|---|\n";
    for cells in table.rows() {
        text += &format!("| {} |\n", cells.join(" | "));
    }
    text
}

/// In lines of at most 100 columns.
fn wrapped(text: &str) -> String {
    let (mut lines, mut width) = (String::new(), 0);
    for word in text.split(' ') {
        let begins = width == 0 || width + 1 + word.len() > 100;
        if width > 0 {
            lines.push(if begins { '\n' } else { ' ' });
        }
        lines += word;
        width = if begins { word.len() } else { width + 1 + word.len() };
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::table::Start;

    #[test]
    fn times_do_not_last_and_counts_do() {
        assert_eq!(lasting("| bwrap | the same | 1.00 | 2.00 |"), ["bwrap", "the same"]);
        assert_eq!(lasting("| time | at most 3.00 | 3.10 | NO |"), ["time", "at most 3.00"]);
        assert_eq!(lasting("| time | at most 3.00 | - | not here |"), ["time", "at most 3.00"]);
        assert_ne!(
            lasting("| crates | at most 30 | 20 | yes |"),
            lasting("| crates | at most 30 | 21 | yes |")
        );
    }

    fn table(time: f64, crates: usize) -> Table {
        let mut table = Table::default();
        let times = Ok([time, time]);
        table.starts.push(Start { name: "bwrap", does: "the same", times });
        table.timed("time", time, 3.0, "ms");
        table.counted("crates", crates, 30);
        table
    }

    #[test]
    fn what_is_written_is_right_until_something_else_than_a_time_changes() {
        let workspace = std::env::temp_dir().join(format!("costs-page-{}", std::process::id()));
        let page = workspace.join(PAGE);
        fs::create_dir_all(page.parent().unwrap()).unwrap();
        fs::write(&page, format!("# Costs\n{BEGIN}\nold\n{END}\nText.\n")).unwrap();
        write(&workspace, "here", &table(1.0, 20)).unwrap();
        let text = fs::read_to_string(&page).unwrap();
        let checked = [table(9.0, 20), table(1.0, 21)].map(|table| check(&workspace, &table));
        fs::write(&page, text.replace("the same", "less")).unwrap();
        let altered = check(&workspace, &table(1.0, 20));
        fs::remove_dir_all(&workspace).unwrap();

        assert!(text.starts_with("# Costs\n") && text.ends_with("\nText.\n"), "{text}");
        assert!(text.contains("\n| crates | at most 30 | 20 | yes |\n"), "{text}");
        let [other_time, other_count] = checked;
        other_time.unwrap();
        assert!(other_count.unwrap_err().to_string().contains("crates"));
        assert!(altered.unwrap_err().to_string().contains("less"));
    }

    #[test]
    fn a_page_has_one_place_for_the_tables() {
        let page = format!("a\n{BEGIN}\nb\n{END}\nc\n");
        assert_eq!(parts(&page).unwrap(), ("a\n", "\nb\n", "\nc\n"));
        assert!(parts("a\n").is_err());
        assert!(parts(&format!("{page}{page}")).is_err());
    }
}
