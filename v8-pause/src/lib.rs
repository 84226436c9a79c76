//! Step 8: a pod, several containers around one pause process.
//!
//! The new idea is in [`pause`] and [`shared`]: a process that holds namespaces, and others that
//! enter them by setns(2). What each container is beyond that, the seven steps before have built.
//!
//! | module | what it does |
//! |---|---|
//! | [`pause`] | starts pause, in new namespaces of its own |
//! | [`shared`] | the namespaces of a process, as files, and how to enter them |
//! | [`arguments`] | the command line |
//! | [`prepared`] | from a container in the manifest to what the seven steps want to know |
//! | [`volumes`] | those that are made with a pod and go with it |
//! | [`limits`] | what a container may take, and what its pod |
//! | [`supervisor`] | starts, restarts and stops the containers of a pod |
//! | [`state`] | which pods run, and their process numbers: `exec` looks there |
//! | [`enter`] | `exec`: a command in a running container |
//! | `session` | that command while it runs |
//! | [`hardening`] | who joins a namespace can be looked at by those who are in it already |
//! | [`demo`] | the pod that is run when none is given |

pub mod arguments;
pub mod demo;
pub mod enter;
pub mod hardening;
pub mod limits;
pub mod pause;
pub mod prepared;
mod session;
pub mod shared;
pub mod state;
pub mod supervisor;
mod system_calls;
pub mod volumes;

pub use hardening::harden;
pub use pause::Pause;
pub use shared::Namespaces;
pub use supervisor::Supervisor;
pub use volumes::EmptyDirs;
