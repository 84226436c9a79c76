//! The steps, and what is true of each.

/// One step of the course, as far as the tests tell it apart from the others.
#[derive(Debug)]
pub struct Stage {
    /// The name of the crate and of its binary.
    pub name: &'static str,
    /// It has its own mounts: pivot_root, /proc, /dev, `--volume`.
    pub mount_namespace: bool,
    /// It has its own process numbers; the command is PID 1.
    pub pid_namespace: bool,
    /// It has its own hostname, `--hostname`.
    pub uts_namespace: bool,
    /// It has its own network: `--net`, `--publish`.
    pub network_namespace: bool,
    /// It has limits, and its own cgroup namespace.
    pub cgroups: bool,
    /// What a container writes is gone when it ends; the rootfs never changes.
    pub writable_layer: bool,
}

impl Stage {
    /// A process with its own root directory.
    pub const V1: Stage = Stage {
        name: "v1-chroot",
        mount_namespace: false,
        pid_namespace: false,
        uts_namespace: false,
        network_namespace: false,
        cgroups: false,
        writable_layer: false,
    };
    /// Its own mounts.
    pub const V2: Stage = Stage { name: "v2-mountns", mount_namespace: true, ..Stage::V1 };
    /// Its own process numbers.
    pub const V3: Stage = Stage { name: "v3-pidns", pid_namespace: true, ..Stage::V2 };
    /// Its own hostname.
    pub const V4: Stage = Stage { name: "v4-utsns", uts_namespace: true, ..Stage::V3 };
    /// Its own network.
    pub const V5: Stage = Stage { name: "v5-netns", network_namespace: true, ..Stage::V4 };
    /// Its own share of memory, CPU and processes.
    pub const V6: Stage = Stage { name: "v6-cgroups", cgroups: true, ..Stage::V5 };
    /// Layers.
    pub const V7: Stage = Stage { name: "v7-overlay", writable_layer: true, ..Stage::V6 };
    /// A pod. Its command line is another one, so it does not run the contract of the others.
    pub const V8: Stage = Stage { name: "v8-pause", network_namespace: false, ..Stage::V7 };
}
