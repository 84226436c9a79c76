//! Command lines: every option of every step with any value, from words that are cut at line ends.

#![no_main]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use clap::Parser;
use libfuzzer_sys::fuzz_target;
use v1_chroot::ContainerArgs;
use v2_mountns::volume::VolumeArgs;
use v4_utsns::HostnameArgs;
use v5_netns::NetworkArgs;
use v6_cgroups::Limits;
use v7_overlay::{OverlayArgs, ProcessArgs};

/// Those of v7, which has them all.
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    container: ContainerArgs,
    #[command(flatten)]
    volumes: VolumeArgs,
    #[command(flatten)]
    uts: HostnameArgs,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    overlay: OverlayArgs,
    #[command(flatten)]
    process: ProcessArgs,
}

fuzz_target!(|text: &[u8]| {
    let words = text.split(|byte| *byte == b'\n').map(OsStr::from_bytes);
    match Args::try_parse_from([OsStr::new("v7-overlay")].into_iter().chain(words)) {
        Ok(args) => {
            // What was understood can be used.
            let _ = args.network.subnet.to_string();
            assert!(args.limits.cpus.is_none_or(|cpus| cpus > 0.0 && cpus.is_finite()));
            assert!(args.limits.memory.is_none_or(|bytes| bytes > 0));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
