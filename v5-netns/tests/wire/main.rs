//! A published port is a wire: what a client and a server do, each hears from the other, as if
//! nothing stood between the two. The book's table of that is made here.
//!
//! `BLESS=1 cargo suite -p v5-netns --test wire -- the_book_has_the_table` (as root, where there is
//! a `docker-proxy`) rewrites the table.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, with the line that did it"
)]

use std::path::Path;
use std::process::ExitCode;

use testbed::{Stage, Suite};

mod datagrams;
mod rows;
mod table;
mod way;

/// Where a host sees the workspace, writable, so that the book can be rewritten.
const WORKSPACE: &str = "/run/testbed/workspace";

fn main() -> ExitCode {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let suite = Suite::of(&Stage::V5).expose(workspace, WORKSPACE);
    [rows::add, datagrams::add, table::add].into_iter().fold(suite, |suite, add| add(suite)).run()
}
