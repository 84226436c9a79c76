//! How the time of a start grows with what is there already, and with what is asked for.

use std::fs;

use anyhow::{Context, Result, bail};

use super::network::{Container, SLEEPER, end_all, in_own_network, start_time};
use super::programs::{Programs, find, is_root, stage};
use super::scratch::Scratch;

/// How often each point is measured: the time until the command runs. (What the end takes does not
/// grow; most of it is the kernel's, which removes a link in some 30 ms.)
pub const RUNS: usize = 30;

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
pub fn measure(programs: &Programs, scratch: &Scratch) -> Result<Vec<Curve>> {
    if !is_root()? {
        bail!("a bridge needs root: run it as root");
    }
    for name in ["ip", "nft"] {
        find(name).with_context(|| format!("there is no {name}"))?;
    }
    let beside_none =
        in_own_network(|| beside("running with --net none", programs, "none", &[1, 10, 100, 500]))?;
    let beside_bridge =
        in_own_network(|| beside("running on the bridge", programs, "bridge", &[1, 10, 100, 200]))?;
    let layers = layers(programs, scratch)?;
    let ports = in_own_network(|| ports(programs))?;
    Ok(vec![beside_bridge, beside_none, layers, ports])
}

/// A start beside so many that run.
fn beside(title: &'static str, programs: &Programs, net: &str, counts: &[usize]) -> Result<Curve> {
    let mut start = stage(&programs.network);
    start.args(["--net", net]).args(SLEEPER);
    let mut crowd = Vec::new();
    let mut points = Vec::new();
    for count in counts {
        while crowd.len() < *count {
            crowd.push(Container::start(programs, net)?);
        }
        points.push((*count, start_time(&mut start, RUNS)?));
    }
    end_all(&crowd)?;
    Ok(Curve { title, points })
}

/// A start on so many layers, each with a file of its own.
fn layers(programs: &Programs, scratch: &Scratch) -> Result<Curve> {
    let work = scratch.make("layers-to-grow")?;
    let mut points = Vec::new();
    for count in [1, 50, 100, 200, 300, 400, 500] {
        let mut start = scratch.overlay(programs);
        start.args(["--net", "none"]);
        for number in 1..count {
            let layer = work.path().join(number.to_string());
            fs::create_dir_all(&layer).with_context(|| format!("cannot make {layer:?}"))?;
            fs::write(layer.join(format!("file{number}")), "").context("cannot write a file")?;
            start.arg("--layer").arg(layer);
        }
        start.arg("--layer").arg(&programs.rootfs);
        points.push((count, start_time(start.args(SLEEPER), RUNS)?));
    }
    Ok(Curve { title: "layers", points })
}

/// A start that publishes so many ports.
fn ports(programs: &Programs) -> Result<Curve> {
    // The bridge stays while somebody is connected to it.
    let _holder = Container::start(programs, "bridge")?;
    let mut points = Vec::new();
    for count in [1, 25, 50, 75, 100] {
        let mut start = stage(&programs.network);
        start.args(["--net", "bridge"]);
        for number in 0..count {
            start.arg("-p").arg(format!("127.0.0.1:{}:{}", 20_000 + number, 1 + number));
        }
        points.push((count, start_time(start.args(SLEEPER), RUNS)?));
    }
    Ok(Curve { title: "published ports", points })
}
