//! The same for each of several images: one that fails does not keep the others away.

use std::process::ExitCode;

use anyhow::Result;
use launcher::command_line::{one_line, report};
use workshop::output::NobodyReads;

/// Does it for each. Every error is a line.
pub(crate) fn each(images: &[String], action: impl Fn(&str) -> Result<()>) -> Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    for image in images {
        if let Err(error) = action(image) {
            if error.is::<NobodyReads>() {
                return Err(error);
            }
            report(&one_line(&error));
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}
