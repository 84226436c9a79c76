//! Starter, solution and faulty versions of an exercise, cut out of one source.
//!
//! The source is Rust with places that differ from version to version:
//!
//! ```text
//! //[ starter
//! lines of the starter
//! //[ solution
//! lines of the solution
//! //[ fault too-late
//! lines of the faulty version "too-late"
//! //]
//! ```
//!
//! A faulty version is the solution but for the places that name it. A starter has nothing where
//! it is not named. So nothing is written down twice.

use super::exercise::Exercise;

/// One of the versions of an exercise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Variant {
    /// What the learner begins with.
    Starter,
    /// What passes.
    Solution,
    /// What the check must reject, by name.
    Fault(&'static str),
}

impl Variant {
    /// All versions of an exercise.
    pub fn all_of(exercise: &Exercise) -> impl Iterator<Item = Variant> {
        let faults = exercise.faults.iter().map(|fault| Variant::Fault(fault.name));
        [Variant::Starter, Variant::Solution].into_iter().chain(faults)
    }

    /// As it is written in a source: `starter`, `solution`, `fault NAME`.
    pub(super) fn heading(&self) -> String {
        match self {
            Variant::Starter => "starter".to_owned(),
            Variant::Solution => "solution".to_owned(),
            Variant::Fault(name) => format!("fault {name}"),
        }
    }

    /// A name for a file: `starter`, `solution`, `fault-NAME`.
    pub fn name(&self) -> String {
        self.heading().replace(' ', "-")
    }
}

/// The lines of one version.
pub fn cut(source: &str, variant: &Variant) -> String {
    let mut text = String::new();
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        match line.trim_start().strip_prefix("//[ ") {
            None => push(&mut text, line),
            Some(first) => {
                let alternatives = Alternatives::read(first, &mut lines);
                alternatives.of(variant).iter().for_each(|line| push(&mut text, line));
            }
        }
    }
    text
}

fn push(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// What stands in a place that differs: headings, each with its lines.
struct Alternatives<'a>(Vec<(&'a str, Vec<&'a str>)>);

impl<'a> Alternatives<'a> {
    fn read(first: &'a str, lines: &mut std::str::Lines<'a>) -> Alternatives<'a> {
        let mut heading = first;
        let mut own = Vec::new();
        let mut parts = Vec::new();
        for line in lines {
            let mark = line.trim_start();
            if let Some(next) = mark.strip_prefix("//[ ") {
                parts.push((heading, std::mem::take(&mut own)));
                heading = next;
            } else if mark == "//]" {
                break;
            } else {
                own.push(line);
            }
        }
        parts.push((heading, own));
        Alternatives(parts)
    }

    fn of(&self, variant: &Variant) -> &[&'a str] {
        let find = |heading: &str| self.0.iter().find(|(own, _)| *own == heading);
        let lines = match variant {
            Variant::Fault(_) => find(&variant.heading()).or_else(|| find("solution")),
            _ => find(&variant.heading()),
        };
        lines.map_or(&[], |(_, lines)| lines)
    }
}

/// The text of an exercise: the first comment of its source.
pub fn text(exercise: &Exercise) -> String {
    let lines = exercise.source.lines().map_while(|line| line.strip_prefix("//!"));
    let lines: Vec<_> = lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "a\n  //[ starter\n  s\n  //[ solution\n  t\n  //[ fault late\n  f\n\
        //]\nb\n//[ solution\nu\n//]\nc\n";

    #[test]
    fn versions_share_what_is_not_marked() {
        assert_eq!(cut(SOURCE, &Variant::Starter), "a\n  s\nb\nc\n");
        assert_eq!(cut(SOURCE, &Variant::Solution), "a\n  t\nb\nu\nc\n");
        assert_eq!(cut(SOURCE, &Variant::Fault("late")), "a\n  f\nb\nu\nc\n");
        assert_eq!(cut(SOURCE, &Variant::Fault("other")), cut(SOURCE, &Variant::Solution));
    }
}
