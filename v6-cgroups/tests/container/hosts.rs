//! Other kinds of hosts: what they lack, and what they refuse.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use nix::mount::{MntFlags, umount2};
use testbed::elsewhere::bind;
use testbed::{Host, Outcome, Suite};

use crate::tree::{PLACE, all, is_unified};

pub fn add(suite: Suite) -> Suite {
    suite
        .user("an_ordinary_user_is_told_what_to_do", an_ordinary_user_is_told_what_to_do)
        .root("a_missing_controller_is_named", a_missing_controller_is_named)
        .root("stats_do_without_a_controller", stats_do_without_a_controller)
        .root("no_cgroups_at_all", no_cgroups_at_all)
        .root("a_read_only_tree_is_said_to_be_one", a_read_only_tree_is_said_to_be_one)
        .root("a_mount_point_may_have_a_space", a_mount_point_may_have_a_space)
        .root("on_v1_alone_limits_hold", on_v1_alone_limits_hold)
        .root("on_v1_alone_processes_are_swept", on_v1_alone_processes_are_swept)
        .root("on_v1_two_controllers_may_share_a_tree", on_v1_two_controllers_may_share_a_tree)
        .user("on_v2_a_delegated_cgroup_works", on_v2_a_delegated_cgroup_works)
        .user("on_v2_a_controller_may_not_be_delegated", on_v2_a_controller_may_not_be_delegated)
        .root("on_v2_processes_in_the_way_are_moved", on_v2_processes_in_the_way_are_moved)
}

fn unmount(place: &str) -> io::Result<()> {
    Ok(umount2(place, MntFlags::MNT_DETACH)?)
}

fn unmount_in(name: &str) -> io::Result<()> {
    unmount(&format!("{PLACE}/{name}"))
}

/// Runs the launcher on a host that `change` has changed.
fn run_elsewhere(
    host: &Host,
    arguments: &[&str],
    change: impl Fn() -> io::Result<()> + Send + Sync + 'static,
) -> Outcome {
    let mut launcher = host.launcher();
    launcher.args(arguments);
    host.elsewhere(&mut launcher, change);
    Outcome::of(&mut launcher)
}

fn an_ordinary_user_is_told_what_to_do(host: &Host) {
    if host.has_user_namespace() {
        host.skip("the cgroups are the machine's, and may be delegated to whoever runs this");
    }
    let words: &[&str] = if is_unified() {
        &["cannot make a cgroup in", "EACCES", "systemd-run --user --scope -p Delegate=yes"]
    } else {
        &["cannot make a cgroup in", "EACCES", "cgroup v1", "Only v2 can be delegated"]
    };
    let limits = [
        &["-m", "64m"][..],
        &["--cpus", "0.5"],
        &["--cpuset-cpus", "0"],
        &["--pids-limit", "9"],
        &["--stats"],
    ];
    for limit in limits {
        host.run(limit.iter().chain(&["true"])).assert_refused(125, words);
    }
    assert_eq!(host.run(["echo", "fine"]).text(), "fine\n");
}

/// On hybrid the tree of pids is unmounted. On v2 the host's top is a cgroup that was given no
/// controllers.
fn take_pids_away() -> io::Result<()> {
    if !is_unified() {
        return unmount_in("pids");
    }
    fs::create_dir(format!("{PLACE}/poor"))?;
    bind(&format!("{PLACE}/poor"), PLACE)
}

fn a_missing_controller_is_named(host: &Host) {
    let outcome = run_elsewhere(host, &["--pids-limit", "9", "true"], take_pids_away);
    let kind = if is_unified() { "cgroup v2;" } else { "hybrid" };
    outcome.assert_refused(125, &["no cgroup controller \"pids\"", kind]);
    remove_poor();
}

fn remove_poor() {
    if is_unified() {
        fs::remove_dir(format!("{PLACE}/poor")).unwrap();
    }
}

fn stats_do_without_a_controller(host: &Host) {
    let outcome = run_elsewhere(host, &["--stats", "echo", "fine"], take_pids_away);
    assert_eq!(outcome.text(), "fine\n");
    assert!(outcome.stderr.contains("peak processes unknown"), "{outcome:?}");
    remove_poor();
}

fn no_cgroups_at_all(host: &Host) {
    let outcome = run_elsewhere(host, &["-m", "64m", "true"], || unmount(PLACE));
    outcome.assert_refused(125, &["no cgroup file system is mounted here", "mount -t cgroup2"]);
    let outcome = run_elsewhere(host, &["echo", "fine"], || unmount(PLACE));
    assert_eq!(outcome.text(), "fine\n");
}

fn a_read_only_tree_is_said_to_be_one(host: &Host) {
    let outcome = run_elsewhere(host, &["-m", "64m", "true"], || {
        let place = if is_unified() { PLACE.to_owned() } else { format!("{PLACE}/memory") };
        let flags = nix::mount::MsFlags::MS_REMOUNT
            | nix::mount::MsFlags::MS_BIND
            | nix::mount::MsFlags::MS_RDONLY;
        Ok(nix::mount::mount(None::<&str>, place.as_str(), None::<&str>, flags, None::<&str>)?)
    });
    outcome.assert_refused(125, &["cannot make a cgroup in", "EROFS", "--privileged"]);
}

/// The kernel lists it as `with\040a\040space`.
fn a_mount_point_may_have_a_space(host: &Host) {
    let place = if is_unified() { PLACE.to_owned() } else { format!("{PLACE}/memory") };
    let elsewhere = host.dir("with a space").display().to_string();
    let limit = ["memory.max", "memory/memory.limit_in_bytes"].map(|it| format!("{PLACE}/{it}"));
    let script = format!("cat {}", limit[usize::from(!is_unified())]);
    let outcome = run_elsewhere(host, &["-m", "64m", "sh", "-c", &script], move || {
        bind(&place, &elsewhere)?;
        unmount(&place)
    });
    assert_eq!(outcome.text(), "67108864\n");
    assert_eq!(all(), Vec::<std::path::PathBuf>::new());
}

fn skip_unless_v1(host: &Host) {
    if is_unified() {
        host.skip("the controllers of this host are v2's");
    }
}

fn skip_unless_v2(host: &Host) {
    if !is_unified() {
        host.skip("the controllers of this host are v1's");
    }
    if !host.has_own_cgroups() {
        host.skip("the cgroups are the machine's");
    }
}

fn on_v1_alone_limits_hold(host: &Host) {
    skip_unless_v1(host);
    let script = "ls -d /sys/fs/cgroup/memory /sys/fs/cgroup/unified 2>/dev/null; \
                  dd if=/dev/zero of=/dev/null bs=100M count=1; exit 5";
    let arguments = ["-m", "64m", "--pids-limit", "9", "sh", "-c", script];
    let outcome = run_elsewhere(host, &arguments, || unmount_in("unified"));
    assert_eq!(outcome.code(), 5, "{outcome:?}");
    assert_eq!(outcome.stdout, b"/sys/fs/cgroup/memory\n");
    assert!(outcome.stderr.contains("out of memory (limit 64 MiB, 1 oom kill)"), "{outcome:?}");
    assert_eq!(all(), Vec::<std::path::PathBuf>::new());
}

fn on_v1_alone_processes_are_swept(host: &Host) {
    skip_unless_v1(host);
    let orphan = Path::new(PLACE).join("pids/container-steps/4711");
    fs::create_dir_all(&orphan).unwrap();
    let mut process = Command::new("sleep").arg("1000").spawn().unwrap();
    fs::write(orphan.join("cgroup.procs"), process.id().to_string()).unwrap();
    run_elsewhere(host, &["-m", "64m", "true"], || unmount_in("unified")).text();
    assert!(!process.wait().unwrap().success());
    assert!(!orphan.exists());
}

/// Debian, say, mounted `cpu,cpuacct`. Here each has its own tree, and neither can be joined. But
/// a directory of any name will do, and the link to it.
fn on_v1_two_controllers_may_share_a_tree(host: &Host) {
    skip_unless_v1(host);
    let script = "cd /sys/fs/cgroup; readlink memory; cat memory/memory.limit_in_bytes";
    let outcome = run_elsewhere(host, &["-m", "64m", "sh", "-c", script], || {
        fs::create_dir(format!("{PLACE}/memory,more"))?;
        bind(&format!("{PLACE}/memory"), &format!("{PLACE}/memory,more"))?;
        unmount_in("memory")
    });
    assert_eq!(outcome.text(), "memory,more\n67108864\n");
    fs::remove_dir(format!("{PLACE}/memory,more")).unwrap();
}

/// A cgroup that belongs to the ordinary user, as `systemd-run -p Delegate=yes` makes it; it has
/// the controllers in `controllers`.
fn delegate(host: &Host, controllers: &str) -> std::path::PathBuf {
    let top = Path::new(PLACE);
    fs::write(top.join("cgroup.subtree_control"), controllers).unwrap();
    let directory = top.join("user.scope");
    fs::create_dir(&directory).unwrap();
    for name in ["", "cgroup.procs", "cgroup.subtree_control"] {
        host.give(&directory.join(name));
    }
    directory
}

/// A shell of the ordinary user in that cgroup: it is born where we are.
fn shell_in(host: &Host, cgroup: &Path, script: &str) -> Outcome {
    let own_number = std::process::id().to_string();
    fs::write(cgroup.join("cgroup.procs"), &own_number).unwrap();
    let outcome = Outcome::of(host.command("sh").args(["-c", script]));
    fs::write(Path::new(PLACE).join("machine/cgroup.procs"), &own_number).unwrap();
    outcome
}

fn on_v2_a_delegated_cgroup_works(host: &Host) {
    skip_unless_v2(host);
    let scope = delegate(host, "+memory +pids +cpu +cpuset");
    let script = "for i in 1 2; do v6-cgroups -m 64m --memory-swap 100m --cpus 0.5 --cpuset-cpus 0 \
                  --pids-limit 9 sh -c 'cd /sys/fs/cgroup; cat memory.max memory.swap.max cpu.max \
                  cpuset.cpus /proc/self/cgroup'; done; cat /proc/$$/cgroup";
    let outcome = shell_in(host, &scope, script);
    let inside = "67108864\n37748736\n50000 100000\n0\n0::/\n";
    let own = "0::/user.scope/container-steps-callers\n";
    assert_eq!(outcome.text(), format!("{inside}{inside}{own}"));
    let note = "Note: the processes of your cgroup were moved into";
    assert_eq!(outcome.stderr.matches(note).count(), 1, "{outcome:?}");
    assert!(!scope.join("container-steps").exists());
    fs::remove_dir(scope.join("container-steps-callers")).unwrap();
    fs::remove_dir(scope).unwrap();
}

fn on_v2_a_controller_may_not_be_delegated(host: &Host) {
    skip_unless_v2(host);
    // The host's top has passed on all of them.
    fs::write(Path::new(PLACE).join("cgroup.subtree_control"), "-cpu").unwrap();
    let scope = delegate(host, "+memory +pids");
    let outcome = shell_in(host, &scope, "v6-cgroups --cpus 0.5 true");
    let words = ["the controller \"cpu\" was not passed on", "memory pids", "Delegate="];
    outcome.assert_refused(125, &words);
    fs::remove_dir(scope).unwrap();
}

/// A root whose top is not that of the machine, as in a container: processes there are in the way.
fn on_v2_processes_in_the_way_are_moved(host: &Host) {
    skip_unless_v2(host);
    let mut process = Command::new("sleep").arg("1000").spawn().unwrap();
    let top = Path::new(PLACE);
    fs::write(top.join("cgroup.procs"), process.id().to_string()).unwrap();
    let outcome = host.run(["-m", "64m", "echo", "fine"]);
    assert_eq!(outcome.text(), "fine\n");
    let leaf = top.join("container-steps-callers");
    assert_eq!(
        fs::read_to_string(leaf.join("cgroup.procs")).unwrap(),
        format!("{}\n", process.id())
    );
    process.kill().unwrap();
    process.wait().unwrap();
    fs::remove_dir(leaf).unwrap();
}
