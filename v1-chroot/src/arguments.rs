//! The options of this step, which those up to v7 have too. (v8 runs pods, and has its own.)

use std::ffi::OsString;
use std::path::PathBuf;

// ANCHOR: arguments
/// Options of every step that runs one command.
#[derive(Debug, clap::Args)]
pub struct ContainerArgs {
    /// Root directory [default: busybox's, see below]
    #[arg(long, value_name = "DIR")]
    pub rootfs: Option<PathBuf>,

    /// Command, with its arguments [default: /bin/sh]
    #[arg(value_name = "COMMAND", trailing_var_arg = true)]
    pub command: Vec<OsString>,
}
// ANCHOR_END: arguments
