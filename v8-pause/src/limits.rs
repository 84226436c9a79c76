//! The limits of a container, and those of its pod.

use manifest::{Container, Pod};
use v6_cgroups::Limits;

/// Those of one container.
pub fn of_container(container: &Container) -> Limits {
    let limits = &container.resources.limits;
    Limits { memory: limits.memory, cpus: limits.cpu, ..Limits::default() }
}

// ANCHOR: of_pod
/// Those of the whole pod: what its containers may take at any time. If one of them has no limit,
/// the pod has none (kubelet).
pub fn of_pod(pod: &Pod) -> Limits {
    let memory = most(pod, |limits| limits.memory, u64::saturating_add);
    let cpus = most(pod, |limits| limits.cpus, |one, other| one + other);
    Limits { memory, cpus, ..Limits::default() }
}

/// The sum of those that run together, or the most of those that run alone before them.
fn most<T: PartialOrd>(
    pod: &Pod,
    limit: impl Fn(Limits) -> Option<T>,
    add: fn(T, T) -> T,
) -> Option<T> {
    let of = |containers: &[Container]| -> Option<Vec<T>> {
        containers.iter().map(|container| limit(of_container(container))).collect()
    };
    let (alone, together) = (of(&pod.init_containers)?, of(&pod.containers)?);
    let larger = |one, other| if other > one { other } else { one };
    alone.into_iter().chain(together.into_iter().reduce(add)).reduce(larger)
}
// ANCHOR_END: of_pod
