//! The table of the sources' shape, on the page "A tour of the code".

use std::path::Path;

use anyhow::{Context, Result};

use super::page::Page;
use super::shown::lines_shown;
use super::sources::find;
use crate::shape::Crate;

/// What a row has of a crate.
struct Measures {
    /// All lines of the files below `src`.
    lines: usize,
    /// Those of its longest file.
    longest: usize,
    circles: usize,
    /// Of a step: how many of a hundred lines its chapter shows, unit tests left out.
    shown: Option<usize>,
}

impl Measures {
    const fn new(lines: usize, longest: usize, circles: usize, shown: Option<usize>) -> Measures {
        Measures { lines, longest, circles, shown }
    }
}

/// The crates when what carries all steps was in v1, by the same measures (commit c81c8db).
const BEFORE: [(&str, Measures); 13] = [
    ("v1-chroot", Measures::new(2686, 346, 1, Some(6))),
    ("v2-mountns", Measures::new(819, 263, 0, Some(21))),
    ("v3-pidns", Measures::new(148, 94, 0, Some(55))),
    ("v4-utsns", Measures::new(119, 74, 0, Some(28))),
    ("v5-netns", Measures::new(2198, 370, 1, Some(23))),
    ("v6-cgroups", Measures::new(1500, 354, 0, Some(26))),
    ("v7-overlay", Measures::new(3500, 358, 3, Some(8))),
    ("v8-pause", Measures::new(4200, 426, 1, Some(7))),
    ("workshop", Measures::new(6055, 262, 2, None)),
    ("workshop/attacks", Measures::new(3304, 527, 1, None)),
    ("workshop/bench", Measures::new(3338, 401, 0, None)),
    ("workshop/door", Measures::new(291, 137, 0, None)),
    ("support/testbed", Measures::new(11672, 825, 4, None)),
];

/// The table with a row for each crate.
pub(super) fn table(pages: &[Page], workspace: &Path) -> Result<Vec<String>> {
    let mut rows = vec![
        "| crate | lines of `src` | longest file | circles | shown, in % |".to_owned(),
        "|---|---:|---:|---:|---:|".to_owned(),
    ];
    for it in Crate::read_all(workspace)? {
        let before = BEFORE.iter().find(|(directory, _)| *directory == it.directory);
        let now = measures_of(&it, pages).with_context(|| it.directory.clone())?;
        rows.push(row(&it.directory, before.map(|(_, before)| before), &now));
    }
    Ok(rows)
}

fn row(directory: &str, before: Option<&Measures>, now: &Measures) -> String {
    let columns: [fn(&Measures) -> Option<usize>; 4] =
        [|it| Some(it.lines), |it| Some(it.longest), |it| Some(it.circles), |it| it.shown];
    let cells = columns.map(|of| match (before.and_then(of), of(now)) {
        (Some(before), Some(now)) => format!(" {before} → {now} |"),
        (None, Some(now)) => format!(" {now} |"),
        (_, None) => " |".to_owned(),
    });
    format!("| `{directory}` |{}", cells.concat())
}

fn measures_of(it: &Crate, pages: &[Page]) -> Result<Measures> {
    let lengths: Vec<usize> = it.files().map(|(_, text)| text.lines().count()).collect();
    let shown = it.step().map(|_| shown_of(it, pages)).transpose()?;
    let longest = lengths.iter().max().context("it has no file")?;
    Ok(Measures::new(lengths.iter().sum(), *longest, it.circles()?.len(), shown))
}

/// Of a hundred lines of a step how many its chapter shows.
fn shown_of(it: &Crate, pages: &[Page]) -> Result<usize> {
    let chapter = find(pages, &format!("{}.md", it.directory)).context("it has no chapter")?;
    let text_of = |name: &str| {
        let mut files = it.files();
        files.find_map(|(file, text)| (file == Path::new(name)).then_some(text))
    };
    let shown = lines_shown(chapter, &it.directory, &text_of)?;
    let all: usize = it.files().map(|(file, text)| lines_without_tests(file, text)).sum();
    Ok((shown * 100 + all / 2) / all)
}

/// Unit tests stand at the end of a file, or in one of their own.
fn lines_without_tests(file: &Path, text: &str) -> usize {
    if file.ends_with("tests.rs") {
        return 0;
    }
    let code = text.split_once("#[cfg(test)]\nmod tests {\n").map_or(text, |(code, _)| code);
    code.lines().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_what_was_and_what_is() {
        let now = Measures::new(70, 30, 0, Some(40));
        let before = Measures::new(100, 90, 2, Some(5));
        let changed = "| `v1-x` | 100 → 70 | 90 → 30 | 2 → 0 | 5 → 40 |";
        assert_eq!(row("v1-x", Some(&before), &now), changed);
        let now = Measures::new(70, 30, 0, None);
        assert_eq!(row("support/x", None, &now), "| `support/x` | 70 | 30 | 0 | |");
    }

    #[test]
    fn unit_tests_are_nothing_to_show() {
        let text = "fn f() {}\n\n#[cfg(test)]\nmod tests {\n    fn g() {}\n}\n";
        assert_eq!(lines_without_tests(Path::new("a.rs"), text), 2);
        assert_eq!(lines_without_tests(Path::new("a/tests.rs"), text), 0);
    }
}
