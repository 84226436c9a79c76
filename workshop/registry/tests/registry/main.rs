//! `cargo workshop pull`, from a real registry and from one that misbehaves.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, with the line that did it"
)]

#[path = "../../../../v7-overlay/tests/container/archive.rs"]
#[expect(dead_code, reason = "v7's tests make stranger archives")]
mod archive;
mod bed;
mod cut;
mod front;
mod guard;
mod http;
#[path = "../../../../v7-overlay/tests/container/image.rs"]
#[expect(dead_code, reason = "v7's tests make stranger images")]
mod image;
mod proxy;
#[path = "../../../tests/stages/mod.rs"]
mod stages;
mod usual;

use std::process::ExitCode;

use testbed::Suite;

fn main() -> ExitCode {
    stages::build();
    let mut suite = Suite::of_no_stage();
    for add in [usual::add, cut::add] {
        suite = add(suite);
    }
    suite.run()
}
