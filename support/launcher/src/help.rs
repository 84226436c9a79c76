//! A page of help: on one screen, however many options a step has by now.

use crate::options::REPEATABLE;

/// How wide a screen is at least.
const COLUMNS: usize = 80;

/// Where the explanation of an option begins, if the option leaves room.
const EXPLAINED_AT: usize = 32;

/// What clap has made of a command, in lines of a screen, and what is the same for all commands.
pub(crate) fn page(of_clap: &str, default_rootfs: &str) -> String {
    let lines: Vec<_> = of_clap.lines().map(fitted).collect();
    let page = lines.join("\n");
    let repeatable = match page.contains(&format!(" {REPEATABLE}\n")) {
        true => format!("Options with {REPEATABLE} can be given more than once. "),
        false => String::new(),
    };
    format!(
        "{page}\n\nDefault root directory: {default_rootfs}\n\
         {repeatable}-i, -t and --rm change nothing.\n\
         What an error means: book/src/troubleshooting.md\n"
    )
}

/// A line in rows of [`COLUMNS`]. clap breaks none, and begins every explanation to the right of
/// the longest option.
fn fitted(line: &str) -> String {
    let indent = line.len() - line.trim_start().len();
    let (start, explanation) = match line[indent..].split_once("  ") {
        Some((option, explanation)) if indent > 0 => {
            let option = format!("{:indent$}{option}  ", "");
            (format!("{option:EXPLAINED_AT$}"), explanation)
        }
        _ => (" ".repeat(indent), line),
    };
    let column = start.len().min(EXPLAINED_AT);
    let mut rows = vec![start];
    for word in explanation.split_whitespace() {
        let width = |row: &String| row.chars().count() + word.chars().count();
        match rows.last_mut() {
            Some(row) if width(row) <= COLUMNS => row.extend([word, " "]),
            _ => rows.push(format!("{:column$}{word} ", "")),
        }
    }
    let rows: Vec<_> = rows.iter().map(|row| row.trim_end()).collect();
    rows.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explanation_stands_beside_its_option() {
        assert_eq!(
            fitted("  -v, --volume <X>          What it does"),
            "  -v, --volume <X>              What it does"
        );
        let long = format!("      --{} <X>  What it does", "a".repeat(30));
        assert_eq!(fitted(&long), long);
    }

    #[test]
    fn what_is_too_long_goes_on_below() {
        let words = "word ".repeat(30);
        let text = fitted(&format!("  -x  {words}"));
        let rows: Vec<_> = text.lines().collect();
        assert_eq!(rows[0], format!("  -x{:28}{}", "", "word ".repeat(9).trim_end()));
        assert_eq!(rows[1].len(), rows[0].len());
        assert!(rows[1].starts_with(&" ".repeat(EXPLAINED_AT)) && rows.len() == 4);
        assert!(fitted(&words).lines().all(|row| row.starts_with("word") && row.len() <= 80));
        assert_eq!(fitted(""), "");
    }
}
