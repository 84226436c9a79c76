//! v2-mountns, from outside: what all steps keep, and what its own mounts do not hide.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs;
use std::process::ExitCode;

use testbed::elsewhere::{Rule, When, install_filter};
use testbed::{Host, Outcome, Stage, Suite, contract};

fn main() -> ExitCode {
    contract::add(Suite::of(&Stage::V2))
        .both("ps_shows_the_hosts_processes", ps_shows_the_hosts_processes)
        .both("process_numbers_are_the_hosts", process_numbers_are_the_hosts)
        .both("a_rootfs_of_somebody_else_says_so", rootfs_of_somebody_else)
        .run()
}

fn ps_shows_the_hosts_processes(host: &Host) {
    let ps = host.sh("ps -o pid,args; true");
    let body = std::process::id().to_string();
    let is_of_body = |line: &str| line.split_whitespace().next() == Some(&body);
    assert!(ps.text().lines().any(is_of_body), "{ps:?}");
    assert!(ps.text().contains("v2-mountns"), "the supervisor is there: {ps:?}");
}

/// As if the rootfs were another user's: a filter refuses what the kernel would refuse.
fn rootfs_of_somebody_else(host: &Host) {
    let rootfs = host.own_rootfs();
    fs::remove_dir(rootfs.join("proc")).unwrap();
    let mut launcher = host.launcher();
    host.elsewhere(&mut launcher, || {
        let call = libc::SYS_mkdirat;
        install_filter(&[Rule { call, when: When::Always, errno: libc::EACCES }])
    });
    Outcome::of(launcher.arg("--rootfs").arg(rootfs).arg("true")).assert_refused(
        125,
        &["of the rootfs: EACCES", "(make it yourself: this user may not write there)"],
    );
}

fn process_numbers_are_the_hosts(host: &Host) {
    let mut running = host.start(["sh", "-c", "echo $$; exec sleep 1000"]);
    assert_eq!(running.line(), running.command().to_string());
}
