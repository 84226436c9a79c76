//! How much of a step's source its chapter shows.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};

use super::page::Page;
use super::sources::{anchor_of, includes};

/// How many lines of a step's files the page includes. A line counts once, and the lines that mark
/// an anchor do not count. `text_of` has the text of a file below the step's `src`.
pub(super) fn lines_shown<'a>(
    page: &Page,
    step: &str,
    text_of: &dyn Fn(&str) -> Option<&'a str>,
) -> Result<usize> {
    let below = format!("../../{step}/src/");
    let mut shown: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for (index, include) in includes(page) {
        let Some(include) = include.strip_prefix(&below) else { continue };
        let (file, anchor) = match include.split_once(':') {
            Some((file, anchor)) => (file, Some(anchor)),
            None => (include, None),
        };
        let text = text_of(file).with_context(|| format!("{}: no {file}", page.place(index)))?;
        shown.entry(file).or_default().extend(lines_of(text, anchor));
    }
    Ok(shown.values().map(BTreeSet::len).sum())
}

/// The numbers of the lines that belong to an anchor, or of all.
fn lines_of(text: &str, anchor: Option<&str>) -> impl Iterator<Item = usize> {
    let mut is_inside = anchor.is_none();
    text.lines().enumerate().filter_map(move |(number, line)| {
        if anchor.is_some() && anchor_of(line, "ANCHOR") == anchor {
            is_inside = true;
        }
        if anchor.is_some() && anchor_of(line, "ANCHOR_END") == anchor {
            is_inside = false;
        }
        (is_inside && !is_mark(line)).then_some(number)
    })
}

/// Whether a line is there for the book only.
fn is_mark(line: &str) -> bool {
    line.trim_start().starts_with("// ANCHOR")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
a
// ANCHOR: x
b
    // ANCHOR: y
c
    // ANCHOR_END: y
// ANCHOR_END: x
d
";

    fn shown(includes: &str) -> usize {
        let text_of = |file: &str| ["a.rs", "b/c.rs"].contains(&file).then_some(TEXT);
        lines_shown(&Page::new("v1-x.md", includes), "v1-x", &text_of).unwrap()
    }

    #[test]
    fn a_line_counts_once() {
        let include = |what: &str| format!("```rust\n{{{{#include ../../{what}}}}}\n```\n");
        assert_eq!(shown(&include("v1-x/src/a.rs:x")), 2);
        assert_eq!(shown(&include("v1-x/src/a.rs:y")), 1);
        let both = include("v1-x/src/a.rs:x") + &include("v1-x/src/a.rs:y");
        assert_eq!(shown(&both), 2);
        assert_eq!(shown(&(both + &include("v1-x/src/b/c.rs"))), 6);
    }

    #[test]
    fn other_crates_and_other_directories_do_not_count() {
        let all = "{{#include ../../v2-y/src/a.rs:x}}\n{{#include ../../v1-x/examples/a.sh}}\n";
        assert_eq!(shown(all), 0);
    }
}
