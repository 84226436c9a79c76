//! For each exercise, what its program must do. One module for each step.

pub(super) mod v1_chroot;
pub(super) mod v2_mountns;
pub(super) mod v3_pidns;
pub(super) mod v4_utsns;
pub(super) mod v5_netns;
pub(super) mod v6_cgroups;
pub(super) mod v7_overlay;
pub(super) mod v8_pause;
