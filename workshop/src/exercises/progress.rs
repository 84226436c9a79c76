//! What a learner has passed: a text file in the user's data directory, one line for each exercise.
//!
//! A line is an id and some words: `leaked-mount passed hints=2`. Lines that mean nothing to this
//! version stay as they are: an older checkout must not lose what a newer one has written.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context, Result};
use launcher::Caller;

use super::list::find;

const CURRENT: &str = "current";
const PASSED: &str = "passed";
const ASKED: &str = "asked-for-solution";
const HINTS: &str = "hints=";

/// The file, read.
#[derive(Debug, Default)]
pub(super) struct Progress {
    path: PathBuf,
    /// The words of each line; the first is the id.
    lines: Vec<Vec<String>>,
}

impl Progress {
    /// Reads it. Who has none yet has done nothing yet.
    pub(super) fn load() -> Result<Progress> {
        let path = Caller::of_this_process().data()?.join("progress");
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            result => result.with_context(|| format!("cannot read your progress in {path:?}"))?,
        };
        Ok(Progress { path, ..Progress::parse(&text) })
    }

    fn parse(text: &str) -> Progress {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let lines = text.lines().map(words).filter(|words| !words.is_empty()).collect();
        let mut progress = Progress { lines, ..Progress::default() };
        for line in &mut progress.lines {
            // An exercise that has been renamed.
            if let Ok(exercise) = find(&line[0]) {
                exercise.id.clone_into(&mut line[0]);
            }
        }
        progress
    }

    /// Writes it beside its place and renames: a full disk does not cost what was there.
    pub(super) fn save(&self) -> Result<()> {
        let new = self.path.with_extension("new");
        let directory = self.path.parent().context("the progress has no directory")?;
        fs::create_dir_all(directory)
            .and_then(|()| fs::write(&new, self.text()))
            .and_then(|()| fs::rename(&new, &self.path))
            .with_context(|| format!("cannot keep your progress in {:?}", self.path))
    }

    fn text(&self) -> String {
        self.lines.iter().map(|words| words.join(" ") + "\n").collect()
    }

    fn line(&self, id: &str) -> &[String] {
        self.lines.iter().find(|words| words[0] == id).map_or(&[], Vec::as_slice)
    }

    fn line_mut(&mut self, id: &str) -> &mut Vec<String> {
        let index = self.lines.iter().position(|words| words[0] == id).unwrap_or_else(|| {
            self.lines.push(vec![id.to_owned()]);
            self.lines.len() - 1
        });
        &mut self.lines[index]
    }

    /// In whatever line: who was told by root's check adds one at the end.
    fn has(&self, id: &str, word: &str) -> bool {
        let own = self.lines.iter().filter(|words| words[0] == id);
        own.flat_map(|words| &words[1..]).any(|own| own == word)
    }

    fn set(&mut self, id: &str, word: &str) {
        if !self.has(id, word) {
            self.line_mut(id).push(word.to_owned());
        }
    }

    pub(super) fn has_passed(&self, id: &str) -> bool {
        self.has(id, PASSED)
    }

    pub(super) fn set_passed(&mut self, id: &str) {
        self.set(id, PASSED);
    }

    pub(super) fn has_asked_for_solution(&self, id: &str) -> bool {
        self.has(id, ASKED)
    }

    pub(super) fn set_asked_for_solution(&mut self, id: &str) {
        self.set(id, ASKED);
    }

    /// The exercise that was begun last.
    pub(super) fn current(&self) -> Option<&str> {
        self.line(CURRENT).get(1).map(String::as_str)
    }

    pub(super) fn set_current(&mut self, id: &str) {
        *self.line_mut(CURRENT) = vec![CURRENT.to_owned(), id.to_owned()];
    }

    /// Counts one more hint, at most `all` of them, and tells how many that makes.
    pub(super) fn count_hint(&mut self, id: &str, all: usize) -> usize {
        let count = self.line(id).iter().find_map(|word| word.strip_prefix(HINTS)?.parse().ok());
        let count = (count.unwrap_or(0) + 1).min(all);
        let line = self.line_mut(id);
        line.retain(|word| !word.starts_with(HINTS));
        line.push(format!("{HINTS}{count}"));
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut progress = Progress::default();
        progress.set_current("old-root");
        progress.set_passed("old-root");
        progress.set_passed("old-root");
        assert_eq!(progress.count_hint("zombies", 3), 1);
        assert_eq!(progress.count_hint("zombies", 3), 2);
        let text = "current old-root\nold-root passed\nzombies hints=2\n";
        assert_eq!(progress.text(), text);
        let read = Progress::parse(text);
        assert!(read.has_passed("old-root") && !read.has_passed("zombies"));
        assert_eq!(read.current(), Some("old-root"));
    }

    #[test]
    fn a_line_that_was_added_by_hand_counts() {
        let progress = Progress::parse("pids-limit hints=1\npids-limit passed\n");
        assert!(progress.has_passed("pids-limit"));
    }

    #[test]
    fn hints_end_with_the_last() {
        let mut progress = Progress::parse("zombies hints=3");
        assert_eq!(progress.count_hint("zombies", 3), 3);
    }

    #[test]
    fn a_line_that_means_nothing_yet_stays() {
        let mut progress = Progress::parse("of-a-newer-version passed stars=5\n\n");
        progress.set_passed("zombies");
        assert_eq!(progress.text(), "of-a-newer-version passed stars=5\nzombies passed\n");
    }
}
