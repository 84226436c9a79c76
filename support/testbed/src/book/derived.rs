//! What in a page is made from the sources: the diffs between the steps, the table of their shape.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use similar::TextDiff;

use super::page::Page;

/// A block stands between a line `<!-- diff v2-mountns v3-pidns -->`, or, if it is only about a
/// part of both files, with the name of an anchor (`ANCHOR: NAME`) as a third word,
const BEGIN: &str = "<!-- diff ";
/// or, if it is the table of the crates,
const SHAPE: &str = "<!-- shape -->";
/// and this one.
const END: &str = "<!-- end -->";

/// The page with every block made anew: the diffs from the sources below `workspace`.
pub fn with_fresh_blocks(page: &Page, workspace: &Path, shape: &[String]) -> Result<Page> {
    let mut lines = Vec::new();
    let mut old = page.lines.iter().enumerate();
    while let Some((index, line)) = old.next() {
        lines.push(line.clone());
        let place = || page.place(index);
        match Diff::asked_for(line).with_context(place)? {
            Some(diff) => lines.extend(diff.block(workspace).with_context(place)?),
            None if line == SHAPE => lines.extend_from_slice(shape),
            None => continue,
        }
        match old.find(|(_, line)| *line == END || *line == SHAPE || line.starts_with(BEGIN)) {
            Some((_, line)) if line == END => lines.push(line.clone()),
            _ => bail!("{}: no {END} follows", place()),
        }
    }
    Ok(Page { name: page.name.clone(), lines })
}

/// What a line of a page asks for.
#[derive(Debug)]
pub struct Diff<'a> {
    before: &'a str,
    after: &'a str,
    anchor: Option<&'a str>,
}

impl<'a> Diff<'a> {
    /// The diff that belongs below a line, if one does.
    pub fn asked_for(line: &'a str) -> Result<Option<Diff<'a>>> {
        let stages = line.strip_prefix(BEGIN).and_then(|line| line.strip_suffix(" -->"));
        let Some(stages) = stages else { return Ok(None) };
        let words: Vec<_> = stages.split(' ').collect();
        match words[..] {
            [before, after] => Ok(Some(Diff { before, after, anchor: None })),
            [before, after, anchor] => Ok(Some(Diff { before, after, anchor: Some(anchor) })),
            _ => bail!("write {BEGIN}STEP NEXT-STEP [ANCHOR] -->"),
        }
    }

    /// The anchors that it shows: file and name.
    pub fn anchors(&self) -> impl Iterator<Item = (String, &'a str)> {
        let names = self.names();
        self.anchor.into_iter().flat_map(move |anchor| names.clone().map(|name| (name, anchor)))
    }

    fn names(&self) -> [String; 2] {
        [self.before, self.after].map(|stage| format!("{stage}/src/main.rs"))
    }

    /// The fenced block that shows what the next step's main.rs has changed.
    fn block(&self, workspace: &Path) -> Result<Vec<String>> {
        let [before, after] = &self.names();
        let old = source(&workspace.join(before), self.anchor)?;
        let new = source(&workspace.join(after), self.anchor)?;
        let diff = TextDiff::from_lines(&old, &new)
            .unified_diff()
            .context_radius(3)
            .header(before, after)
            .to_string();
        let mut lines = vec!["```diff".to_owned()];
        lines.extend(diff.lines().map(|line| line.trim_end().to_owned()));
        lines.push("```".to_owned());
        Ok(lines)
    }
}

/// A source file as the book shows it: without the lines that mark its anchors, and of one anchor
/// only what stands in it.
fn source(path: &Path, anchor: Option<&str>) -> Result<String> {
    let name = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    let shown = match anchor {
        None => &text,
        Some(anchor) => between(&text, anchor)
            .with_context(|| format!("{name} has no anchor {anchor:?} that ends"))?,
    };
    let shown = shown.lines().filter(|line| !line.contains("ANCHOR"));
    Ok(shown.map(|line| format!("{line}\n")).collect())
}

fn between<'a>(text: &'a str, anchor: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("// ANCHOR: {anchor}\n"))?;
    let (inside, _) = rest.split_once(&format!("// ANCHOR_END: {anchor}\n"))?;
    Some(inside.trim_end_matches(' ')) // the mark may be indented
}
