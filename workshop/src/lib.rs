//! The tools of the course, behind one door: `cargo workshop`.
//!
//! | module | what it does |
//! |---|---|
//! | [`doctor`] | tells what of the course runs on this machine, and mends what it can |
//! | [`exercises`] | exercises that check themselves |
//! | [`trace`] | shows the system calls that make a container |
//! | [`xray`] | shows every container on the machine, and all about one process |
//! | [`mod@bench`] | measures what a container costs |
//! | [`attacks`] | shows which attacks still work in a container |

pub mod attacks;
pub mod bench;
mod child;
mod directories;
pub mod doctor;
pub mod exercises;
mod system_calls;
pub mod trace;
pub mod xray;

/// The programs of the steps, in their order.
pub const STEPS: [&str; 8] = [
    "v1-chroot",
    "v2-mountns",
    "v3-pidns",
    "v4-utsns",
    "v5-netns",
    "v6-cgroups",
    "v7-overlay",
    "v8-pause",
];
