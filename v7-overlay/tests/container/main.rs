//! v7-overlay, from outside: what all steps keep, and layers of its own.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, with the line that did it"
)]

mod archive;
mod below;
mod cache;
mod hostile;
mod image;
mod images;
mod layers;
mod names;
mod pulled;
mod range;
mod reading;
mod real;
mod wishes;
mod xattrs;

use std::process::ExitCode;
use std::time::Duration;

use testbed::{Stage, Suite, contract};

fn main() -> ExitCode {
    let suite = contract::add(Suite::of(&Stage::V7).time_limit(Duration::from_secs(180)));
    let suite = [layers::add, images::add, names::add, pulled::add, wishes::add, below::add]
        .into_iter()
        .chain([cache::add, range::add])
        .fold(suite, Suite::short_as_user);
    [hostile::add, reading::add, real::add].into_iter().fold(suite, |suite, add| add(suite)).run()
}
