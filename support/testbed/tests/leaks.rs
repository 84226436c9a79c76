//! Proof that the leak check sees leaks: a launcher leaks each kind of resource on purpose.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, with the line that did it"
)]

use std::env;
use std::fs;
use std::io;
use std::process::{Command, ExitCode};
use std::thread::sleep;
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use testbed::{CgroupHost, EXE, Host, Suite};

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    if arguments.next().as_deref() == Some("--leak") {
        leak(&arguments.next().expect("what to leak"));
        return ExitCode::SUCCESS;
    }
    Suite::of_no_stage()
        .own_cgroups()
        .both("nothing", |_| run_launcher("nothing"))
        .both("a_process_that_is_about_to_end_is_no_leak", |_| run_launcher("short-lived process"))
        .both("what_the_test_owns_is_no_leak", |host| {
            fs::write(host.dir("mine").join("file"), "").unwrap();
        })
        .both("the_cache_is_no_leak", |host| {
            fs::create_dir_all(host.rootfs().join("bin")).unwrap();
            fs::write(host.cache().join("busybox"), "").unwrap();
        })
        .leaks("a_temporary_file_in_the_cache", &["new file: "], |host| {
            fs::create_dir_all(host.cache()).unwrap();
            fs::write(host.cache().join("rootfs.tmp"), "").unwrap();
        })
        .leaks("an_image_that_nobody_has_asked_for", IMAGE, |host| {
            if host.has_user_namespace() {
                host.skip("what is in /var/lib is nobody's in a user namespace");
            }
            fs::create_dir("/var/lib/container-steps").unwrap();
        })
        .leaks("mount", &["new mount: "], |_| run_launcher("mount"))
        .leaks("unmounted", &["gone mount: ", "new file: /dev/pts"], |_| run_launcher("umount"))
        .leaks("mount_in_a_namespace_that_is_shared", &["new mount: "], |_| {
            run_launcher("mount from a namespace")
        })
        .leaks("link", &["new network link: leak0"], leak_link)
        .leaks("nft_table", &["new nft table: table inet leak"], leak_nft_table)
        .leaks("cgroup", &["new cgroup: ", "new mount: "], |_| run_launcher("cgroup"))
        .leaks("cgroup_of_the_kernel", &["new cgroup: "], |host| {
            if !host.has_own_cgroups() {
                host.skip("the cgroups are the machine's");
            }
            let is_unified = CgroupHost::of_machine() == CgroupHost::Unified;
            let tree = if is_unified { "" } else { "memory/" };
            fs::create_dir(format!("/sys/fs/cgroup/{tree}container-steps-4711")).unwrap();
        })
        .leaks("process", &["new process: "], |_| run_launcher("process"))
        .leaks("zombie", &["(true) Z"], |_| {
            #[expect(clippy::zombie_processes, reason = "the zombie is what the test is about")]
            Command::new("true").spawn().unwrap();
        })
        .leaks("file", &["new file: /tmp/leak\t"], |_| run_launcher("file"))
        .leaks("directory", &["new file: /run/leak\t"], |_| run_launcher("directory"))
        .leaks("device", &["new file: /dev/leak\t"], |_| run_launcher("device"))
        .leaks(
            "mode_of_a_file",
            &["gone file: /home/learner\tmode 40755", "new file: /home/learner\tmode 40700"],
            |_| run_launcher("mode"),
        )
        .leaks("shared_memory", &["new ipc object: shm"], |_| run_launcher("shared memory"))
        .leaks("hostname", &["gone hostname: testbed-host", "new hostname: leak"], |_| {
            run_launcher("hostname");
        })
        .leaks("ip_forward", &["gone ip_forward: 0", "new ip_forward: 1"], |_| {
            run_launcher("ip_forward");
        })
        .leaks("forwarding", &["new forwarding link: lo"], |_| run_launcher("forwarding"))
        .run()
}

/// Where an image of root's shows.
const IMAGE: &[&str] = &["new file: /run/testbed/var-lib/container-steps\t"];

/// Runs the launcher that leaks, as the host's root.
fn run_launcher(resource: &str) {
    let status = Command::new(EXE).args(["--leak", resource]).status().unwrap();
    assert!(status.success(), "{status}");
}

fn leak_link(host: &Host) {
    let Ok(output) = Command::new("ip").args("link add leak0 type bridge".split(' ')).output()
    else {
        host.skip("there is no `ip` here");
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn leak_nft_table(host: &Host) {
    let Ok(output) = Command::new("nft").args(["add", "table", "inet", "leak"]).output() else {
        host.skip("there is no `nft` here");
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The launcher.
fn leak(resource: &str) {
    match resource {
        "nothing" => {}
        "mount" => mount_tmpfs("/mnt"),
        "umount" => nix::mount::umount("/dev/pts").unwrap(),
        "mount from a namespace" => {
            // The mistake of half of the tutorials: no MS_PRIVATE after this.
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
            mount_tmpfs("/mnt");
        }
        "cgroup" => {
            // A stand-in: the real hierarchy is the machine's.
            mount_tmpfs("/sys/fs/cgroup");
            fs::create_dir_all("/sys/fs/cgroup/memory/container-steps-4711").unwrap();
        }
        "process" => start("1000"),
        "short-lived process" => start("0.2"),
        "file" => fs::write("/tmp/leak", "").unwrap(),
        "directory" => fs::create_dir("/run/leak").unwrap(),
        "device" => fs::write("/dev/leak", "").unwrap(),
        "mode" => chmod("/home/learner", 0o700),
        "shared memory" => make_shared_memory(),
        "hostname" => nix::unistd::sethostname("leak").unwrap(),
        "ip_forward" => fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap(),
        "forwarding" => fs::write("/proc/sys/net/ipv4/conf/lo/forwarding", "1").unwrap(),
        other => panic!("do not know how to leak a {other}"),
    }
}

fn mount_tmpfs(path: &str) {
    mount(Some("leak"), path, Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
}

fn start(seconds: &str) {
    #[expect(clippy::zombie_processes, reason = "it shall outlive us")]
    Command::new("sleep").arg(seconds).spawn().unwrap();
    // Long enough for the exec, so that the report names it.
    sleep(Duration::from_millis(50));
}

fn chmod(path: &str, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn make_shared_memory() {
    // SAFETY: shmget takes no pointer.
    let id = unsafe { libc::shmget(libc::IPC_PRIVATE, 4096, libc::IPC_CREAT | 0o600) };
    assert!(id >= 0, "{}", io::Error::last_os_error());
}
