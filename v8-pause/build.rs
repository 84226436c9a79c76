//! Compiles pause, which v8-pause carries inside. (Cargo does not build a second binary of a
//! package for `cargo run`, and one file is easier to keep together than two.)

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=pause");
    match compile_pause() {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            println!("cargo::error=cannot compile pause: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn compile_pause() -> Result<(), String> {
    let variable = |name: &str| env::var(name).map_err(|error| format!("{name}: {error}"));
    let target = PathBuf::from(variable("OUT_DIR")?).join("pause");
    let mut rustc = Command::new(variable("RUSTC")?);
    rustc
        .arg(Path::new("pause/pause.rs"))
        .args(["--crate-name", "pause", "--crate-type", "bin", "--edition", "2024"])
        .args(["--target", &variable("TARGET")?])
        .arg("-o")
        .arg(&target)
        // Small, complete in itself, and never unwinding.
        .args(["-Copt-level=s", "-Cpanic=abort", "-Cstrip=symbols", "-Crelocation-model=static"])
        // No library, no other code before _start, no room left between the parts of the file.
        .args(["-nostdlib", "-nostartfiles", "-static", "-Wl,--build-id=none,-z,norelro"].map(link))
        .args(["-D", "unsafe_op_in_unsafe_fn"]);
    if let Ok(linker) = variable("RUSTC_LINKER") {
        rustc.arg(format!("-Clinker={linker}"));
    }
    let status = rustc.status().map_err(|error| format!("{rustc:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{rustc:?}: {status}")) }
}

fn link(argument: &str) -> String {
    format!("-Clink-arg={argument}")
}
