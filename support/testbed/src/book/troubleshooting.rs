//! The programs name pages of the book, and the page "Troubleshooting" names errors of the
//! programs. Neither may name what is not there.

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::page::Page;
use super::sources::{find, headings, rust_files, step_crates};

const PAGE: &str = "troubleshooting.md";

/// All mentions that lead nowhere, in either direction, one line each.
pub fn problems(pages: &[Page], workspace: &Path) -> Result<Vec<String>> {
    let mut crates = step_crates(workspace)?;
    crates.push(workspace.join("workshop/registry"));
    let mut errors = String::new();
    let mut found = Vec::new();
    for directory in &crates {
        for path in rust_files(&directory.join("src"))? {
            errors += &joined(&fs::read_to_string(path)?);
        }
    }
    crates.extend(["workshop", "workshop/attacks", "workshop/bench"].map(|it| workspace.join(it)));
    for directory in &crates {
        for path in rust_files(&directory.join("src"))? {
            let place = path.strip_prefix(workspace).unwrap_or(&path).display().to_string();
            found.extend(problems_of_mentions(&place, &fs::read_to_string(&path)?, pages));
        }
    }
    if let Some(page) = find(pages, PAGE) {
        found.extend(problems_of_entries(page, &errors));
    }
    Ok(found)
}

/// A text literal that is continued on the next line is one text.
fn joined(source: &str) -> String {
    let mut lines = source.split("\\\n");
    let first = lines.next().unwrap_or_default().to_owned();
    lines.fold(first, |text, line| text + line.trim_start())
}

/// `book/src/PAGE.md` or `book/src/PAGE.md#HEADING` in a source.
fn problems_of_mentions(place: &str, source: &str, pages: &[Page]) -> Vec<String> {
    let mentions = source.split("book/src/").skip(1).filter_map(|rest| {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "-_.#".contains(c);
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let target = rest[..end].trim_end_matches('.');
        target.contains(".md").then_some(target)
    });
    let leads_nowhere = |target: &&str| {
        let (name, heading) = target.split_once('#').unwrap_or((target, ""));
        !find(pages, name)
            .is_some_and(|page| heading.is_empty() || headings(page).any(|id| id == heading))
    };
    let wrong = mentions.filter(leads_nowhere);
    wrong.map(|target| format!("{place}: nothing is at book/src/{target}")).collect()
}

/// Every text in a heading that starts like one of our messages is one: each of its parts stands in
/// the sources. Parts are what is between values (`...`), brackets and the kernel's own words.
fn problems_of_entries(page: &Page, errors: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (index, line) in page.lines.iter().enumerate().filter(|(_, line)| line.starts_with("###")) {
        for quote in line.split('`').skip(1).step_by(2) {
            let Some(text) = quote.strip_prefix("Error: ").or(quote.strip_prefix("Note: ")) else {
                continue;
            };
            let parts = text.split("...").flat_map(|part| part.split(" ("));
            let parts = parts.map(without_errno).filter(|part| !part.is_empty());
            found.extend(parts.filter(|part| !errors.contains(part)).map(|part| {
                format!("{}: no step's message has the words {part:?}", page.place(index))
            }));
        }
    }
    found
}

/// What stands before `EPERM: Operation not permitted`: these words are not in our sources.
fn without_errno(part: &str) -> &str {
    let is_errno =
        |word: &str| word.len() > 3 && word.starts_with('E') && word.to_uppercase() == word;
    let mut end = part.len();
    for word in part.split([' ', ':']).filter(|word| is_errno(word)) {
        end = end.min(part.find(word).unwrap_or(end));
    }
    part[..end].trim_matches([' ', ':', ')'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mention_leads_to_a_page_and_a_heading() {
        let pages = [Page::new("a.md", "# A\n## The `other` one\n")];
        let of = |source| problems_of_mentions("x.rs", source, &pages);
        let good = "see book/src/a.md. \"book/src/a.md#the-other-one\" book/src/{page}";
        assert_eq!(of(good), [""; 0]);
        let wrong = of("book/src/b.md; book/src/a.md#another");
        let targets = ["b.md", "a.md#another"];
        assert_eq!(wrong, targets.map(|it| format!("x.rs: nothing is at book/src/{it}")));
    }

    #[test]
    fn an_entry_quotes_what_a_program_says() {
        let sources =
            "\"cannot do {x:?} to {y}: {errno} (is it \\\n      there?)\" \"all is well\"";
        let of = |text: &str| problems_of_entries(&Page::new("t.md", text), &joined(sources));
        let good = "### `Error: cannot do ... to ...: EPERM: Not permitted (is it there?)`\n\
                    ### `Note: all is well`, `somebody else's`\n";
        assert_eq!(of(good), [""; 0]);
        let wrong = of("### `Error: cannot undo ...: EPERM`, `Note: all is lost`\n");
        let parts = ["cannot undo", "all is lost"];
        let told = |part| format!("book/src/t.md:1: no step's message has the words {part:?}");
        assert_eq!(wrong, parts.map(told));
    }
}
