//! v1-chroot, from outside: what all steps keep, and what a root directory alone does not hide.

use std::process::ExitCode;

use testbed::{Host, Outcome, Stage, Suite, contract};

fn main() -> ExitCode {
    contract::add(Suite::of(&Stage::V1))
        .both("ps_shows_nothing_without_proc", ps_shows_nothing_without_proc)
        .both("process_numbers_are_the_hosts", process_numbers_are_the_hosts)
        .both("the_network_is_the_hosts", the_network_is_the_hosts)
        .both("there_are_no_devices", there_are_no_devices)
        .both("the_chroot_escape_works", the_chroot_escape_works)
        .both("there_are_no_volumes_yet", there_are_no_volumes_yet)
        .run()
}

fn ps_shows_nothing_without_proc(host: &Host) {
    assert_eq!(host.run(["ls", "-A", "/proc"]).text(), "");
    let ps = host.run(["ps"]);
    assert!(ps.text().lines().count() <= 1, "at most the heading: {ps:?}");
}

fn process_numbers_are_the_hosts(host: &Host) {
    let mut running = host.start(["sh", "-c", "echo $$; exec sleep 1000"]);
    assert_eq!(running.line(), running.command().to_string());
}

fn the_network_is_the_hosts(host: &Host) {
    // The host of the test has nothing but a loopback, and that one is up.
    let links = host.run(["ip", "-o", "link"]);
    assert!(links.text().starts_with("1: lo: <LOOPBACK,UP,LOWER_UP>"), "{links:?}");
}

fn there_are_no_devices(host: &Host) {
    assert_eq!(host.run(["ls", "-A", "/dev"]).text(), "");
}

fn the_chroot_escape_works(host: &Host) {
    let rootfs = host.own_rootfs();
    let probe = host.install_probe(&rootfs, "escape");
    let outcome = Outcome::of(host.launcher().arg("--rootfs").arg(&rootfs).args(probe));
    assert_eq!(outcome.text(), "outside\n");
}

fn there_are_no_volumes_yet(host: &Host) {
    host.run(["--volume", "/tmp:/mnt", "sh"]).assert_refused(125, &["--volume"]);
}
