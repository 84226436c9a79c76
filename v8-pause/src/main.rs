//! Step 8: a pod. `v8-pause --help` tells the subcommands.

use anyhow::Result;
use launcher::in_memory::run_from_memory;
use launcher::terminal::leave_terminal;
use launcher::{Caller, Container, become_root_with_subordinate_ids, finish, parse};
use manifest::Pod;
use relay::lines::Ends;
use v2_mountns::{CloneFlags, NewRoot, private_mounts, unshare};
use v3_pidns::{fork_and_stand_between, fork_into_pid_namespace};
use v5_netns::{Network, NetworkArgs};
use v6_cgroups::Cgroup;
use v7_overlay::exec_in_image;
use v8_pause::arguments::{CommandLine, PodArgs, What};
use v8_pause::prepared::{Prepared, find_images, pod_cgroup, ports};
use v8_pause::state::State;
use v8_pause::{EmptyDirs, Namespaces, Pause, Supervisor, demo, enter, harden};

fn main() {
    finish(run())
}

fn run() -> Result<u8> {
    let (args, caller) = parse::<CommandLine>()?;
    run_from_memory(c"v8-pause")?;
    match args.subcommand {
        None => run_pod(caller, &Pod::read(demo::MANIFEST)?, args.demo, Some(demo::SHELL)),
        Some(What::Run(args)) => run_pod(caller, &args.read()?, args.options, None),
        Some(What::Exec(args)) => enter::exec(&caller, &args),
    }
}

// ANCHOR: run_pod
fn run_pod(caller: Caller, pod: &Pod, args: PodArgs, shell: Option<&str>) -> Result<u8> {
    let (runtime, cache) = (caller.pods()?, caller.cache());
    let images = find_images(&caller, pod, args.images.as_deref())?;
    let as_root = become_root_with_subordinate_ids(caller)?;
    let publish = args.network.publish.into_iter().chain(ports(pod)).collect();
    let network = Network::create(&as_root, &NetworkArgs { publish, ..args.network })?;
    let cgroup = pod_cgroup(&as_root, pod)?;
    let pause = Pause::start(&network, &pod.hostname, &cgroup)?;
    let state = State::create(&runtime, pause.pid())?;
    let volumes = EmptyDirs::create(&as_root, pod, cache)?;
    let containers = Prepared::all(&as_root, pod, &images, &volumes)?;
    pause.print_pid()?;
    let start = |container: &Prepared, cgroup: &Cgroup, output: &Ends| {
        start(pod, container, &network, pause.namespaces(), cgroup, output)
    };
    Supervisor::new(pod, &pause, &state, &cgroup, &start)?.run(&containers, shell)
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
) -> Result<Container> {
    // ANCHOR: recipe
    Container::spawn(|| {
        leave_terminal()?;
        output.connect()?;
        harden()?;
        shared
            .join(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS)?;
        if pod.share_process_namespace {
            shared.join(CloneFlags::CLONE_NEWPID)?;
            fork_and_stand_between()?;
        } else {
            fork_into_pid_namespace()?;
        }
        cgroup.enter()?;
        unshare(CloneFlags::CLONE_NEWNS)?;
        private_mounts()?;
        let root = NewRoot::of(container.overlay.mount()?);
        root.mount_proc()?;
        root.mount_dev()?;
        network.mount_into(&root, &pod.hostname)?;
        cgroup.mount_into(&root)?;
        root.mount_volumes(&container.volumes)?;
        root.pivot()?;
        exec_in_image(&container.config, &container.process, &container.args)
    })
    // ANCHOR_END: recipe
}
// ANCHOR_END: start
