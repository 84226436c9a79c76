//! The schedules on the instructors' page are added up here: minutes of chapters come from the
//! speaker's notes in the chapters, those of exercises from the exercises themselves.
//! `BLESS=1 cargo test -p workshop --test schedule` writes the tables anew.
//!
//! # How to write a plan
//!
//! ```text
//! <!-- schedule 9:00 to 12:30
//! 15 Before the first chapter
//! v1-chroot close-the-door
//! rest Questions
//! -->
//! (the table, which is made)
//! <!-- end -->
//! ```
//!
//! A line is minutes and what they are for; or a chapter, and which of its exercises the room does
//! (`first` is the chapter's first one, if it has any); or `rest`, which is what is left. Between
//! `<!-- schedule of everything -->` and `<!-- end -->` stands what there is to choose from.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use workshop::exercises::exercise::Exercise;
use workshop::exercises::list::ALL;

const PAGE: &str = "instructors.md";
const EVERYTHING: &str = "<!-- schedule of everything -->";
const PLAN: &str = "<!-- schedule ";
const END: &str = "<!-- end -->";
/// In a chapter, the line of the speaker's notes that says how long it takes to tell.
const TIME: &str = "**Time to tell:** ";
/// What is left must be enough for a question or two.
const LEAST_REST: u32 = 5;

#[test]
fn tables_are_fresh() -> Result<()> {
    let page = fs::read_to_string(book(PAGE))?;
    let fresh = with_fresh_tables(&page, &Chapter::read_all()?, ALL)?;
    if std::env::var_os("BLESS").is_some_and(|value| value == "1") {
        fs::write(book(PAGE), fresh)?;
        return Ok(());
    }
    let stale = page.lines().zip(fresh.lines()).find(|(old, new)| old != new);
    ensure!(page == fresh, "book/src/{PAGE} is stale, BLESS=1 makes it anew: {stale:?}");
    Ok(())
}

/// What a chapter says of itself.
struct Chapter {
    /// `v1-chroot`: the names of the step and, with `.md`, of the page.
    step: String,
    /// Its heading.
    title: String,
    /// Minutes to tell and to show it, without exercises.
    minutes: u32,
}

impl Chapter {
    /// The chapters of the steps, in the order of the book.
    fn read_all() -> Result<Vec<Chapter>> {
        let summary = fs::read_to_string(book("SUMMARY.md"))?;
        let pages =
            summary.lines().filter_map(|line| line.split_once("](")?.1.strip_suffix(".md)"));
        let is_step = |page: &&str| page.starts_with('v') && page.contains('-');
        let chapters: Result<Vec<_>> = pages.filter(is_step).map(Chapter::read).collect();
        let chapters = chapters?;
        ensure!(chapters.len() >= 8, "only {} chapters in the summary", chapters.len());
        Ok(chapters)
    }

    fn read(step: &str) -> Result<Chapter> {
        let text = fs::read_to_string(book(&format!("{step}.md")))?;
        let title = text.lines().next().and_then(|line| line.strip_prefix("# "));
        let mut times = text.lines().filter_map(|line| line.strip_prefix(TIME));
        let time = times.next().with_context(|| format!("{step}.md has no line {TIME:?}"))?;
        ensure!(times.next().is_none(), "{step}.md has two lines {TIME:?}");
        Ok(Chapter {
            step: step.to_owned(),
            title: title.context("a chapter begins with its heading")?.to_owned(),
            minutes: time.strip_suffix(" minutes.").context(TIME)?.parse().context(TIME)?,
        })
    }

    /// The title, as a link.
    fn link(&self) -> String {
        format!("[{}]({}.md)", self.title, self.step)
    }
}

fn book(page: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../book/src").join(page)
}

/// The page with every table made anew.
fn with_fresh_tables(page: &str, chapters: &[Chapter], all: &[Exercise]) -> Result<String> {
    let mut fresh = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        fresh += &format!("{line}\n");
        let table = if line == EVERYTHING {
            everything(chapters, all)
        } else if let Some(times) = line.strip_prefix(PLAN) {
            let plan: Vec<_> = lines.by_ref().take_while(|line| *line != "-->").collect();
            fresh += &format!("{}\n-->\n", plan.join("\n"));
            scheduled(times, &plan, chapters, all).with_context(|| format!("schedule {times}"))?
        } else {
            continue;
        };
        lines.by_ref().find(|line| *line == END).with_context(|| format!("no {END} follows"))?;
        fresh += &format!("\n{table}\n{END}\n");
    }
    Ok(fresh)
}

/// All chapters and exercises, and their sums.
fn everything(chapters: &[Chapter], all: &[Exercise]) -> String {
    let mut table = "| chapter | to tell | exercises | both |\n|---|--:|---|--:|\n".to_owned();
    let (mut told, mut done) = (0, 0);
    for chapter in chapters {
        let own: Vec<_> = all.iter().filter(|it| it.step == chapter.step).collect();
        let (link, tell, minutes) = (chapter.link(), chapter.minutes, sum(&own));
        let _ = writeln!(table, "| {link} | {tell} | {} | {} |", names(&own), tell + minutes);
        told += tell;
        done += minutes;
    }
    let exercises = format!("{} exercises: **{done}**", all.len());
    let _ = writeln!(table, "| all | **{told}** | {exercises} | **{}** |", told + done);
    table
}

/// `id` minutes, `id` minutes
fn names(exercises: &[&Exercise]) -> String {
    let name = |it: &&Exercise| format!("`{}` {}", it.id, it.minutes);
    exercises.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn sum(exercises: &[&Exercise]) -> u32 {
    exercises.iter().map(|it| it.minutes).sum()
}

/// A plan with times of day.
fn scheduled(times: &str, plan: &[&str], chapters: &[Chapter], all: &[Exercise]) -> Result<String> {
    let (begin, end) = times.split_once(" to ").context("from when to when?")?;
    let (begin, end) = (minutes_of_day(begin)?, minutes_of_day(end)?);
    let mut rows: Vec<(String, u32)> = Vec::new();
    let mut chosen: Vec<&Exercise> = Vec::new();
    for line in plan {
        let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
        let used = rows.iter().map(|row| row.1).sum::<u32>();
        if let Ok(minutes) = first.parse() {
            rows.push((rest.to_owned(), minutes));
        } else if first == "rest" {
            let left = (end - begin).checked_sub(used).filter(|left| *left >= LEAST_REST);
            let left = left.with_context(|| {
                format!("{used} of {} minutes are taken before {rest:?}", end - begin)
            })?;
            rows.push((rest.to_owned(), left));
        } else {
            let chapter = chapters.iter().find(|it| it.step == first);
            let chapter = chapter.with_context(|| format!("there is no chapter {first:?}"))?;
            rows.push((chapter.link(), chapter.minutes));
            for exercise in exercises_of(first, rest, all)? {
                rows.push((format!("exercise `{}`", exercise.id), exercise.minutes));
                chosen.push(exercise);
            }
        }
    }
    let mut table = "| from | what | minutes |\n|--:|---|--:|\n".to_owned();
    let mut now = begin;
    for (what, minutes) in &rows {
        let _ = writeln!(table, "| {} | {what} | {minutes} |", time_of_day(now));
        now += minutes;
    }
    ensure!(now == end, "the plan ends at {}", time_of_day(now));
    let (count, minutes) = (chosen.len(), sum(&chosen));
    let what = format!("the end; of this, {count} exercises: {minutes}");
    let _ = writeln!(table, "| {} | {what} | **{}** |", time_of_day(now), now - begin);
    let left: Vec<_> = all.iter().filter(|it| !chosen.iter().any(|c| c.id == it.id)).collect();
    let _ = writeln!(table, "\nFor afterwards, {} minutes: {}.", sum(&left), names(&left));
    Ok(table)
}

/// The exercises of a step that a plan names.
fn exercises_of<'a>(step: &str, names: &str, all: &'a [Exercise]) -> Result<Vec<&'a Exercise>> {
    let own: Vec<_> = all.iter().filter(|it| it.step == step).collect();
    let mut found = Vec::new();
    for name in names.split_whitespace() {
        match own.iter().find(|it| it.id == name) {
            Some(exercise) => found.push(*exercise),
            None if name == "first" => found.extend(own.first()),
            None => bail!("{step} has no exercise {name:?}"),
        }
    }
    Ok(found)
}

/// Minutes since midnight, of `9:30`.
fn minutes_of_day(time: &str) -> Result<u32> {
    let (hours, minutes) = time.split_once(':').context("a time is written 9:30")?;
    Ok(hours.parse::<u32>().context("hours")? * 60 + minutes.parse::<u32>().context("minutes")?)
}

fn time_of_day(minutes: u32) -> String {
    format!("{}:{:02}", minutes / 60, minutes % 60)
}

fn one_chapter() -> Vec<Chapter> {
    vec![Chapter { step: "v1-chroot".to_owned(), title: "v1".to_owned(), minutes: 20 }]
}

fn planned(plan: &str) -> Result<String> {
    let page = format!("a\n{PLAN}9:00 to 10:00\n{plan}\n-->\nold\n{END}\nb\n");
    with_fresh_tables(&page, &one_chapter(), &ALL[..2])
}

#[test]
fn a_plan_adds_up() {
    let (one, other) = (&ALL[0], &ALL[1]);
    let page = planned(&format!("15 Hello\nv1-chroot {}\nrest Bye", one.id)).unwrap();
    let rest = 25 - one.minutes;
    for line in [
        "| 9:00 | Hello | 15 |".to_owned(),
        "| 9:15 | [v1](v1-chroot.md) | 20 |".to_owned(),
        format!("| 9:35 | exercise `{}` | {} |", one.id, one.minutes),
        format!("| {} | Bye | {rest} |", time_of_day(575 + one.minutes)),
        format!("For afterwards, {} minutes: `{}` {}.", other.minutes, other.id, other.minutes),
    ] {
        assert!(page.lines().any(|it| it == line), "{line} in {page}");
    }
    assert!(page.starts_with("a\n") && page.ends_with("b\n") && !page.contains("old"), "{page}");
}

#[test]
fn a_plan_that_does_not_fit_is_refused() {
    for (plan, reason) in [
        ("56 Hello\nrest Bye", "56 of 60 minutes are taken"),
        ("61 Hello", "the plan ends at 10:01"),
        ("59 Hello", "the plan ends at 9:59"),
        ("v1-chroot no-such", "v1-chroot has no exercise"),
        ("v9-none first", "there is no chapter"),
    ] {
        let error = format!("{:#}", planned(plan).unwrap_err());
        assert!(error.contains(reason), "{plan:?}: {error}");
    }
}
