//! Compiles programs that have no library, neither Rust's nor C's, for the build script of the
//! crate that carries one inside. (Cargo does not build a second binary of a package for `cargo
//! run`, and one file is easier to keep together than two.)
//!
//! Such a program is process 1 in a container, where everybody can look at it (/proc/1/map_files,
//! say). So there is nothing of the host in its memory, and little of anything. How it asks the
//! kernel is in `kernel.rs`.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Compiles `DIRECTORY/NAME.rs` of the crate that is built, to `NAME` in its `OUT_DIR`. To be the
/// whole of a `main`.
pub fn build(directory: &str, name: &str) -> ExitCode {
    println!("cargo::rerun-if-changed={directory}");
    println!("cargo::rerun-if-changed={}/kernel.rs", env!("CARGO_MANIFEST_DIR"));
    match compile(&Path::new(directory).join(name).with_extension("rs"), name) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            println!("cargo::error=cannot compile {name}: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn compile(source: &Path, name: &str) -> Result<(), String> {
    let variable = |name: &str| env::var(name).map_err(|error| format!("{name}: {error}"));
    let target = PathBuf::from(variable("OUT_DIR")?).join(name);
    let mut rustc = Command::new(variable("RUSTC")?);
    rustc
        .arg(source)
        .args(["--crate-name", name, "--crate-type", "bin", "--edition", "2024"])
        .args(["--target", &variable("TARGET")?])
        .arg("-o")
        .arg(&target)
        // Small, complete in itself, and never unwinding.
        .args(["-Copt-level=s", "-Cpanic=abort", "-Cstrip=symbols", "-Crelocation-model=static"])
        // No library, no other code before _start, no room left between the parts of the file.
        .args(["-nostdlib", "-nostartfiles", "-static", "-Wl,--build-id=none,-z,norelro"].map(link))
        .args(["-D", "unsafe_op_in_unsafe_fn"]);
    if variable("CARGO_CFG_TARGET_ENV")? == "musl" {
        rustc.arg("-Clink-self-contained=no"); // rustc brings a _start of musl's
    }
    if let Ok(linker) = variable("RUSTC_LINKER") {
        rustc.arg(format!("-Clinker={linker}"));
    }
    let status = rustc.status().map_err(|error| format!("{rustc:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{rustc:?}: {status}")) }
}

fn link(argument: &str) -> String {
    format!("-Clink-arg={argument}")
}
