//! v2-mountns, from outside: what all steps keep, and what its own mounts do not hide.

use std::process::ExitCode;

use testbed::{Host, Stage, Suite, contract};

fn main() -> ExitCode {
    contract::add(Suite::of(&Stage::V2))
        .both("ps_shows_the_hosts_processes", ps_shows_the_hosts_processes)
        .both("process_numbers_are_the_hosts", process_numbers_are_the_hosts)
        .run()
}

fn ps_shows_the_hosts_processes(host: &Host) {
    let ps = host.sh("ps -o pid,args; true");
    let body = std::process::id().to_string();
    let is_of_body = |line: &str| line.split_whitespace().next() == Some(&body);
    assert!(ps.text().lines().any(is_of_body), "{ps:?}");
    assert!(ps.text().contains("v2-mountns"), "the supervisor is there: {ps:?}");
}

fn process_numbers_are_the_hosts(host: &Host) {
    let mut running = host.start(["sh", "-c", "echo $$; exec sleep 1000"]);
    assert_eq!(running.line(), running.command().to_string());
}
