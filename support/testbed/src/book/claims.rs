//! The page "What we claim" repeats figures that other pages have. They have to be the same.

use anyhow::{Context, Result};

use super::page::Page;
use super::sources::find;

const PAGE: &str = "claims.md";

/// What the page should say of the other pages and does not, one line each.
pub fn problems(pages: &[Page]) -> Result<Vec<String>> {
    let Some(page) = find(pages, PAGE) else { return Ok(vec![format!("there is no {PAGE}")]) };
    let text = page.lines.join(" ");
    let missing = figures(pages)?.into_iter().filter(|figure| !text.contains(figure));
    Ok(missing.map(|figure| format!("book/src/{PAGE}: should say {figure:?}")).collect())
}

fn figures(pages: &[Page]) -> Result<Vec<String>> {
    let (mut run, mut not_run) = (0, 0);
    for page in pages {
        for fence in page.fences()?.iter().filter(|fence| fence.language() == "console") {
            *if fence.is("not-run") { &mut not_run } else { &mut run } += 1;
        }
    }
    let lines_of = |name: &str| find(pages, name).map(|page| &page.lines).context("a page");
    let costs = lines_of("costs.md")?;
    let ending_in = |end: &str| costs.iter().filter(|line| line.ends_with(end)).count();
    let (met, missed) = (ending_in("| yes |"), ending_in("| NO |"));
    let attacks = lines_of("attacks.md")?.iter();
    // Two tables have a row for each.
    let attacks = attacks.filter(|line| line.starts_with("| [")).count() / 2;
    let exercises = lines_of("workshop.md")?.iter();
    let mut exercises = exercises.filter_map(|line| line.strip_prefix("0 of ")?.split(' ').next());
    let exercises = exercises.next().context("the number of exercises in workshop.md")?;
    Ok(vec![
        format!("{run} console blocks run; {not_run} cannot be"),
        format!("{met} of {} targets are met", met + missed),
        format!("{attacks} attacks"),
        format!("{exercises} exercises"),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_that_has_changed_is_told() {
        let blocks = "```console\n$ x\n```\n```console,not-run\n$ y\n```\n";
        let pages = |claims| {
            [
                Page::new("a.md", blocks),
                Page::new("attacks.md", "| [x](#x) | leaks |\n| [x](#x) | own |\n"),
                Page::new("claims.md", claims),
                Page::new("costs.md", "| a | 1 | 0 | yes |\n| b | 1 | 2 | NO |\n"),
                Page::new("workshop.md", "0 of 7 done.\n"),
            ]
        };
        let good =
            "1 console blocks run; 1 cannot be, 1 of 2\ntargets are met, 1 attacks, 7 exercises";
        assert_eq!(problems(&pages(good)).unwrap(), [""; 0]);
        let wrong = problems(&pages("1 attacks, 8 exercises")).unwrap();
        assert_eq!(wrong.len(), 3, "{wrong:?}");
    }
}
