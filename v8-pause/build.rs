//! Compiles pause, which v8-pause carries inside.

use std::process::ExitCode;

fn main() -> ExitCode {
    freestanding::build("pause", "pause")
}
