//! The page "What it costs" of the book: its tables are one run's, written down by `--page`.
//!
//! The times in them are of one machine and one day. All the rest (who takes part, what each does,
//! which figures there are, their targets, what was counted) has to be what the benchmark says
//! today: `--check-page` compares that.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use launcher::program;

use super::growth::Curve;
use super::picture;
use super::programs::succeed;
use super::table::Table;

/// Where it is in the checkout.
const PAGE: &str = "book/src/costs.md";

/// Where the picture of the growth is.
const PICTURE: &str = "book/src/img/growth.svg";

/// What stands around something that is written.
struct Marks {
    begin: &'static str,
    end: &'static str,
}

const TABLES: Marks =
    Marks { begin: "<!-- written by cargo workshop bench --page -->", end: "<!-- end -->" };
const GROWTH: Marks = Marks {
    begin: "<!-- written by cargo workshop bench --growth --page -->",
    end: "<!-- end of growth -->",
};

/// The line that tells of the machine begins so.
const MACHINE: &str = "Measured ";

/// Writes the tables into the page.
///
/// # Errors
/// If the page lacks its marks, or cannot be written.
pub fn write(workspace: &Path, machine: &str, table: &Table) -> Result<()> {
    put(workspace, &TABLES, machine, &tables(table))
}

/// Writes how starts grow: the table into the page, and the picture beside it.
///
/// # Errors
/// If the page lacks its marks, or one of the files cannot be written.
pub fn write_growth(workspace: &Path, machine: &str, curves: &[Curve]) -> Result<()> {
    fs::write(workspace.join(PICTURE), picture::draw(curves))
        .with_context(|| format!("cannot write {PICTURE}"))?;
    put(workspace, &GROWTH, machine, &growth_table(curves))
}

/// One row for each curve.
pub fn growth_table(curves: &[Curve]) -> String {
    let mut text = "| what there is | until the command runs, ms |\n|---|---|\n".to_owned();
    for curve in curves {
        let points = curve.points.iter().map(|(count, time)| format!("{count}: {time:.1}"));
        text += &format!("| {} | {} |\n", curve.title, points.collect::<Vec<_>>().join(", "));
    }
    text
}

/// Puts a table between its marks, with a line above it that says where and when it was measured.
fn put(workspace: &Path, marks: &Marks, machine: &str, tables: &str) -> Result<()> {
    let page = read(workspace)?;
    let (before, _, after) = parts(&page, marks)?;
    let date = String::from_utf8(succeed(program::command("date")?.args(["-u", "+%-d %B %Y"]))?)?;
    let machine = wrapped(&format!("{MACHINE}{machine}, on {}.", date.trim()));
    let Marks { begin, end } = marks;
    let text = format!("{before}{begin}\n\n{machine}\n\n{tables}\n{end}{after}");
    fs::write(workspace.join(PAGE), text).with_context(|| format!("cannot write {PAGE}"))
}

/// Compares everything in the tables that is not a time.
///
/// # Errors
/// Which line of the page differs from what the benchmark says today.
pub fn check(workspace: &Path, table: &Table) -> Result<()> {
    let page = read(workspace)?;
    let (_, tables_of_page, _) = parts(&page, &TABLES)?;
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

/// Before the marks, between them, after them.
fn parts<'a>(page: &'a str, marks: &Marks) -> Result<(&'a str, &'a str, &'a str)> {
    let Marks { begin, end } = marks;
    let missing = || format!("{PAGE} has no lines {begin} and {end}");
    let (before, rest) = page.split_once(begin).with_context(missing)?;
    let (between, after) = rest.split_once(end).with_context(missing)?;
    ensure!(!after.contains(begin), "{PAGE} has two lines {begin}");
    Ok((before, between, after))
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
    use nix::unistd::mkdtemp;

    use super::*;
    use crate::table::Start;

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
        let workspace = mkdtemp(&std::env::temp_dir().join("costs-page-XXXXXX")).unwrap();
        let page = workspace.join(PAGE);
        fs::create_dir_all(page.parent().unwrap()).unwrap();
        let marked = |marks: &Marks| format!("{}\nold\n{}\n", marks.begin, marks.end);
        let before = format!("# Costs\n{}{}Text.\n", marked(&TABLES), marked(&GROWTH));
        fs::write(&page, before).unwrap();
        write(&workspace, "here", &table(1.0, 20)).unwrap();
        let text = fs::read_to_string(&page).unwrap();
        let checked = [table(9.0, 20), table(1.0, 21)].map(|table| check(&workspace, &table));
        fs::create_dir_all(workspace.join(PICTURE).parent().unwrap()).unwrap();
        let curves = [Curve { title: "layers", points: vec![(1, 2.0), (500, 9.04)] }];
        write_growth(&workspace, "here", &curves).unwrap();
        let grown = fs::read_to_string(&page).unwrap();
        fs::write(&page, text.replace("the same", "less")).unwrap();
        let altered = check(&workspace, &table(1.0, 20));
        fs::remove_dir_all(&workspace).unwrap();

        assert!(text.starts_with("# Costs\n") && text.ends_with("\nText.\n"), "{text}");
        assert!(text.contains("\n| crates | at most 30 | 20 | yes |\n"), "{text}");
        assert!(grown.contains("\n| layers | 1: 2.0, 500: 9.0 |\n"), "{grown}");
        assert!(grown.contains("\n| crates | at most 30 | 20 | yes |\n"), "{grown}");
        let [other_time, other_count] = checked;
        other_time.unwrap();
        assert!(other_count.unwrap_err().to_string().contains("crates"));
        assert!(altered.unwrap_err().to_string().contains("less"));
    }

    #[test]
    fn a_page_has_one_place_for_the_tables() {
        let Marks { begin, end } = TABLES;
        let page = format!("a\n{begin}\nb\n{end}\nc\n");
        assert_eq!(parts(&page, &TABLES).unwrap(), ("a\n", "\nb\n", "\nc\n"));
        assert!(parts("a\n", &TABLES).is_err());
        assert!(parts(&format!("{page}{page}"), &TABLES).is_err());
    }
}
