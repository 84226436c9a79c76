//! What a page types and what it says comes out: the parser of the console blocks, and the
//! comparison of expected and actual lines.

use std::ops::Range;

use anyhow::{Result, bail};

use super::page::{Fence, Page};
use crate::terminal::Key;

/// What stands for any text within a line.
pub const ANYTHING: &str = "[..]";

/// A block with this word asks a registry.
pub const REGISTRY: &str = "registry";

/// Whose shell a line is typed into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identity {
    /// The ordinary user, at `$ `.
    User,
    /// The host's root, at `# `.
    Root,
}

/// One of the shells of a page: which terminal, and who sits at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShellId {
    /// It belongs to the second terminal.
    pub second: bool,
    /// Who sits at it.
    pub identity: Identity,
}

/// What is typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A line at the shell's own prompt.
    Line(String),
    /// A line at the prompt of a container, such as `/ # `.
    Inside {
        /// The prompt, with its space.
        prompt: String,
        /// The line.
        line: String,
    },
    /// A key such as `^C`.
    Key(Key),
    /// Nothing: the block begins with output, of what runs in the terminal since an earlier block.
    Nothing,
}

/// Something typed, and what is printed after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The index of the line that is typed.
    pub line: usize,
    /// Where it is typed.
    pub shell: ShellId,
    /// What is typed.
    pub input: Input,
    /// The indices of the lines that are to come out.
    pub output: Range<usize>,
    /// Another terminal has its turn before this one is used again.
    pub turns_away: bool,
}

/// All that a page types.
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    /// In the order of the page.
    pub entries: Vec<Entry>,
    /// How many blocks were left out because root types in them, or for want of a range of ids or
    /// of a registry.
    pub left_out: usize,
    /// How many blocks are marked `not-run`.
    pub not_run: usize,
}

/// What the machine lets a page do.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// Root can type.
    pub has_root: bool,
    /// The ordinary user has a range of ids for its containers: else blocks marked `range` are left
    /// out.
    pub has_range: bool,
    /// There is a registry at localhost:5000: else blocks marked `registry` are left out.
    pub has_registry: bool,
    /// All cgroups are version 2: blocks marked `v2` are typed, else those marked `v1`.
    pub is_unified: bool,
    /// What of the book is typed on it, and how often.
    pub reading: Reading,
}

/// How a page is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Alone, on a machine made for it.
    Alone,
    /// As one of all pages in their order: blocks marked `in-order` are typed as well.
    InOrder,
    /// The same once more, on the same machine: blocks marked `once` are not typed again.
    Again,
}

impl Transcript {
    /// Read the console blocks of a page that this machine can run.
    pub fn of(page: &Page, machine: Machine) -> Result<Transcript> {
        const WORDS: [&str; 8] =
            ["second", "not-run", "in-order", "once", "range", REGISTRY, "v1", "v2"];
        let other_kind = if machine.is_unified { "v1" } else { "v2" };
        let mut transcript = Transcript::default();
        // Who used each of the two terminals last: there the lines of a container go.
        let mut last = [Identity::User; 2];
        for fence in page.fences()?.iter().filter(|fence| fence.language() == "console") {
            if let Some(word) = fence.words().skip(1).find(|word| !WORDS.contains(word)) {
                bail!("{}: unknown word {word:?}", page.place(fence.opening));
            }
            if fence.is("not-run") {
                require_reason(page, fence)?;
                transcript.not_run += 1;
                continue;
            }
            let is_elsewhere = fence.is("in-order") && machine.reading == Reading::Alone;
            let was_typed = fence.is("once") && machine.reading == Reading::Again;
            if fence.is(other_kind) || is_elsewhere || was_typed {
                continue;
            }
            let entries = entries_of(page, fence, &mut last)?;
            let is_roots = entries.iter().any(|entry| entry.shell.identity == Identity::Root);
            let is_lacking = is_roots && !machine.has_root
                || fence.is("range") && !machine.has_range
                || fence.is(REGISTRY) && !machine.has_registry;
            if is_lacking {
                transcript.left_out += 1;
                continue;
            }
            transcript.entries.extend(entries);
        }
        transcript.note_turns();
        Ok(transcript)
    }

    /// Find the entries after which another shell has its turn.
    fn note_turns(&mut self) {
        for index in 1..self.entries.len() {
            self.entries[index - 1].turns_away =
                self.entries[index - 1].shell != self.entries[index].shell;
        }
    }

    /// What is typed into the same shell after entry `index`.
    pub fn next_in_shell(&self, index: usize) -> Option<&Entry> {
        let shell = self.entries[index].shell;
        self.entries[index + 1..].iter().find(|entry| entry.shell == shell)
    }
}

/// A block that is not run has the reason on the line above it.
fn require_reason(page: &Page, fence: &Fence) -> Result<()> {
    let above = fence.opening.checked_sub(1).map(|index| page.lines[index].as_str());
    let reason = above
        .and_then(|line| line.strip_prefix("<!-- not run: "))
        .and_then(|line| line.strip_suffix(" -->"));
    match reason {
        Some(reason) if !reason.trim().is_empty() => Ok(()),
        _ => {
            bail!("{}: write <!-- not run: REASON --> on the line above", page.place(fence.opening))
        }
    }
}

/// The entries of one block.
fn entries_of(page: &Page, fence: &Fence, last: &mut [Identity; 2]) -> Result<Vec<Entry>> {
    let second = fence.is("second");
    let current = &mut last[usize::from(second)];
    let mut entries: Vec<Entry> = Vec::new();
    for index in fence.content.clone() {
        let line = page.lines[index].as_str();
        if let Some((identity, input)) = input_of(line) {
            *current = identity.unwrap_or(*current);
            let shell = ShellId { second, identity: *current };
            let output = index + 1..index + 1;
            entries.push(Entry { line: index, shell, input, output, turns_away: false });
            continue;
        }
        if line.trim() == ANYTHING {
            bail!("{}: a line with nothing but {ANYTHING} proves nothing", page.place(index));
        }
        match entries.last_mut() {
            Some(entry) => entry.output.end = index + 1,
            None => entries.push(Entry {
                line: index,
                shell: ShellId { second, identity: *current },
                input: Input::Nothing,
                output: index..index + 1,
                turns_away: false,
            }),
        }
    }
    Ok(entries)
}

/// What a line types, if it types something, and whose prompt it has, if it is a host's.
fn input_of(line: &str) -> Option<(Option<Identity>, Input)> {
    let key = match line {
        "^C" => Some(Key::CtrlC),
        "^D" => Some(Key::CtrlD),
        "^Z" => Some(Key::CtrlZ),
        "^\\" => Some(Key::CtrlBackslash),
        _ => None,
    };
    if let Some(key) = key {
        return Some((None, Input::Key(key)));
    }
    if let Some(typed) = line.strip_prefix("$ ") {
        return Some((Some(Identity::User), Input::Line(typed.to_owned())));
    }
    if let Some(typed) = line.strip_prefix("# ") {
        return Some((Some(Identity::Root), Input::Line(typed.to_owned())));
    }
    let prompt = container_prompt(line)?;
    let typed = line[prompt..].to_owned();
    Some((None, Input::Inside { prompt: line[..prompt].to_owned(), line: typed }))
}

/// The length of the prompt of a container's shell at the start of `line`: the working directory,
/// a space, `#` or `$`, a space.
pub fn container_prompt(line: &str) -> Option<usize> {
    if !line.starts_with(['/', '~']) {
        return None;
    }
    let end = line.find(' ')?;
    let sign = line[end..].get(..3)?;
    (sign == " # " || sign == " $ ").then_some(end + 3)
}

/// Whether `actual` is what `expected` says, where `[..]` stands for anything.
pub fn matches(expected: &str, actual: &str) -> bool {
    let (expected, actual) = (expected.trim_end(), actual.trim_end());
    let Some((head, tail)) = expected.rsplit_once(ANYTHING) else {
        return expected == actual;
    };
    let mut rest = actual;
    for (index, part) in head.split(ANYTHING).enumerate() {
        match rest.find(part) {
            Some(0) => rest = &rest[part.len()..],
            // Only the first part has to be at the start.
            Some(at) if index > 0 => rest = &rest[at + part.len()..],
            _ => return false,
        }
    }
    rest.ends_with(tail)
}

/// A line of the comparison of what was expected with what came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared<'a> {
    /// This expected line matches a line that came.
    Same(&'a str),
    /// Expected, did not come.
    Missing(&'a str),
    /// Came, was not expected.
    New(&'a str),
}

/// Compare line by line: as many expected lines as possible find one that came.
pub fn compare<'a>(expected: &'a [String], actual: &'a [String]) -> Vec<Compared<'a>> {
    // best[i][j]: how many pairs there are at most in expected[i..] and actual[j..].
    let mut best = vec![vec![0_usize; actual.len() + 1]; expected.len() + 1];
    for i in (0..expected.len()).rev() {
        for j in (0..actual.len()).rev() {
            best[i][j] = if matches(&expected[i], &actual[j]) {
                best[i + 1][j + 1] + 1
            } else {
                best[i + 1][j].max(best[i][j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut result = Vec::new();
    while i < expected.len() || j < actual.len() {
        let both = i < expected.len() && j < actual.len();
        if both && matches(&expected[i], &actual[j]) {
            result.push(Compared::Same(&expected[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == actual.len() || both && best[i + 1][j] >= best[i][j + 1] {
            result.push(Compared::Missing(&expected[i]));
            i += 1;
        } else {
            result.push(Compared::New(&actual[j]));
            j += 1;
        }
    }
    result
}

/// Whether everything that was expected came, and nothing else.
pub fn is_same(comparison: &[Compared]) -> bool {
    comparison.iter().all(|line| matches!(line, Compared::Same(_)))
}

/// What the page should say: the lines that came, with `[..]` where the page's line still holds.
pub fn blessed(comparison: &[Compared]) -> Vec<String> {
    let kept = |line: &Compared| match line {
        Compared::Same(line) | Compared::New(line) => Some((*line).to_owned()),
        Compared::Missing(_) => None,
    };
    comparison.iter().filter_map(kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
```console
$ v3-pidns
/ # echo a
a
/tmp # exit
```
```console second
$ ps
x [..]
# id
```
```console
late output
^C
```
<!-- not run: it needs the network -->
```console,not-run
$ git clone
```
";

    const MACHINE: Machine = Machine {
        has_root: true,
        has_range: true,
        has_registry: true,
        is_unified: true,
        reading: Reading::Alone,
    };

    #[test]
    fn leaves_out_the_blocks_of_the_other_kind_of_cgroups() {
        let page = Page::new("p", "```console,v2\n$ a\n```\n```console,v1\n$ b\n```\n");
        let typed = |is_unified| {
            let transcript = Transcript::of(&page, Machine { is_unified, ..MACHINE }).unwrap();
            transcript.entries.into_iter().map(|entry| entry.line).collect::<Vec<_>>()
        };
        assert_eq!(typed(true), [1]);
        assert_eq!(typed(false), [4]);
    }

    #[test]
    fn reads_what_is_typed_and_where() {
        let transcript = Transcript::of(&Page::new("p", PAGE), MACHINE).unwrap();
        let short: Vec<_> = transcript
            .entries
            .iter()
            .map(|e| (e.line, e.shell.second, e.shell.identity, e.output.len(), e.turns_away))
            .collect();
        assert_eq!(
            short,
            [
                (1, false, Identity::User, 0, false),
                (2, false, Identity::User, 1, false),
                (4, false, Identity::User, 0, true),
                (7, true, Identity::User, 1, true),
                (9, true, Identity::Root, 0, true),
                (12, false, Identity::User, 1, false),
                (13, false, Identity::User, 0, false),
            ]
        );
        assert_eq!(transcript.entries[0].input, Input::Line("v3-pidns".to_owned()));
        let inside = Input::Inside { prompt: "/tmp # ".to_owned(), line: "exit".to_owned() };
        assert_eq!(transcript.entries[2].input, inside);
        assert_eq!(transcript.entries[5].input, Input::Nothing);
        assert_eq!(transcript.entries[6].input, Input::Key(Key::CtrlC));
        assert_eq!(transcript.not_run, 1);
        assert_eq!(transcript.next_in_shell(2).unwrap().line, 12);
    }

    #[test]
    fn leaves_out_the_left_out() {
        let transcript =
            Transcript::of(&Page::new("p", PAGE), Machine { has_root: false, ..MACHINE }).unwrap();
        assert_eq!(transcript.left_out, 1);
        assert_eq!(transcript.entries.len(), 5);
    }

    #[test]
    fn leaves_out_what_wants_a_range_of_ids_where_there_is_none() {
        let page = Page::new("p", "```console,range\n$ a\n```\n```console\n$ b\n```\n");
        let typed = |has_range| {
            let transcript = Transcript::of(&page, Machine { has_range, ..MACHINE }).unwrap();
            (transcript.entries.len(), transcript.left_out)
        };
        assert_eq!(typed(true), (2, 0));
        assert_eq!(typed(false), (1, 1));
    }

    #[test]
    fn leaves_out_what_asks_a_registry_where_there_is_none() {
        let page = Page::new("p", "```console,registry\n$ a\n```\n```console\n$ b\n```\n");
        let typed = |has_registry| {
            let transcript = Transcript::of(&page, Machine { has_registry, ..MACHINE }).unwrap();
            (transcript.entries.len(), transcript.left_out)
        };
        assert_eq!(typed(true), (2, 0));
        assert_eq!(typed(false), (1, 1));
    }

    #[test]
    fn a_container_of_root_is_left_out_to_its_end() {
        let page =
            "```console\n# v5-netns\n```\n```console\n/ # exit\n```\n```console\n$ ps\n```\n";
        let transcript =
            Transcript::of(&Page::new("p", page), Machine { has_root: false, ..MACHINE }).unwrap();
        assert_eq!(transcript.left_out, 2);
        assert_eq!(transcript.entries.len(), 1);
    }

    #[test]
    fn refuses_a_line_that_proves_nothing() {
        let page = Page::new("p", "```console\n$ ps\n[..]\n```\n");
        let error = Transcript::of(&page, MACHINE).unwrap_err().to_string();
        assert_eq!(error, "book/src/p:3: a line with nothing but [..] proves nothing");
    }

    #[test]
    fn refuses_a_block_that_is_not_run_without_a_reason() {
        let page = Page::new("p", "```console,not-run\n$ ps\n```\n");
        assert!(
            Transcript::of(&page, MACHINE).unwrap_err().to_string().contains("on the line above")
        );
    }

    #[test]
    fn two_dots_stand_for_anything() {
        assert!(matches("a [..] c [..]", "a b c d"));
        assert!(matches("[..]b", "b"));
        assert!(!matches("a[..]a", "a"));
        assert!(!matches("a [..] c", "a b d"));
        assert!(!matches("a", "ab"));
        assert!(matches("a[..]b[..]b", "a b b"));
        assert!(!matches("a[..]b[..]b", "a b"));
    }

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn blessing_keeps_what_still_holds() {
        let (expected, actual) = (lines("pid [..]\nold\nend"), lines("pid 7\nnew\nend\nmore"));
        let comparison = compare(&expected, &actual);
        assert!(!is_same(&comparison));
        assert_eq!(blessed(&comparison), ["pid [..]", "new", "end", "more"]);
    }
}
