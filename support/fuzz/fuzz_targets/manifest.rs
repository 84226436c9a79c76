//! Pod manifests: whatever the text is, it is a pod, or there is one line that says why not.

#![no_main]

use libfuzzer_sys::fuzz_target;
use manifest::{Manifest, Wanted};

fuzz_target!(|text: &str| {
    for wanted in [Wanted::Pod, Wanted::Template] {
        read(text, &wanted);
    }
});

fn read(text: &str, wanted: &Wanted) {
    let Err(error) = Manifest::read(text, wanted) else { return };
    let told = launcher::command_line::one_line(&error).to_string();
    assert!(!told.chars().any(char::is_control), "more than a line of text: {told:?}");
    assert!(told.contains("line ") || told == "it is empty", "no line is named: {told:?}");
}
