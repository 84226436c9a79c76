//! The shells that the lines of a page are typed into.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::page::Page;
use super::transcript::{Entry, Input, ShellId, Transcript, container_prompt};
use crate::pace::slowed;
use crate::terminal::{Key, LIMIT, Terminal};

/// The shell waits for a command. The prompts of the host's shells begin with a character that no
/// program prints, so that the end of a command's output is known for certain.
pub const READY: &str = "\u{1e}$ ";
/// The shell waits for the rest of a command.
const MORE: &str = "\u{1e}> ";
/// Typed first. Without `echoctl` the terminal prints a key as it is, not as `^C`.
pub const SET_UP: &str =
    "set +o emacs; PS1=$'\\x1e$ ' PS2=$'\\x1e> '; stty -echoctl; unset HISTFILE";

/// What compiles, fetches, or removes a whole system may take longer than the usual limit, and how
/// long.
const SLOW: [&str; 4] = ["cargo ", "mmdebstrap ", "apt-get ", "--map-auto rm "];
const SLOW_LIMIT: Duration = Duration::from_secs(300);

/// A container's prompt has no mark; it is one if nothing follows it for so long,
const PROMPT_PAUSE: Duration = Duration::from_millis(100);
/// or for so long where the page expects something else.
const UNEXPECTED_PROMPT_PAUSE: Duration = Duration::from_secs(2);
/// A program that stays in the foreground has started when it is quiet for so long.
const START_PAUSE: Duration = Duration::from_secs(1);
/// Between two keys.
const KEY_PAUSE: Duration = Duration::from_millis(300);

/// Where a shell stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Prompt {
    /// It waits for a command.
    Ready,
    /// A container runs in it and waits with this prompt.
    Inside(String),
    /// A command runs in it.
    Busy,
}

/// A shell on a terminal of its own.
struct Shell {
    terminal: Terminal,
    place: Prompt,
    /// What runs in it, for messages.
    typed: String,
}

/// All shells of a page. One is started when it is first typed into.
pub struct Session<'a> {
    page: &'a Page,
    transcript: &'a Transcript,
    start: &'a dyn Fn(ShellId) -> Result<Terminal>,
    shells: BTreeMap<ShellId, Shell>,
}

impl<'a> Session<'a> {
    /// A session that gets its shells from `start`: an interactive bash without start-up files.
    pub fn new(
        page: &'a Page,
        transcript: &'a Transcript,
        start: &'a dyn Fn(ShellId) -> Result<Terminal>,
    ) -> Self {
        Session { page, transcript, start, shells: BTreeMap::new() }
    }

    /// Type entry `index`; the lines that came out.
    pub fn run(&mut self, index: usize) -> Result<Vec<String>> {
        let entry = &self.transcript.entries[index];
        let shell = match self.shells.entry(entry.shell) {
            std::collections::btree_map::Entry::Occupied(shell) => shell.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(Shell::start((self.start)(entry.shell)?)?)
            }
        };
        let outcome = Outcome::after(self.transcript, index);
        let output = &self.page.lines[entry.output.clone()];
        shell.run(entry, output, &outcome)
    }

    /// Check that nothing runs any more in any of the shells, and that each is in `directory`, if
    /// one is given: there the next page begins to type.
    pub fn end(mut self, directory: Option<&str>) -> Result<()> {
        for shell in self.shells.values_mut() {
            if shell.place != Prompt::Ready {
                bail!("the page ends while `{}` runs: end it with `exit` or ^C", shell.typed);
            }
            let Some(directory) = directory else { continue };
            let stands = shell.working_directory()?;
            if stands != directory {
                bail!("the page leaves a terminal in {stands}: type `cd -`");
            }
        }
        Ok(())
    }
}

/// What the page lets a shell do after an entry.
struct Outcome {
    /// The page goes on at a container's prompt.
    inside: bool,
    /// How long the command must be quiet to count as started, if it may stay in the foreground.
    stays: Option<Duration>,
}

impl Outcome {
    fn after(transcript: &Transcript, index: usize) -> Outcome {
        let entry = &transcript.entries[index];
        let next = transcript.next_in_shell(index);
        let inside = matches!(next, Some(Entry { input: Input::Inside { .. }, .. }));
        let is_key = matches!(entry.input, Input::Key(_));
        let stays = match next.map(|next| &next.input) {
            Some(Input::Key(_)) if is_key => Some(slowed(KEY_PAUSE)),
            Some(Input::Key(_) | Input::Nothing) => Some(slowed(START_PAUSE)),
            Some(_) if entry.turns_away => Some(slowed(START_PAUSE)),
            _ => None,
        };
        Outcome { inside, stays }
    }
}

impl Shell {
    fn start(mut terminal: Terminal) -> Result<Shell> {
        terminal.set_limit(slowed(LIMIT));
        terminal.type_line(SET_UP)?;
        terminal.read_until(READY).context("bash does not start")?;
        Ok(Shell { terminal, place: Prompt::Ready, typed: "bash".to_owned() })
    }

    fn run(&mut self, entry: &Entry, output: &[String], outcome: &Outcome) -> Result<Vec<String>> {
        match &entry.input {
            Input::Line(line) => {
                self.come_back()?;
                self.require(&Prompt::Ready)?;
                self.typed = line.clone();
                self.type_line(line)?;
            }
            Input::Inside { prompt, line } => {
                self.require(&Prompt::Inside(prompt.clone()))?;
                self.type_line(line)?;
            }
            Input::Key(key) => self.terminal.press(*key)?,
            Input::Nothing => {}
        }
        let echo = match &entry.input {
            Input::Line(line) | Input::Inside { line, .. } => Some(line.as_str()),
            Input::Key(_) | Input::Nothing => None,
        };
        let mut lines = self.wait(output, echo, outcome)?;
        drop_greeting(&mut lines);
        lines.retain(|line| !is_progress(line));
        if let Input::Key(key) = entry.input {
            drop_echo(key, &mut lines);
        }
        Ok(lines)
    }

    fn working_directory(&mut self) -> Result<String> {
        self.type_line("pwd")?;
        let outcome = Outcome { inside: false, stays: None };
        Ok(self.wait(&[], Some("pwd"), &outcome)?.join("\n"))
    }

    /// Type a line, if nothing was printed since the prompt.
    fn type_line(&mut self, line: &str) -> Result<()> {
        self.terminal.read_some(Duration::ZERO)?;
        let printed = plain(&String::from_utf8_lossy(self.terminal.pending()));
        if !printed.is_empty() {
            bail!("before it was typed, this was printed: {printed:?}");
        }
        self.terminal.take_pending();
        self.terminal.type_line(line)
    }

    /// A command that was left alone while another terminal had its turn has ended by now, and
    /// has said nothing that the page does not show.
    fn come_back(&mut self) -> Result<()> {
        if self.place != Prompt::Busy {
            return Ok(());
        }
        let outcome = Outcome { inside: false, stays: None };
        let typed = self.typed.clone();
        let lines = self
            .wait(&[], None, &outcome)
            .with_context(|| format!("`{typed}` still runs in this terminal"))?;
        if lines.iter().any(|line| !line.is_empty()) {
            bail!("`{}` printed in the meantime: {lines:?}", self.typed);
        }
        Ok(())
    }

    fn require(&self, place: &Prompt) -> Result<()> {
        if self.place == *place {
            return Ok(());
        }
        let name = |place: &Prompt| match place {
            Prompt::Ready => "the host's prompt".to_owned(),
            Prompt::Inside(prompt) => format!("a container's prompt {prompt:?}"),
            Prompt::Busy => format!("no prompt, `{}` is running", self.typed),
        };
        bail!("the page types at {}, the terminal has {}", name(place), name(&self.place));
    }

    /// Read until the command has ended, a container's prompt stands there, or the command has
    /// settled in the foreground. The lines that came, without what was typed.
    fn wait<'a>(
        &mut self,
        output: &'a [String],
        mut echo: Option<&'a str>,
        outcome: &Outcome,
    ) -> Result<Vec<String>> {
        let limit = self.limit();
        let deadline = Instant::now() + limit;
        let mut quiet_since = Instant::now();
        let mut rest_of_command = output.iter().take_while(|line| line.starts_with("> "));
        let mut continued = 0;
        loop {
            let printed = String::from_utf8_lossy(self.terminal.pending()).into_owned();
            let quiet = quiet_since.elapsed();
            let after_echo = match echo {
                Some(typed) => after_echo(&printed, typed),
                None => Some(&*printed),
            };
            let state = after_echo.and_then(|text| self.state(text, quiet, output, outcome));
            match state {
                Some(State::More) => {
                    let Some(line) = rest_of_command.next() else {
                        bail!("the shell wants more: write the rest of the command behind `> `");
                    };
                    self.terminal.take_pending();
                    echo = Some(&line["> ".len()..]);
                    self.terminal.type_line(&line["> ".len()..])?;
                    continued += 1;
                    quiet_since = Instant::now();
                    continue;
                }
                Some(State::At(place, lines)) => {
                    self.place = place;
                    self.terminal.take_pending();
                    let typed = output[..continued].iter().cloned();
                    return Ok(typed.chain(lines).collect());
                }
                None => {}
            }
            if self.terminal.has_ended() {
                bail!("the shell has ended; it printed:\n{}", plain(&printed).join("\n"));
            }
            if Instant::now() > deadline {
                let seconds = limit.as_secs();
                bail!("no prompt within {seconds} s; it printed:\n{}", plain(&printed).join("\n"));
            }
            if self.terminal.read_some(Duration::from_millis(20))? {
                quiet_since = Instant::now();
            }
        }
    }

    fn limit(&self) -> Duration {
        let is_slow = SLOW.iter().any(|word| self.typed.contains(word));
        slowed(if is_slow { SLOW_LIMIT } else { LIMIT })
    }

    /// What the shell has come to, as far as one can tell.
    fn state(
        &self,
        printed: &str,
        quiet: Duration,
        output: &[String],
        outcome: &Outcome,
    ) -> Option<State> {
        if let Some(text) = printed.strip_suffix(READY) {
            return Some(State::At(Prompt::Ready, plain(text)));
        }
        if printed.ends_with(MORE) {
            return Some(State::More);
        }
        let mut lines = plain(printed);
        let last = lines.last().map_or("", String::as_str);
        let pause = if outcome.inside { PROMPT_PAUSE } else { UNEXPECTED_PROMPT_PAUSE };
        let pause = slowed(pause);
        if container_prompt(last) == Some(last.len()) && quiet > pause {
            let prompt = lines.pop()?;
            return Some(State::At(Prompt::Inside(prompt), lines));
        }
        let wants_more = output.first().is_some_and(|line| line.starts_with("> "));
        if last == "> " && wants_more && quiet > slowed(PROMPT_PAUSE) {
            return Some(State::More);
        }
        let enough = lines.iter().filter(|line| !line.is_empty()).count() >= output.len();
        if outcome.stays.is_some_and(|pause| quiet > pause && enough) {
            return Some(State::At(Prompt::Busy, lines));
        }
        None
    }
}

/// What follows the line that was typed: the terminal prints it first. A shell with a line editor
/// of its own, as busybox's, breaks a long one with more than a line's end.
fn after_echo<'a>(printed: &'a str, typed: &str) -> Option<&'a str> {
    let mut rest = printed;
    for character in typed.chars() {
        rest = &rest[rest.find(character)? + character.len_utf8()..];
    }
    rest.split_once('\n').map(|(_, rest)| rest)
}

enum State {
    /// It wants the rest of the command.
    More,
    /// It has come to a place and printed these lines.
    At(Prompt, Vec<String>),
}

/// Leave out the lines with which some builds of busybox's shell begin, and the empty ones around.
fn drop_greeting(lines: &mut Vec<String>) {
    let Some(first) = lines.iter().position(|line| line.starts_with("BusyBox v")) else { return };
    if !lines[first].ends_with("built-in shell (ash)") {
        return;
    }
    let start = lines[..first].iter().rposition(|line| !line.is_empty()).map_or(0, |it| it + 1);
    let rest =
        lines[first..].iter().position(String::is_empty).map_or(lines.len(), |it| first + it + 1);
    lines.drain(start..rest);
}

/// What cargo, and what stands before a tool, print when they compile: it depends on what is there.
fn is_progress(line: &str) -> bool {
    const OF_CARGO: [&str; 4] =
        ["   Compiling ", "    Finished ", "     Running ", "    Blocking "];
    OF_CARGO.iter().any(|start| line.starts_with(start))
        || line.starts_with("Compiling ") && line.ends_with(" on two cores.")
}

/// Some shells print the key themselves.
fn drop_echo(key: Key, lines: &mut Vec<String>) {
    let echo = match key {
        Key::CtrlC => "^C",
        Key::CtrlD => "^D",
        Key::CtrlZ => "^Z",
        Key::CtrlBackslash => "^\\",
    };
    if let Some(first) = lines.first_mut()
        && let Some(rest) = first.strip_prefix(echo)
    {
        *first = rest.to_owned();
    }
    // What follows the key begins on a line of its own in the page.
    if lines.first().is_some_and(String::is_empty) {
        lines.remove(0);
    }
}

/// What a person sees of `text`: the lines, without escape sequences and without what was
/// overwritten. Spaces at a line's end count only while the line is not finished.
fn plain(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    let mut characters = text.chars().peekable();
    let mut returned = false;
    while let Some(character) = characters.next() {
        let Some(line) = lines.last_mut() else { break };
        if std::mem::take(&mut returned) && character != '\n' && character != '\r' {
            line.clear();
        }
        match character {
            '\n' => {
                line.truncate(line.trim_end().len());
                lines.push(String::new());
            }
            '\r' => returned = true,
            '\u{8}' => {
                line.pop();
            }
            '\u{1b}' => skip_escape(&mut characters),
            // Among them the prompts' marks, and the keys: the terminal prints them as they are.
            _ if character.is_ascii_control() && character != '\t' => {}
            _ => line.push(character),
        }
    }
    if lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

/// Skip `ESC [ parameters letter` (ECMA-48 control sequence), or `ESC letter`.
fn skip_escape(characters: &mut std::iter::Peekable<std::str::Chars>) {
    if characters.next() != Some('[') {
        return;
    }
    for character in characters.by_ref() {
        if ('@'..='~').contains(&character) {
            return;
        }
    }
}

/// The command that every shell of a page is: bash without start-up files, and without its line
/// editor, which would print the typed line in its own way.
pub fn make_bash(command: &mut Command) {
    command.args(["--norc", "--noprofile", "--noediting", "-i"]);
}

#[cfg(test)]
mod tests {
    use nix::unistd::mkdtemp;

    use super::*;
    use crate::book::transcript::{Machine, Reading, compare, is_same};

    fn bash(_: ShellId) -> Result<Terminal> {
        let mut command = Command::new("bash");
        make_bash(command.env("LC_ALL", "C"));
        Terminal::start(&mut command)
    }

    /// Run a page on this machine; the places where it says something else than what came.
    fn run(text: &str) -> Result<Vec<String>> {
        let page = Page::new("p", text);
        let machine = Machine {
            has_root: false,
            has_range: false,
            has_registry: false,
            is_unified: true,
            reading: Reading::Alone,
        };
        let transcript = Transcript::of(&page, machine)?;
        let mut session = Session::new(&page, &transcript, &bash);
        let mut wrong = Vec::new();
        for index in 0..transcript.entries.len() {
            let actual = session.run(index)?;
            let entry = &transcript.entries[index];
            if !is_same(&compare(&page.lines[entry.output.clone()], &actual)) {
                wrong.push(format!("{}: {actual:?}", entry.line + 1));
            }
        }
        session.end(None)?;
        Ok(wrong)
    }

    #[test]
    fn compares_what_comes_with_what_the_page_says() {
        let page = "```console\n$ echo a; echo b\na\nb\n$ echo c\nd\n$ printf e\ne\n```\n";
        assert_eq!(run(page).unwrap(), ["5: [\"c\"]"]);
    }

    #[test]
    fn keeps_the_state_of_a_shell() {
        let page = "```console\n$ x=1\n$ cd /proc\n```\n```console\n$ echo $x $PWD\n1 /proc\n```\n";
        assert_eq!(run(page).unwrap(), [""; 0]);
    }

    #[test]
    fn types_commands_of_several_lines() {
        let page = "```console\n$ cat <<end\n> a\n> end\na\n$ echo \\\n> x\nx\n```\n";
        assert_eq!(run(page).unwrap(), [""; 0]);
    }

    #[test]
    fn types_into_a_shell_within_the_shell() {
        // What busybox prints: the prompt without a mark.
        let page = "```console\n$ PS1='/ # ' sh\n/ # echo a\na\n/ # exit\n$ echo b\nb\n```\n";
        assert_eq!(run(page).unwrap(), [""; 0]);
    }

    #[test]
    fn presses_keys() {
        let page =
            "```console\n$ sh -c 'trap \"echo one\" INT; sleep 9; echo two'\n^C\none\ntwo\n```\n";
        assert_eq!(run(page).unwrap(), [""; 0]);
    }

    #[test]
    fn has_a_second_terminal() {
        let place = mkdtemp(&std::env::temp_dir().join("book-XXXXXX")).unwrap();
        let file = place.join("pid").display().to_string();
        let page = format!(
            "```console\n$ sh -c 'echo $$ >{file}; exec sleep 99'\n```\n\
            ```console,second\n$ kill $(cat {file})\n```\n\
            ```console\nTerminated\n```\n"
        );
        let wrong = run(&page);
        std::fs::remove_dir_all(place).unwrap();
        assert_eq!(wrong.unwrap(), [""; 0]);
    }

    #[test]
    fn a_page_must_end_what_it_starts() {
        let page = "```console\n$ PS1='/ # ' sh\n```\n";
        let error = run(page).unwrap_err().to_string();
        assert_eq!(error, "the page ends while `PS1='/ # ' sh` runs: end it with `exit` or ^C");
    }

    #[test]
    fn a_page_must_type_at_the_prompt_that_is_there() {
        let page = "```console\n$ PS1='/ # ' sh\n/tmp # exit\n```\n";
        let error = run(page).unwrap_err().to_string();
        assert!(error.starts_with("the page types at a container's prompt \"/tmp # \""), "{error}");
    }

    #[test]
    fn knows_what_was_typed_in_what_was_printed() {
        assert_eq!(after_echo("echo a\r\na\r\n", "echo a"), Some("a\r\n"));
        assert_eq!(after_echo("echo a", "echo a"), None);
        // busybox at the right edge: the next letter, and back.
        assert_eq!(after_echo("echo\r\n \u{8} a\r\nb", "echo a"), Some("b"));
    }

    #[test]
    fn leaves_the_greeting_out() {
        let text = "a\n\n\nBusyBox v1.35.0 (Debian) built-in shell (ash)\nEnter 'help'\n\nb\n";
        let mut lines = plain(text);
        drop_greeting(&mut lines);
        assert_eq!(lines, ["a", "b"]);
    }

    #[test]
    fn shows_what_a_person_would_see() {
        assert_eq!(plain("a\r\n\u{1b}[1;31mb\u{1b}[m \r\n"), ["a", "b"]);
        assert_eq!(plain("10%\r20%\r\nx\u{8}y"), ["20%", "y"]);
        assert_eq!(plain("/ # \u{1b}[6n"), ["/ # "]);
        assert_eq!(plain(""), [""; 0]);
    }
}
