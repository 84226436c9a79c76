//! The doctor, on hosts that are healthy and on hosts that are not.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, with the line that did it"
)]

mod stages;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use nix::sched::CloneFlags;
use serde_json::Value;
use testbed::elsewhere::{Rule, When, bind, install_filter};
use testbed::{BIN, Host, Outcome, Suite};

fn main() -> ExitCode {
    stages::build();
    Suite::of_no_stage()
        .own_cgroups()
        .both("a_healthy_host_runs_every_step", a_healthy_host_runs_every_step)
        .both("what_is_told_as_json_is_what_is_printed", what_is_told_as_json_is_what_is_printed)
        .both("an_unfit_busybox_stops_every_step", an_unfit_busybox_stops_every_step)
        .both("a_cache_with_noexec_is_told", a_cache_with_noexec_is_told)
        .both("without_pid_namespaces_two_steps_run", without_pid_namespaces_two_steps_run)
        .both("without_nft_there_is_no_way_outside", without_nft_there_is_no_way_outside)
        .both("what_the_pages_type_is_looked_for", what_the_pages_type_is_looked_for)
        .both("a_loopback_resolver_is_told", a_loopback_resolver_is_told)
        .root("a_lesser_root_has_no_way_outside", a_lesser_root_has_no_way_outside)
        .user("without_user_namespaces_nothing_runs", without_user_namespaces_nothing_runs)
        .both("a_reader_may_have_enough", a_reader_may_have_enough)
        .both("clean_removes_the_cache", clean_removes_the_cache)
        .both("clean_leaves_the_images_and_tells", clean_leaves_the_images_and_tells)
        .user("clean_removes_what_a_range_owns_with_a_range", clean_removes_what_a_range_owns)
        .both("a_clean_that_is_interrupted_leaves_no_half_layer", clean_that_is_interrupted)
        .both("clean_spares_a_running_container", clean_spares_a_running_container)
        .both("clean_spares_the_layers_of_a_container", clean_spares_the_layers_of_a_container)
        .both("clean_spares_the_volumes_of_a_pod", clean_spares_the_volumes_of_a_pod)
        .root("clean_removes_a_bridge_of_a_killed_supervisor", clean_removes_a_dead_bridge)
        .root("clean_removes_cgroups_of_a_killed_supervisor", clean_removes_dead_cgroups)
        .run()
}

fn doctor(host: &Host) -> Command {
    let mut doctor = host.command(Path::new(BIN).join("workshop"));
    doctor.arg("doctor");
    doctor
}

/// The report, and whether the exit status says that every step runs.
fn report(command: &mut Command) -> (Value, bool) {
    let outcome = Outcome::of(command.arg("--json"));
    assert!(matches!(outcome.code(), 0 | 1), "{outcome:?}");
    assert_eq!(outcome.stderr, "", "{outcome:?}");
    (serde_json::from_slice(&outcome.stdout).unwrap(), outcome.code() == 0)
}

fn probe<'a>(report: &'a Value, name: &str) -> &'a Value {
    let probes = report["probes"].as_array().unwrap();
    probes.iter().find(|it| it["name"] == name).unwrap_or_else(|| panic!("no probe {name}"))
}

/// The steps that run.
fn running(report: &Value) -> Vec<&str> {
    let steps = report["steps"].as_array().unwrap().iter();
    steps.filter(|it| it["runs"] == true).map(|it| it["name"].as_str().unwrap()).collect()
}

#[track_caller]
fn assert_bad(report: &Value, name: &str, words: &str) {
    let probe = probe(report, name);
    assert_eq!(probe["state"], "bad", "{probe}");
    assert!(probe.to_string().contains(words), "no {words:?} in {probe}");
}

fn a_healthy_host_runs_every_step(host: &Host) {
    let (report, is_well) = report(&mut doctor(host));
    assert!(is_well, "{report:#}");
    assert_eq!(running(&report).len(), 8, "{report:#}");
    assert!(report["probes"].as_array().unwrap().len() >= 20);
    if probe(&report, "nft")["state"] != "good" {
        host.skip("no nft on this machine: install nftables");
    }
    let outside = report["steps"][4]["without"].to_string().contains("a way outside");
    assert_eq!(outside, !host.is_root(), "{report:#}");
    // What was promised is kept.
    for stage in ["v1-chroot", "v2-mountns", "v3-pidns", "v4-utsns", "v5-netns"] {
        assert_eq!(Outcome::of(host.stage(stage).arg("true")).code(), 0, "{stage}");
    }
}

fn what_is_told_as_json_is_what_is_printed(host: &Host) {
    let (report, _) = report(&mut doctor(host));
    let printed = Outcome::of(&mut doctor(host));
    for probe in report["probes"].as_array().unwrap() {
        let line =
            format!("{}: {}\n", probe["name"].as_str().unwrap(), probe["seen"].as_str().unwrap());
        assert!(printed.text().contains(&line), "no {line:?} in {}", printed.text());
    }
    assert!(printed.text().contains("\nv3-pidns    runs\n"), "{}", printed.text());
}

fn an_unfit_busybox_stops_every_step(host: &Host) {
    let (report, is_well) = report(doctor(host).env("BUSYBOX", "/bin/true"));
    assert!(!is_well);
    assert_bad(&report, "rootfs", "dynamically linked");
    assert_eq!(running(&report), [""; 0]);
}

fn a_cache_with_noexec_is_told(host: &Host) {
    Outcome::of(host.stage("v1-chroot").arg("true")).text();
    let cache = host.cache();
    let mut command = doctor(host);
    host.elsewhere(&mut command, move || {
        use nix::mount::{MsFlags, mount};
        let none = None::<&str>;
        mount(Some(&cache), &cache, none, MsFlags::MS_BIND, none)?;
        // What is locked may not be taken away: the host has these two.
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_NOEXEC;
        let flags = flags | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        Ok(mount(none, &cache, none, flags, none)?)
    });
    let (report, is_well) = report(&mut command);
    assert!(!is_well);
    assert_bad(&report, "cache", "noexec");
}

/// unshare(2) with one of these flags fails.
fn forbid_unshare(kind: CloneFlags) -> std::io::Result<()> {
    let bits = kind.bits().cast_unsigned();
    let call = libc::SYS_unshare;
    install_filter(&[Rule { call, when: When::HasBits(0, bits), errno: libc::EPERM }])
}

fn without_pid_namespaces_two_steps_run(host: &Host) {
    let mut command = doctor(host);
    host.elsewhere(&mut command, || forbid_unshare(CloneFlags::CLONE_NEWPID));
    let (report, is_well) = report(&mut command);
    assert!(!is_well);
    assert_bad(&report, "process numbers", "EPERM");
    assert_eq!(running(&report), ["v1-chroot", "v2-mountns"]);
    assert_eq!(probe(&report, "seccomp")["state"], "note");
}

fn without_user_namespaces_nothing_runs(host: &Host) {
    let mut command = doctor(host);
    host.elsewhere(&mut command, || forbid_unshare(CloneFlags::CLONE_NEWUSER));
    let (report, is_well) = report(&mut command);
    assert!(!is_well);
    assert_bad(&report, "user namespace", "seccomp=unconfined");
    assert_eq!(running(&report), [""; 0]);
}

/// Where these programs are, there is something that cannot be executed.
fn without(programs: &[&str]) -> std::io::Result<()> {
    for program in programs {
        for directory in ["/usr/sbin", "/sbin", "/usr/bin", "/bin"] {
            let place = Path::new(directory).join(program);
            if place.exists() {
                bind("/dev/null", &place.to_string_lossy())?;
            }
        }
    }
    Ok(())
}

fn what_the_pages_type_is_looked_for(host: &Host) {
    let mut command = doctor(host);
    host.elsewhere(&mut command, || without(&["ps", "pgrep", "man", "curl"]));
    let (report, is_well) = report(&mut command);
    assert!(is_well, "every step runs: {report:#}");
    let probe = probe(&report, "tools");
    assert_eq!(probe["state"], "note", "{probe}");
    let seen = probe["seen"].as_str().unwrap();
    for told in ["ps (v1-chroot)", "pgrep (v1-chroot)", "man (introduction)", "curl (v5-netns)"] {
        assert!(seen.contains(told), "no {told:?} in {seen}");
    }
    let cure = probe["cure"].as_str().unwrap();
    let packages = ["curl", "man-db", "procps"].map(|package| cure.matches(package).count());
    assert_eq!(packages, [1, 1, 1], "{cure}");
}

fn without_nft_there_is_no_way_outside(host: &Host) {
    let mut command = doctor(host);
    host.elsewhere(&mut command, || without(&["nft"]));
    let (report, is_well) = report(&mut command);
    assert!(is_well, "it still runs: {report:#}");
    assert_bad(&report, "bridge", "cannot run nft");
    assert!(report["steps"][4]["without"].to_string().contains("a way outside"));
}

/// The root of a container often lacks CAP_SYS_ADMIN. Then the steps do as for an ordinary user.
fn a_lesser_root_has_no_way_outside(host: &Host) {
    let mut command = host.command("setpriv");
    let workshop = Path::new(BIN).join("workshop");
    command.args(["--bounding-set", "-sys_admin"]).arg(workshop).arg("doctor");
    let (report, is_well) = report(&mut command);
    assert!(is_well, "it still runs: {report:#}");
    assert!(report["steps"][4]["without"].to_string().contains("a way outside"), "{report:#}");
}

fn a_loopback_resolver_is_told(host: &Host) {
    let own = host.dir("resolver").join("resolv.conf");
    fs::write(&own, "nameserver 127.0.0.53\n").unwrap();
    if !Path::new("/etc/resolv.conf").exists() {
        host.skip("no /etc/resolv.conf on this machine");
    }
    let mut command = doctor(host);
    // A host's /run is empty, so systemd-resolved has written no other one there.
    host.elsewhere(&mut command, move || bind(own.to_str().unwrap(), "/etc/resolv.conf"));
    let (report, _) = report(&mut command);
    assert_eq!(probe(&report, "resolver")["state"], "note", "{report:#}");
}

fn a_reader_may_have_enough(host: &Host) {
    let with = |option: &[&str]| {
        let mut doctor = doctor(host);
        doctor.args(option);
        doctor
    };
    Outcome::assert_ends_unread(|| with(&[]));
    Outcome::assert_ends_unread(|| with(&["--json"]));
    Outcome::assert_ends_unread(|| with(&["--help"]));
    // What is to be done is done to the end.
    assert!(host.cache().exists());
    Outcome::assert_ends_unread(|| with(&["--clean"]));
    assert!(!host.cache().exists());
}

fn clean_removes_the_cache(host: &Host) {
    Outcome::of(host.stage("v1-chroot").arg("true")).text();
    assert!(host.cache().is_dir());
    // As overlayfs leaves one.
    let closed = host.cache().join("work");
    fs::create_dir(&closed).unwrap();
    host.give(&closed);
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    Outcome::of(doctor(host).arg("--clean")).text();
    assert!(!host.cache().exists());
    Outcome::of(doctor(host).arg("--clean")).text();
    Outcome::of(host.stage("v1-chroot").arg("true")).text();
}

/// They are no cache: the next start would not have them.
fn clean_leaves_the_images_and_tells(host: &Host) {
    let images = host.images();
    let place = images.display();
    let seen = |host: &Host| probe(&report(&mut doctor(host)).0, "images")["seen"].clone();
    assert_eq!(seen(host), format!("none in {place}"));
    for (name, index) in [
        ("alpine", r#"{"manifests": [{}, {}]}"#),
        ("alpine/git", r#"{"manifests": [{}]}"#),
        ("damaged", "{"),
    ] {
        let layout = images.join(name);
        fs::create_dir_all(&layout).unwrap();
        fs::write(layout.join("index.json"), index).unwrap();
        fs::write(layout.join("blob"), vec![0; 1_240_000]).unwrap();
    }
    std::os::unix::fs::symlink("..", images.join("circle")).unwrap();
    host.give(&images);
    let lists = "(cargo workshop images lists them)";
    assert_eq!(seen(host), format!("3, 3.7 MB in {place} {lists}"));
    let outcome = Outcome::of(doctor(host).arg("--clean"));
    let left = format!("left images: 3, 3.7 MB in {place} (cargo workshop images remove NAME)\n");
    assert!(outcome.text().ends_with(&left), "{outcome:?}");
    assert!(images.join("alpine/git/blob").exists());
}

/// Files of ids that are nobody's outside: only who has the same range can remove them.
fn clean_removes_what_a_range_owns(host: &Host) {
    host.give_subordinate_ids();
    Outcome::of(host.stage("v1-chroot").arg("true")).text();
    let directory = host.cache().join("layers");
    let inner = directory.join("of-33");
    fs::create_dir_all(&inner).unwrap();
    fs::write(inner.join("file"), "").unwrap();
    let of_33 = Host::SUBORDINATE_IDS.0 + 32;
    host.give(&directory);
    for path in [&inner, &inner.join("file")] {
        std::os::unix::fs::chown(path, Some(of_33), Some(of_33)).unwrap();
    }
    fs::set_permissions(&inner, fs::Permissions::from_mode(0o700)).unwrap();
    for file in ["subuid", "subgid"] {
        host.write_subordinate_ids(file, "");
    }
    let outcome = Outcome::of(doctor(host).arg("--clean"));
    assert_eq!(outcome.code(), 1, "{outcome:?}");
    assert!(outcome.stderr.contains("a range of ids that you have no more? sudo rm -r"));
    host.give_subordinate_ids();
    Outcome::of(doctor(host).arg("--clean")).text();
    assert!(!host.cache().exists() && !host.cache().with_extension("removed").exists());
}

/// A layer is complete if it is there. (A start believes that.)
fn clean_that_is_interrupted(host: &Host) {
    const FILES: usize = 1000;
    let layers = host.cache().join("layers");
    let layer = layers.join("0123456789abcdef");
    Outcome::of(host.stage("v1-chroot").arg("true")).text();
    fs::create_dir_all(&layer).unwrap();
    host.give(&layers);
    host.give(&layer);
    for number in 0..FILES {
        fs::write(layer.join(number.to_string()), "").unwrap();
    }
    let count = |path: &Path| fs::read_dir(path).map_or(0, Iterator::count);
    let places = || {
        let above = host.cache().parent().unwrap().to_owned();
        let caches = fs::read_dir(above).unwrap().map(|entry| entry.unwrap().path());
        caches.map(|cache| cache.join("layers/0123456789abcdef")).collect::<Vec<_>>()
    };
    let left = || places().iter().map(|path| count(path)).sum::<usize>();
    // In the middle of the files that it removes.
    let removed = std::cell::Cell::new(0);
    let kill = || {
        removed.set(removed.get() + 1);
        if removed.get() < FILES / 2 {
            return;
        }
        for pid in testbed::running::descendants(std::process::id()) {
            let pid = nix::unistd::Pid::from_raw(pid.cast_signed());
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        }
    };
    let moment = Some(("unlinkat", &kill as &dyn Fn()));
    testbed::faults::descriptors::look_and(host, doctor(host).arg("--clean"), moment);
    assert_eq!(removed.get(), FILES / 2, "it was not interrupted");
    assert!(matches!(count(&layer), 0 | FILES), "{} of {FILES} files", count(&layer));
    Outcome::of(doctor(host).arg("--clean")).text();
    assert_eq!((left(), host.cache().exists()), (0, false));
    assert!(!host.cache().with_extension("removed").exists());
}

/// What a command of v1 has started outlives a launcher that was killed, and has its root there.
fn clean_spares_a_running_container(host: &Host) {
    let mut v1 = host.stage("v1-chroot");
    v1.args(["sh", "-c", "echo started; sleep 100; true"]);
    let mut container = v1.stdout(std::process::Stdio::piped()).spawn().unwrap();
    std::io::Read::read_exact(container.stdout.as_mut().unwrap(), &mut [0]).unwrap();
    let limit = std::time::Duration::from_secs(5);
    let all = || testbed::running::descendants(container.id());
    testbed::running::within(limit, "sh has started sleep", || {
        all().last().is_some_and(|pid| testbed::running::program(*pid) == "sleep")
    });
    let all = all();
    container.kill().unwrap();
    container.wait().unwrap();
    let outcome = Outcome::of(doctor(host).arg("--clean"));
    assert_eq!(outcome.code(), 1, "{outcome:?}");
    assert!(outcome.stderr.contains("has its root in there"), "{outcome:?}");
    assert!(host.rootfs().join("bin/busybox").is_file());
    // sh died with its supervisor; what it had started did not.
    all.into_iter()
        .filter(|pid| testbed::running::is_alive(*pid))
        .for_each(|pid| testbed::running::send(pid, 9));
}

fn clean_spares_the_layers_of_a_container(host: &Host) {
    let mut v7 = host.stage("v7-overlay");
    v7.args(["--net", "none", "sh", "-c", "echo started; exec sleep 100"]);
    let mut container = v7.stdout(std::process::Stdio::piped()).spawn().unwrap();
    std::io::Read::read_exact(container.stdout.as_mut().unwrap(), &mut [0]).unwrap();
    let outcome = Outcome::of(doctor(host).arg("--clean"));
    assert_eq!(outcome.code(), 1, "{outcome:?}");
    assert!(outcome.stderr.contains("v7-overlay runs, as process"), "{outcome:?}");
    assert!(host.rootfs().join("bin/busybox").is_file());
    container.kill().unwrap();
    container.wait().unwrap();
}

fn clean_spares_the_volumes_of_a_pod(host: &Host) {
    let mut pod = host.stage("v8-pause");
    let pipe = std::process::Stdio::piped; // its shell waits for the end of this one
    let mut pod = pod.args(["--net", "none"]).stdin(pipe()).stdout(pipe()).spawn().unwrap();
    std::io::Read::read_exact(pod.stdout.as_mut().unwrap(), &mut [0]).unwrap();
    let outcome = Outcome::of(doctor(host).arg("--clean"));
    assert_eq!(outcome.code(), 1, "{outcome:?}");
    assert!(outcome.stderr.contains("v8-pause runs, as process"), "{outcome:?}");
    assert!(host.rootfs().join("bin/busybox").is_file());
    testbed::running::send(pod.id(), 15);
    pod.wait().unwrap();
}

fn clean_removes_a_dead_bridge(host: &Host) {
    host.need_nft();
    let has_bridge = || Path::new("/proc/sys/net/ipv4/conf/steps0").exists();
    let mut container = host.stage("v5-netns").args(["sleep", "100"]).spawn().unwrap();
    while !has_bridge() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    std::thread::sleep(std::time::Duration::from_millis(300));
    container.kill().unwrap();
    container.wait().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(has_bridge(), "a killed supervisor leaves the bridge");
    let (report, _) = report(&mut doctor(host));
    assert!(probe(&report, "leftovers")["seen"].to_string().contains("steps0"), "{report:#}");
    let outcome = Outcome::of(doctor(host).arg("--clean"));
    assert!(outcome.text().contains("removed the bridge"), "{outcome:?}");
    assert!(!has_bridge());
}

fn clean_removes_dead_cgroups(host: &Host) {
    if !host.has_own_cgroups() {
        host.skip("this host has no cgroups of its own");
    }
    let leftovers = || {
        let (report, _) = report(&mut doctor(host));
        probe(&report, "leftovers")["seen"].as_str().unwrap().to_owned()
    };
    assert_eq!(leftovers(), "none");
    let mut command = host.stage("v6-cgroups");
    command.args(["--net", "none", "--pids-limit", "50", "sleep", "100"]);
    let mut container = command.spawn().unwrap();
    while !leftovers().contains("the cgroup /sys/fs/cgroup/") {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    // A container that runs keeps its cgroup.
    let outcome = Outcome::of(doctor(host).arg("--clean"));
    let text = String::from_utf8_lossy(&outcome.stdout);
    assert!(text.contains("a container is in it"), "{outcome:?}");
    std::thread::sleep(std::time::Duration::from_millis(300));
    container.kill().unwrap();
    container.wait().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(leftovers().contains("the cgroup"), "a killed supervisor leaves its cgroup");
    let outcome = Outcome::of(doctor(host).arg("--clean"));
    assert!(outcome.text().contains("removed the cgroup"), "{outcome:?}");
    assert_eq!(leftovers(), "none");
}
