//! What the tools print. Whoever reads it may have seen enough: `cargo workshop doctor | head -1`.
//!
//! `println!` panics then, for Rust ignores SIGPIPE and the write fails (EPIPE). With the default
//! action of that signal (signal(7)) a tool would die at once, beside the containers that it has
//! started and the files that it has to remove. So the failure goes up as any error does,
//! everything is removed on the way, and [`finish`](crate::finish) says nothing about it.

use std::fmt;
use std::io::{self, ErrorKind, Write};

use anyhow::{Context, Result};

/// Stdout is a pipe that nobody reads any more. It is no fault: it ends a tool, with success.
#[derive(Debug)]
pub struct NobodyReads;

impl fmt::Display for NobodyReads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody reads our output any more")
    }
}

impl std::error::Error for NobodyReads {}

/// Prints a text on stdout.
///
/// # Errors
/// [`NobodyReads`], or those of write(2).
pub fn print(text: impl fmt::Display) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.to_string().as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(NobodyReads.into()),
        printed => printed.context("cannot print on stdout"),
    }
}

/// Prints a line on stdout, as `println!` does, and returns a [`Result`].
#[macro_export]
macro_rules! say {
    () => {
        $crate::output::print("\n")
    };
    ($($words:tt)*) => {
        $crate::output::print(format_args!("{}\n", format_args!($($words)*)))
    };
}
