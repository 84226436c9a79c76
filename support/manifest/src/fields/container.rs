//! The fields of a container.

use super::volume::mount;
use crate::mapping::Fields;
use crate::pod::{Container, Limits, Port, Protocol, Requests, Resources, SecurityContext};
use crate::values::{
    address, cpus, is_false, label, list, memory, memory_limit, one_of, port, port_name,
    port_or_none, protocol, reference, text, user, variable_name,
};
use std::path::PathBuf;

/// A container of a pod.
pub(crate) fn container(fields: &mut Fields) -> Container {
    of_the_runtime(fields);
    Container {
        name: fields.required("name", label),
        image: fields.required("image", reference),
        command: fields.values("command", text).filter(|words| !words.is_empty()),
        args: fields.values("args", text).filter(|words| !words.is_empty()),
        env: fields.list("env", variable),
        working_dir: fields.optional("workingDir", text).map(PathBuf::from),
        ports: fields.list("ports", container_port),
        resources: fields.mapping("resources", resources).unwrap_or_default(),
        mounts: fields.list("volumeMounts", mount),
        security_context: fields.mapping("securityContext", security_context).unwrap_or_default(),
    }
}

/// What the container itself sees nothing of, or has as it is here anyway.
fn of_the_runtime(fields: &mut Fields) {
    fields.pass_over("imagePullPolicy", |node| one_of(node, &["Always", "IfNotPresent", "Never"]));
    fields.pass_over("resizePolicy", list);
    fields.pass_over("terminationMessagePath", text);
    fields.pass_over("terminationMessagePolicy", |node| {
        one_of(node, &["File", "FallbackToLogsOnError"])
    });
    for field in ["stdin", "stdinOnce", "tty"] {
        fields.only(field, is_false, "here it can only be false");
    }
}

fn variable(fields: &mut Fields) -> (String, String) {
    let name = fields.required("name", variable_name);
    (name, fields.optional("value", text).unwrap_or_default())
}

fn container_port(fields: &mut Fields) -> Port {
    let port = Port {
        name: fields.optional("name", port_name),
        container: fields.required("containerPort", port),
        host: fields.optional("hostPort", port_or_none).flatten(),
        host_ip: fields.optional("hostIP", address).flatten(),
        protocol: fields.optional("protocol", protocol).unwrap_or_default(),
    };
    if port.protocol == Protocol::Sctp && port.host.is_some() {
        fields.refuse("a port of SCTP cannot be published here: only those of TCP and UDP can");
    }
    port
}

fn resources(fields: &mut Fields) -> Resources {
    let limits = fields.mapping("limits", limits).unwrap_or_default();
    let requests = fields.mapping("requests", requests).unwrap_or_default();
    let too_much = |what| format!("more {what} is requested than the limit allows");
    if limits.memory.is_some_and(|most| requests.memory > Some(most)) {
        fields.refuse(too_much("memory"));
    }
    if limits.cpu.is_some_and(|most| requests.cpu > Some(most)) {
        fields.refuse(too_much("cpu"));
    }
    // As Kubernetes has it, who has a limit and requests nothing requests as much.
    let requests =
        Requests { memory: requests.memory.or(limits.memory), cpu: requests.cpu.or(limits.cpu) };
    Resources { limits, requests }
}

fn limits(fields: &mut Fields) -> Limits {
    Limits {
        memory: fields.optional("memory", memory_limit).flatten(),
        cpu: fields.optional("cpu", cpus).flatten(),
    }
}

/// What a node must have left, for the pod to be put there. Beyond that a container's share of the
/// CPU follows from its request, as `cpu.weight`.
fn requests(fields: &mut Fields) -> Requests {
    fields.pass_over("ephemeral-storage", memory);
    Requests {
        memory: fields.told("memory", memory).flatten(),
        cpu: fields.told("cpu", cpus).flatten(),
    }
}

/// With which rights it runs.
pub(crate) fn security_context(fields: &mut Fields) -> SecurityContext {
    SecurityContext { run_as_user: fields.optional("runAsUser", user) }
}
