//! The programs that start the containers of Docker, Podman and Kubernetes: runc and crun. They
//! take a bundle: a directory with a config.json, as the OCI's runtime specification has it.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};
use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};
use serde_json::{Value, json};
use workshop::say;

use super::payload::{DESCRIBE, Payload};
use super::programs::{ENVIRONMENT, Programs, find, is_root, with_environment};

/// Prepares the program's command line, which runs `true` with the namespaces and mounts of a
/// step; or tells why it takes no part. It is tried once, to see what its command sees.
///
/// # Errors
/// Those of writing the bundle.
pub fn prepare(
    name: &str,
    programs: &Programs,
    directory: &Path,
    cgroup: &str,
    stage: &Payload,
) -> Result<Result<Command, String>> {
    if !is_root()? {
        return Ok(Err("as root only".to_owned()));
    }
    if find(name).is_none() {
        return Ok(Err(format!("it is not installed (package {name})")));
    }
    let bundle = directory.join(name);
    fs::create_dir(&bundle).with_context(|| format!("cannot make {}", bundle.display()))?;
    let mut runtime = with_environment(name);
    runtime.arg("--root").arg(bundle.join("state"));
    if name == "crun" {
        runtime.arg("--cgroup-manager=disabled"); // the step makes none either; runc has to
    }
    runtime.args(["run", "--bundle"]).arg(&bundle).arg(cgroup);

    let write = |command: &[&str]| {
        let config = config(programs, cgroup, stage, command).to_string();
        fs::write(bundle.join("config.json"), config).context("cannot write config.json")
    };
    write(&["sh", "-c", DESCRIBE])?;
    let seen = match Payload::of(&mut runtime) {
        Ok(seen) => seen,
        Err(error) => return Ok(Err(format!("{error:#}").replace('\n', " "))),
    };
    let differences = stage.differences(&seen, ["v4-utsns", name]);
    if !differences.is_empty() {
        say!("{name} and v4-utsns differ: {}", differences.join("; "))?;
    }
    write(&["true"])?;
    Ok(Ok(runtime))
}

fn config(programs: &Programs, cgroup: &str, stage: &Payload, command: &[&str]) -> Value {
    let environment: Vec<_> =
        ENVIRONMENT.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mounts: Vec<_> = stage
        .file_systems()
        .map(|(point, kind)| json!({"destination": point, "type": kind, "source": kind}))
        .collect();
    json!({
        "ociVersion": "1.0.2",
        "root": {"path": programs.rootfs},
        "hostname": "container",
        "process": {
            "user": {"uid": 0, "gid": 0}, "cwd": "/", "args": command, "env": environment,
        },
        "mounts": mounts,
        "linux": {
            "cgroupsPath": format!("/{cgroup}"),
            "namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "uts"}],
        },
    })
}

/// Where version 2 of the cgroups stands beside version 1, shows only version 2 in this mount
/// namespace: crun refuses to run where it sees both.
///
/// # Errors
/// Those of mount(2).
pub fn show_one_version_of_cgroups() -> Result<()> {
    let both = Path::new("/sys/fs/cgroup/unified");
    if !statfs(both).is_ok_and(|it| it.filesystem_type() == CGROUP2_SUPER_MAGIC) {
        return Ok(());
    }
    mount(Some(both), "/sys/fs/cgroup", None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .with_context(|| format!("cannot bind {}", both.display()))
}
