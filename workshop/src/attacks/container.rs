//! How a container of each step is started with the attacker in it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::attacker::{FROM_HERE, ITSELF};
use super::trial::Who;
use crate::STEPS;

/// What root's containers get from v6 on.
const LIMITS: [&str; 4] = ["--memory", "64m", "--pids-limit", "40"];

/// Where the containers of a pod have a directory of the host in common.
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
    let own = [format!("{FROM_HERE}/workshop")];
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

/// The arguments of a step whose container runs these words. Its manifest, if it reads one, is
/// written to `manifest`.
pub(super) fn arguments(
    step: &str,
    who: Who,
    words: &[String],
    manifest: &Path,
) -> Result<Vec<String>> {
    if step == "v8-pause" {
        return pod(&[words], who, false, manifest);
    }
    let limits = (number(step) >= 6 && who == Who::Root).then_some(LIMITS);
    let options = limits.into_iter().flatten().chain(["--"]).map(str::to_owned);
    Ok(options.chain(words.iter().cloned()).collect())
}

/// The same, with the launcher itself in the container: the command is a link to /proc/self/exe.
///
/// From v2 to v7 the launcher in there starts the attacker, in a container in the container. In v8
/// it waits for a manifest, from the fifo that is the last of the words, in a pod whose containers
/// see each other's processes.
pub(super) fn arguments_through_launcher(
    step: &str,
    who: Who,
    words: &[String],
    manifest: &Path,
) -> Result<Vec<String>> {
    if step == "v1-chroot" {
        return arguments(step, who, words, manifest); // there is no /proc yet that leads to it
    }
    let itself = format!("{FROM_HERE}/{ITSELF}");
    if step == "v8-pause" {
        let fifo = words.last().cloned().unwrap_or_default();
        let waits = [itself, "run".to_owned(), fifo];
        return pod(&[words, &waits], who, true, manifest);
    }
    let network = (number(step) >= 5).then_some(["--net", "host"]);
    let options = ["--rootfs", "/"].into_iter().chain(network.into_iter().flatten()).chain(["--"]);
    let nested =
        [itself].into_iter().chain(options.map(str::to_owned)).chain(words.iter().cloned());
    arguments(step, who, &nested.collect::<Vec<_>>(), manifest)
}

/// The step's number: 1 is v1.
fn number(step: &str) -> usize {
    STEPS.iter().position(|it| *it == step).map_or(0, |index| index + 1)
}

/// A pod with a container for each of these commands.
fn pod(commands: &[&[String]], who: Who, see_others: bool, path: &Path) -> Result<Vec<String>> {
    let mut manifest = format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: attack\nspec:\n  restartPolicy: Never\n  \
         shareProcessNamespace: {see_others}\n  containers:\n"
    );
    for (index, words) in commands.iter().enumerate() {
        let words: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
        let words = words.join(", ");
        manifest +=
            &format!("  - name: container-{index}\n    image: busybox\n    command: [{words}]\n");
        if who == Who::Root {
            manifest += "    resources:\n      limits:\n        memory: 64Mi\n";
        }
        if see_others {
            manifest +=
                &format!("    volumeMounts:\n    - name: common\n      mountPath: {COMMON}\n");
        }
    }
    if see_others {
        let common = path.with_file_name("common");
        let common = common.display();
        manifest += &format!("  volumes:\n  - name: common\n    hostPath:\n      path: {common}\n");
    }
    fs::write(path, manifest).context("cannot write a manifest")?;
    Ok(vec!["run".to_owned(), path.to_string_lossy().into_owned()])
}
