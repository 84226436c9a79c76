//! How a container of each step is started with the attacker in it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::attacker::{FROM_HERE, ITSELF, PROGRAM};
use super::who::Who;
use workshop::STEPS;

/// What root's containers get from v6 on.
const LIMITS: [&str; 4] = ["--memory", "64m", "--pids-limit", "40"];

/// Where containers have a directory of the host.
pub(super) const COMMON: &str = "/mnt/common";

/// Brings the attacker into a root file system: this program and the libraries that it needs.
pub(super) fn bring_attacker(rootfs: &Path, program: &Path) -> Result<()> {
    let place = rootfs.join(FROM_HERE.trim_start_matches('/'));
    fs::create_dir(&place).context("cannot make a directory in the rootfs")?;
    for file in libraries()?.iter().map(PathBuf::as_path).chain([program]) {
        let name = file.file_name().context("a library has a name")?;
        fs::copy(file, place.join(name))
            .with_context(|| format!("cannot copy {} into the rootfs", file.display()))?;
    }
    // Where a launcher looks for the same libraries, if it is started in there.
    for name in ["lib", "lib64"] {
        symlink(FROM_HERE, rootfs.join(name)).context("cannot make a link in the rootfs")?;
    }
    symlink("/proc/self/exe", place.join(ITSELF)).context("cannot make a link in the rootfs")
}

/// The words that start the attacker inside: by its dynamic loader, if it has one (ld.so(8)).
pub(super) fn inside(words: &[String]) -> Result<Vec<String>> {
    let name = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let loader = libraries()?.iter().filter_map(name).find(|name| name.starts_with("ld-"));
    let loader = loader.map(|loader| {
        [format!("{FROM_HERE}/{loader}"), "--library-path".to_owned(), FROM_HERE.to_owned()]
    });
    let own = [format!("{FROM_HERE}/{PROGRAM}")];
    Ok(loader.into_iter().flatten().chain(own).chain(words.iter().cloned()).collect())
}

/// The shared libraries of this process and of the steps, the loader among them; none if they are
/// static.
fn libraries() -> Result<BTreeSet<PathBuf>> {
    let path = "/proc/self/maps";
    let maps = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let paths = maps.lines().filter_map(|line| line.find('/').map(|start| &line[start..]));
    let own = paths.filter(|path| path.contains(".so")).map(PathBuf::from);
    let mut all: BTreeSet<PathBuf> = own.collect();
    // The later steps need one more, which lies beside those.
    let mathematics = all.iter().map(|path| path.with_file_name("libm.so.6"));
    all.extend(mathematics.filter(|path| path.is_file()).take(1).collect::<Vec<_>>());
    Ok(all)
}

/// How a container is started, in what it differs from the usual way.
pub(super) enum Start {
    Usually,
    /// The command is a link to /proc/self/exe: the launcher itself.
    ThroughLauncher,
    /// This directory of the host is a volume.
    WithVolume(PathBuf),
    /// In this working directory, if the step has such an option.
    In(String),
    /// The command is this link.
    ByLink(String),
}

/// A container of a step.
pub(super) struct Container<'a> {
    pub step: &'a str,
    pub who: Who,
    pub start: &'a Start,
    /// Its manifest, if the step reads one, is written to this file.
    pub manifest: &'a Path,
}

impl Container<'_> {
    /// The arguments of the step for a container that runs these words.
    pub(super) fn arguments(&self, words: &[String]) -> Result<Vec<String>> {
        match self.start {
            // In v1 there is no /proc yet that leads to it.
            Start::ThroughLauncher if number(self.step) > 1 => self.through_launcher(words),
            _ if self.has_pods() => self.pod(&[words], false),
            _ => Ok(self.command_line(words)),
        }
    }

    fn has_pods(&self) -> bool {
        self.step == "v8-pause"
    }

    fn command_line(&self, words: &[String]) -> Vec<String> {
        let limits = (number(self.step) >= 6 && self.who == Who::Root).then_some(LIMITS);
        let mut options: Vec<_> = limits.into_iter().flatten().map(str::to_owned).collect();
        match self.start {
            Start::WithVolume(directory) if number(self.step) >= 2 => {
                options
                    .extend(["--volume".to_owned(), format!("{}:{COMMON}", directory.display())]);
            }
            Start::In(directory) if has_workdir(self.step) => {
                options.extend(["--workdir".to_owned(), directory.clone()]);
            }
            _ => {}
        }
        options.push("--".to_owned());
        options.into_iter().chain(words.iter().cloned()).collect()
    }

    /// From v2 to v7 the launcher in there starts the attacker, in a container in the container. In
    /// v8 it waits for a manifest, from the fifo that is the last of the words, in a pod whose
    /// containers see each other's processes.
    fn through_launcher(&self, words: &[String]) -> Result<Vec<String>> {
        let itself = format!("{FROM_HERE}/{ITSELF}");
        if self.has_pods() {
            let fifo = words.last().cloned().unwrap_or_default();
            let waits = [itself, "run".to_owned(), fifo];
            return self.pod(&[words, &waits], true);
        }
        let network = (number(self.step) >= 5).then_some(["--net", "host"]);
        let options =
            ["--rootfs", "/"].into_iter().chain(network.into_iter().flatten()).chain(["--"]);
        let nested =
            [itself].into_iter().chain(options.map(str::to_owned)).chain(words.iter().cloned());
        Ok(self.command_line(&nested.collect::<Vec<_>>()))
    }

    /// A pod with a container for each of these commands.
    fn pod(&self, commands: &[&[String]], see_others: bool) -> Result<Vec<String>> {
        let mut manifest = format!(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: attack\nspec:\n  \
             restartPolicy: Never\n  shareProcessNamespace: {see_others}\n  containers:\n"
        );
        let volume = match self.start {
            Start::WithVolume(directory) => Some(directory.clone()),
            _ => see_others.then(|| self.manifest.with_file_name("common")),
        };
        for (index, words) in commands.iter().enumerate() {
            let words: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
            let words = words.join(", ");
            manifest += &format!(
                "  - name: container-{index}\n    image: busybox\n    command: [{words}]\n"
            );
            if let Start::In(directory) = self.start {
                manifest += &format!("    workingDir: {directory}\n");
            }
            if self.who == Who::Root {
                manifest += "    resources:\n      limits:\n        memory: 64Mi\n";
            }
            if volume.is_some() {
                manifest +=
                    &format!("    volumeMounts:\n    - name: common\n      mountPath: {COMMON}\n");
            }
        }
        if let Some(path) = volume {
            let path = path.display();
            manifest +=
                &format!("  volumes:\n  - name: common\n    hostPath:\n      path: {path}\n");
        }
        fs::write(self.manifest, manifest).context("cannot write a manifest")?;
        Ok(vec!["run".to_owned(), self.manifest.to_string_lossy().into_owned()])
    }
}

/// The limit on memory that root's containers have in this step, if it sets one.
pub(super) fn memory_limit(step: Option<&str>) -> Option<&'static str> {
    step.filter(|step| number(step) >= 6).map(|_| "67108864")
}

/// The same of processes. A pod has no field for it.
pub(super) fn process_limit(step: Option<&str>) -> Option<&'static str> {
    step.filter(|step| matches!(number(step), 6 | 7)).map(|_| "40")
}

/// Whether the working directory can be chosen.
pub(super) fn has_workdir(step: &str) -> bool {
    number(step) >= 7
}

/// The step's number: 1 is v1.
fn number(step: &str) -> usize {
    STEPS.iter().position(|it| *it == step).map_or(0, |index| index + 1)
}
