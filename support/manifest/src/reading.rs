//! Which field is read as what: one line for each.

use crate::checks::check;
use crate::document;
use crate::fields::{self, Fields};
use crate::node::Node;
use crate::pod::{
    Container, EmptyDir, Limits, Mount, Pod, Port, Resources, SecurityContext, Source, Volume,
};
use crate::values::{
    boolean, bytes, cpus, filled, host_path, label, medium, memory, mount_path, port, port_or_none,
    reference, restart_policy, seconds, subdomain, text, texts, user, variable_name,
};
use crate::variables::{Room, Variables};
use anyhow::Result;
use std::mem;
use std::path::PathBuf;
use std::time::Duration;

impl Pod {
    /// Reads a manifest.
    ///
    /// # Errors
    /// All fields that are not known here, and the first value that is wrong, each with its path
    /// and line.
    pub fn read(text: &str) -> Result<Pod> {
        let top = document::read(text)?;
        // Before all others: an object of another kind has other fields.
        exactly(&top, "apiVersion", "v1")?;
        exactly(&top, "kind", "Pod")?;
        let mut pod = fields::read(&top, manifest)?;
        if let Some(spec) = top.field("spec")? {
            expand_variables(&mut pod, spec)?;
            check(&pod, spec)?;
        }
        Ok(pod)
    }
}

fn exactly(top: &Node, name: &str, word: &str) -> Result<()> {
    let Some(node) = top.field(name)? else {
        return Err(top.wrong(format_args!("the field {name} is missing")));
    };
    match node.text()? {
        text if text == word => Ok(()),
        text => Err(node.wrong(format_args!("it is {text:?}; only {word:?} can be run here"))),
    }
}

fn manifest(fields: &mut Fields) -> Pod {
    for seen_already in ["apiVersion", "kind"] {
        fields.required(seen_already, text);
    }
    let name = fields.required_mapping("metadata", |fields| fields.required("name", subdomain));
    let mut pod = fields.required_mapping("spec", spec);
    if pod.hostname.is_empty() {
        pod.hostname = name.get(..63).unwrap_or(&name).trim_end_matches(['-', '.']).to_owned();
    }
    Pod { name, ..pod }
}

/// All but the name, which stands in `metadata`.
fn spec(fields: &mut Fields) -> Pod {
    Pod {
        name: String::new(),
        hostname: fields.optional("hostname", label).unwrap_or_default(),
        share_process_namespace: fields.optional("shareProcessNamespace", boolean) == Some(true),
        restart_policy: fields.optional("restartPolicy", restart_policy).unwrap_or_default(),
        grace_period: fields
            .optional("terminationGracePeriodSeconds", seconds)
            .unwrap_or(Duration::from_secs(30)),
        volumes: fields.list("volumes", volume),
        init_containers: fields.list("initContainers", container),
        containers: fields.required_list("containers", container),
    }
}

fn volume(fields: &mut Fields) -> Volume {
    Volume { name: fields.required("name", label), source: source(fields) }
}

fn source(fields: &mut Fields) -> Source {
    let path = fields.mapping("hostPath", |fields| fields.required("path", host_path));
    let empty = fields.mapping("emptyDir", empty_dir);
    if path.is_some() && empty.is_some() {
        fields.refuse("it is both a hostPath and an emptyDir");
    }
    match path {
        Some(path) => Source::HostPath(path),
        None => Source::EmptyDir(empty.unwrap_or_default()),
    }
}

fn empty_dir(fields: &mut Fields) -> EmptyDir {
    EmptyDir {
        medium: fields.optional("medium", medium).unwrap_or_default(),
        size_limit: fields.optional("sizeLimit", bytes).flatten(),
    }
}

fn container(fields: &mut Fields) -> Container {
    Container {
        name: fields.required("name", label),
        image: fields.required("image", reference),
        command: fields.optional("command", texts).filter(|words| !words.is_empty()),
        args: fields.optional("args", texts).filter(|words| !words.is_empty()),
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

fn mount(fields: &mut Fields) -> Mount {
    Mount {
        volume: fields.required("name", filled),
        path: fields.required("mountPath", mount_path),
        read_only: fields.optional("readOnly", boolean) == Some(true),
    }
}

fn security_context(fields: &mut Fields) -> SecurityContext {
    SecurityContext { run_as_user: fields.optional("runAsUser", user) }
}

/// Puts the values of its variables into the texts of each container.
fn expand_variables(pod: &mut Pod, spec: &Node) -> Result<()> {
    let mut room = Room::of_a_pod();
    let nodes = spec.entries("initContainers")?.iter().chain(spec.entries("containers")?);
    for (container, node) in pod.init_containers.iter_mut().chain(&mut pod.containers).zip(nodes) {
        expand(container, &mut room).map_err(|what| node.wrong(what))?;
    }
    Ok(())
}

fn expand(container: &mut Container, room: &mut Room) -> Result<(), String> {
    let env = Variables::expand(mem::take(&mut container.env), room)?;
    for word in [&mut container.command, &mut container.args].into_iter().flatten().flatten() {
        *word = env.put_into(word, room)?;
    }
    container.env = env.into_list();
    Ok(())
}
