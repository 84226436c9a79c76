//! What is interrupted goes on, and what cannot go on says why.

use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;
use testbed::running::send;
use testbed::{Host, Suite};

use crate::bed::{Bed, Made, end, start};
use crate::front::Fault;
use crate::http::Answer;

const MB: usize = 1_000_000;

pub fn add(suite: Suite) -> Suite {
    suite
        .both("a_cut_connection_goes_on_where_it_stopped", a_cut_connection_goes_on)
        .both("what_ends_again_and_again_comes_to_its_end", what_ends_again_and_again)
        .both("a_registry_without_ranges_begins_anew", a_registry_without_ranges)
        .both("what_is_killed_goes_on_the_next_time", what_is_killed_goes_on)
        .both("two_at_once_fetch_once", two_at_once_fetch_once)
        .both("what_comes_slowly_comes", what_comes_slowly_comes)
        .both("a_bad_moment_passes", a_bad_moment_passes)
}

/// Where each request for a layer began.
fn starts(bed: &Bed, made: &Made, layer: usize) -> Vec<usize> {
    let seen = bed.front.seen_of(&made.layer(layer));
    let start = |range: &str| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok();
    seen.iter().map(|it| it.header("range").map_or(0, |range| start(range).unwrap())).collect()
}

fn a_cut_connection_goes_on(host: &Host) {
    let bed = Bed::new(host);
    let made = bed.random("a:1", &[3 * MB, 1000]);
    bed.front.once(&made.layer(0), Fault::Cut(MB));
    bed.front.once(&made.layer(0), Fault::Cut(MB / 2));
    bed.front.once("/manifests/1", Fault::Cut(10));
    bed.pull("a:1").text();
    assert_eq!(starts(&bed, &made, 0), [0, MB, MB + MB / 2]);
    assert_eq!(starts(&bed, &made, 1), [0]);
    bed.assert_whole("a", "1", &made);
}

/// As long as something comes, it is not given up.
fn what_ends_again_and_again(host: &Host) {
    let bed = Bed::new(host);
    let made = bed.random("a:1", &[10 * MB]);
    bed.front.always(&made.layer(0), Fault::Cut(MB));
    bed.pull("a:1").text();
    let expected: Vec<_> = (0..10).map(|number| number * MB).collect();
    assert_eq!(starts(&bed, &made, 0), expected);
    bed.assert_whole("a", "1", &made);
}

fn a_registry_without_ranges(host: &Host) {
    let bed = Bed::new(host);
    let not_satisfiable = Answer::new("416 Range Not Satisfiable", &[], "");
    let wrong = "bytes 7-1999999/2000000".to_owned();
    for (name, fault, requests) in [
        ("whole", Fault::WholeBlob, 2),
        ("wrong", Fault::Header("Content-Range", wrong), 3),
        ("none", Fault::Header("Content-Range", String::new()), 3),
        ("416", Fault::Say(not_satisfiable), 3),
    ] {
        let made = bed.random(&format!("{name}:1"), &[2 * MB]);
        bed.front.once(&made.layer(0), Fault::Cut(MB));
        bed.front.once(&made.layer(0), fault);
        bed.pull(&format!("{name}:1")).text();
        let expected = [0, MB, 0];
        assert_eq!(starts(&bed, &made, 0), expected[..requests], "{name}");
        bed.assert_whole(name, "1", &made);
    }
}

/// By SIGKILL, or by Ctrl-C.
fn what_is_killed_goes_on(host: &Host) {
    let bed = Bed::new(host);
    for signal in [Signal::SIGKILL, Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        bed.front.forget();
        let name = signal.as_str().to_lowercase();
        let made = bed.random(&format!("{name}:1"), &[MB, 3 * MB]);
        bed.front.once(&made.layer(1), Fault::Hold(2 * MB));
        let pull = start(&mut bed.pulling(&format!("{name}:1")));
        bed.wait_for_partial(&name, &made, 1, 2 * MB);
        send(pull.id(), signal as libc::c_int);
        let outcome = end(pull);
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&outcome.status),
            Some(signal as i32)
        );
        bed.front.release();
        assert_eq!(fs::metadata(bed.partial(&name, &made, 1)).unwrap().len(), 2 * MB as u64);
        bed.pull(&format!("{name}:1")).text();
        assert_eq!(starts(&bed, &made, 1), [0, 2 * MB], "{name}");
        bed.assert_whole(&name, "1", &made);
    }
}

fn two_at_once_fetch_once(host: &Host) {
    let bed = Bed::new(host);
    let made = bed.random("a:1", &[MB, 2 * MB]);
    bed.front.once(&made.layer(1), Fault::Hold(MB));
    let first = start(&mut bed.pulling("a:1"));
    bed.wait_for_partial("a", &made, 1, MB);
    let second = start(&mut bed.pulling("a:1"));
    let asked = || bed.front.seen_of("/manifests/1").len() == 2;
    testbed::running::within(Duration::from_secs(10), "the second has asked", asked);
    bed.front.release();
    let [first, second] = [first, second].map(end);
    assert_eq!((first.code(), second.code()), (0, 0), "{first:?} {second:?}");
    assert!(second.text().contains("all of it was here"), "{second:?}");
    assert!(second.stderr.is_empty() || second.stderr.contains("another process writes"));
    assert_eq!(bed.front.seen_of("/blobs/").len(), 3);
    bed.assert_whole("a", "1", &made);
}

/// For longer than one waits for something to come.
fn what_comes_slowly_comes(host: &Host) {
    let bed = Bed::new(host);
    let made = bed.random("a:1", &[MB]);
    let slow = || Fault::Slow(6, Duration::from_millis(300));
    bed.front.once("/manifests/1", slow());
    bed.front.once(&made.layer(0), slow());
    bed.impatient("a:1").text();
    assert_eq!(starts(&bed, &made, 0), [0]);
}

fn a_bad_moment_passes(host: &Host) {
    let bed = Bed::new(host);
    let made = bed.random("a:1", &[MB]);
    let busy = Answer::new("503 Service Unavailable", &[], "busy");
    bed.front.once("/manifests/1", Fault::Say(busy.clone()));
    bed.front.once(&made.layer(0), Fault::Cut(1000));
    bed.front.once(&made.layer(0), Fault::Say(busy));
    bed.pull("a:1").text();
    assert_eq!(starts(&bed, &made, 0), [0, 1000, 1000]);
    bed.assert_whole("a", "1", &made);
}
