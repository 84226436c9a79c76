//! Images that are not here: which, and how they get here.

use crate::reference::Reference;
use nix::unistd::geteuid;
use std::fmt;
use std::path::Path;

/// The image that needs no pulling: the root directory of the first steps.
pub const BUILT_IN: &str = "busybox";

/// Where the book tells how images get into a room without internet.
const WITHOUT_INTERNET: &str = "book/src/instructors.md#a-room-without-internet";

/// As many names are told in an error.
const MAX_TOLD: usize = 10;

/// An image that was not pulled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What it is called.
    pub reference: Reference,
    /// What else is here of its repository, by what the index calls it.
    pub others: Vec<String>,
}

/// The command that brings all of them, ready to be copied: into a `directory`, if it is not the
/// one in which everybody looks.
pub fn pull_line(missing: &[Missing], directory: Option<&Path>) -> String {
    // The machine's root has images of its own.
    let pull =
        if geteuid().is_root() { "cargo root -p registry -- pull" } else { "cargo workshop pull" };
    let mut line = pull.to_owned();
    if let Some(directory) = directory {
        line += &format!(" --images {}", for_shell(&directory.to_string_lossy()));
    }
    let mut names: Vec<String> = Vec::new();
    for it in missing {
        let name = it.reference.to_string();
        if !names.contains(&name) {
            line += &format!(" {name}");
            names.push(name);
        }
    }
    line
}

/// What to do about them, without the brackets.
pub fn how_to_get(missing: &[Missing], directory: Option<&Path>) -> String {
    let is_built_in = |it: &Missing| it.reference.name() == BUILT_IN;
    let built_in = if missing.iter().any(is_built_in) {
        format!("; {BUILT_IN} without a tag is built in")
    } else {
        String::new()
    };
    let pull = pull_line(missing, directory);
    format!("{pull}; without internet: {WITHOUT_INTERNET}{built_in}")
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Missing { reference, others } = self;
        write!(f, "{reference}")?;
        if others.is_empty() {
            return Ok(());
        }
        let told = others.iter().take(MAX_TOLD).map(|name| format!("{name:?}"));
        let told = told.collect::<Vec<_>>().join(", ");
        write!(f, " (of {} there is only {told}", reference.name())?;
        match others.len().saturating_sub(MAX_TOLD) {
            0 => f.write_str(")"),
            more => write!(f, ", and {more} more)"),
        }
    }
}

/// A word that a shell takes for what it is.
fn for_shell(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@=".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(name: &str, others: &[&str]) -> Missing {
        let others = others.iter().map(|&name| name.to_owned()).collect();
        Missing { reference: name.parse().unwrap(), others }
    }

    #[test]
    fn one_line_brings_all_of_them_each_once() {
        let images = ["a", "b:2", "docker.io/library/a:latest"].map(|name| missing(name, &[]));
        let line = pull_line(&images, None);
        assert!(line.ends_with(" pull a:latest b:2"), "{line}");
        let line = pull_line(&images, Some(Path::new("/media/a 'stick'")));
        let end = r" pull --images '/media/a '\''stick'\''' a:latest b:2";
        assert!(line.ends_with(end), "{line}");
    }

    #[test]
    fn what_else_is_here_is_told() {
        assert_eq!(missing("a", &[]).to_string(), "a:latest");
        let others = missing("a", &["1", "x\n"]).to_string();
        assert_eq!(others, r#"a:latest (of a there is only "1", "x\n")"#);
        let many = missing("a", &["1"; 12]).to_string();
        assert!(many.ends_with(r#""1", and 2 more)"#), "{many}");
        let how = |name| how_to_get(&[missing(name, &[])], None);
        assert!(how("busybox:1").ends_with("; busybox without a tag is built in"));
        assert!(!how("a/busybox:1").contains("built in"));
    }
}
