//! A word is explained where a reader meets it first. The glossary names, for each of its words,
//! the page that explains it. A page before that one, in the order of the summary, may use the word
//! only if the paragraph in which it does so first has a link to that page, or to the glossary.
//! And each errno that a page names stands in the glossary.

use std::collections::BTreeSet;
use std::ops::Range;

use anyhow::{Context, Result};
use nix::errno::Errno;

use super::page::Page;
use super::sources::find;

const PAGE: &str = "glossary.md";

/// Words of the glossary that are also used in their everyday sense, which needs no explanation.
const EVERYDAY: [&str; 4] = ["link", "root", "swap", "trace"];

/// What stands between `**` at the start of an entry, and the page linked behind that.
struct Entry {
    forms: Vec<String>,
    page: String,
}

/// All words that come before their explanation, one line each.
pub fn problems(pages: &[Page]) -> Result<Vec<String>> {
    let glossary = find(pages, PAGE).context("there is no glossary")?;
    let order = reading_order(pages)?;
    let mut found = Vec::new();
    for line in glossary.lines.iter().filter(|line| line.starts_with("**")) {
        match entry(line) {
            Some(entry) => found.extend(problems_of_entry(&entry, &order)?),
            None => found.push(format!(
                "book/src/{PAGE}: write **WORD** ([NAME](PAGE.md)): in front of {line:?}"
            )),
        }
    }
    let text = glossary.text();
    let explained = errno_names(&text);
    for page in order {
        for (index, line) in page.lines.iter().enumerate() {
            let missing = errno_names(line).into_iter().filter(|name| !explained.contains(name));
            found.extend(
                missing
                    .map(|name| format!("{}: {PAGE} does not explain {name}", page.place(index))),
            );
        }
    }
    Ok(found)
}

/// The pages as the summary lists them.
fn reading_order(pages: &[Page]) -> Result<Vec<&Page>> {
    let summary = find(pages, "SUMMARY.md").context("there is no summary")?;
    let targets = summary.lines.iter().filter_map(|line| line.split_once("](")?.1.split_once(')'));
    Ok(targets.filter_map(|(target, _)| find(pages, target)).collect())
}

/// Reads `**form, form** ([name](page.md#heading)): text`.
fn entry(line: &str) -> Option<Entry> {
    let (forms, rest) = line.strip_prefix("**")?.split_once("** ([")?;
    let (page, _) = rest.split_once("](")?.1.split_once(')')?;
    let page = page.split('#').next()?.to_owned();
    Some(Entry { forms: forms.split(", ").map(str::to_owned).collect(), page })
}

fn problems_of_entry(entry: &Entry, order: &[&Page]) -> Result<Vec<String>> {
    let word = &entry.forms[0];
    let Some(explains) = order.iter().position(|page| page.name == entry.page) else {
        return Ok(vec![format!("book/src/{PAGE}: {word}: there is no page {}", entry.page)]);
    };
    let mut found = Vec::new();
    if first_use(&entry.forms, order[explains])?.is_none() {
        found.push(format!("book/src/{PAGE}: {} does not have the word {word:?}", entry.page));
    }
    let mut early = Vec::new();
    for page in &order[..explains] {
        if let Some((index, paragraph)) = first_use(&entry.forms, page)?
            && ![PAGE, &entry.page].iter().any(|target| paragraph.contains(&format!("]({target}")))
        {
            early.push(format!(
                "{}: {word:?} is explained in {} only: link to that, or to {PAGE}",
                page.place(index),
                entry.page
            ));
        }
    }
    match (EVERYDAY.contains(&word.as_str()), early.is_empty()) {
        (true, true) => {
            found.push(format!("support/testbed/src/book/terms.rs: {word:?} needs no excuse"))
        }
        (true, false) => {}
        (false, _) => found.append(&mut early),
    }
    Ok(found)
}

/// The first paragraph that has one of the forms, with its line.
fn first_use(forms: &[String], page: &Page) -> Result<Option<(usize, String)>> {
    let mut paragraphs = paragraphs(page)?.into_iter().map(|range| {
        let text = page.lines[range.clone()].join(" ");
        (range.start, text.split_whitespace().collect::<Vec<_>>().join(" "))
    });
    Ok(paragraphs.find(|(_, text)| {
        let visible = without_targets(text);
        forms.iter().any(|form| has_word(&visible, form))
    }))
}

/// What a reader reads in one go: neither blocks, nor comments.
fn paragraphs(page: &Page) -> Result<Vec<Range<usize>>> {
    let fences = page.fences()?;
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut in_comment = false;
    for (index, line) in page.lines.iter().enumerate() {
        in_comment |= line.starts_with("<!--");
        let is_of_block =
            fences.iter().any(|fence| (fence.opening..=fence.content.end).contains(&index));
        if !in_comment && !is_of_block && !line.trim().is_empty() {
            match found.last_mut().filter(|last| last.end == index) {
                Some(last) => last.end += 1,
                None => found.push(index..index + 1),
            }
        }
        in_comment &= !line.contains("-->");
    }
    Ok(found)
}

/// A text without the targets of its links, and without the descriptions of its pictures.
fn without_targets(text: &str) -> String {
    let mut parts = text.split("](");
    let mut visible = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        if let Some(picture) = visible.rfind("![") {
            visible.truncate(picture);
        }
        visible += part.split_once(')').map_or("", |(_, after)| after);
    }
    visible
}

/// Whether the text has this word, or its plural. `/proc` is in `/proc/self`, not in `a/proc`.
fn has_word(text: &str, word: &str) -> bool {
    let is_name = word.chars().any(char::is_uppercase);
    let (text, word) = if is_name {
        (text.to_owned(), word.to_owned())
    } else {
        (text.to_lowercase(), word.to_lowercase())
    };
    text.match_indices(&word).any(|(start, _)| {
        let before = text[..start].chars().next_back();
        let after = text[start + word.len()..].strip_prefix('s');
        let after = after.unwrap_or(&text[start + word.len()..]).chars().next();
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        !before.is_some_and(|c| is_part(c) || "/-.".contains(c)) && !after.is_some_and(is_part)
    })
}

/// `ENOENT` and the like, as the kernel knows them.
fn errno_names(text: &str) -> Vec<&str> {
    let known: BTreeSet<String> =
        (1..=133).map(|number| format!("{:?}", Errno::from_raw(number))).collect();
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    words.filter(|word| word.starts_with('E') && known.contains(*word)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(first: &str, glossary: &str) -> Vec<String> {
        let summary = "[A](a.md)\n[B](b.md)\n[C](glossary.md)\n";
        problems(&[
            Page::new("SUMMARY.md", summary),
            Page::new("a.md", first),
            Page::new("b.md", "A **zombie** is dead.\n"),
            Page::new("glossary.md", glossary),
        ])
        .unwrap()
    }

    #[test]
    fn a_word_is_not_used_before_it_is_explained() {
        let glossary = "**zombie, undead** ([b](b.md)): dead.\n";
        let fine = ["", "See [zombies](b.md#x).", "A zombie\n([what](glossary.md)) walks."];
        for text in
            fine.into_iter().chain(["```text\nzombie\n```", "<!-- zombie -->", "anti-zombie"])
        {
            assert_eq!(faults(text, glossary), [""; 0], "{text}");
        }
        for text in ["Zombies walk.", "An\nundead one.", "A zombie.\n\nSee [b](b.md)."] {
            let told = "\"zombie\" is explained in b.md only: link to that, or to glossary.md";
            assert_eq!(faults(text, glossary), [format!("book/src/a.md:1: {told}")], "{text}");
        }
    }

    #[test]
    fn an_entry_names_the_page_that_explains_it() {
        assert!(faults("", "**zombie**: dead.\n")[0].contains("write **WORD**"));
        assert!(faults("", "**zombie** ([d](d.md)): dead.\n")[0].contains("no page d.md"));
        assert!(faults("", "**ghost** ([b](b.md)): dead.\n")[0].contains("not have the word"));
    }

    #[test]
    fn an_excuse_that_nothing_needs_is_told() {
        let told = faults("A zombie [b](b.md).", "**trace** ([b](b.md)): a track.\n");
        assert!(told.iter().any(|line| line.contains("needs no excuse")), "{told:?}");
    }

    #[test]
    fn every_errno_is_explained() {
        assert_eq!(faults("It is ENOENT, or ELSE.", "| ENOENT | no entry |\n"), [""; 0]);
        let told = faults("It is EBADF.", "| ENOENT | no entry |\n");
        assert_eq!(told, ["book/src/a.md:1: glossary.md does not explain EBADF"]);
    }
}
