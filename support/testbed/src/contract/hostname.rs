//! v4: a hostname of its own.

use crate::{Host, Suite};

pub fn add(suite: Suite) -> Suite {
    if !suite.stage().uts_namespace {
        return suite.both("the_hostname_is_the_hosts", the_hostname_is_the_hosts);
    }
    suite
        .both("the_default_hostname_is_container", the_default_hostname_is_container)
        .both("hostname_is_set_and_the_host_does_not_see_it", hostname_is_set)
        .both("hostname_can_be_changed_inside", hostname_can_be_changed_inside)
        .both("hostname_refused", hostname_refused)
}

fn hostname_of_the_host() -> String {
    nix::unistd::gethostname().unwrap().into_string().unwrap()
}

fn the_hostname_is_the_hosts(host: &Host) {
    assert_eq!(host.run(["hostname"]).text().trim(), hostname_of_the_host());
    let outcome = host.run(["--hostname", "x", "hostname"]);
    outcome.assert_refused(125, &["--hostname"]);
}

fn the_default_hostname_is_container(host: &Host) {
    assert_eq!(host.run(["hostname"]).text(), "container\n");
}

fn hostname_is_set(host: &Host) {
    let longest = "x".repeat(64);
    for name in ["web-1", "web.example.org", "a", &longest] {
        assert_eq!(host.run(["--hostname", name, "hostname"]).text().trim(), name);
        assert_eq!(host.run([&format!("--hostname={name}"), "uname", "-n"]).text().trim(), name);
    }
    let mut running = host.start(["--hostname", "web-1", "sh", "-c", "hostname; exec sleep 1000"]);
    running.expect_line("web-1");
    assert_eq!(hostname_of_the_host(), "testbed-host");
}

fn hostname_can_be_changed_inside(host: &Host) {
    assert_eq!(host.sh("hostname changed && hostname").text(), "changed\n");
    assert_eq!(hostname_of_the_host(), "testbed-host");
}

fn hostname_refused(host: &Host) {
    host.run(["--hostname", "", "sh"]).assert_refused(125, &["hostname", "empty"]);
    let too_long = "x".repeat(65);
    host.run(["--hostname", &too_long, "sh"]).assert_refused(125, &["hostname", "64"]);
    // Two bytes each: 33 letters are too long.
    host.run(["--hostname", &"é".repeat(33), "sh"]).assert_refused(125, &["64"]);
    host.run(["--hostname"]).assert_refused(125, &["--hostname"]);
    // It becomes a line of /etc/hosts, and stands in prompts.
    for name in [
        "web\n6.6.6.6\tx",
        "a b",
        "a\x1b[2J",
        "a\x7f",
        "a\u{9b}2J",
        "-a",
        "a-",
        ".a",
        "a.",
        "a..b",
        "a/b",
        "a_b",
        "é",
    ] {
        let outcome = host.run([&format!("--hostname={name}"), "hostname"]);
        outcome.assert_refused(125, &["hostname", "letters, digits"]);
        assert!(!outcome.stderr.trim_end().chars().any(char::is_control), "{outcome:?}");
    }
}
