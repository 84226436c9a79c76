//! The table of the book: each row, directly, through `-p` and through Docker's proxy.

use std::env;
use std::fs;
use std::iter;

use testbed::{Host, Suite};

use crate::WORKSPACE;
use crate::rows::{ROWS, Row};
use crate::way::{Containers, Way, has_docker_proxy, need_ss};

const PAGE: &str = "book/src/published-port.md";
const BEGIN: &str = "<!-- wire -->\n";
const HEAD: &str = "| what is tried | directly | `-p` | `docker-proxy` |\n|---|---|---|---|\n";
const END: &str = "<!-- end -->\n";

pub fn add(suite: Suite) -> Suite {
    suite.root("the_book_has_the_table", the_book_has_the_table).long()
}

/// The first two columns are ours to keep. What another version of Docker's proxy does is told, and
/// is no failure.
fn the_book_has_the_table(host: &Host) {
    let ways: &[Way] = if has_docker_proxy() {
        &[Way::Direct, Way::Published, Way::DockerProxy]
    } else {
        host.figure("no docker-proxy here: its column was not compared");
        &[Way::Direct, Way::Published]
    };
    need_ss(host);
    let containers = Containers::new(host);
    let fresh: Vec<_> = ROWS.iter().map(|row| cells(&containers, row, ways)).collect();
    let path = format!("{WORKSPACE}/{PAGE}");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (told, after) = rest.split_once(END).unwrap();
    if env::var_os("BLESS").is_some_and(|value| value == "1") && has_docker_proxy() {
        let lines: String =
            fresh.iter().map(|cells| format!("| {} |\n", cells.join(" | "))).collect();
        fs::write(&path, format!("{before}{BEGIN}{HEAD}{lines}{END}{after}")).unwrap();
        return;
    }
    let told: Vec<Vec<_>> = told
        .lines()
        .skip(2)
        .map(|line| line.trim_matches(['|', ' ']).split(" | ").collect())
        .collect();
    assert_eq!(told.len(), fresh.len(), "rows of {PAGE}: BLESS=1 makes it anew");
    for (told, fresh) in told.iter().zip(&fresh) {
        assert_eq!(told[..3], fresh[..3], "{PAGE} is stale: BLESS=1 makes it anew");
        if fresh.get(3).is_some_and(|fresh| fresh != told[3]) {
            host.figure(format_args!("another docker-proxy than the book's: {fresh:?}"));
        }
    }
}

fn cells(containers: &Containers, row: &Row, ways: &[Way]) -> Vec<String> {
    let came = |way: &Way| (row.try_it)(&mut containers.connect(*way, row.server));
    iter::once(row.what.to_owned()).chain(ways.iter().map(came)).collect()
}
