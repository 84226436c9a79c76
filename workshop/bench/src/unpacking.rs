//! What it costs to unpack an image, beside programs that do the same or less.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use launcher::program;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use workshop::say;

use super::content;
use super::layout::{self, Layer};
use super::memory::run_to_its_end;
use super::programs::{Programs, find, is_root};
use super::scratch::Scratch;
use super::table::Table;

/// How often each of them unpacks.
const ROUNDS: usize = 3;

/// How many layers there are, the second time: together half of the first one's content.
const PARTS: usize = 4;

/// Measures, if this is root: without, the owners are lost, which is less work.
///
/// # Errors
/// If somebody fails.
pub fn measure(
    programs: &Programs,
    scratch: &Scratch,
    megabytes: usize,
    table: &mut Table,
) -> Result<()> {
    let needed = ["tar", "gzip"].into_iter().find(|name| find(name).is_none());
    match needed {
        _ if !is_root()? => table.absent("unpacking an image", "-", "as root only"),
        Some(name) => table.absent("unpacking an image", "-", format!("there is no {name}")),
        None => measure_here(programs, scratch, megabytes, table)?,
    }
    Ok(())
}

fn measure_here(
    programs: &Programs,
    scratch: &Scratch,
    megabytes: usize,
    table: &mut Table,
) -> Result<()> {
    let work = scratch.make("unpacking")?;
    let tree = work.path().join("tree");
    fs::create_dir_all(tree.join("bin"))?;
    fs::copy(programs.busybox(), tree.join("bin/busybox"))?;
    content::fill(&tree.join("rest"), PARTS, megabytes / 2)?;
    let mut parts = Vec::new();
    for part in 0..PARTS {
        let name = format!("part{part}");
        content::fill(&tree.join(&name), part, megabytes / 2 / PARTS)?;
        let names = if part == 0 { vec!["bin", &name] } else { vec![name.as_str()] };
        parts.push(Layer::pack(&tree, &names, &work.path().join(format!("{name}.gz")))?);
    }
    let one = Layer::pack(&tree, &["."], &work.path().join("one.gz"))?;
    fs::remove_dir_all(&tree)?;
    let peaks = [
        compare(programs, scratch, ("one layer", &[one]), work.path(), table)?,
        compare(programs, scratch, ("four layers", &parts), work.path(), table)?,
    ];
    let peak = peaks.into_iter().max().unwrap_or(0) as f64 / 1024.0;
    table.timed("peak memory while unpacking", peak, 64.0, "MB");
    Ok(())
}

/// Everybody unpacks the same layers, by turns. Returns our largest peak of memory, in kB.
fn compare(
    programs: &Programs,
    scratch: &Scratch,
    (name, layers): (&str, &[Layer]),
    work: &Path,
    table: &mut Table,
) -> Result<u64> {
    let image = work.join(name.replace(' ', "-"));
    layout::write(&image, layers)?;
    let mut field = vec![Contender::new(Program::Stage), Contender::new(Program::Tar)];
    if find("umoci").is_some() {
        field.push(Contender::new(Program::Umoci));
    } else {
        say!("umoci takes no part: it is not installed")?;
    }
    for _ in 0..ROUNDS {
        for contender in &mut field {
            let taken = contender.program.unpack(programs, scratch, &image, layers)?;
            contender.taken.push(taken);
        }
    }

    let megabytes = |size: fn(&Layer) -> u64| layers.iter().map(size).sum::<u64>() / 1_000_000;
    say!("{name}, {} MB, {} MB unpacked", megabytes(|it| it.size), megabytes(|it| it.unpacked))?;
    say!("{:20} {:>9} {:>9} {:>9}", "", "wall, s", "CPU, s", "peak, MB")?;
    for it in &field {
        let [wall, cpu] = [it.median(|taken| taken.wall), it.median(|taken| taken.cpu)];
        let peak = it.peak() as f64 / 1024.0;
        say!("{:20} {wall:>9.2} {cpu:>9.2} {peak:>9.1}", it.program.name())?;
    }
    say!()?;

    let wall = |program: Program| {
        let found = field.iter().find(|it| it.program == program);
        found.map(|it| it.median(|taken| taken.wall))
    };
    for program in [Program::Tar, Program::Umoci] {
        let figure = format!("unpacking {name} / {}", program.name());
        match (wall(Program::Stage), wall(program)) {
            (Some(ours), Some(theirs)) => table.timed(&figure, ours / theirs, 1.0, ""),
            _ => table.absent(&figure, "at most 1.00", "umoci is not installed (package umoci)"),
        }
    }
    Ok(field.first().map_or(0, Contender::peak))
}

/// What unpacking has taken.
struct Taken {
    wall: Duration,
    /// Of all its processes.
    cpu: Duration,
    /// Of the process that unpacks, in kB.
    peak: u64,
}

struct Contender {
    program: Program,
    taken: Vec<Taken>,
}

impl Contender {
    fn new(program: Program) -> Contender {
        Contender { program, taken: Vec::new() }
    }

    /// The middle one, in seconds.
    fn median(&self, of: fn(&Taken) -> Duration) -> f64 {
        super::times::median(&self.taken.iter().map(of).collect::<Vec<_>>()).as_secs_f64()
    }

    fn peak(&self) -> u64 {
        self.taken.iter().map(|taken| taken.peak).max().unwrap_or(0)
    }
}

/// Who takes part.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Program {
    Stage,
    Tar,
    Umoci,
}

impl Program {
    fn name(self) -> &'static str {
        match self {
            Program::Stage => "v7-overlay",
            Program::Tar => "tar -xzf",
            Program::Umoci => "umoci raw unpack",
        }
    }

    /// Unpacks once, and removes what came out.
    fn unpack(
        self,
        programs: &Programs,
        scratch: &Scratch,
        image: &Path,
        layers: &[Layer],
    ) -> Result<Taken> {
        let target = scratch.make("target")?;
        let tagged = PathBuf::from(format!("{}:{}", image.display(), layout::TAG));
        let commands: Vec<Command> = match self {
            Program::Stage => {
                scratch.empty_layers()?;
                let mut stage = scratch.overlay(programs);
                stage.args(["--net", "none", "--image"]).arg(tagged);
                stage.args(["/bin/busybox", "true"]);
                vec![stage]
            }
            // Layer after layer: which files a layer replaces is told by those below it.
            Program::Tar => {
                let unpack = |layer: &Layer| tar(&layer.blob, target.path());
                layers.iter().map(unpack).collect::<Result<_>>()?
            }
            Program::Umoci => {
                let mut umoci = program::command("umoci")?;
                umoci.args(["--log=warn", "raw", "unpack", "--image"]).arg(tagged);
                umoci.arg(target.path().join("rootfs"));
                vec![umoci]
            }
        };
        let before = cpu_of_children()?;
        let start = Instant::now();
        let mut peak = 0;
        for mut command in commands {
            let of_this = run_to_its_end(&mut command, &image.with_extension("log"));
            peak = peak.max(of_this.with_context(|| self.name())?);
        }
        Ok(Taken { wall: start.elapsed(), cpu: cpu_of_children()?.saturating_sub(before), peak })
    }
}

fn tar(archive: &Path, target: &Path) -> Result<Command> {
    let mut tar = program::command("tar")?;
    tar.args(["--numeric-owner", "-xzf"]).arg(archive).arg("--directory").arg(target);
    Ok(tar)
}

/// The time that all children took which were waited for (getrusage(2)).
fn cpu_of_children() -> Result<Duration> {
    let usage =
        getrusage(UsageWho::RUSAGE_CHILDREN).context("cannot ask for the time of the children")?;
    let microseconds =
        usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(u64::try_from(microseconds)?))
}
