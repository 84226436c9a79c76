//! What in a page is made from the sources: the diffs between the stages.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use similar::TextDiff;

use super::page::Page;

/// Every diff stands between a line `<!-- diff v2-mountns v3-pidns -->`
const BEGIN: &str = "<!-- diff ";
/// and this one.
const END: &str = "<!-- end -->";

/// The page with every diff made anew from the sources below `workspace`.
pub fn with_fresh_diffs(page: &Page, workspace: &Path) -> Result<Page> {
    let mut lines = Vec::new();
    let mut old = page.lines.iter().enumerate();
    while let Some((index, line)) = old.next() {
        lines.push(line.clone());
        let Some(stages) = line.strip_prefix(BEGIN).and_then(|line| line.strip_suffix(" -->"))
        else {
            continue;
        };
        let place = || page.place(index);
        let (before, after) = stages
            .split_once(' ')
            .with_context(|| format!("{}: write {BEGIN}STAGE NEXT-STAGE -->", place()))?;
        lines.extend(diff_of_main(workspace, before, after).with_context(place)?);
        match old.find(|(_, line)| *line == END || line.starts_with(BEGIN)) {
            Some((_, line)) if line == END => lines.push(line.clone()),
            _ => bail!("{}: no {END} follows", place()),
        }
    }
    Ok(Page { name: page.name.clone(), lines })
}

/// The fenced block that shows what the next stage's main.rs has changed.
fn diff_of_main(workspace: &Path, before: &str, after: &str) -> Result<Vec<String>> {
    let names = [before, after].map(|stage| format!("{stage}/src/main.rs"));
    let [old, new] = &names.each_ref().map(|name| source(&workspace.join(name)));
    let (old, new) = match (old, new) {
        (Ok(old), Ok(new)) => (old, new),
        (Err(error), _) | (_, Err(error)) => bail!("{error:#}"),
    };
    let diff = TextDiff::from_lines(old, new)
        .unified_diff()
        .context_radius(3)
        .header(&names[0], &names[1])
        .to_string();
    let mut lines = vec!["```diff".to_owned()];
    lines.extend(diff.lines().map(|line| line.trim_end().to_owned()));
    lines.push("```".to_owned());
    Ok(lines)
}

/// A source file as the book shows it: without the lines that mark its anchors.
fn source(path: &Path) -> Result<String> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let shown = text.lines().filter(|line| !line.contains("ANCHOR"));
    Ok(shown.map(|line| format!("{line}\n")).collect())
}
