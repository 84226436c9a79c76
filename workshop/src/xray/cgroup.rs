//! The limits of a process, and what its cgroup uses (cgroups(7)), on v2, v1 and hybrid.

use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use launcher::printable;
use v6_cgroups::hierarchy::{Hierarchies, Hierarchy, Version};

/// What a file says; none if there is no such file, or no limit in it.
type Found<T> = Result<Option<T>>;

/// What one controller has to say.
struct Controller {
    name: &'static str,
    /// The name of the controller that counts.
    counts: &'static str,
    used: fn(&Path, Version) -> Found<String>,
    limit: fn(&Path, Version) -> Found<f64>,
    /// How a limit is written.
    show: fn(f64) -> String,
}

const CONTROLLERS: [Controller; 3] = [
    Controller {
        name: "memory",
        counts: "memory",
        used: memory_used,
        limit: memory_limit,
        show: in_mebibytes,
    },
    Controller {
        name: "cpu",
        counts: "cpuacct",
        used: cpu_used,
        limit: cpu_limit,
        show: |cpus| format!("{cpus} CPUs"),
    },
    Controller {
        name: "pids",
        counts: "pids",
        used: |cgroup, _| Ok(number(cgroup, "pids.current")?.map(|count| count.to_string())),
        limit: |cgroup, _| number(cgroup, "pids.max"),
        show: |count| count.to_string(),
    },
];

/// A line for each controller, and where its numbers are from.
pub(super) fn list(pid: u32) -> Result<Vec<String>> {
    let host = Hierarchies::find()?;
    let mut lines = vec![host.kind.to_string()];
    for controller in CONTROLLERS {
        let with = |name: &str| {
            let mut trees = host.all.iter();
            trees.find(|tree| tree.controllers.iter().any(|it| it == name))
        };
        let Some(tree) = with(controller.name) else { continue };
        let cgroup = directory(tree, pid)?;
        let counting = match with(controller.counts) {
            Some(tree) => directory(tree, pid)?,
            None => cgroup.clone(),
        };
        let used = (controller.used)(&counting, tree.version)?;
        let used = used.map_or("not counted".to_owned(), |used| format!("{used} used"));
        let limit = match least_limit(&controller, tree, &cgroup)? {
            None => "no limit".to_owned(),
            Some((limit, at)) if at == cgroup => format!("at most {}", (controller.show)(limit)),
            Some((limit, at)) => format!("at most {} by {}", (controller.show)(limit), shown(at)),
        };
        lines.push(format!("{:8}{used}, {limit}  {}", controller.name, shown(&cgroup)));
    }
    Ok(lines)
}

fn directory(tree: &Hierarchy, pid: u32) -> Result<PathBuf> {
    // Without the slash that is left at the end of a root cgroup.
    let path: PathBuf = tree.cgroup_of(&pid.to_string())?.components().collect();
    if path.components().any(|part| part == Component::ParentDir) {
        bail!("cannot see its cgroup: it is above the root of our cgroup namespace");
    }
    Ok(path)
}

/// The limit that is reached first, in this cgroup or above it, and where it is set.
fn least_limit<'a>(
    controller: &Controller,
    tree: &Hierarchy,
    cgroup: &'a Path,
) -> Found<(f64, &'a Path)> {
    let mut least: Option<(f64, &Path)> = None;
    for path in cgroup.ancestors().take_while(|path| path.starts_with(&tree.mount_point)) {
        let limit = (controller.limit)(path, tree.version)?;
        // Of equal ones the nearest counts.
        if let Some(limit) = limit.filter(|limit| least.is_none_or(|(least, _)| *limit < least)) {
            least = Some((limit, path));
        }
    }
    Ok(least)
}

fn memory_used(cgroup: &Path, version: Version) -> Found<String> {
    let file = match version {
        Version::V2 => "memory.current",
        Version::V1 => "memory.usage_in_bytes",
    };
    Ok(number(cgroup, file)?.map(in_mebibytes))
}

fn memory_limit(cgroup: &Path, version: Version) -> Found<f64> {
    /// In v1, no limit is the greatest number of whole pages, in bytes.
    const NO_LIMIT: f64 = (1_u64 << 62) as f64;
    match version {
        Version::V2 => number(cgroup, "memory.max"),
        Version::V1 => {
            Ok(number(cgroup, "memory.limit_in_bytes")?.filter(|bytes| *bytes < NO_LIMIT))
        }
    }
}

fn cpu_used(cgroup: &Path, version: Version) -> Found<String> {
    let time = match version {
        Version::V2 => {
            let text = read(cgroup, "cpu.stat")?.unwrap_or_default();
            let time = text.lines().find_map(|line| line.strip_prefix("usage_usec ")?.parse().ok());
            time.map(Duration::from_micros)
        }
        Version::V1 => {
            let text = read(cgroup, "cpuacct.usage")?;
            text.and_then(|text| text.trim().parse().ok()).map(Duration::from_nanos)
        }
    };
    Ok(time.map(|time| format!("{:.3} s", time.as_secs_f64())))
}

/// So much CPU time in each period, as a number of CPUs.
fn cpu_limit(cgroup: &Path, version: Version) -> Found<f64> {
    let (quota, period) = match version {
        Version::V2 => {
            let text = read(cgroup, "cpu.max")?.unwrap_or_default();
            let mut numbers = text.split_whitespace().map(|number| number.parse::<f64>().ok());
            (numbers.next().flatten(), numbers.next().flatten()) // no limit is "max"
        }
        Version::V1 => (number(cgroup, "cpu.cfs_quota_us")?, number(cgroup, "cpu.cfs_period_us")?),
    };
    let limit = quota.zip(period).filter(|(quota, _)| *quota > 0.0); // in v1 no limit is -1
    Ok(limit.map(|(quota, period)| quota / period))
}

/// The number in a file; none if it says "max".
fn number(cgroup: &Path, file: &str) -> Found<f64> {
    Ok(read(cgroup, file)?.and_then(|text| text.trim().parse().ok()))
}

/// The root cgroup has no limits, and a controller may be off: then there is no such file.
fn read(cgroup: &Path, file: &str) -> Found<String> {
    match fs::read_to_string(cgroup.join(file)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {:?}", cgroup.join(file))),
    }
}

fn in_mebibytes(bytes: f64) -> String {
    format!("{:.1} MiB", bytes / f64::from(1 << 20))
}

fn shown(path: &Path) -> String {
    printable(path.as_os_str().as_encoded_bytes())
}

#[cfg(test)]
mod tests {
    use nix::unistd::mkdtemp;

    use super::*;

    /// A directory with files as the kernel has them in a cgroup.
    fn cgroup(files: &[(&str, &str)]) -> PathBuf {
        let path = mkdtemp(&std::env::temp_dir().join("workshop-xray-XXXXXX")).unwrap();
        for (file, text) in files {
            fs::write(path.join(file), text).unwrap();
        }
        path
    }

    #[test]
    fn reads_both_generations() {
        let v2 = [
            ("memory.current", "1048576\n"),
            ("memory.max", "67108864\n"),
            ("cpu.stat", "usage_usec 1500000\nuser_usec 1\n"),
            ("cpu.max", "50000 100000\n"),
            ("pids.max", "max\n"),
        ];
        let v1 = [
            ("memory.usage_in_bytes", "1048576\n"),
            ("memory.limit_in_bytes", "9223372036854771712\n"),
            ("cpuacct.usage", "1500000000\n"),
            ("cpu.cfs_quota_us", "-1\n"),
            ("cpu.cfs_period_us", "100000\n"),
        ];
        for (version, files, limits) in
            [(Version::V2, v2, (Some(67_108_864.0), Some(0.5))), (Version::V1, v1, (None, None))]
        {
            let path = cgroup(&files);
            assert_eq!(memory_used(&path, version).unwrap().as_deref(), Some("1.0 MiB"));
            assert_eq!(cpu_used(&path, version).unwrap().as_deref(), Some("1.500 s"));
            let read = (memory_limit(&path, version).unwrap(), cpu_limit(&path, version).unwrap());
            assert_eq!(read, limits);
            assert_eq!(number(&path, "pids.max").unwrap(), None);
            fs::remove_dir_all(path).unwrap();
        }
    }
}
