//! Step 8: a pod. `v8-pause --help` tells the subcommands.

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;
use v1_chroot::command_line::{note, one_line};
use v1_chroot::{Child, become_root, finish, parse};
use v2_mountns::{CloneFlags, NewRoot, private_mounts, unshare};
use v3_pidns::{fork_and_stand_between, fork_into_pid_namespace};
use v5_netns::{Network, NetworkArgs};
use v6_cgroups::{Cgroup, enter_that_of};
use v7_overlay::image::ContainerConfig;
use v7_overlay::{ProcessArgs, exec_in_image};
use v8_pause::manifest::{self, RestartPolicy};
use v8_pause::output::Ends;
use v8_pause::prepared::{Prepared, find_images, pod_cgroup, ports};
use v8_pause::state::{State, find, runtime_directory};
use v8_pause::supervisor::Supervisor;
use v8_pause::{Namespaces, Pause, Pod, harden, run_from_memory};

/// Run a Kubernetes pod: several containers around one pause process
#[derive(Parser)]
struct CommandLine {
    #[command(subcommand)]
    subcommand: What,
}

#[derive(Subcommand)]
enum What {
    /// Run a pod until its containers have ended
    Run(RunArgs),
    /// Run a command in a container of a running pod
    Exec(ExecArgs),
}

#[derive(Args)]
struct RunArgs {
    /// Directory of images: OCI layouts, by the names of their repositories
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    #[command(flatten)]
    network: NetworkArgs,
    /// Pod manifest
    #[arg(value_name = "POD.yaml")]
    pod: PathBuf,
}

#[derive(Args)]
struct ExecArgs {
    /// The number that `run` has printed
    #[arg(value_name = "PAUSE_PID")]
    pause: i32,
    /// Container to enter [default: the first one]
    #[arg(short, long, value_name = "NAME")]
    container: Option<String>,
    /// Command to run in it, with its arguments [default: /bin/sh]
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

fn main() {
    finish(run())
}

fn run() -> Result<u8> {
    let args = parse::<CommandLine>()?;
    run_from_memory()?;
    match args.subcommand {
        What::Run(args) => run_pod(&manifest::read_file(&args.pod)?, args),
        What::Exec(args) => exec(&args),
    }
}

// ANCHOR: run_pod
fn run_pod(pod: &Pod, args: RunArgs) -> Result<u8> {
    let runtime = runtime_directory()?;
    let images = find_images(pod, args.images.as_deref())?;
    become_root()?;
    let publish = args.network.publish.into_iter().chain(ports(pod)).collect();
    let network = Network::create(&NetworkArgs { publish, ..args.network })?;
    let pause = Pause::start(&network, &pod.hostname)?;
    let cgroup = pod_cgroup(pod)?;
    let state = State::create(&runtime, pause.pid())?;
    let prepare = |(container, image)| Prepared::new(pod, container, image, &state);
    let prepared = pod.all_containers().zip(&images).map(prepare).collect::<Result<Vec<_>>>()?;
    println!("PAUSE_PID={}", pause.pid());
    let start = |container: &Prepared, cgroup: &Cgroup, output: &Ends| {
        start(pod, container, &network, pause.namespaces(), cgroup, output)
    };
    let mut supervisor = Supervisor::new(pod, &pause, &state, &cgroup, &start)?;
    let (init, others) = prepared.split_at(pod.init_containers.len());
    let retry = match pod.restart_policy {
        RestartPolicy::Always => RestartPolicy::OnFailure,
        other => other,
    };
    for container in init {
        let status = supervisor.run(std::slice::from_ref(container), retry)?;
        if status != 0 || supervisor.is_stopping() {
            return Ok(status);
        }
    }
    supervisor.run(others, pod.restart_policy)
}
// ANCHOR_END: run_pod

// ANCHOR: start
/// The recipe of v7, with the namespaces of pause in place of new ones.
fn start(
    pod: &Pod,
    container: &Prepared,
    network: &Network,
    shared: &Namespaces,
    cgroup: &Cgroup,
    output: &Ends,
) -> Result<Child> {
    Child::spawn(|| {
        v8_pause::pause::leave_terminal()?;
        output.connect()?;
        harden()?;
        shared.join(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS)?;
        if pod.share_process_namespace {
            shared.join(CloneFlags::CLONE_NEWPID)?;
            fork_and_stand_between()?;
        } else {
            fork_into_pid_namespace()?;
        }
        cgroup.enter()?;
        unshare(CloneFlags::CLONE_NEWNS)?;
        private_mounts()?;
        let root = NewRoot::bind(&container.overlay.mount()?)?;
        root.mount_proc()?;
        root.mount_dev()?;
        network.mount_into(&root, &pod.hostname)?;
        cgroup.mount_into(&root)?;
        root.mount_volumes(&container.volumes)?;
        root.pivot()?;
        exec_in_image(&container.config, &container.process, &container.args)
    })
}
// ANCHOR_END: start

// ANCHOR: exec
fn exec(args: &ExecArgs) -> Result<u8> {
    let target = find(&runtime_directory()?, args.pause, args.container.as_deref())?;
    let pid = nix::unistd::Pid::from_raw(target.pid);
    let namespaces = Namespaces::of(pid)?;
    let environment = std::fs::read(format!("/proc/{pid}/environ"))?;
    let user = target.user.unwrap_or(0).to_string();
    let process = ProcessArgs {
        env: environment
            .split(|&byte| byte == 0)
            .filter(|it| !it.is_empty())
            .map(|it| std::os::unix::ffi::OsStringExt::from_vec(it.to_vec()))
            .collect(),
        workdir: None,
        user: Some(user),
    };
    let command = Child::spawn(|| {
        if let Err(error) = enter_that_of(pid) {
            note(format_args!("not in the container's cgroup: {}", one_line(&error)));
        }
        namespaces.join_all_but_mounts()?;
        harden()?;
        fork_and_stand_between()?;
        namespaces.join(CloneFlags::CLONE_NEWNS)?;
        exec_in_image(&ContainerConfig::default(), &process, &args.command)
    })?;
    command.wait()
}
// ANCHOR_END: exec
