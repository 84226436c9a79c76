//! The programs that the pages call.

use std::path::Path;

use super::transcript::{Input, Transcript};

/// What the pages call that a small machine may lack, and where it comes from.
pub const TOOLS: [(&str, &str); 15] = [
    ("jq", "jq"),
    ("pgrep", "procps"),
    ("ps", "procps"),
    ("findmnt", "util-linux"),
    ("nsenter", "util-linux"),
    ("unshare", "util-linux"),
    ("hostname", "hostname"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("conntrack", "conntrack"),
    ("ping", "iputils-ping"),
    ("curl", "curl"),
    ("pasta", "passt"),
    ("strace", "strace"),
    ("newuidmap", "uidmap"),
];

/// A program that a page calls and that is not here.
pub fn missing_tool(transcript: &Transcript) -> Option<(&'static str, &'static str)> {
    let is_typed = |tool: &str| {
        transcript.entries.iter().any(|entry| match &entry.input {
            Input::Line(line) => {
                line.split(|c: char| !c.is_alphanumeric()).any(|word| word == tool)
            }
            _ => false,
        })
    };
    TOOLS.into_iter().find(|(tool, _)| is_typed(tool) && !is_here(tool))
}

/// Whether a program is where programs are.
pub fn is_here(tool: &str) -> bool {
    let directories = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"];
    directories.iter().any(|directory| Path::new(directory).join(tool).exists())
}
