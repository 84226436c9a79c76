//! Every console block of the book is executed, every derived block is compared.
//! The rules for the pages are in `support/testbed/src/book.rs`.

use std::env;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use testbed::Suite;
use testbed::book::in_order::run_book;
use testbed::book::transcript::Reading;
use testbed::book::{Book, WORKSPACE, run_page};

/// The root directory of a machine on which the whole book is to be typed.
const MACHINE: &str = "BOOK_MACHINE";

fn main() -> Result<ExitCode> {
    if env::args().nth(1).is_some_and(|argument| argument == "--probe") {
        return Ok(Suite::of_no_stage().run()); // in a host, where the book is elsewhere
    }
    let workspace =
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("no workspace")?;
    let mut book = Book::read(workspace)?;
    // The suite starts this program again for each page, with an argument of its own.
    let is_first =
        !env::args().any(|argument| argument.starts_with("--in-") || argument == "--list");
    let problems = if is_first {
        build_stages(workspace)?;
        book.problems()?
    } else {
        Vec::new()
    };
    let suite = Suite::of_no_stage().own_cgroups().expose(workspace, WORKSPACE);
    let conclusion = match env::var_os(MACHINE) {
        Some(machine) => in_order(suite.root_directory(machine), &book)?.run(),
        None => page_by_page(suite, &book).run(),
    };
    for problem in &problems {
        println!("{problem}");
    }
    if is_first {
        println!("book: {} problems besides the console blocks", problems.len());
    }
    Ok(if problems.is_empty() { conclusion } else { ExitCode::from(101) })
}

/// Each page alone, in a host of its own, at the same time as others.
fn page_by_page(suite: Suite, book: &Book) -> Suite {
    let mut suite = suite.time_limit(Duration::from_secs(300));
    for page in book.pages_to_run() {
        let name = format!("page/{}", page.name);
        let bless = book.is_blessed();
        suite = suite.user(name, move |host| run_page(&page, host, bless));
    }
    suite
}

/// The whole book in one machine, and once more as on a second day: what was in /tmp and /run is
/// gone, what was at home is there.
fn in_order(suite: Suite, book: &Book) -> Result<Suite> {
    let mut suite = suite.time_limit(Duration::from_secs(900));
    for (day, reading) in [("first", Reading::InOrder), ("second", Reading::Again)] {
        let pages = book.pages_in_order()?;
        suite = suite.root(format!("{day}_day"), move |host| run_book(&pages, reading, host));
    }
    Ok(suite)
}

/// The pages run the steps as they are now, not as they were when somebody built them last.
/// (In the virtual machine there is nothing to build with: what started it has built them.)
fn build_stages(workspace: &Path) -> Result<()> {
    if env::var_os("TESTBED_IS_BUILT").is_some() {
        return Ok(());
    }
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--workspace", "--bins"]).current_dir(workspace);
    let exe = env::current_exe()?;
    if exe.components().any(|part| part.as_os_str() == "release") {
        cargo.arg("--release");
    }
    let status = cargo.status().context("cannot run cargo")?;
    ensure!(status.success(), "the steps do not build");
    Ok(())
}
