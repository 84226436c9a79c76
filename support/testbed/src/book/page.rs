//! The pages of the book, and the fenced blocks in them.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// One page, as it is on disk.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its path below book/src.
    pub name: String,
    /// Its lines, without their ends.
    pub lines: Vec<String>,
}

/// A fenced block of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// What stands behind the opening ```` ``` ````.
    pub info: String,
    /// The index of the opening line.
    pub opening: usize,
    /// The indices of the lines between the fences.
    pub content: Range<usize>,
}

impl Fence {
    /// The words of the info string: ```` ```console,second ```` has two.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.info.split([',', ' ']).filter(|word| !word.is_empty())
    }

    /// The language: the first word.
    pub fn language(&self) -> &str {
        self.words().next().unwrap_or_default()
    }

    /// Whether the info string has this word.
    pub fn is(&self, word: &str) -> bool {
        self.words().any(|own| own == word)
    }
}

impl Page {
    /// The pages below `directory`, in the order of their names.
    pub fn read_all(directory: &Path) -> Result<Vec<Page>> {
        let mut pages = Vec::new();
        for path in markdown_below(directory)? {
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let name = path.strip_prefix(directory)?.to_string_lossy().into_owned();
            pages.push(Page::new(&name, &text));
        }
        Ok(pages)
    }

    /// A page from its text.
    pub fn new(name: &str, text: &str) -> Page {
        Page { name: name.to_owned(), lines: text.lines().map(str::to_owned).collect() }
    }

    /// The text to write back.
    pub fn text(&self) -> String {
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }

    /// `NAME:LINE` for messages, as an editor understands it.
    pub fn place(&self, index: usize) -> String {
        format!("book/src/{}:{}", self.name, index + 1)
    }

    /// The fenced blocks, from top to bottom.
    pub fn fences(&self) -> Result<Vec<Fence>> {
        let mut fences = Vec::new();
        let mut open: Option<(usize, &str, &str)> = None;
        for (index, line) in self.lines.iter().enumerate() {
            let text = line.trim_start();
            let Some((ticks, info)) = fence_of(text) else {
                continue;
            };
            match open {
                None => {
                    if line.len() != text.len() {
                        bail!("{}: a fenced block starts in the first column", self.place(index));
                    }
                    open = Some((index, ticks, info));
                }
                Some((opening, opening_ticks, info)) if text.trim_end() == opening_ticks => {
                    let content = opening + 1..index;
                    fences.push(Fence { info: info.to_owned(), opening, content });
                    open = None;
                }
                Some(_) => {}
            }
        }
        match open {
            Some((index, ..)) => bail!("{}: this block is never closed", self.place(index)),
            None => Ok(fences),
        }
    }
}

/// The backticks and the info string of a line that opens or closes a block.
fn fence_of(line: &str) -> Option<(&str, &str)> {
    let info = line.trim_start_matches('`');
    let ticks = &line[..line.len() - info.len()];
    (ticks.len() >= 3 && !info.contains('`')).then_some((ticks, info.trim()))
}

fn markdown_below(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(markdown_below(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_blocks() {
        let page = Page::new("p", "a\n```console,second\n$ x\n```\n````text\n```\n````\n");
        let fences = page.fences().unwrap();
        assert_eq!(fences.len(), 2);
        assert_eq!((fences[0].language(), fences[0].is("second")), ("console", true));
        assert_eq!(fences[0].content, 2..3);
        assert_eq!(fences[1].content, 5..6);
        assert_eq!(page.text(), "a\n```console,second\n$ x\n```\n````text\n```\n````\n");
    }

    #[test]
    fn a_block_that_is_not_closed_is_an_error() {
        let error = Page::new("p", "a\n```console\n$ x\n").fences().unwrap_err();
        assert_eq!(error.to_string(), "book/src/p:2: this block is never closed");
    }
}
