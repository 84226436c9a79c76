//! `cargo suite [ARGS]`: `cargo test [ARGS]`, at length, and without ARGS everything there is.
//!
//! Of everything the trials that pass are counted, and compared with the least number that is
//! committed, in `floor.txt`: a suite that has become shorter does not pass unseen.

#![deny(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "they panic when nobody reads: see workshop::output"
)]

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use anyhow::{Context, Result};
use testbed::CgroupHost;
use testbed::extent::TESTBED_WHOLE;

fn main() -> ExitCode {
    match run(env::args_os().skip(1).collect()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Vec<OsString>) -> Result<bool> {
    let is_everything = arguments.is_empty();
    let everything = ["--workspace", "--no-fail-fast"].map(OsString::from).to_vec();
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut tests = Command::new(cargo)
        .arg("test")
        .args(if is_everything { everything } else { arguments })
        .env(TESTBED_WHOLE, "true")
        .stdout(Stdio::piped())
        .spawn()
        .context("start `cargo test`")?;
    let passed = count_passed(&mut tests)?;
    if !tests.wait()?.success() {
        return Ok(false);
    }
    if is_everything { compare_with_floor(passed) } else { Ok(true) }
}

/// Passes the output on, and adds up what it says of trials that passed.
fn count_passed(tests: &mut Child) -> Result<usize> {
    let output = tests.stdout.take().context("the tests have no output")?;
    let mut stdout = io::stdout().lock();
    let mut passed = 0;
    for line in BufReader::new(output).split(b'\n') {
        let line = line.context("read the output of `cargo test`")?;
        stdout.write_all(&[&line[..], b"\n"].concat()).context("write to stdout")?;
        passed += passed_of(&String::from_utf8_lossy(&line)).unwrap_or(0);
    }
    Ok(passed)
}

/// The number of a line such as `test result: ok. 12 passed; 0 failed; ...`.
fn passed_of(line: &str) -> Option<usize> {
    let (_, counts) = line.split_once("test result: ")?;
    let (number, _) = counts.split_once(" passed;")?;
    number.rsplit(' ').next()?.parse().ok()
}

fn compare_with_floor(passed: usize) -> Result<bool> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("floor.txt");
    let floors = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let kind = kind();
    say(format_args!("\n{passed} trials have passed, of the whole suite, as {kind}"))?;
    let Some(floor) = floor_of(&floors, &kind) else {
        say(format_args!("(support/testbed/floor.txt has no number for this kind)"))?;
        return Ok(true);
    };
    if passed < floor {
        say(format_args!(
            "too few: support/testbed/floor.txt has {floor}. Trials are gone, or were skipped"
        ))?;
    } else if passed > floor && env::var_os("BLESS").is_some() {
        let raised = raise_floor(&floors, &kind, passed);
        fs::write(&path, raised).with_context(|| format!("write {}", path.display()))?;
    } else if passed > floor {
        say(format_args!(
            "(support/testbed/floor.txt has {floor}. BLESS=1 cargo suite raises it)"
        ))?;
    }
    Ok(passed >= floor)
}

fn say(line: fmt::Arguments) -> Result<()> {
    writeln!(io::stdout(), "{line}").context("write to stdout")
}

/// What the number of trials depends on: who runs them, and on which cgroups.
fn kind() -> String {
    let who = if nix::unistd::geteuid().is_root() { "root" } else { "user" };
    let cgroups = match CgroupHost::of_machine() {
        CgroupHost::Unified => "v2",
        CgroupHost::Hybrid => "hybrid",
        CgroupHost::V1 => "v1",
        CgroupHost::None => "none",
    };
    format!("{who} {cgroups}")
}

fn floor_of(floors: &str, kind: &str) -> Option<usize> {
    let lines = floors.lines().filter_map(|line| line.rsplit_once(' '));
    lines.filter(|(of, _)| *of == kind).find_map(|(_, number)| number.parse().ok())
}

fn raise_floor(floors: &str, kind: &str, passed: usize) -> String {
    let raised = floors.lines().map(|line| match line.rsplit_once(' ') {
        Some((of, _)) if of == kind => format!("{kind} {passed}\n"),
        _ => format!("{line}\n"),
    });
    raised.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passed_trials_are_counted() {
        let line = "test result: ok. 37 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out";
        assert_eq!(passed_of(line), Some(37));
        assert_eq!(passed_of("test result: FAILED. 1 passed; 2 failed;"), Some(1));
        assert_eq!(passed_of("test passed::root ... ok"), None);
    }

    #[test]
    fn a_floor_is_of_its_kind() {
        let floors = "# as root hybrid 1\nroot hybrid 40\nuser hybrid 20\n";
        assert_eq!(floor_of(floors, "root hybrid"), Some(40));
        assert_eq!(floor_of(floors, "user v2"), None);
        let raised = "# as root hybrid 1\nroot hybrid 40\nuser hybrid 21\n";
        assert_eq!(raise_floor(floors, "user hybrid", 21), raised);
    }
}
