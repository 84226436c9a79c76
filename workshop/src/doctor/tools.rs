//! What the pages of the book type, as it is called there: no step needs it, a reader does.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use launcher::program;
use nix::unistd::geteuid;

use super::finding::Finding;

/// What is typed, the first chapter (a page of the book) that does, and the Debian package.
const TOOLS: [(&str, &str, &str); 17] = [
    ("man", "introduction", "man-db"),
    ("sudo", "setup", "sudo"),
    ("hostname", "v1-chroot", "hostname"),
    ("pgrep", "v1-chroot", "procps"),
    ("ps", "v1-chroot", "procps"),
    ("findmnt", "v2-mountns", "util-linux"),
    ("unshare", "v2-mountns", "util-linux"),
    ("nsenter", "v4-utsns", "util-linux"),
    ("conntrack", "v5-netns", "conntrack"),
    ("curl", "v5-netns", "curl"),
    ("ip", "v5-netns", "iproute2"),
    ("pasta", "v5-netns", "passt"),
    ("ping", "v5-netns", "iputils-ping"),
    ("ss", "v5-netns", "iproute2"),
    ("tcpdump", "v5-netns", "tcpdump"),
    ("jq", "v7-overlay", "jq"),
    ("newuidmap", "root-without-root", "uidmap"),
];

/// Pages of the manual that the chapters and the hints name, one of each package: the section, the
/// name, and the package.
const MANUAL: [(&str, &str, &str); 2] =
    [("2", "unshare", "manpages-dev"), ("7", "namespaces", "manpages")];

/// One line for all of them.
pub(super) fn probe() -> Finding {
    let is_missing = |name: &str| match name {
        "sudo" if geteuid().is_root() => false, // who is root needs no way to become it
        _ => program::find(name).is_err(),
    };
    let tools = TOOLS.into_iter().filter(|(name, ..)| is_missing(name));
    let tools = tools.map(|(name, page, package)| (format!("{name} ({page})"), package));
    let pages = MANUAL.into_iter().filter(|(section, name, _)| !has_page(section, name));
    let pages = pages.map(|(section, name, package)| (format!("man {section} {name}"), package));
    found(tools.chain(pages).collect())
}

/// What is not here, as it is typed, with the page that does, and the package that has it.
fn found(missing: Vec<(String, &str)>) -> Finding {
    let name = "tools";
    if missing.is_empty() {
        return Finding::good(name, "all that the pages type is here");
    }
    let (what, packages): (Vec<_>, BTreeSet<_>) = missing.into_iter().unzip();
    let packages = packages.into_iter().collect::<Vec<_>>().join(" ");
    Finding::note(name, format!("missing: {}", what.join(", ")))
        .because("the page in brackets types it; the steps run without it")
        .cure(format!("when you get there, install: {packages} (as Debian calls them)"))
}

/// Whether the manual has a page: a file such as /usr/share/man/man2/unshare.2.gz.
fn has_page(section: &str, name: &str) -> bool {
    let file = format!("{name}.{section}");
    ["/usr/share/man", "/usr/local/share/man"].iter().any(|manual| {
        let directory = Path::new(manual).join(format!("man{section}"));
        let mut pages = fs::read_dir(directory).into_iter().flatten().flatten();
        pages.any(|page| page.file_name().as_encoded_bytes().starts_with(file.as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::State;
    use testbed::book;

    #[test]
    fn a_tool_is_on_its_page() {
        let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("../book/src");
        for (name, page, _) in TOOLS {
            let text = fs::read_to_string(book.join(page).with_extension("md")).unwrap_or_default();
            let mut words = text.split(|it: char| !it.is_alphanumeric());
            assert!(words.any(|word| word == name), "{page} has no {name}");
        }
    }

    /// The two that the doctor has lines of their own for are in that list, too.
    #[test]
    fn what_the_test_of_the_book_needs_is_looked_for() {
        for (name, package) in
            book::tools::TOOLS.into_iter().filter(|it| !["nft", "strace"].contains(&it.0))
        {
            assert!(TOOLS.iter().any(|it| (it.0, it.2) == (name, package)), "{name}");
        }
    }

    #[test]
    fn a_package_is_named_once() {
        assert_eq!(found(Vec::new()).state, State::Good);
        let told = found(vec![("ps (v1)".into(), "procps"), ("pgrep (v1)".into(), "procps")]);
        assert_eq!((told.state, &*told.seen), (State::Note, "missing: ps (v1), pgrep (v1)"));
        assert!(told.cure.is_some_and(|cure| cure.contains("install: procps (")));
    }
}
