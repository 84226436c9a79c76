//! What it costs to pull an image from a registry on this machine, beside skopeo.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use launcher::program;

use super::content;
use super::layout::{self, Layer};
use super::memory::run_to_its_end;
use super::programs::{Programs, cargo, find, succeed};
use super::scratch::Scratch;
use super::table::Table;
use super::times::median;

/// How often each of the two pulls.
const ROUNDS: usize = 5;

/// How many layers there are.
const PARTS: usize = 3;

/// How long a registry may take to start.
const PATIENCE: Duration = Duration::from_secs(10);

const RATIO: &str = "pulling an image / skopeo copy";
const PEAK: &str = "peak memory while pulling";

/// Measures, where there are a registry and skopeo.
///
/// # Errors
/// If somebody fails.
pub fn measure(
    programs: &Programs,
    scratch: &Scratch,
    megabytes: usize,
    table: &mut Table,
) -> Result<()> {
    let needed = ["docker-registry", "skopeo"].into_iter().find(|name| find(name).is_none());
    if let Some(name) = needed {
        table.absent(RATIO, "at most 1.10", format!("there is no {name}"));
        table.absent(PEAK, "at most 64.00 MB", format!("there is no {name}"));
        return Ok(());
    }
    let work = scratch.make("pulling")?;
    let image = make_image(work.path(), megabytes)?;
    let registry = Registry::start(work.path())?;
    let name = format!("{}/image:{}", registry.address, layout::TAG);
    let mut push = program::command("skopeo")?;
    push.args(["copy", "--quiet", "--dest-tls-verify=false"]);
    succeed(push.arg(format!("oci:{}", image.display())).arg(format!("docker://{name}")))?;

    let tool = build(programs)?;
    let (mut ours, mut theirs, mut peak) = (Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        let target = scratch.make("target")?;
        let mut pull = Command::new(&tool);
        pull.args(["pull", "--plain-http", "--images"]).arg(target.path()).arg(&name);
        let start = Instant::now();
        peak = peak.max(run_to_its_end(&mut pull, &work.path().join("log"))?);
        ours.push(start.elapsed());

        let mut copy = program::command("skopeo")?;
        copy.args(["copy", "--quiet", "--src-tls-verify=false"]).arg(format!("docker://{name}"));
        copy.arg(format!("oci:{}:{}", target.path().join("theirs").display(), layout::TAG));
        let start = Instant::now();
        run_to_its_end(&mut copy, &work.path().join("log"))?;
        theirs.push(start.elapsed());
    }
    let ratio = median(&ours).as_secs_f64() / median(&theirs).as_secs_f64();
    table.timed(RATIO, ratio, 1.1, "");
    table.timed(PEAK, peak as f64 / 1024.0, 64.0, "MB");
    Ok(())
}

/// The tool as `cargo workshop pull` builds and runs it.
fn build(programs: &Programs) -> Result<PathBuf> {
    let target = programs.workspace.join("target");
    let mut build = cargo(&programs.workspace)?;
    build.args(["build", "--quiet", "-p", "registry", "--target-dir"]);
    succeed(build.arg(&target))?;
    Ok(target.join("debug/registry"))
}

fn make_image(work: &Path, megabytes: usize) -> Result<PathBuf> {
    let tree = work.join("tree");
    let mut layers = Vec::new();
    for part in 0..PARTS {
        let name = format!("part{part}");
        content::fill(&tree.join(&name), part, megabytes.div_ceil(PARTS))?;
        layers.push(Layer::pack(&tree, &[&name], &work.join(format!("{name}.gz")))?);
    }
    fs::remove_dir_all(&tree)?;
    let image = work.join("image");
    layout::write(&image, &layers)?;
    Ok(image)
}

/// A registry of our own, which goes at the end.
struct Registry {
    process: Child,
    /// `127.0.0.1:PORT`
    address: String,
}

impl Registry {
    fn start(work: &Path) -> Result<Registry> {
        let free = TcpListener::bind("127.0.0.1:0").context("cannot find a free port")?;
        let address = free.local_addr().context("cannot find a free port")?.to_string();
        drop(free);
        let config = work.join("registry.yml");
        let data = work.join("registry");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '{address}'}}\n\
             storage: {{filesystem: {{rootdirectory: '{}'}}}}\n",
            data.display()
        );
        fs::write(&config, text).with_context(|| format!("cannot write {}", config.display()))?;
        let mut serve = program::command("docker-registry")?;
        serve.arg("serve").arg(&config).stdin(Stdio::null());
        serve.stdout(Stdio::null()).stderr(Stdio::null());
        let process = serve.spawn().context("cannot start docker-registry")?;
        let registry = Registry { process, address };
        let start = Instant::now();
        while TcpStream::connect(&registry.address).is_err() {
            if start.elapsed() > PATIENCE {
                bail!("docker-registry does not answer at {}", registry.address);
            }
            sleep(Duration::from_millis(10));
        }
        Ok(registry)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It has ended already if this fails.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
