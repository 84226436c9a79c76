//! `cargo workshop pull` and `cargo workshop images`: from a registry to the directory of images.
//!
//! | module | what it does |
//! |---|---|
//! | `pull` | an image, from a registry into the directory of images |
//! | `images` | which were pulled, and away with some |
//! | `list`, `remove` | the two halves of that |
//! | `each` | the same for several images |
//! | `blob` | one blob, fetched to its end and checked |
//! | `layout` | an image layout that is written |
//! | `contents` | what belongs to an image in it |
//! | `repository` | what a registry is asked for |
//! | `token` | what it wants to see before it answers |
//! | `refusal` | what it says no with |
//! | `answer` | what it answers, and what goes wrong on the way |
//! | `credentials` | who we are to it |
//! | `address` | where a registry is |
//! | `connection` | how it is reached: TLS, patience |
//! | `proxy` | and by whom |
//! | `progress` | how much has come |
//!
//! The protocol is not what the course teaches. HTTP, TLS and proxies are ureq's; challenges and
//! logins are read by http-auth and docker_credential. Nothing else in the course needs them.

#![deny(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "they panic when nobody reads: see workshop::output"
)]

mod address;
mod answer;
mod blob;
mod connection;
mod contents;
mod credentials;
mod each;
mod images;
mod layout;
mod list;
mod progress;
mod proxy;
mod pull;
mod refusal;
mod remove;
mod repository;
mod token;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use image::missing::for_shell;
use image::reference::Reference;
use image::store::Store;
use launcher::Caller;
use nix::unistd::geteuid;
use workshop::say;

use connection::Way;
use each::each;
use progress::in_words;

/// Images, from a registry to this machine.
#[derive(Parser)]
#[command(name = "cargo workshop", bin_name = "cargo workshop")]
struct Args {
    #[command(subcommand)]
    tool: Tool,
}

#[derive(Subcommand)]
enum Tool {
    /// Bring images from a registry
    Pull(PullArgs),
    /// List the images that were pulled, and remove some
    Images(ImagesArgs),
}

#[derive(clap::Args)]
struct PullArgs {
    /// Such as alpine, nginx:1.27, ghcr.io/owner/app@sha256:...
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,

    /// Without TLS, for a registry of your own: localhost:5000, say
    #[arg(long)]
    plain_http: bool,

    /// Give up when nothing has come for so long
    #[arg(long, value_name = "SECONDS", default_value = "60")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=86400))]
    timeout: u64,

    /// Where to put them [default: where v7 and v8 look]
    #[arg(long = "images", value_name = "DIR")]
    directory: Option<PathBuf>,
}

#[derive(clap::Args)]
struct ImagesArgs {
    #[command(subcommand)]
    what: Option<images::What>,

    /// Where they are [default: where v7 and v8 look]
    #[arg(long = "images", value_name = "DIR", global = true)]
    directory: Option<PathBuf>,
}

fn main() -> ExitCode {
    workshop::finish(match Args::parse().tool {
        Tool::Pull(args) => pull_all(&args),
        Tool::Images(ImagesArgs { what, directory }) => {
            let directory = directory.as_deref();
            store(directory).and_then(|store| images::images(&store, directory, what.as_ref()))
        }
    })
}

/// The directory of images that was given, or that of this user.
fn store(directory: Option<&Path>) -> Result<Store> {
    match directory {
        Some(directory) => Ok(Store::at(directory.to_owned())),
        None => Store::of(&Caller::of_this_process()),
    }
}

/// Pulls them one after the other.
fn pull_all(args: &PullArgs) -> Result<ExitCode> {
    let store = store(args.directory.as_deref())?;
    let way = Way { is_plain: args.plain_http, silence: Duration::from_secs(args.timeout) };
    each(&args.images, |image| {
        pull_one(image, &store, args.directory.is_some(), way)
            .with_context(|| format!("cannot pull {image}"))
    })
}

/// `elsewhere`: v7 does not look there by itself.
fn pull_one(image: &str, store: &Store, elsewhere: bool, way: Way) -> Result<()> {
    let reference: Reference = image.parse()?;
    let pulled = pull::pull(&reference, store, way)?;
    let layers = if pulled.layers == 1 { "layer" } else { "layers" };
    let fetched = match pulled.fetched {
        0 => "all of it was here".to_owned(),
        fetched => format!("{} fetched", in_words(fetched)),
    };
    say!("{reference}: {} {layers}, {}, {fetched}", pulled.layers, in_words(pulled.size))?;
    say!("  {}", pulled.digest)?;
    let run = if geteuid().is_root() { "root" } else { "run" };
    let image = if elsewhere {
        for_shell(&store.path(&reference).to_string_lossy())
    } else {
        reference.to_string()
    };
    say!("  cargo {run} -q -p v7-overlay -- --image {image}")
}
