//! What every page keeps to: code is included, commands are executed, links lead somewhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::derived::Diff;
use super::page::{Fence, Page};

/// All that is wrong with the blocks, includes and links of the book, one line each.
pub fn problems(pages: &[Page], workspace: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut used = BTreeSet::new();
    for page in pages {
        for fence in page.fences()? {
            found.extend(problem_of_block(page, &fence));
        }
        for (index, include) in includes(page) {
            if let Err(error) = check_include(page, include, workspace, &mut used) {
                found.push(format!("{}: {error:#}", page.place(index)));
            }
        }
        for line in &page.lines {
            let shown = Diff::asked_for(line)?.map(|diff| diff.anchors().collect::<Vec<_>>());
            let shown = shown.into_iter().flatten();
            used.extend(shown.map(|(file, anchor)| (workspace.join(file), anchor.to_owned())));
        }
        found.extend(problems_of_links(page, pages, workspace)?);
    }
    for (path, anchor) in anchors_of_steps(workspace)? {
        if !used.contains(&(path.clone(), anchor.clone())) {
            let path = path.strip_prefix(workspace)?.display();
            found.push(format!("{path}: no page includes the anchor {anchor:?}"));
        }
    }
    found.extend(problems_of_summary(pages));
    Ok(found)
}

/// Code and commands of a page are never typed into it by hand.
fn problem_of_block(page: &Page, fence: &Fence) -> Option<String> {
    let mut content = page.lines[fence.content.clone()].iter();
    let is_include = fence.content.len() == 1
        && content.clone().all(|line| line.starts_with("{{#") && line.ends_with("}}"));
    let fault = match fence.language() {
        "" => "say behind the ``` what the block is (`text` if nothing else)",
        "console" => return None,
        "rust" if !is_include => "Rust code is one line {{#include FILE:ANCHOR}}",
        "sh" | "bash" | "shell" if !is_include => {
            "write commands as ```console, so that they are executed; include a script"
        }
        "diff" if !is_generated(page, fence) => {
            "a diff stands between <!-- diff STEP STEP --> and <!-- end -->, and is generated"
        }
        _ if content.any(|line| line.starts_with("$ ")) => {
            "this looks like typed commands: write ```console, so that they are executed"
        }
        _ => return None,
    };
    Some(format!("{}: {fault}", page.place(fence.opening)))
}

fn is_generated(page: &Page, fence: &Fence) -> bool {
    let above = fence.opening.checked_sub(1).map(|index| page.lines[index].as_str());
    above.is_some_and(|line| line.starts_with("<!-- diff "))
}

/// The arguments of `{{#include ...}}` and `{{#rustdoc_include ...}}`, with their lines.
pub(super) fn includes(page: &Page) -> impl Iterator<Item = (usize, &str)> {
    page.lines.iter().enumerate().filter_map(|(index, line)| {
        let (_, include) = line.split_once("include ")?;
        line.starts_with("{{#").then(|| (index, include.trim_end_matches('}')))
    })
}

/// Check that the file is there and has the anchor, and note the anchor as used.
fn check_include(
    page: &Page,
    include: &str,
    workspace: &Path,
    used: &mut BTreeSet<(PathBuf, String)>,
) -> Result<()> {
    let (file, anchor) = match include.split_once(':') {
        Some((file, anchor)) => (file, Some(anchor)),
        None => (include, None),
    };
    let place = workspace.join("book/src").join(&page.name);
    let path = place.parent().context("a page without a directory")?.join(file);
    let path = fs::canonicalize(&path).with_context(|| format!("there is no {file}"))?;
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {file}"))?;
    let Some(anchor) = anchor else { return Ok(()) };
    for mark in ["ANCHOR", "ANCHOR_END"] {
        let count = text.lines().filter(|line| anchor_of(line, mark) == Some(anchor)).count();
        anyhow::ensure!(count == 1, "{file} has {count} lines `{mark}: {anchor}`, not one");
    }
    used.insert((path, anchor.to_owned()));
    Ok(())
}

/// The name in a line `// ANCHOR: name`.
pub(super) fn anchor_of<'a>(line: &'a str, mark: &str) -> Option<&'a str> {
    let (_, name) = line.split_once(&format!("{mark}: "))?;
    name.split_whitespace().next()
}

/// Every anchor in the sources of the steps.
fn anchors_of_steps(workspace: &Path) -> Result<Vec<(PathBuf, String)>> {
    let mut anchors = Vec::new();
    for directory in step_crates(&fs::canonicalize(workspace)?)? {
        for path in rust_files(&directory)? {
            let text = fs::read_to_string(&path)?;
            let names = text.lines().filter_map(|line| anchor_of(line, "ANCHOR"));
            anchors.extend(names.map(|name| (path.clone(), name.to_owned())));
        }
    }
    anchors.sort();
    Ok(anchors)
}

/// The crates of which the steps are made: `v1-chroot` and so on, and what carries them.
pub(super) fn step_crates(workspace: &Path) -> Result<Vec<PathBuf>> {
    let is_step = |name: &str| name.starts_with('v') && name.contains('-');
    let is_carrier = |name: &str| !["testbed", "fuzz"].contains(&name);
    let mut crates = directories(workspace, is_step)?;
    crates.extend(directories(&workspace.join("support"), is_carrier)?);
    Ok(crates)
}

/// The directories in `parent` whose names are wanted, in their order.
fn directories(parent: &Path, is_wanted: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>> {
    let mut directories = Vec::new();
    for entry in fs::read_dir(parent)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if is_wanted(&name) && path.is_dir() {
            directories.push(path);
        }
    }
    directories.sort();
    Ok(directories)
}

pub(super) fn rust_files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}

/// Links to pages, headings and pictures.
fn problems_of_links(page: &Page, pages: &[Page], workspace: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for (index, link, is_picture) in links(page)? {
        if link.text.is_empty() && is_picture {
            found.push(format!("{}: a picture without a text", page.place(index)));
        }
        if link.target.contains("://") {
            continue;
        }
        let (file, heading) = link.target.split_once('#').unwrap_or((&link.target, ""));
        let directory = Path::new(&page.name).parent().unwrap_or(Path::new(""));
        let name = directory.join(file).to_string_lossy().into_owned();
        let target = if file.is_empty() { Some(page) } else { find(pages, &name) };
        let is_there = match target {
            Some(target) => heading.is_empty() || headings(target).any(|id| id == heading),
            None => !file.ends_with(".md") && workspace.join("book/src").join(&name).exists(),
        };
        if !is_there {
            found.push(format!("{}: nothing is at {}", page.place(index), link.target));
        }
    }
    Ok(found)
}

pub(super) fn find<'a>(pages: &'a [Page], name: &str) -> Option<&'a Page> {
    pages.iter().find(|page| page.name == name)
}

struct Link {
    text: String,
    target: String,
}

/// The links `[text](target)` of a page outside of its blocks; the last part tells pictures.
fn links(page: &Page) -> Result<Vec<(usize, Link, bool)>> {
    let fences = page.fences()?;
    let mut found = Vec::new();
    for (index, line) in page.lines.iter().enumerate() {
        if fences.iter().any(|fence| (fence.opening..=fence.content.end).contains(&index)) {
            continue;
        }
        let mut rest = line.as_str();
        while let Some((before, after)) = rest.split_once("](") {
            let Some((target, tail)) = after.split_once(')') else {
                break;
            };
            let start = before.rfind('[').unwrap_or(0);
            let text = before.get(start + 1..).unwrap_or_default().to_owned();
            let is_picture = before[..start].ends_with('!');
            found.push((index, Link { text, target: target.to_owned() }, is_picture));
            rest = tail;
        }
    }
    Ok(found)
}

/// The ids that mdBook gives to the headings of a page.
pub(super) fn headings(page: &Page) -> impl Iterator<Item = String> {
    page.lines.iter().filter(|line| line.starts_with('#')).map(|line| {
        let text = line.trim_start_matches('#').trim().to_lowercase();
        let kept = text.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}

/// mdBook builds what the summary names, and nothing else.
fn problems_of_summary(pages: &[Page]) -> Vec<String> {
    let Some(summary) = find(pages, "SUMMARY.md") else {
        return vec!["book/src/SUMMARY.md is missing".to_owned()];
    };
    let is_named = |page: &Page| {
        let target = format!("({})", page.name);
        summary.lines.iter().any(|line| line.contains(&target))
    };
    let forgotten = pages.iter().filter(|page| page.name != summary.name && !is_named(page));
    forgotten.map(|page| format!("book/src/{} is not in the summary", page.name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let page = Page::new("p.md", text);
        let fences = page.fences().unwrap();
        fences.iter().filter_map(|fence| problem_of_block(&page, fence)).collect()
    }

    #[test]
    fn code_is_included_and_commands_are_executed() {
        assert_eq!(faults("```rust,ignore\n{{#include ../a.rs:b}}\n```\n"), [""; 0]);
        assert_eq!(faults("```console\n$ ls\n```\n```toml\nx = 1\n```\n"), [""; 0]);
        assert_eq!(faults("<!-- diff a b -->\n```diff\n+x\n```\n"), [""; 0]);
        for wrong in ["rust\nfn f() {}", "sh\nls", "\nx", "diff\n+x", "text\n$ ls"] {
            assert_eq!(faults(&format!("```{wrong}\n```\n")).len(), 1, "{wrong}");
        }
    }

    #[test]
    fn links_lead_somewhere() {
        let pages = [
            Page::new("a.md", "[x](b.md#two-words) [y](#top) ![z](no.svg)\n# Top\n"),
            Page::new("b.md", "## `Two` words\n[x](a.md#bottom) ![](https://x.test/y)\n"),
        ];
        let of = |index: usize| {
            problems_of_links(&pages[index], &pages, Path::new("/nonexistent")).unwrap()
        };
        assert_eq!(of(0), ["book/src/a.md:1: nothing is at no.svg"]);
        let wrong = ["nothing is at a.md#bottom", "a picture without a text"];
        assert_eq!(of(1), wrong.map(|text| format!("book/src/b.md:2: {text}")));
    }
}
