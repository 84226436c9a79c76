//! What must be so among the parts of a pod, each of which is in order by itself.

use crate::fault::Faults;
use crate::node::Node;
use crate::pod::{Container, Pod};
use anyhow::Result;
use std::collections::{HashMap, HashSet};

/// Checks a pod that was read from this `spec`.
///
/// # Errors
/// All that is wrong, at the container or the pod where it is.
pub(crate) fn check(pod: &Pod, spec: &Node) -> Result<()> {
    let (init_nodes, nodes) = (spec.entries("initContainers")?, spec.entries("containers")?);
    let mut faults = Faults::default();
    if let (Some(node), []) = (spec.field("containers")?, nodes) {
        faults.add(node.wrong("a pod has at least one container"));
    }
    check_names(pod, spec, &mut faults);
    check_ports(pod, init_nodes, nodes, &mut faults);
    for (container, node) in pod.all_containers().zip(init_nodes.iter().chain(nodes)) {
        check_mounts(pod, container, node, &mut faults);
    }
    faults.told()
}

/// Names are there once: of containers of both kinds, and of volumes.
fn check_names(pod: &Pod, spec: &Node, faults: &mut Faults) {
    let mut seen = HashSet::new();
    for twice in pod.all_containers().filter(|container| !seen.insert(&container.name)) {
        faults.add(spec.wrong(format_args!("two containers have the name {:?}", twice.name)));
    }
    let mut seen = HashSet::new();
    for twice in pod.volumes.iter().filter(|volume| !seen.insert(&volume.name)) {
        faults.add(spec.wrong(format_args!("two volumes have the name {:?}", twice.name)));
    }
}

/// The containers share one network: a port can be one container's only.
fn check_ports(pod: &Pod, init_nodes: &[Node], nodes: &[Node], faults: &mut Faults) {
    for (container, node) in pod.init_containers.iter().zip(init_nodes) {
        if container.ports.iter().any(|port| port.host.is_some()) {
            faults.add(node.wrong("the hostPort of an init container has no effect"));
        }
    }
    let mut of_host = HashSet::new();
    let mut inside = HashMap::new();
    for (container, node) in pod.containers.iter().zip(nodes) {
        let mut names = HashSet::new();
        for port in &container.ports {
            if let Some(name) = port.name.as_ref().filter(|name| !names.insert(*name)) {
                faults.add(node.wrong(format_args!("two ports have the name {name:?}")));
            }
            if let Some(number) = port.host
                && !of_host.insert((number, port.host_ip, port.protocol))
            {
                faults.add(node.wrong(format_args!("hostPort {number} is there twice in the pod")));
            }
            let key = (port.container, port.protocol);
            let other = *inside.entry(key).or_insert(&container.name);
            if *other != container.name {
                faults.add(node.wrong(format_args!(
                    "containerPort {} is that of {other:?} too, and they share one network",
                    port.container
                )));
            }
        }
    }
}

/// What a container mounts is there, and each at a place of its own.
fn check_mounts(pod: &Pod, container: &Container, node: &Node, faults: &mut Faults) {
    let mut seen = HashSet::new();
    for mount in &container.mounts {
        if !pod.volumes.iter().any(|volume| volume.name == mount.volume) {
            faults.add(node.wrong(format_args!("the pod has no volume {:?}", mount.volume)));
        }
        if !seen.insert(&mount.path) {
            let path = &mount.path;
            faults.add(node.wrong(format_args!("two volumes are mounted at {path:?}")));
        }
    }
}
