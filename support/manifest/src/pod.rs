//! What a manifest says: one type for each mapping in it, one field a line.

use image::reference::Reference;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The least limit of memory, in bytes: no program starts with much less.
pub const LEAST_MEMORY: u64 = 6 << 20;

/// A pod.
#[derive(Debug, Default)]
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
    /// What its containers can mount.
    pub volumes: Vec<Volume>,
    /// Run to their end first, one after the other.
    pub init_containers: Vec<Container>,
    /// Run at the same time.
    pub containers: Vec<Container>,
}

impl Pod {
    /// All containers, those that run first at the front.
    pub fn all_containers(&self) -> impl Iterator<Item = &Container> {
        self.init_containers.iter().chain(&self.containers)
    }
}

/// What to do when a container ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RestartPolicy {
    /// Start it again.
    #[default]
    Always,
    /// Start it again, unless its exit status is 0.
    OnFailure,
    /// Let it be.
    Never,
}

/// A volume of a pod.
#[derive(Debug, Default)]
pub struct Volume {
    /// Its name, which no other volume of the pod has.
    pub name: String,
    /// What is in it.
    pub source: Source,
}

/// What a volume is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A directory that is made with the pod and goes with it.
    EmptyDir(EmptyDir),
    /// A file or directory of the host.
    HostPath(PathBuf),
}

impl Default for Source {
    /// As Kubernetes has it: a volume that says nothing of itself.
    fn default() -> Source {
        Source::EmptyDir(EmptyDir::default())
    }
}

/// A directory that is made with the pod and goes with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EmptyDir {
    /// Where it lies.
    pub medium: Medium,
    /// How much it may hold, in bytes.
    pub size_limit: Option<u64>,
}

/// Where an emptyDir lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Medium {
    /// Where the machine keeps such things: on its disk.
    #[default]
    Disk,
    /// In memory (tmpfs).
    Memory,
}

/// One container of a pod.
#[derive(Debug, Default)]
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
    /// How much it may use.
    pub resources: Resources,
    /// Which volumes it sees, and where.
    pub mounts: Vec<Mount>,
    /// With which rights it runs.
    pub security_context: SecurityContext,
}

/// A port of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Port {
    /// Its name, which no other port of the container has.
    pub name: Option<String>,
    /// Where it listens, in the network of the pod.
    pub container: u16,
    /// The port of the host that leads there.
    pub host: Option<u16>,
    /// The address of the host at which it does; at all of them if there is none.
    pub host_ip: Option<IpAddr>,
    /// What it speaks.
    pub protocol: Protocol,
}

/// What a port speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Connections.
    #[default]
    Tcp,
    /// Datagrams.
    Udp,
    /// Like TCP, with messages. None is published here.
    Sctp,
}

/// How much a container may use.
#[derive(Debug, Default)]
pub struct Resources {
    /// More than this it never gets.
    pub limits: Limits,
    /// What a cluster keeps for it; the limits if nothing is said.
    pub requests: Requests,
}

/// What is kept for a container.
#[derive(Debug, Default)]
pub struct Requests {
    /// Bytes.
    pub memory: Option<u64>,
    /// CPUs: its share, if there are too few for all.
    pub cpu: Option<f64>,
}

/// The most that a container gets.
#[derive(Debug, Default)]
pub struct Limits {
    /// Bytes.
    pub memory: Option<u64>,
    /// CPUs.
    pub cpu: Option<f64>,
}

/// A volume in a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mount {
    /// The name of the volume.
    pub volume: String,
    /// Where it appears.
    pub path: PathBuf,
    /// Whether it can only be read.
    pub read_only: bool,
}

/// With which rights a container runs.
#[derive(Debug, Default)]
pub struct SecurityContext {
    /// The user's number.
    pub run_as_user: Option<u32>,
}
