//! A Pod manifest: the fields that this course has a chapter for, and an error for every other.
//!
//! What the API server of Kubernetes refuses is refused here too, so that a manifest that runs here
//! runs on a cluster.

mod checks;
pub mod names;
pub mod quantity;
mod variables;
pub mod yaml;

use crate::names::Reference;
use crate::yaml::{Fields, Node};
use anyhow::{Context, Result};
use checks::{check_mounts, check_names, check_ports};
use launcher::bounded;
use std::fs::File;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;
use variables::{Room, Variables};

/// How many bytes a manifest may have, also with its aliases and variables expanded: as many as the
/// API server takes in a request.
const MAX_SIZE: usize = 3 << 20;

/// The least limit of memory, in bytes: no program starts with much less.
pub const LEAST_MEMORY: u64 = 6 << 20;

/// A pod.
#[derive(Debug)]
pub struct Pod {
    /// `metadata.name`.
    pub name: String,
    /// `spec.hostname`, else the name, cut to the 63 characters that a hostname may have.
    pub hostname: String,
    /// Whether the containers see each other's processes.
    pub share_process_namespace: bool,
    /// What to do when a container ends.
    pub restart_policy: RestartPolicy,
    /// How long containers have to end after SIGTERM.
    pub grace_period: Duration,
    /// The volumes, by name.
    pub volumes: Vec<(String, Source)>,
    /// Run to their end first, one after the other.
    pub init_containers: Vec<Container>,
    /// Run at the same time.
    pub containers: Vec<Container>,
}

/// What to do when a container ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartPolicy {
    /// Start it again.
    Always,
    /// Start it again, unless its exit status is 0.
    OnFailure,
    /// Let it be.
    Never,
}

/// What a volume is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file or directory of the host.
    HostPath(PathBuf),
    /// A directory that is made with the pod and goes with it.
    EmptyDir,
}

/// One container of a pod.
#[derive(Debug)]
pub struct Container {
    /// Its name, which no other container of the pod has.
    pub name: String,
    /// Where its image is to be found.
    pub image: Reference,
    /// In place of the image's entry point and arguments.
    pub command: Option<Vec<String>>,
    /// In place of the image's arguments.
    pub args: Option<Vec<String>>,
    /// Names and values; `$(NAME)` is expanded already.
    pub env: Vec<(String, String)>,
    /// Where it starts.
    pub working_dir: Option<PathBuf>,
    /// The ports that it listens on.
    pub ports: Vec<Port>,
    /// Bytes.
    pub memory: Option<u64>,
    /// CPUs.
    pub cpu: Option<f64>,
    /// Which volumes it sees, and where.
    pub mounts: Vec<Mount>,
    /// The user's number.
    pub run_as_user: Option<u32>,
}

/// A port of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// Where it listens, in the network of the pod.
    pub container: u16,
    /// The port of the host that leads there.
    pub host: Option<u16>,
}

/// A volume in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The name of the volume.
    pub volume: String,
    /// Where it appears.
    pub path: PathBuf,
    /// Whether it can only be read.
    pub read_only: bool,
}

impl Pod {
    /// Reads a manifest.
    ///
    /// # Errors
    /// What is wrong with it: the field, with its path, and the line.
    pub fn read(text: &str) -> Result<Pod> {
        let root = Node::read(text)?;
        let mut fields = root.fields()?;
        exactly(fields.require("apiVersion")?, "v1")?;
        exactly(fields.require("kind")?, "Pod")?;
        let mut metadata = fields.require("metadata")?.fields()?;
        let name = checked(metadata.require("name")?, names::subdomain)?;
        metadata.end("name")?;
        let pod = read_spec(name, fields.require("spec")?)?;
        fields.end("apiVersion, kind, metadata, spec")?;
        Ok(pod)
    }

    /// All containers, those that run first at the front.
    pub fn all_containers(&self) -> impl Iterator<Item = &Container> {
        self.init_containers.iter().chain(&self.containers)
    }
}

fn read_spec(name: String, node: &Node) -> Result<Pod> {
    let mut fields = node.fields()?;
    let hostname = match fields.take("hostname") {
        Some(node) => checked(node, names::label)?,
        None => name.get(..63).unwrap_or(&name).trim_end_matches(['-', '.']).to_owned(),
    };
    let share = fields.take("shareProcessNamespace").map(Node::boolean).transpose()?;
    let restart_policy = fields.take("restartPolicy").map(read_restart_policy).transpose()?;
    let grace = fields.take("terminationGracePeriodSeconds");
    let grace = grace.map(|node| node.integer(0, i64::from(u32::MAX))).transpose()?;
    let volumes = list(&mut fields, "volumes")?.iter().map(read_volume).collect::<Result<_>>()?;
    let init_containers = list(&mut fields, "initContainers")?;
    let containers = fields.require("containers")?;
    fields.end(
        "hostname, shareProcessNamespace, restartPolicy, terminationGracePeriodSeconds, volumes, \
         initContainers, containers",
    )?;
    let nodes = (init_containers, containers.list()?);
    if nodes.1.is_empty() {
        return Err(containers.wrong("a pod has at least one container"));
    }
    let mut room = Room::of_a_pod();
    let mut read = |nodes: &[Node]| {
        nodes.iter().map(|node| read_container(node, &mut room)).collect::<Result<Vec<_>>>()
    };
    let pod = Pod {
        hostname,
        share_process_namespace: share.unwrap_or(false),
        restart_policy: restart_policy.unwrap_or(RestartPolicy::Always),
        grace_period: Duration::from_secs(grace.unwrap_or(30).unsigned_abs()),
        volumes,
        init_containers: read(nodes.0)?,
        containers: read(nodes.1)?,
        name,
    };
    check_names(&pod, node)?;
    check_ports(&pod, nodes.0, nodes.1)?;
    for (container, node) in pod.all_containers().zip(nodes.0.iter().chain(nodes.1)) {
        check_mounts(&pod, container, node)?;
    }
    Ok(pod)
}

fn read_restart_policy(node: &Node) -> Result<RestartPolicy> {
    match node.text()? {
        "Always" => Ok(RestartPolicy::Always),
        "OnFailure" => Ok(RestartPolicy::OnFailure),
        "Never" => Ok(RestartPolicy::Never),
        other => Err(node.wrong(format_args!("{other:?} is none of Always, OnFailure and Never"))),
    }
}

fn read_volume(node: &Node) -> Result<(String, Source)> {
    let mut fields = node.fields()?;
    let name = checked(fields.require("name")?, names::label)?;
    let host_path = fields.take("hostPath").map(read_host_path).transpose()?;
    let empty_dir = fields.take("emptyDir").map(|node| node.fields()?.end("none"));
    let empty_dir = empty_dir.transpose()?;
    fields.end("name, hostPath, emptyDir")?;
    match (host_path, empty_dir) {
        (Some(_), Some(())) => Err(node.wrong("it is both a hostPath and an emptyDir")),
        (Some(path), None) => Ok((name, Source::HostPath(path))),
        (None, _) => Ok((name, Source::EmptyDir)), // as Kubernetes has it
    }
}

fn read_host_path(node: &Node) -> Result<PathBuf> {
    let mut fields = node.fields()?;
    let path_node = fields.require("path")?;
    let path = PathBuf::from(filled(path_node)?);
    fields.end("path")?;
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(path_node.wrong(format_args!("{path:?} goes through ..")));
    }
    if !path.is_absolute() {
        return Err(path_node.wrong(format_args!("{path:?} does not start with /")));
    }
    Ok(path)
}

fn read_container(node: &Node, room: &mut Room) -> Result<Container> {
    let mut fields = node.fields()?;
    let name = checked(fields.require("name")?, names::label)?;
    let image = fields.require("image")?;
    let image = Reference::parse(image.text()?).map_err(|what| image.wrong(what))?;
    let command = fields.take("command").map(texts).transpose()?;
    let args = fields.take("args").map(texts).transpose()?;
    let env = list(&mut fields, "env")?.iter().map(read_variable).collect::<Result<Vec<_>>>()?;
    let working_dir = fields.take("workingDir").map(Node::text).transpose()?.map(PathBuf::from);
    let ports = list(&mut fields, "ports")?.iter().map(read_port).collect::<Result<_>>()?;
    let (memory, cpu) = fields.take("resources").map(read_limits).transpose()?.unwrap_or_default();
    let mounts = list(&mut fields, "volumeMounts")?;
    let mounts = mounts.iter().map(read_mount).collect::<Result<_>>()?;
    let run_as_user = fields.take("securityContext").map(read_user).transpose()?.flatten();
    fields.end(
        "name, image, command, args, env, workingDir, ports, resources, volumeMounts, \
         securityContext",
    )?;
    let env = Variables::expand(env, room).map_err(|what| node.wrong(what))?;
    let mut expanded = |words: Option<Vec<String>>| {
        let words = words.filter(|words| !words.is_empty());
        let put_into =
            |words: Vec<String>| words.iter().map(|word| env.put_into(word, room)).collect();
        words.map(put_into).transpose().map_err(|what: String| node.wrong(what))
    };
    let (command, args) = (expanded(command)?, expanded(args)?);
    Ok(Container {
        name,
        image,
        command,
        args,
        env: env.into_list(),
        working_dir,
        ports,
        memory,
        cpu,
        mounts,
        run_as_user,
    })
}

fn read_variable(node: &Node) -> Result<(String, String)> {
    let mut fields = node.fields()?;
    let name = checked(fields.require("name")?, names::variable)?;
    let value = fields.take("value").map(Node::text).transpose()?.unwrap_or_default();
    fields.end("name, value")?;
    Ok((name, value.to_owned()))
}

fn read_port(node: &Node) -> Result<Port> {
    let mut fields = node.fields()?;
    let port = |node: &Node, least| {
        let number = node.integer(least, 65535)?;
        u16::try_from(number).map_err(|_| node.wrong("it is no port"))
    };
    let container = port(fields.require("containerPort")?, 1)?;
    // 0 is how Kubernetes says "none".
    let host = fields.take("hostPort").map(|node| port(node, 0)).transpose()?;
    fields.end("containerPort, hostPort")?;
    Ok(Port { container, host: host.filter(|port| *port != 0) })
}

/// `resources`: the limits of memory, in bytes, and of CPU time, in CPUs.
fn read_limits(node: &Node) -> Result<(Option<u64>, Option<f64>)> {
    let mut fields = node.fields()?;
    let limits = fields.take("limits");
    fields.end("limits")?;
    let Some(limits) = limits else { return Ok((None, None)) };
    let mut limits = limits.fields()?;
    let memory = limits.take("memory").map(read_quantity).transpose()?.flatten();
    let cpu = limits.take("cpu").map(read_quantity).transpose()?.flatten();
    limits.end("memory, cpu")?;
    let bytes = |(node, thousandths): (&Node, u128)| {
        let bytes = u64::try_from(thousandths.div_ceil(1000)).unwrap_or(u64::MAX);
        if bytes < LEAST_MEMORY {
            return Err(node.wrong("6Mi is the least: no program starts with much less"));
        }
        Ok(bytes)
    };
    // Exact for any number of CPUs that there can be.
    let cpus = |(_, thousandths): (&Node, u128)| thousandths as f64 / 1000.0;
    Ok((memory.map(bytes).transpose()?, cpu.map(cpus)))
}

/// A quantity in thousandths; none if it is zero, which means no limit.
fn read_quantity(node: &Node) -> Result<Option<(&Node, u128)>> {
    let thousandths = quantity::in_thousandths(node.text_or_number()?);
    let thousandths = thousandths.map_err(|what| node.wrong(what))?;
    Ok(Some((node, thousandths)).filter(|_| thousandths > 0))
}

fn read_mount(node: &Node) -> Result<Mount> {
    let mut fields = node.fields()?;
    let volume = filled(fields.require("name")?)?;
    let path_node = fields.require("mountPath")?;
    let path = filled(path_node)?;
    let read_only = fields.take("readOnly").map(Node::boolean).transpose()?.unwrap_or(false);
    fields.end("name, mountPath, readOnly")?;
    if path.contains(':') {
        return Err(path_node.wrong("it must not contain a :"));
    }
    let path = Path::new("/").join(path);
    if path.components().any(|part| part == Component::ParentDir) || path == Path::new("/") {
        return Err(path_node.wrong("it must be below /, and not go through .."));
    }
    Ok(Mount { volume, path, read_only })
}

fn read_user(node: &Node) -> Result<Option<u32>> {
    let mut fields = node.fields()?;
    let user = fields.take("runAsUser").map(|node| node.integer(0, i64::from(i32::MAX)));
    fields.end("runAsUser")?;
    Ok(user.transpose()?.and_then(|user| u32::try_from(user).ok()))
}

fn list<'a>(fields: &mut Fields<'a>, name: &str) -> Result<&'a [Node]> {
    fields.take(name).map_or(Ok(&[]), Node::list)
}

fn texts(node: &Node) -> Result<Vec<String>> {
    node.list()?.iter().map(|node| Ok(node.text()?.to_owned())).collect()
}

fn filled(node: &Node) -> Result<String> {
    match node.text()? {
        "" => Err(node.wrong("it is empty")),
        text => Ok(text.to_owned()),
    }
}

fn checked(node: &Node, check: fn(&str) -> Result<(), String>) -> Result<String> {
    let text = node.text()?;
    check(text).map_err(|what| node.wrong(what))?;
    Ok(text.to_owned())
}

fn exactly(node: &Node, word: &str) -> Result<()> {
    match node.text()? {
        text if text == word => Ok(()),
        text => Err(node.wrong(format_args!("it is {text:?}; only {word:?} can be run here"))),
    }
}

/// Reads the manifest in a file. It may be a FIFO or `/dev/stdin`, where somebody is still writing.
///
/// # Errors
/// If it cannot be read, or something is wrong with it.
pub fn read(path: &Path) -> Result<Pod> {
    let file = File::open(path).with_context(|| format!("cannot read {path:?}"))?;
    let text =
        bounded::read(file, MAX_SIZE as u64).with_context(|| format!("cannot read {path:?}"))?;
    let text = String::from_utf8(text).ok().with_context(|| format!("{path:?} is no UTF-8"))?;
    Pod::read(&text).with_context(|| format!("{}", path.display()))
}

#[cfg(test)]
mod tests;
