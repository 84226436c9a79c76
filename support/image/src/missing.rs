//! Images that are not here: which, and how they get here.

use crate::reference::Reference;
use nix::unistd::geteuid;
use std::collections::{BTreeSet, HashSet};
use std::path::Path;

/// The image that needs no pulling: the root directory of the first steps.
pub const BUILT_IN: &str = "busybox";

/// Where the book tells how images get into a room without internet.
pub const WITHOUT_INTERNET: &str = "book/src/instructors.md#a-room-without-internet";

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

/// That they were not pulled, and what else was, of the same repositories. `directory` is where
/// they should be, if it is not the one in which everybody looks.
pub fn what_is_missing(missing: &[Missing], directory: Option<&Path>) -> String {
    let names = names(missing);
    let verb = if names.len() == 1 { "was" } else { "were" };
    let place = match directory {
        Some(directory) => format!(" into {directory:?}"),
        // The machine's root has images of its own.
        None if geteuid().is_root() => " by root".to_owned(),
        None => String::new(),
    };
    let others: BTreeSet<_> = missing.iter().flat_map(Missing::others).collect();
    let only = others.iter().take(MAX_TOLD).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = match others.len().saturating_sub(MAX_TOLD) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let only = if only.is_empty() { only } else { format!(", only {only}{more}") };
    format!("{} {verb} not pulled{place}{only}", names.join(", "))
}

/// The command that brings all of them, ready to be copied.
pub fn pull_line(missing: &[Missing], directory: Option<&Path>) -> String {
    let pull = if geteuid().is_root() {
        "cargo root -q -p registry -- pull"
    } else {
        "cargo workshop pull"
    };
    let directory = directory.map_or_else(String::new, |directory| {
        format!(" --images {}", for_shell(&directory.to_string_lossy()))
    });
    format!("{pull}{directory} {}", names(missing).join(" "))
}

/// That `busybox` needs no pulling, if this is another one.
pub fn built_in(missing: &[Missing]) -> &'static str {
    let is_another = missing.iter().any(|it| it.reference.name() == BUILT_IN);
    if is_another { "; busybox without a tag is built in" } else { "" }
}

/// Each name once.
fn names(missing: &[Missing]) -> Vec<String> {
    let mut seen = HashSet::new();
    let names = missing.iter().map(|it| it.reference.to_string());
    names.filter(|name| seen.insert(name.clone())).collect()
}

impl Missing {
    /// The other images of the repository that are here, by their names: what is no name, nobody
    /// could type.
    fn others(&self) -> impl Iterator<Item = String> {
        self.others.iter().filter_map(|other| {
            let version = other.parse().ok()?;
            Some(Reference { version, ..self.reference.clone() }.to_string())
        })
    }
}

/// A word that a shell takes for what it is.
pub fn for_shell(word: &str) -> String {
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
        let told = |missing: &[Missing]| what_is_missing(missing, Some(Path::new("/i")));
        assert_eq!(told(&[missing("a", &[])]), r#"a:latest was not pulled into "/i""#);
        let digest = format!("sha256:{}", "0".repeat(64));
        let both = [missing("a", &["1", "x\n", &digest]), missing("b/c:2", &["3"])];
        let wanted = r#"a:latest, b/c:2 were not pulled into "/i", only "#;
        assert_eq!(told(&both), format!("{wanted}a:1, a@{digest}, b/c:3"));
        let tags: Vec<_> = (10..22).map(|tag| tag.to_string()).collect();
        let tags: Vec<_> = tags.iter().map(String::as_str).collect();
        let many = told(&[missing("a", &tags)]);
        assert!(many.ends_with("a:18, a:19, and 2 more"), "{many}");
        let twice = told(&[missing("a", &["1"]), missing("a", &["1"])]);
        assert_eq!(twice, r#"a:latest was not pulled into "/i", only a:1"#);
    }

    #[test]
    fn another_busybox_is_not_built_in() {
        assert_ne!(built_in(&[missing("a", &[]), missing("busybox:1", &[])]), "");
        assert_eq!(built_in(&[missing("a/busybox:1", &[])]), "");
    }
}
