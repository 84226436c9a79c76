//! From a container in the manifest to what the seven steps want to know.

use crate::limits;
use crate::volumes::EmptyDirs;
use anyhow::{Context, Result, ensure};
use image::ContainerConfig;
use image::missing::{WITHOUT_INTERNET, built_in, pull_line, what_is_missing};
use image::store::Store;
use launcher::command_line::note;
use launcher::signals::number_of;
use launcher::users::Digits;
use launcher::{AsRoot, Caller};
use manifest::{Container, Pod, Port, Source};
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use v2_mountns::Volume;
use v2_mountns::volume::VolumeArgs;
use v5_netns::{Protocol, Publish};
use v6_cgroups::limits::LEAST_MEMORY;
use v6_cgroups::{Cgroup, Limits};
use v7_overlay::{Layers, Overlay, OverlayArgs, ProcessArgs};

/// What a manifest may ask for, v6 gives.
const _: () = assert!(manifest::LEAST_MEMORY == LEAST_MEMORY);

/// A container, ready to be started as often as need be.
#[derive(Debug)]
pub struct Prepared {
    /// Its name.
    pub name: String,
    /// Its user, if not root: the manifest's, else the image's.
    pub user: Option<String>,
    /// v6: its limits.
    pub limits: Limits,
    /// v7: its root directory.
    pub overlay: Overlay,
    /// v7: what the image says, less what the manifest says otherwise.
    pub config: ContainerConfig,
    /// v7: what the manifest says.
    pub process: ProcessArgs,
    /// In place of the image's arguments.
    pub args: Vec<OsString>,
    /// v2: the volumes.
    pub volumes: VolumeArgs,
    /// What asks it to end: the image's STOPSIGNAL, else SIGTERM.
    pub stop_signal: i32,
}

// ANCHOR: find_images
/// Looks for the images of all containers: in `directory`, or else where they are pulled to.
///
/// # Errors
/// If some are not there: which. If one is damaged.
pub fn find_images(
    caller: &Caller,
    pod: &Pod,
    directory: Option<&Path>,
) -> Result<Vec<(OverlayArgs, Layers)>> {
    let store = match directory {
        Some(directory) => Store::at(directory.to_owned()),
        None => Store::of(caller)?,
    };
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for Container { name, image, .. } in pod.all_containers() {
        let args = OverlayArgs::default();
        let layers = Layers::pulled(caller, &args, &store, image);
        match layers.with_context(|| format!("container {name:?}"))? {
            Ok(layers) => found.push((args, layers)),
            Err(it) => missing.push(it),
        }
    }
    ensure!(
        missing.is_empty(),
        "cannot run the pod {:?}: {} ({}; without internet: {WITHOUT_INTERNET}{})",
        pod.name,
        what_is_missing(&missing, directory),
        pull_line(&missing, directory),
        built_in(&missing),
    );
    Ok(found)
}
// ANCHOR_END: find_images

impl Prepared {
    /// Prepares the containers, those that run first at the front.
    ///
    /// # Errors
    /// If an image cannot be unpacked, or a volume is not there.
    pub fn all(
        as_root: &AsRoot,
        pod: &Pod,
        images: &[(OverlayArgs, Layers)],
        empty: &EmptyDirs,
    ) -> Result<Vec<Prepared>> {
        let prepare = |(container, image): (&Container, _)| {
            Prepared::new(as_root, pod, container, image, empty)
                .with_context(|| format!("container {:?}", container.name))
        };
        pod.all_containers().zip(images).map(prepare).collect()
    }

    fn new(
        as_root: &AsRoot,
        pod: &Pod,
        container: &Container,
        (args, layers): &(OverlayArgs, Layers),
        empty: &EmptyDirs,
    ) -> Result<Prepared> {
        let overlay = Overlay::create(as_root, layers, args)?;
        let user = container.security_context.run_as_user.map(|user| user.to_string());
        let variable = |(name, value): &(String, String)| format!("{name}={value}").into();
        Ok(Prepared {
            name: container.name.clone(),
            user: user.clone().or_else(|| layers.config().user),
            limits: limits::of_container(container),
            overlay,
            config: config(layers.config(), container, &pod.hostname),
            process: ProcessArgs {
                env: container.env.iter().map(variable).collect(),
                workdir: container.working_dir.clone(),
                user,
                digits: Digits::Number,
            },
            args: container.args.iter().flatten().map(OsString::from).collect(),
            volumes: volumes(pod, container, empty)?,
            stop_signal: stop_signal(&container.name, &layers.config()),
        })
    }

    /// The working directory: the manifest's, else the image's.
    pub fn workdir(&self) -> Option<PathBuf> {
        let of_image = self.config.working_dir.as_ref().map(PathBuf::from);
        self.process.workdir.clone().or(of_image)
    }
}

// ANCHOR: config
/// With a command, nothing is left of what the image would have run. A VOLUME of the image goes
/// with the container, as in Kubernetes: a manifest has volumes of its own. HOSTNAME is the pod's,
/// unless the image or the manifest says otherwise.
fn config(of_image: ContainerConfig, container: &Container, hostname: &str) -> ContainerConfig {
    let of_pod = std::iter::once(format!("HOSTNAME={hostname}"));
    let env = of_pod.chain(of_image.env.into_iter().flatten()).collect();
    let of_image = ContainerConfig { volumes: None, env: Some(env), ..of_image };
    match &container.command {
        None => of_image,
        command => ContainerConfig { entrypoint: command.clone(), cmd: None, ..of_image },
    }
}
// ANCHOR_END: config

/// The number of the image's STOPSIGNAL.
fn stop_signal(container: &str, config: &ContainerConfig) -> i32 {
    let Some(text) = config.stop_signal.as_deref().filter(|text| !text.is_empty()) else {
        return libc::SIGTERM;
    };
    number_of(text).unwrap_or_else(|| {
        let text = text.chars().take(40).collect::<String>();
        note(format_args!(
            "{container}: its image has the STOPSIGNAL {text:?}, which is none: it gets SIGTERM"
        ));
        libc::SIGTERM
    })
}

// ANCHOR: volumes
fn volumes(pod: &Pod, container: &Container, empty: &EmptyDirs) -> Result<VolumeArgs> {
    let mut volumes = Vec::new();
    for mount in &container.mounts {
        let source = pod.volumes.iter().find(|volume| volume.name == mount.volume);
        let source = match source.map(|volume| &volume.source) {
            Some(Source::HostPath(path)) => find_or_make(path, &mount.volume)?,
            _ => empty.path(&mount.volume)?,
        };
        let target = mount.path.clone();
        volumes.push(Volume { source, target, read_only: mount.read_only });
    }
    Ok(VolumeArgs { volumes, ..VolumeArgs::default() })
}
// ANCHOR_END: volumes

/// A path of the host. If nothing is there, a directory is made, as containerd makes it.
fn find_or_make(path: &Path, volume: &str) -> Result<PathBuf> {
    if let Err(error) = path.metadata()
        && error.kind() == ErrorKind::NotFound
    {
        fs::create_dir_all(path).with_context(|| {
            format!("cannot make {path:?} of the host, for the volume {volume:?}")
        })?;
        note(format_args!("made the directory {path:?} of the host, for the volume {volume:?}"));
    }
    Volume::find_source(path)
        .with_context(|| format!("cannot find {path:?} of the host, for the volume {volume:?}"))
}

// ANCHOR: pod_cgroup
/// Makes the cgroup of the pod, if it has limits.
///
/// # Errors
/// Those of v6.
pub fn pod_cgroup(as_root: &AsRoot, pod: &Pod) -> Result<Cgroup> {
    let inner: Vec<_> = pod.all_containers().map(limits::of_container).collect();
    Cgroup::create_outer(as_root, &limits::of_pod(pod), &inner)
}
// ANCHOR_END: pod_cgroup

// ANCHOR: ports
/// Every hostPort of the pod, as v5 publishes ports. (Of SCTP a manifest can publish none.)
pub fn ports(pod: &Pod) -> Vec<Publish> {
    let ports = pod.containers.iter().flat_map(|container| &container.ports);
    let publish = |port: &Port| {
        let protocol = match port.protocol {
            manifest::Protocol::Udp => Protocol::Udp,
            _ => Protocol::Tcp,
        };
        Some(Publish::new(port.host_ip, port.host?, port.container, protocol))
    };
    ports.filter_map(publish).collect()
}
// ANCHOR_END: ports
