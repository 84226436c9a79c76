//! `cargo workshop pull`, from a real registry and from one that misbehaves.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, with the line that did it"
)]

#[path = "../../../../v7-overlay/tests/container/archive.rs"]
#[expect(dead_code, reason = "v7's tests make stranger archives")]
mod archive;
mod bed;
mod cut;
mod ends;
mod front;
mod guard;
mod http;
#[path = "../../../../v7-overlay/tests/container/image.rs"]
#[expect(dead_code, reason = "v7's tests make stranger images")]
mod image;
mod lies;
mod logins;
mod proxy;
#[path = "../../../tests/stages/mod.rs"]
mod stages;
mod usual;
mod way;

use std::process::ExitCode;

use testbed::Suite;

fn main() -> ExitCode {
    stages::build();
    let mut suite = Suite::of_no_stage();
    for add in [usual::add, cut::add, lies::add, ends::add, logins::add, way::add] {
        suite = add(suite);
    }
    suite.run()
}
