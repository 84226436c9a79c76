//! What comes to its end before the image: a network, a server, a disk; and what is seen of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::Signal;
use testbed::running::{send, status_line, within};
use testbed::terminal::{Key, Terminal};
use testbed::{Host, Outcome, Outside, Suite};

use crate::bed::{Bed, end, start, text, tool};
use crate::front::{Fault, Front};

const MB: usize = 1_000_000;

pub fn add(suite: Suite) -> Suite {
    suite
        .both("silence_is_an_error", silence_is_an_error)
        .both("a_cable_that_is_cut_is_an_error", a_cable_that_is_cut)
        .both("a_server_that_stops_is_an_error", a_server_that_stops)
        .both("without_a_network_it_says_what_to_do", without_a_network)
        .both("a_disk_that_is_full_is_told_before", a_full_disk_is_told_before)
        .both("a_disk_that_fills_up_keeps_what_has_come", a_disk_that_fills_up)
        .both("a_terminal_sees_how_far_it_is", a_terminal_sees_how_far_it_is)
        .both("a_reader_may_have_enough", a_reader_may_have_enough)
        .both("memory_does_not_grow_with_an_image", memory_does_not_grow)
        .long()
}

const SILENCE: [&str; 2] = ["nothing has come for too long", "--timeout SECONDS waits longer"];

fn silence_is_an_error(host: &Host) {
    let bed = Bed::new(host);
    let made = bed.random("a:1", &[2 * MB, 1000]);
    bed.front.always("/manifests/1", Fault::Mute);
    bed.impatient("a:1").assert_refused(1, &SILENCE);
    assert_eq!(bed.front.seen().len(), 1, "it is not waited for again");
    bed.front.forget();
    bed.front.always("/manifests/1", Fault::Silent(10));
    bed.impatient("a:1").assert_refused(1, &SILENCE);
    bed.front.forget();
    bed.front.once(&made.layer(0), Fault::Silent(MB));
    bed.impatient("a:1").assert_refused(1, &SILENCE);
    assert_eq!(bed.front.seen_of(&made.layer(0)).len(), 1);
    bed.impatient("a:1").text();
    let goes_on = bed.front.seen_of(&made.layer(0)).pop().unwrap();
    assert_eq!(goes_on.header("range"), Some("bytes=1000000-"));
    bed.assert_whole("a", "1", &made);
}

fn a_cable_that_is_cut(host: &Host) {
    let bed = Bed::new(host);
    let outside = Outside::connect(host, "eth0");
    let front = Front::on(&outside, &bed.registry, 5002);
    let made = bed.random("a:1", &[4 * MB]);
    front.once(&made.layer(0), Fault::Hold(MB));
    let place = format!("{}:5002/a:1", Outside::ADDRESS);
    let pull = || tool(host, &["pull", "--plain-http", "--timeout", "1", &place]);
    let first = start(&mut pull());
    front.wait_until_held(1);
    let layout = host.images().join(&place[..place.len() - 2]);
    let partial = layout.join("partial").join(text(&made.layers[0]["digest"]).replace(':', "-"));
    let has_come = || fs::metadata(&partial).is_ok_and(|it| it.len() >= MB as u64);
    within(Duration::from_secs(10), "a part has come", has_come);
    outside.sh("ip link set eth0 down");
    front.release();
    end(first).assert_refused(1, &SILENCE);
    outside.sh("ip link set eth0 up");
    Outcome::of(&mut pull()).text();
    let goes_on = front.seen_of(&made.layer(0)).pop().unwrap();
    let range = goes_on.header("range").unwrap();
    let start: usize = range.trim_matches(|it: char| !it.is_ascii_digit()).parse().unwrap();
    assert!(start >= MB, "{range}");
    crate::bed::assert_whole(&layout, "1", &made);
}

/// The real one, by a signal; and then there is nobody.
fn a_server_that_stops(host: &Host) {
    let bed = Bed::new(host);
    let made = bed.random("a:1", &[MB]);
    let pull = || {
        Outcome::of(&mut tool(
            host,
            &["pull", "--plain-http", "--timeout", "1", "localhost:5000/a:1"],
        ))
    };
    send(bed.registry.pid(), Signal::SIGSTOP as libc::c_int);
    pull().assert_refused(1, &SILENCE);
    send(bed.registry.pid(), Signal::SIGCONT as libc::c_int);
    pull().text();
    crate::bed::assert_whole(&host.images().join("localhost:5000/a"), "1", &made);
    drop(bed.registry);
    let words = ["cannot reach localhost:5000: ECONNREFUSED: ", "(nobody listens there: "];
    pull().assert_refused(1, &words);
}

/// The host has no way to anywhere.
fn without_a_network(host: &Host) {
    host.images();
    let stick = "book/src/instructors.md#a-room-without-internet";
    let pull = |image: &str| Outcome::of(&mut tool(host, &["pull", "--timeout", "10", image]));
    pull("alpine").assert_refused(
        1,
        &[
            "cannot pull alpine: cannot reach registry-1.docker.io: this name has no address here",
            stick,
        ],
    );
    pull("192.0.2.1/a").assert_refused(1, &["cannot reach 192.0.2.1: ENETUNREACH: ", stick]);
    assert!(!host.images().exists());
}

/// A small disk for the images of a test.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(host: &Host, size: &str) -> SmallDisk {
        let path = host.dir("disk");
        let options = format!("size={size},mode=755");
        let flags = MsFlags::empty();
        mount(Some("tmpfs"), &path, Some("tmpfs"), flags, Some(&*options)).unwrap();
        host.give(&path);
        SmallDisk(path)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

fn on_disk(bed: &Bed, disk: &Path, name: &str) -> Command {
    let mut pull = bed.pulling(name);
    if bed.host.is_root() {
        pull.arg("--images").arg(disk.join("container-steps/images"));
    } else {
        pull.env("XDG_DATA_HOME", disk);
    }
    pull
}

fn a_full_disk_is_told_before(host: &Host) {
    let bed = Bed::new(host);
    let made = bed.random("a:1", &[3 * MB, 3 * MB]);
    let disk = SmallDisk::mount(host, "4m");
    let words = ["6.00 MB are missing, and there is room for ", "cargo workshop images"];
    Outcome::of(&mut on_disk(&bed, &disk.0, "a:1")).assert_refused(1, &words);
    assert!(bed.front.seen_of(&made.layer(0)).is_empty(), "it is not even begun");
    // With the first half here, there is room for the rest.
    bed.random("b:1", &[3 * MB]);
    Outcome::of(&mut on_disk(&bed, &disk.0, "b:1")).text();
}

fn a_disk_that_fills_up(host: &Host) {
    let bed = Bed::new(host);
    let made = bed.random("a:1", &[4 * MB]);
    let disk = SmallDisk::mount(host, "6m");
    bed.front.once(&made.layer(0), Fault::Hold(MB));
    let pull = start(&mut on_disk(&bed, &disk.0, "a:1"));
    bed.front.wait_until_held(1);
    let other = disk.0.join("other");
    fs::write(&other, vec![0; 3 * MB]).unwrap();
    bed.front.release();
    let words =
        ["cannot write ", "ENOSPC: ", "(make room and say the same again: it goes on where"];
    end(pull).assert_refused(1, &words);
    fs::remove_file(other).unwrap();
    Outcome::of(&mut on_disk(&bed, &disk.0, "a:1")).text();
    let goes_on = bed.front.seen_of(&made.layer(0)).pop().unwrap();
    assert!(goes_on.header("range").is_some());
    let layout = disk.0.join("container-steps/images/localhost:5001/a");
    crate::bed::assert_whole(&layout, "1", &made);
}

fn a_terminal_sees_how_far_it_is(host: &Host) {
    let bed = Bed::new(host);
    let made = bed.random("a:1", &[4 * MB]);
    bed.front.once(&made.layer(0), Fault::Hold(MB));
    let mut terminal = Terminal::start(&mut bed.pulling("a:1")).unwrap();
    terminal.read_until("localhost:5001/a:1 ").unwrap();
    terminal.read_until("1.00 MB/4.00 MB").unwrap();
    terminal.press(Key::CtrlC).unwrap();
    terminal.read_to_end().unwrap();
    let status = terminal.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(libc::SIGINT));
    bed.front.release();
    // Once more, to its end: then the bar is gone. In a pipe there is none.
    let mut terminal = Terminal::start(&mut bed.pulling("a:1")).unwrap();
    let seen = terminal.read_to_end().unwrap();
    let last = seen.trim_end().rsplit('\n').next().unwrap();
    assert!(last.contains("-q -p v7-overlay -- --image localhost:5001/a:1"), "{seen:?}");
    assert!(terminal.wait().unwrap().success());
    let outcome = bed.pull("a:1");
    assert_eq!((outcome.text().lines().count(), &*outcome.stderr), (3, ""));
}

fn a_reader_may_have_enough(host: &Host) {
    let bed = Bed::new(host);
    bed.random("a:1", &[1000]);
    Outcome::assert_ends_unread(|| bed.pulling("a:1"));
    Outcome::assert_ends_unread(|| tool(host, &["pull", "--help"]));
}

/// Four layers at once, of 100 MB in all.
fn memory_does_not_grow(host: &Host) {
    let bed = Bed::new(host);
    let made = bed.random("a:1", &[25 * MB; 4]);
    bed.front.once(&made.layer(3), Fault::Hold(25 * MB - 1));
    let pull = start(&mut bed.pulling("a:1"));
    let has_come = || {
        let blobs = bed.pulled("a").join("blobs/sha256");
        fs::read_dir(blobs).is_ok_and(|blobs| blobs.count() == 4)
    };
    bed.front.wait_until_held(1);
    within(Duration::from_secs(20), "all other layers are here", has_come);
    bed.wait_for_partial("a", &made, 3, 25 * MB - 1);
    let peak = status_line(pull.id(), "VmHWM");
    bed.front.release();
    end(pull).text();
    host.figure(format_args!("{peak} at most while 100 MB come"));
    let kilobytes: usize = peak.trim_end_matches(" kB").parse().unwrap();
    assert!(kilobytes <= 64 << 10, "{peak}");
}
