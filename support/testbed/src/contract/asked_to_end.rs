//! Ctrl-C before there is a container: while a launcher waits for others, it ends all the same.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use super::network::replace_nft;
use crate::pace::{settle, slowed};
use crate::running::send;
use crate::{Host, Outcome, Suite};

pub fn add(suite: Suite) -> Suite {
    let stage = suite.stage();
    // (What is mounted below a layer is not seen through it.)
    let suite = match stage.writable_layer {
        true => suite,
        false => suite.root("a_signal_ends_a_start_that_hangs", a_signal_ends_a_start_that_hangs),
    };
    match stage.network_namespace {
        true => suite
            .root("a_signal_ends_the_wait_for_a_lock", a_signal_ends_the_wait_for_a_lock)
            .root("a_signal_ends_a_slow_nft", a_signal_ends_a_slow_nft),
        false => suite,
    }
}

const SIGNALS: [(libc::c_int, &str); 4] = [
    (libc::SIGINT, "SIGINT"),
    (libc::SIGTERM, "SIGTERM"),
    (libc::SIGHUP, "SIGHUP"),
    (libc::SIGQUIT, "SIGQUIT"),
];

fn start(launcher: &mut Command) -> Child {
    let launcher = launcher.arg("true").stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = launcher.spawn().unwrap();
    settle(300);
    child
}

/// It takes half a second for each program or lock that hangs: one on the way in, two on the way
/// out.
fn assert_ends(child: Child, signal: (libc::c_int, &str)) {
    let (number, name) = signal;
    let asked = Instant::now();
    send(child.id(), number);
    let outcome = Outcome::from(child.wait_with_output().unwrap());
    outcome.assert_refused(128 + number, &[name, "came meanwhile"]);
    let took = asked.elapsed();
    assert!(took < slowed(Duration::from_secs(4)), "{took:?}");
}

/// The container's programs are in a file system that does not answer, as NFS does without its
/// server: here FUSE, with us for a server.
fn a_signal_ends_a_start_that_hangs(host: &Host) {
    let rootfs = host.dir("rootfs");
    let places = ["bin", "dev", "etc", "proc", "sys", "tmp"].map(|name| rootfs.join(name));
    places.iter().for_each(|place| fs::create_dir(place).unwrap());
    let place = &places[0];
    let device = Path::new("/dev/fuse");
    mknod(device, SFlag::S_IFCHR, Mode::S_IRUSR | Mode::S_IWUSR, makedev(10, 229)).unwrap();
    for signal in SIGNALS {
        let server = File::options().read(true).write(true).open(device).unwrap();
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", server.as_raw_fd());
        let (kind, flags) = (Some("fuse"), MsFlags::empty());
        mount(Some("dead"), place, kind, flags, Some(options.as_str())).unwrap();
        let mut launcher = host.launcher();
        let child = start(launcher.arg("--rootfs").arg(&rootfs));
        assert_ends(child, signal);
        umount2(place, MntFlags::MNT_DETACH).unwrap();
    }
    fs::remove_file(device).unwrap();
}

/// Another process has the turn to change the bridge, and does not come to an end.
fn a_signal_ends_the_wait_for_a_lock(host: &Host) {
    host.warm_up();
    let path = "/run/container-steps";
    for signal in SIGNALS {
        fs::create_dir_all(path).unwrap();
        let locked = Flock::lock(File::open(path).unwrap(), FlockArg::LockExclusive).unwrap();
        assert_ends(start(&mut host.launcher()), signal);
        drop(locked);
    }
    fs::remove_dir(path).unwrap();
}

fn a_signal_ends_a_slow_nft(host: &Host) {
    host.warm_up();
    let programs = host.dir("programs");
    replace_nft(&programs, "exec /bin/sleep 1000");
    for signal in SIGNALS {
        assert_ends(start(host.launcher().env("PATH", &programs)), signal);
    }
}
