//! The table: figure, target, result, met or not.

use std::fmt;

/// How a figure compares with its target.
enum Verdict {
    Met,
    Missed,
    /// Neither, and why.
    Absent(String),
}

impl Verdict {
    fn text(&self) -> &str {
        match self {
            Verdict::Met => "yes",
            Verdict::Missed => "NO",
            Verdict::Absent(why) => why,
        }
    }
}

struct Row {
    figure: String,
    target: String,
    result: String,
    verdict: Verdict,
    /// The figure is the same on a slow machine and on a busy one.
    timeless: bool,
}

/// Somebody who takes part in the start of a container.
pub struct Start {
    /// Its name.
    pub name: &'static str,
    /// What it does, beside v4-utsns.
    pub does: &'static str,
    /// The fastest time and the median, in milliseconds, or why it takes no part.
    pub times: Result<[f64; 2], String>,
}

/// What has been measured so far.
#[derive(Default)]
pub struct Table {
    rows: Vec<Row>,
    /// All who have started a container.
    pub starts: Vec<Start>,
}

impl Table {
    /// A figure that depends on the speed of the machine.
    pub fn timed(&mut self, figure: &str, value: f64, limit: f64, unit: &str) {
        self.push(figure, value, limit, unit, false);
    }

    /// A figure that does not: missing its target is an error.
    pub fn counted(&mut self, figure: &str, value: usize, limit: usize) {
        self.push(figure, value as f64, limit as f64, "", true);
    }

    /// A ratio without a target.
    pub fn compared(&mut self, figure: &str, value: f64) {
        self.told(figure, &format!("{value:.2}"));
    }

    /// What is worth knowing of this machine.
    pub fn told(&mut self, figure: &str, result: &str) {
        self.rows.push(Row {
            figure: figure.to_owned(),
            target: "-".to_owned(),
            result: result.to_owned(),
            verdict: Verdict::Absent("shown only".to_owned()),
            timeless: false,
        });
    }

    /// A count without a target.
    pub fn shown(&mut self, figure: &str, value: usize) {
        self.rows.push(Row {
            figure: figure.to_owned(),
            target: "-".to_owned(),
            result: value.to_string(),
            verdict: Verdict::Absent("as root only".to_owned()),
            timeless: false,
        });
    }

    /// A figure that could not be measured.
    pub fn absent(&mut self, figure: &str, target: &str, why: impl Into<String>) {
        self.rows.push(Row {
            figure: figure.to_owned(),
            target: target.to_owned(),
            result: "-".to_owned(),
            verdict: Verdict::Absent(why.into()),
            timeless: false,
        });
    }

    /// The rows as text: figure, target, result, whether it is met.
    pub fn rows(&self) -> impl Iterator<Item = [&str; 4]> {
        self.rows.iter().map(|row| [&row.figure, &row.target, &row.result, row.verdict.text()])
    }

    /// Whether a figure that does not depend on time missed its target.
    pub fn broken_promise(&self) -> bool {
        self.rows.iter().any(|row| row.timeless && matches!(row.verdict, Verdict::Missed))
    }

    fn push(&mut self, figure: &str, value: f64, limit: f64, unit: &str, timeless: bool) {
        let shown = |number: f64| {
            let number = if timeless { format!("{number}") } else { format!("{number:.2}") };
            format!("{number} {unit}").trim_end().to_owned()
        };
        let verdict = if value <= limit { Verdict::Met } else { Verdict::Missed };
        self.rows.push(Row {
            figure: figure.to_owned(),
            target: format!("at most {}", shown(limit)),
            result: shown(value),
            verdict,
            timeless,
        });
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: fn(&Row) -> &str, title: &str| {
            self.rows
                .iter()
                .map(|row| column(row).chars().count())
                .max()
                .unwrap_or(0)
                .max(title.len())
        };
        let (a, b, c) = (
            width(|row| &row.figure, "figure"),
            width(|row| &row.target, "target"),
            width(|row| &row.result, "result"),
        );
        writeln!(f, "{:a$}  {:b$}  {:>c$}  met", "figure", "target", "result")?;
        for Row { figure, target, result, verdict, .. } in &self.rows {
            writeln!(f, "{figure:a$}  {target:b$}  {result:>c$}  {}", verdict.text())?;
        }
        Ok(())
    }
}
