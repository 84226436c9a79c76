//! The tools of the course that a learner needs, and what all tools share.
//!
//! | module | what it does |
//! |---|---|
//! | [`doctor`] | tells what of the course runs on this machine, and mends what it can |
//! | [`exercises`] | exercises that check themselves |
//! | [`trace`] | shows the system calls that make a container |
//! | [`xray`] | shows every container on the machine, and all about one process |
//! | [`output`] | prints, as long as somebody reads |
//! | [`host`] | a throw-away host, for what may spoil something |
//! | [`child`] | tries something in a child process |
//! | [`checkout()`] | where the course lies |
//!
//! A learner waits for the first build of these. So `attacks` and `bench` are packages of their
//! own, above this one, and `cargo workshop` itself is another, `door`, which depends on nothing.

#![deny(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "they panic when nobody reads: see workshop::output"
)]

use std::process::ExitCode;

use anyhow::Result;
use launcher::command_line::{one_line, report};
use output::NobodyReads;

mod checkout;
pub mod child;
pub mod doctor;
pub mod exercises;
pub mod host;
pub mod output;
pub mod trace;
pub mod xray;

pub use checkout::checkout;

/// The programs of the steps, in their order.
pub const STEPS: [&str; 8] = [
    "v1-chroot",
    "v2-mountns",
    "v3-pidns",
    "v4-utsns",
    "v5-netns",
    "v6-cgroups",
    "v7-overlay",
    "v8-pause",
];

/// The exit status of a tool. An error is printed, as one line; that nobody reads is none.
pub fn finish(done: Result<ExitCode>) -> ExitCode {
    done.unwrap_or_else(|error| {
        if error.is::<NobodyReads>() {
            return ExitCode::SUCCESS;
        }
        report(&one_line(&error));
        ExitCode::FAILURE
    })
}
