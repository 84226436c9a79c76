//! The proof of the exercises: of each, the starter fails with the words that are declared, the
//! solution passes, and every faulty version is rejected with words of its own. All of them compile
//! without warnings, and are formatted.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use nix::fcntl::{Flock, FlockArg};
use testbed::{BIN, Host, Outcome, Suite};
use workshop::exercises::exercise::Exercise;
use workshop::exercises::list::ALL;
use workshop::exercises::source::{Variant, cut};
use workshop::exercises::{MANIFEST, SETTINGS, cargo_build};

/// Where a host sees the built versions.
const PROGRAMS: &str = "/run/testbed/programs";

fn main() -> Result<ExitCode> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no workspace")?;
    let target = workspace.join("target");
    // The suite starts this program again for each trial, with an argument of its own.
    let is_first = !std::env::args().any(|it| it.starts_with("--in-") || it == "--list");
    let _lock = is_first.then(|| one_at_a_time(&target)).transpose()?;
    if is_first {
        build_all(workspace, &target)?;
        the_alias_leads_home(&target)?;
    }
    let mut suite = Suite::of_no_stage().own_cgroups().expose(target.join("debug"), PROGRAMS);
    for exercise in ALL {
        for variant in Variant::all_of(exercise) {
            let name = format!("{}/{}", exercise.id, variant.name());
            let body = move |host: &Host| is_judged_rightly(host, exercise, &variant);
            suite = match exercise.needs_cgroup {
                true => suite.root(name, body),
                false => suite.both(name, body),
            };
        }
    }
    Ok(suite.run())
}

/// Two runs in one checkout would make the programs anew under each other's hands.
fn one_at_a_time(target: &Path) -> Result<Flock<File>> {
    fs::create_dir_all(target)?;
    let lock = File::create(target.join("exercises-lock")).context("cannot make a lock")?;
    Flock::lock(lock, FlockArg::LockExclusive)
        .map_err(|(_, errno)| errno)
        .context("cannot wait for the lock")
}

fn program_of(exercise: &Exercise, variant: &Variant) -> String {
    format!("exercise-{}-{}", exercise.id, variant.name())
}

/// `cargo workshop` in `exercises/` of a checkout is the checkout's: here, one that is soon built.
fn the_alias_leads_home(target: &Path) -> Result<()> {
    let checkout = target.join("alias-proof");
    let desk = checkout.join("exercises");
    fs::create_dir_all(desk.join(".cargo"))?;
    fs::create_dir_all(checkout.join("src"))?;
    let manifest = "[package]\nname = \"door\"\nedition = \"2024\"\n[workspace]\n";
    fs::write(checkout.join("Cargo.toml"), manifest)?;
    fs::write(checkout.join("src/main.rs"), "fn main() { println!(\"home\"); }\n")?;
    fs::write(desk.join(".cargo/config.toml"), SETTINGS)?;
    let mut cargo = Command::new(std::env::var_os("CARGO").context("not run by cargo")?);
    cargo.args(["workshop", "list"]).current_dir(&desk).env_remove("CARGO_TARGET_DIR");
    let outcome = Outcome::of(&mut cargo);
    ensure!(outcome.text() == "home\n", "in exercises/, cargo workshop: {outcome:?}");
    Ok(())
}

/// Builds every version of every exercise as a program of one package.
fn build_all(workspace: &Path, target: &Path) -> Result<()> {
    let package = target.join("exercises-proof");
    let sources = package.join("src/bin");
    if package.exists() {
        fs::remove_dir_all(&package)?;
    }
    fs::create_dir_all(&sources)?;
    fs::write(package.join("Cargo.toml"), MANIFEST.replace("\"../", "\"../../"))?;
    fs::copy(workspace.join("Cargo.lock"), package.join("Cargo.lock"))?;
    for exercise in ALL {
        for variant in Variant::all_of(exercise) {
            let file = sources.join(program_of(exercise, &variant)).with_extension("rs");
            fs::write(file, cut(exercise.source, &variant))?;
        }
    }
    succeed("build", &mut cargo_build(&package, target)?)?;
    let cargo = || {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(&package).env_remove("CARGO_TARGET_DIR");
        cargo
    };
    if is_installed(&mut cargo(), "clippy")? {
        let mut clippy = cargo();
        clippy.args(["clippy", "--quiet", "--offline", "--target-dir"]).arg(target);
        succeed("pass clippy", clippy.args(["--", "-D", "warnings"]))?;
    }
    if is_installed(&mut cargo(), "fmt")? {
        let mut format = cargo();
        format.args(["fmt", "--check", "--", "--config-path"]).arg(workspace.join("rustfmt.toml"));
        succeed("are formatted", &mut format)?;
    }
    Ok(())
}

/// Whether cargo has this tool: a learner may not. The gate must.
fn is_installed(cargo: &mut Command, tool: &str) -> Result<bool> {
    let version = cargo.args([tool, "--version"]).output().context("cannot run cargo")?;
    let is_there = version.status.success();
    ensure!(is_there || std::env::var_os("CI").is_none(), "there is no cargo {tool}");
    if !is_there {
        println!("without cargo {tool}: not checked");
    }
    Ok(is_there)
}

fn succeed(what: &str, command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    ensure!(status.success(), "not all versions of the exercises {what}");
    Ok(())
}

fn is_judged_rightly(host: &Host, exercise: &Exercise, variant: &Variant) {
    let program = PathBuf::from(PROGRAMS).join(program_of(exercise, variant));
    let mut judge = host.command(Path::new(BIN).join("workshop"));
    let outcome = Outcome::of(judge.args(["judge", exercise.id]).arg(program));
    let text = String::from_utf8_lossy(&outcome.stdout);
    assert_eq!(outcome.complaints(), Vec::<&str>::new(), "{text}");
    let words_of = |variant: &Variant| match variant {
        Variant::Starter => Some(exercise.starter_fails),
        Variant::Solution => None,
        Variant::Fault(name) => {
            exercise.faults.iter().find(|fault| fault.name == *name).map(|fault| fault.fails)
        }
    };
    let is_passed = outcome.code() == 0;
    assert_eq!(is_passed, *variant == Variant::Solution, "status {}: {text}", outcome.code());
    for other in Variant::all_of(exercise) {
        let is_own = other == *variant;
        if let Some(words) = words_of(&other) {
            assert_eq!(text.contains(words), is_own, "the words of {other:?}, {words:?}:\n{text}");
        }
    }
}
