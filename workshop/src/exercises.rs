//! stub
use std::process::ExitCode;
use anyhow::Result;
pub(crate) const CHECK_DIRECTORY: &str = "workshop-check-";
/// verbs
#[derive(clap::Subcommand)]
pub enum Verb {
    /// List
    List,
}
/// list
pub fn list() -> Result<ExitCode> { Ok(ExitCode::SUCCESS) }
/// run
pub fn run(_: &Verb) -> Result<ExitCode> { Ok(ExitCode::SUCCESS) }
