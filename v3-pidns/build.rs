//! Compiles the init, which v3-pidns carries inside.

use std::process::ExitCode;

fn main() -> ExitCode {
    freestanding::build("init", "init")
}
