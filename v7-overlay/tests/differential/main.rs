//! The same archives, unpacked by v7, by umoci and by containers/storage (what buildah and podman
//! unpack with). The trees that come out are compared entry by entry. On what is legal all have to
//! agree; a difference that stays has a row in `table.rs`, which says who is right by which text.
//!
//! ```console
//! # cargo suite -p v7-overlay --test differential
//! # DIFFERENTIAL=2000 cargo suite -p v7-overlay --test differential -- random
//! ```
//!
//! `DIFFERENTIAL_SEED=N` is the first seed of the random archives.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, with the line that did it"
)]
#![expect(dead_code, reason = "what other tests need beside images and archives")]

#[path = "../container/archive.rs"]
mod archive;
mod case;
#[path = "../soak/dice.rs"]
mod dice;
#[path = "../container/image.rs"]
mod image;
mod kinds;
mod links;
mod names;
mod numbers;
mod outcome;
mod pax;
mod random;
mod table;
mod tools;
mod tree;
mod whiteouts;
#[path = "../container/xattrs.rs"]
mod xattrs;
mod xattrs_of_entries;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use testbed::{Stage, Suite};

use crate::case::Case;
use crate::table::ROWS;

/// Makes the cases of a group.
type Cases = fn() -> Vec<Case>;

/// The groups of cases, each with a trial of its own.
const GROUPS: [(&str, Cases); 8] = [
    ("numbers", numbers::cases),
    ("names", names::cases),
    ("pax", pax::cases),
    ("kinds", kinds::cases),
    ("links", links::cases),
    ("whiteouts", whiteouts::cases),
    ("xattrs", xattrs_of_entries::cases),
    ("random", random::cases),
];

/// The page that says how many they are.
const CLAIMS: &str = include_str!("../../../book/src/claims.md");

fn main() -> ExitCode {
    let suite = Suite::of(&Stage::V7).time_limit(Duration::from_secs(1800));
    let suite = suite.root("the_book_has_the_figures", |_| the_book_has_the_figures());
    let add = |suite: Suite, (group, cases): (&'static str, Cases)| {
        suite.both(format!("agrees_{group}"), move |host| outcome::compare(host, group, &cases()))
    };
    GROUPS.into_iter().fold(suite, add).run()
}

fn the_book_has_the_figures() {
    let made: usize = GROUPS.iter().filter(|it| it.0 != "random").map(|it| it.1().len()).sum();
    let (random, rows) = (random::SHORT, ROWS.len());
    let figures = format!("{made} made and {random} random archives; {rows} rows");
    assert!(CLAIMS.contains(&figures), "book/src/claims.md should say {figures:?}");
    let names: Vec<_> = GROUPS.iter().flat_map(|it| it.1()).map(|case| case.name).collect();
    let unique: BTreeSet<_> = names.iter().collect();
    assert_eq!(unique.len(), names.len(), "two cases of one name");
}
