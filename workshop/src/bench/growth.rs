//! How the time of a start grows with what is there already, and with what is asked for.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::guard::Place;
use super::network::{Container, in_own_network};
use super::programs::{Programs, find, is_root, stage};
use super::times::median_in_ms;

/// How often each point is measured.
pub const RUNS: usize = 30;

/// What every container runs.
const COMMAND: [&str; 3] = ["sh", "-c", "echo ready; exec sleep infinity"];

/// A line in the picture.
pub struct Curve {
    /// What grows, and what is measured.
    pub title: &'static str,
    /// How many there are, and the median time of a start until the command runs, in ms.
    pub points: Vec<(usize, f64)>,
}

/// Measures all curves.
///
/// # Errors
/// If this is not root, or a container fails.
pub fn measure(programs: &Programs, place: &Place) -> Result<Vec<Curve>> {
    if !is_root()? {
        bail!("a bridge needs root: run it as root");
    }
    for name in ["ip", "nft"] {
        find(name).with_context(|| format!("there is no {name}"))?;
    }
    let beside_none = in_own_network(|| {
        beside("running with --net none", &programs.network, "none", &[1, 10, 100, 500])
    })?;
    let beside_bridge = in_own_network(|| {
        beside("running on the bridge", &programs.network, "bridge", &[1, 10, 100, 200])
    })?;
    let layers = layers(programs, place)?;
    let ports = in_own_network(|| ports(&programs.network))?;
    Ok(vec![beside_bridge, beside_none, layers, ports])
}

/// A start beside so many that run.
fn beside(title: &'static str, program: &Path, net: &str, counts: &[usize]) -> Result<Curve> {
    let mut crowd = Vec::new();
    let mut points = Vec::new();
    for count in counts {
        while crowd.len() < *count {
            crowd.push(another(program, net)?);
        }
        points.push((*count, start_time(stage(program).args(["--net", net]))?));
    }
    // All at once, as a signal would; then each is waited for.
    for container in &crowd {
        container.terminate()?;
    }
    Ok(Curve { title, points })
}

/// One more container that runs.
fn another(program: &Path, net: &str) -> Result<Container> {
    Container::spawn(stage(program).args(["--net", net]).args(COMMAND))
}

/// A start on so many layers, each with a file of its own.
fn layers(programs: &Programs, place: &Place) -> Result<Curve> {
    let work = place.make("layers-to-grow")?;
    let mut points = Vec::new();
    for count in [1, 50, 100, 200, 300, 400, 500] {
        let mut start = place.overlay(programs);
        start.args(["--net", "none"]);
        for number in 1..count {
            let layer = work.path().join(number.to_string());
            fs::create_dir_all(&layer).with_context(|| format!("cannot make {layer:?}"))?;
            fs::write(layer.join(format!("file{number}")), "").context("cannot write a file")?;
            start.arg("--layer").arg(layer);
        }
        start.arg("--layer").arg(&programs.rootfs);
        points.push((count, start_time(&mut start)?));
    }
    Ok(Curve { title: "layers", points })
}

/// A start that publishes so many ports.
fn ports(program: &Path) -> Result<Curve> {
    // The bridge stays while somebody is connected to it.
    let _holder = another(program, "bridge")?;
    let mut points = Vec::new();
    for count in [1, 25, 50, 75, 100] {
        let mut start = stage(program);
        start.args(["--net", "bridge"]);
        for number in 0..count {
            start.arg("-p").arg(format!("127.0.0.1:{}:{}", 20_000 + number, 1 + number));
        }
        points.push((count, start_time(&mut start)?));
    }
    Ok(Curve { title: "published ports", points })
}

/// The median time until the command of a container runs: it tells so by its first line. (What the
/// end takes does not grow; most of it is the kernel's, which removes a link in some 30 ms.)
fn start_time(start: &mut Command) -> Result<f64> {
    start.args(COMMAND);
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let begin = Instant::now();
        let container = Container::spawn(start)?;
        times.push(begin.elapsed());
        drop(container);
    }
    Ok(median_in_ms(&times))
}
