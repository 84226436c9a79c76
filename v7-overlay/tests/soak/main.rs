//! Many containers, started side by side, with limits and networks in random order. Some of their
//! supervisors are killed. Nothing may be left, no status lost, nothing grow.
//!
//! ```console
//! # cargo test -p v7-overlay --test soak             # 200 containers
//! # SOAK=2000 cargo test -p v7-overlay --test soak   # the whole
//! ```
//!
//! `SOAK_SEED=N` repeats the order of another run.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, with the line that did it"
)]

mod crowd;
mod dice;

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use testbed::running::wait_for_end_of_links;
use testbed::{Host, Stage, Suite};

use crowd::{Crowd, End, Plan, Seen};
use dice::Dice;

/// How many containers run, unless `SOAK` says otherwise.
const SHORT: u64 = 200;

/// So many are started at the same moment.
const AT_A_TIME: usize = 20;

/// So many at least are alive together.
const PEAK: usize = 100;

/// Of so many, one loses its supervisor to SIGKILL.
const KILLED: u64 = 10;

fn main() -> ExitCode {
    Suite::of(&Stage::V7)
        .time_limit(Duration::from_secs(1800))
        .both("nothing_is_left_lost_or_grown", nothing_is_left_lost_or_grown)
        .long()
        .run()
}

fn nothing_is_left_lost_or_grown(host: &Host) {
    let count = number("SOAK").unwrap_or(SHORT);
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = number("SOAK_SEED").unwrap_or(since_1970.as_secs());
    let mut dice = Dice::new(seed);
    host.warm_up();
    let layers = layers(host);
    let start = Instant::now();

    let crowd = Crowd::new(AT_A_TIME, PEAK);
    let seen = crowd.run((0..count).map(|index| plan(host, &layers, index, &mut dice)));
    let seconds = start.elapsed().as_secs_f64();

    let wrong: Vec<_> = seen.iter().filter_map(Seen::complaint).collect();
    assert!(wrong.is_empty(), "seed {seed}: {} of {count}: {wrong:#?}", wrong.len());
    let killed = seen.iter().filter(|seen| seen.was_killed()).count();
    assert!(killed > 0, "seed {seed}: none was killed");
    let most_alive = crowd.most_alive();
    assert!(most_alive >= PEAK, "only {most_alive} were alive together");
    let (early, late) = (most_memory(&seen, 0), most_memory(&seen, 3));
    assert!(late <= early * 11 / 10, "a supervisor: {early} kB in the beginning, then {late} kB");

    // The next start removes what the killed ones have left: cgroups if it makes one itself, and
    // the bridge when the kernel has taken their links from it. For the rest, the host looks
    // itself.
    wait_for_end_of_links();
    let limit = host.is_root().then_some("--pids-limit=9");
    host.run(["--net", "none"].into_iter().chain(limit).chain(["true"])).text();
    let upper = fs::read_dir(host.cache().join("upper")).into_iter().flatten().flatten();
    let left: Vec<_> = upper.map(|entry| entry.path()).collect();
    assert!(left.is_empty(), "seed {seed}: {left:?}");
    host.figure(format_args!(
        "{count} containers in {seconds:.0} s (seed {seed}), at most {most_alive} alive together, \
         {killed} killed; a supervisor's memory: {early} kB in the first quarter, {late} kB in \
         the last"
    ));
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text}: no number")))
}

/// Some directories with a file each, to be laid over busybox.
fn layers(host: &Host) -> Vec<PathBuf> {
    let directory = host.dir("layers");
    let layer = |name: &str| {
        let layer = directory.join(name);
        fs::create_dir(&layer).unwrap();
        fs::write(layer.join(name), "").unwrap();
        layer
    };
    ["one", "two", "three"].map(layer).to_vec()
}

/// A container's options and its end, both drawn.
fn plan(host: &Host, layers: &[PathBuf], index: u64, dice: &mut Dice) -> Plan {
    let mut launcher = host.launcher();
    // Only root has a bridge, and cgroups to put limits on.
    let networks: &[&str] =
        if host.is_root() { &["bridge", "bridge", "none", "host"] } else { &["none", "host"] };
    let network = dice.of(networks);
    launcher.args(["--net", network]);
    if *network == "bridge" && dice.once_in(4) {
        launcher.arg("--publish").arg(format!("127.0.0.1:{}:80", 20_000 + index));
    }
    for limit in ["--memory=64m", "--cpus=0.5", "--pids-limit=32"] {
        if host.is_root() && dice.once_in(2) {
            launcher.arg(limit);
        }
    }
    for layer in &layers[..usize::try_from(dice.below(4)).unwrap()] {
        launcher.arg("--layer").arg(layer);
    }
    if launcher.get_args().any(|argument| argument == "--layer") {
        launcher.arg("--layer").arg(host.rootfs());
    }
    let end = match dice.below(2 * KILLED) {
        0 => End::KilledAlive,
        1 => End::KilledAfter(Duration::from_millis(dice.below(60))),
        _ => End::Status(i32::try_from(dice.below(256)).unwrap()),
    };
    let status = if let End::Status(status) = end { status } else { 0 };
    let changes = "echo changed >/etc/passwd; echo mine >/mine";
    launcher.args(["sh", "-c", &format!("{changes}; echo ready; read line; exit {status}")]);
    Plan { launcher, end }
}

/// The most memory of a supervisor of one of the four quarters of the run, in kB.
fn most_memory(seen: &[Seen], quarter: usize) -> u64 {
    let length = seen.len() / 4;
    let quarter = &seen[quarter * length..(quarter + 1) * length];
    quarter.iter().filter_map(|seen| seen.memory).max().expect("one of them lived")
}
