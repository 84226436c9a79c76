//! How the command is run: what the image wants, and what the command line says otherwise.

use crate::arguments::ProcessArgs;
use anyhow::{Context, Result, ensure};
use image::ContainerConfig;
use launcher::Advise;
use launcher::command;
use launcher::command_line::note;
use launcher::lookup::{find_or_make, open_place};
use launcher::system_calls::current_directory;
use launcher::users::Identity;
use nix::errno::Errno;
use nix::sys::stat::fstat;
use nix::unistd::fchdir;
use std::collections::HashSet;
use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

// ANCHOR: exec_in_image
/// [`launcher::exec`] as an image wants it: its entry point and command, its environment, working
/// directory and user. To be called inside, after pivot_root: all of it is looked up in there.
///
/// # Errors
/// Always an error, since success does not return.
pub fn exec_in_image(
    config: &ContainerConfig,
    args: &ProcessArgs,
    command: &[OsString],
) -> Result<Infallible> {
    let user = args.user.as_deref().or(config.user.as_deref());
    // The image's nobody is root, as this process is already: of that one, the home is wanted.
    let is_named = user.is_some_and(|user| !user.is_empty());
    let user = user.map(|user| if is_named { user } else { "0" });
    let identity = user.map(|user| Identity::look_up(user, args.digits)).transpose()?;
    let home = identity.as_ref().map(|identity| identity.home.as_str());
    let environment = environment(config, &args.env, home);
    tell_what_goes(config)?;
    let workdir = args.workdir.as_deref().or(config.working_dir.as_deref().map(Path::new));
    enter(workdir)?;
    if let Some(identity) = identity.filter(|_| is_named) {
        identity.assume()?;
    }
    command::exec_with(&full_command(config, command), &environment)
}
// ANCHOR_END: exec_in_image

// ANCHOR: full_command
/// The entry point, then the arguments: those given, else the image's own.
fn full_command(config: &ContainerConfig, command: &[OsString]) -> Vec<OsString> {
    let mut words: Vec<OsString> = config.entrypoint.iter().flatten().map(OsString::from).collect();
    match command {
        [] => words.extend(config.cmd.iter().flatten().map(OsString::from)),
        given => words.extend_from_slice(given),
    }
    words
}
// ANCHOR_END: full_command

// ANCHOR: environment
/// Later variables replace earlier ones: the defaults, the image's, those of `--env`.
fn environment(config: &ContainerConfig, args: &[OsString], home: Option<&str>) -> Vec<OsString> {
    let mut variables = command::environment();
    let home = home.map(|home| OsString::from(format!("HOME={home}")));
    let of_image = config.env.iter().flatten().map(OsString::from);
    let of_caller = args.iter().filter_map(|variable| match name_of(variable).len() {
        length if length < variable.len() => Some(variable.clone()),
        _ => {
            let mut with_value = variable.clone();
            with_value.push("=");
            with_value.push(std::env::var_os(variable)?);
            Some(with_value)
        }
    });
    variables.extend(home.into_iter().chain(of_image).chain(of_caller));
    let mut seen = HashSet::new();
    let is_last: Vec<_> = variables.iter().rev().map(|it| seen.insert(name_of(it))).collect();
    let mut is_last = is_last.into_iter().rev();
    variables.iter().filter(|_| is_last.next() == Some(true)).cloned().collect()
}

fn name_of(variable: &OsStr) -> &[u8] {
    variable.as_bytes().split(|&byte| byte == b'=').next().unwrap_or_default()
}
// ANCHOR_END: environment

// ANCHOR: enter
/// Makes the working directory if it is missing, as Docker does, and enters it.
fn enter(workdir: Option<&Path>) -> Result<()> {
    let Some(workdir) = workdir.filter(|workdir| !workdir.as_os_str().is_empty()) else {
        return Ok(());
    };
    let workdir = Path::new("/").join(workdir);
    let root = open_place(Path::new("/"));
    let directory = root.and_then(|root| find_or_make(root, &workdir, true));
    let entered = directory.and_then(fchdir).advise(|errno| match errno {
        Errno::ELOOP => "symbolic links that lead in a circle, or out through /proc/PID",
        Errno::ENOTDIR => "it, or a part of it, is no directory",
        Errno::EROFS => "it is missing, and the directory that it would be made in is read-only",
        _ => "see openat2(2)",
    });
    entered.with_context(|| format!("cannot enter the working directory {workdir:?}"))?;
    // Closed descriptors and openat2(2) let nobody out. This is to be sure: getcwd(2) starts with
    // "(unreachable)" if no way leads from the root directory to here (CVE-2024-21626).
    let path = current_directory().context("cannot ask where this process is")?;
    ensure!(
        path.starts_with(b"/"),
        "cannot use the working directory {workdir:?}: it is not below the container's root"
    );
    Ok(())
}
// ANCHOR_END: enter

/// As many directories are told.
const MAX_TOLD: usize = 10;

/// Tells which directories the image wants to be kept (VOLUME), and are not: nothing is mounted
/// there. Docker makes a volume for each, which outlives the container.
fn tell_what_goes(config: &ContainerConfig) -> Result<()> {
    let Some(volumes) = &config.volumes else { return Ok(()) };
    let device = |path: &Path| fstat(open_place(path)?).map(|found| found.st_dev);
    let root = device(Path::new("/")).context("cannot look at /")?;
    // What is mounted is another file system than the container's own, which is overlayfs.
    let is_mounted = |volume: &PathBuf| device(volume).is_ok_and(|device| device != root);
    let paths = volumes.keys().take(MAX_TOLD).map(|volume| Path::new("/").join(volume));
    let goes: Vec<_> = paths.filter(|volume| !is_mounted(volume)).collect();
    if let Some(first) = goes.first() {
        note(format_args!(
            "what is written to {} goes with the container, and the image wants it to be kept (-v \
             DIR:{}, or --upper DIR)",
            goes.iter().map(|volume| format!("{volume:?}")).collect::<Vec<_>>().join(", "),
            first.display()
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &[&str]) -> Vec<OsString> {
        list.iter().map(OsString::from).collect()
    }

    fn some(list: &[&str]) -> Option<Vec<String>> {
        Some(list.iter().map(|word| (*word).to_owned()).collect())
    }

    #[test]
    fn arguments_replace_cmd_and_never_the_entrypoint() {
        let config = ContainerConfig {
            entrypoint: some(&["/entry", "-x"]),
            cmd: some(&["default"]),
            ..ContainerConfig::default()
        };
        assert_eq!(full_command(&config, &[]), words(&["/entry", "-x", "default"]));
        assert_eq!(full_command(&config, &words(&["a"])), words(&["/entry", "-x", "a"]));
        assert_eq!(full_command(&ContainerConfig::default(), &[]), words(&[]));
    }

    #[test]
    fn each_variable_is_there_once_and_the_last_word_counts() {
        let config =
            ContainerConfig { env: some(&["PATH=/image", "A=1"]), ..ContainerConfig::default() };
        let found = environment(&config, &words(&["A=2", "B=", "NOT_IN_THE_ENVIRONMENT"]), None);
        let found: Vec<_> = found.iter().filter_map(|variable| variable.to_str()).collect();
        assert!(found.contains(&"PATH=/image") && found.contains(&"A=2") && found.contains(&"B="));
        assert_eq!(found.iter().filter(|variable| variable.starts_with("PATH=")).count(), 1);
        assert!(found.contains(&"HOME=/root") && !found.iter().any(|it| it.starts_with("NOT_")));
        let found = environment(&config, &[], Some("/srv/app"));
        assert!(found.contains(&OsString::from("HOME=/srv/app")));
    }
}
