//! `cargo workshop doctor`: what of the course runs on this machine.
//!
//! A version number promises little: a distribution switches things off, a container filters system
//! calls, a module is missing. So the doctor *tries*: each probe does in a child what a step would
//! do, and reports what the kernel answered. The child takes everything with it when it ends.
//!
//! | module | what it probes |
//! |---|---|
//! | `machine` | kernel, processor, who asks, what is around us |
//! | `files` | busybox, the cache, mounts, overlayfs, cgroups |
//! | `namespaces` | a container of each step, up to execve(2) |
//! | `network` | bridge, cables, address translation, resolver |
//! | `tools` | what the pages of the book type |
//! | `images` | the images that were pulled |
//! | `leftovers` | what earlier runs have left, and how to remove it |
//! | `verdict` | what all that means for each step |

mod files;
mod finding;
mod images;
mod leftovers;
mod machine;
mod namespaces;
mod network;
mod tools;
mod verdict;

use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use crate::say;
use finding::{Finding, State};
use verdict::Verdict;

/// How to report.
#[derive(clap::Args)]
pub struct Args {
    /// Print everything as JSON, for scripts
    #[arg(long)]
    json: bool,
    /// Remove what earlier runs have left: the cache, bridges without containers
    #[arg(long, conflicts_with = "json")]
    clean: bool,
}

/// Probes and prints. The status is a failure when a step does not run at all here.
///
/// # Errors
/// If the probes themselves cannot be carried out; with `--clean`, what could not be removed.
pub fn run(args: &Args) -> Result<ExitCode> {
    if args.clean {
        return leftovers::clean().map(|()| ExitCode::SUCCESS);
    }
    let findings = probe_all();
    let verdicts = verdict::of_all_steps(&findings);
    if args.json {
        print_json(&findings, &verdicts)?;
    } else {
        print(&findings, &verdicts)?;
    }
    let all_run = verdicts.iter().all(Verdict::runs);
    Ok(if all_run { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn probe_all() -> Vec<Finding> {
    let probes = [machine::probe_all, files::probe_all, namespaces::probe_all, network::probe_all];
    let mut findings: Vec<_> = probes.into_iter().flat_map(|probe| probe()).collect();
    findings.push(tools::probe());
    findings.push(images::probe());
    findings.push(leftovers::probe());
    findings
}

fn print(findings: &[Finding], verdicts: &[Verdict]) -> Result<()> {
    for finding in findings {
        say!("{:4}  {}: {}", finding.state.mark(), finding.name, finding.seen)?;
        for (word, text) in [("why", &finding.cause), ("do", &finding.cure)] {
            if let Some(text) = text {
                say!("      {word}: {text}")?;
            }
        }
        if finding.state != State::Good {
            say!("      read: {}", finding.page)?;
        }
    }
    say!()?;
    for verdict in verdicts {
        say!("{verdict}")?;
    }
    Ok(())
}

fn print_json(findings: &[Finding], verdicts: &[Verdict]) -> Result<()> {
    let probes: Vec<_> = findings
        .iter()
        .map(|finding| {
            json!({
                "name": finding.name,
                "state": finding.state.word(),
                "seen": finding.seen,
                "cause": finding.cause,
                "cure": finding.cure,
                "page": finding.page,
            })
        })
        .collect();
    let steps: Vec<_> = verdicts
        .iter()
        .map(|verdict| {
            json!({
                "name": verdict.step,
                "runs": verdict.runs(),
                "without": verdict.without,
                "because": verdict.because,
            })
        })
        .collect();
    say!("{}", serde_json::to_string_pretty(&json!({ "probes": probes, "steps": steps }))?)?;
    Ok(())
}
