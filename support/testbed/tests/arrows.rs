//! Arrows point down only: between the crates, and between the files of a crate. No file of a
//! step is too long. What is not so yet stands in two lists, which may only become shorter.

use std::path::Path;

use testbed::shape::{Crate, problems};

#[test]
fn arrows_point_down_and_files_are_short() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let crates = Crate::read_all(workspace).unwrap();
    let known_circles = include_str!("../circles.txt");
    let found = problems(&crates, known_circles, include_str!("../long-files.txt")).unwrap();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}
