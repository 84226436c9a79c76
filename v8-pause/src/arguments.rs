//! The command line: subcommands, as kubectl and crictl have them.

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use launcher::command_line::note;
use manifest::{Pod, Wanted};
use std::ffi::OsString;
use std::path::PathBuf;
use v5_netns::NetworkArgs;

/// Run a Kubernetes pod, several containers around one pause process; without a subcommand a demo
/// pod, with a shell in it. It is no sandbox: run as root only what you trust
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
pub struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub subcommand: Option<What>,

    /// Options of the demo pod.
    #[command(flatten)]
    pub demo: PodArgs,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum What {
    /// Run a pod until its containers have ended, or until Ctrl-C
    Run(RunArgs),
    /// Run a command in a container of a running pod; on a terminal, with one of its own
    Exec(ExecArgs),
}

/// Options of a pod.
#[derive(Debug, Args)]
pub struct PodArgs {
    /// Directory of images [default: the pulled ones]
    #[arg(long, value_name = "DIR")]
    pub images: Option<PathBuf>,

    /// v5: the network of the pod; `-p` beside what the manifest publishes.
    #[command(flatten)]
    pub network: NetworkArgs,
}

/// The arguments of `run`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  v8-pause run pod.yaml             until Ctrl-C, or until its containers have ended
  v8-pause run --template app.yaml  the pod that a Deployment or a Job makes
  kubectl get pod web -o yaml | v8-pause run -
")]
pub struct RunArgs {
    /// Options of the pod.
    #[command(flatten)]
    pub options: PodArgs,

    /// Run the template in a Deployment, StatefulSet, DaemonSet, Job or CronJob (of several: NAME's)
    #[arg(long, value_name = "NAME", num_args = 0..=1, require_equals = true)]
    pub template: Option<Option<String>>,

    /// Pod manifest; `-` is standard input
    #[arg(value_name = "POD.yaml")]
    pub pod: PathBuf,
}

impl RunArgs {
    /// Reads the manifest, and tells what is passed over.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(&self) -> Result<Pod> {
        let wanted = match &self.template {
            None => Wanted::Pod,
            Some(None) => Wanted::Template,
            Some(Some(name)) => Wanted::TemplateOf(name.clone()),
        };
        let manifest = manifest::read(&self.pod, &wanted)?;
        for told in manifest.notes {
            note(format_args!("{told}"));
        }
        Ok(manifest.pod)
    }
}

/// The arguments of `exec`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  v8-pause exec 4711                    a shell in the first container of the pod
  v8-pause exec 4711 -c web -- ps -ef   a command in the container web (also without --)
")]
pub struct ExecArgs {
    /// The number that `run` has printed
    #[arg(value_name = "PAUSE_PID")]
    pub pause: i32,

    /// Container to enter [default: the first one]
    #[arg(short, long, value_name = "NAME")]
    pub container: Option<String>,

    /// Command to run in it, with its arguments [default: /bin/sh]
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}
