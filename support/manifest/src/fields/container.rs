//! The fields of a container.

use super::volume::mount;
use crate::mapping::Fields;
use crate::pod::{Container, Limits, Port, Resources, SecurityContext};
use crate::values::{
    cpus, label, memory, port, port_or_none, reference, text, user, variable_name,
};
use std::path::PathBuf;

/// A container of a pod.
pub(crate) fn container(fields: &mut Fields) -> Container {
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

fn variable(fields: &mut Fields) -> (String, String) {
    let name = fields.required("name", variable_name);
    (name, fields.optional("value", text).unwrap_or_default())
}

fn container_port(fields: &mut Fields) -> Port {
    Port {
        container: fields.required("containerPort", port),
        host: fields.optional("hostPort", port_or_none).flatten(),
    }
}

fn resources(fields: &mut Fields) -> Resources {
    Resources { limits: fields.mapping("limits", limits).unwrap_or_default() }
}

fn limits(fields: &mut Fields) -> Limits {
    Limits {
        memory: fields.optional("memory", memory).flatten(),
        cpu: fields.optional("cpu", cpus).flatten(),
    }
}

/// With which rights it runs.
pub(crate) fn security_context(fields: &mut Fields) -> SecurityContext {
    SecurityContext { run_as_user: fields.optional("runAsUser", user) }
}
