//! How long an image takes to start when its layers are there: beside the same start of v6.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use workshop::say;

use super::layout::{self, Layer};
use super::programs::{Programs, find, stage};
use super::scratch::Scratch;
use super::table::Table;
use super::times::median_in_ms;

/// As many as Docker allows.
const MANY: usize = 127;

/// Measures.
///
/// # Errors
/// If somebody fails.
pub fn measure(
    programs: &Programs,
    scratch: &Scratch,
    runs: usize,
    table: &mut Table,
) -> Result<()> {
    let figures =
        ["1 layer", "127 layers"].map(|layers| format!("second start, {layers}, over v6's"));
    if let Some(missing) = ["tar", "gzip"].into_iter().find(|name| find(name).is_none()) {
        for figure in figures {
            table.absent(&figure, "at most 3.00 ms", format!("there is no {missing}"));
        }
        return Ok(());
    }
    let work = scratch.make("second-start")?;
    let layers = make_layers(programs, work.path())?;
    let mut field = vec![stage(&programs.limits)];
    for count in [1, MANY] {
        let image = work.path().join(count.to_string());
        layout::write(&image, &layers[..count])?;
        let mut stage = scratch.overlay(programs);
        stage.arg("--image").arg(format!("{}:{}", image.display(), layout::TAG));
        field.push(stage);
    }
    for stage in &mut field {
        stage.args(["--net", "none", "true"]).stdin(Stdio::null());
    }
    let mut times = vec![Vec::new(); field.len()];
    for stage in &mut field {
        start(stage)?; // the first start unpacks
    }
    for _ in 0..runs {
        for (stage, times) in field.iter_mut().zip(&mut times) {
            times.push(start(stage)?);
        }
    }
    let medians: Vec<f64> = times.iter().map(|times| median_in_ms(times)).collect();
    let [v6, one, many] = medians[..] else { return Ok(()) };
    say!("start to end, ms: v6 {v6:.2}; v7 with 1 layer {one:.2}, with {MANY} {many:.2}\n")?;
    for (figure, time) in figures.iter().zip([one, many]) {
        table.timed(figure, time - v6, 3.0, "ms");
    }
    scratch.empty_layers()
}

/// busybox at the bottom, and layers with one file each above it.
fn make_layers(programs: &Programs, work: &std::path::Path) -> Result<Vec<Layer>> {
    let mut layers = vec![Layer::pack(&programs.rootfs, &["."], &work.join("0.gz"))?];
    let tree = work.join("tree");
    fs::create_dir(&tree)?;
    for number in 1..MANY {
        let name = format!("file{number}");
        fs::write(tree.join(&name), &name)?;
        layers.push(Layer::pack(&tree, &[&name], &work.join(format!("{number}.gz")))?);
    }
    Ok(layers)
}

fn start(stage: &mut Command) -> Result<Duration> {
    let start = Instant::now();
    let status = stage.status().context("cannot start a step")?;
    let time = start.elapsed();
    ensure!(status.success(), "{} ended with {status}", stage.get_program().display());
    Ok(time)
}
