//! What all tests of the workspace share: a **throw-away host** for every test, and a check
//! after it that nothing was left behind.
//!
//! # A suite in one minute
//!
//! A test binary has `harness = false` in its Cargo.toml and a `main` that builds a [`Suite`]:
//!
//! ```no_run
//! use testbed::{Host, Stage, Suite};
//!
//! fn main() -> std::process::ExitCode {
//!     Suite::of(&Stage::V3)
//!         .both("shell_is_pid_one", shell_is_pid_one)
//!         .root("only_root_may", |host| host.skip("not written yet"))
//!         .both("a_thousand_shells", a_thousand_shells)
//!         .long()
//!         .run()
//! }
//!
//! fn shell_is_pid_one(host: &Host) {
//!     let output = host.launcher().args(["sh", "-c", "echo $$"]).output().unwrap();
//!     assert_eq!(output.stdout, b"1\n");
//! }
//! # fn a_thousand_shells(_: &Host) {}
//! ```
//!
//! Every test becomes one or two trials, `NAME::root` and `NAME::user`. `cargo test` leaves out
//! what is marked as [`Suite::long`], and one of two trials; `cargo suite` leaves out nothing
//! (module [`extent`]). A trial executes the test binary again; the new process makes a host of
//! its own (mount, PID, network, UTS and IPC namespaces; a user namespace too when the tests are
//! not run by root) and runs the body in it, **as that host's root**, alone in a process of its
//! own: it may `chdir`, set environment variables, start threads, panic. When it returns, the
//! leak check runs, then the host goes.
//!
//! # What a body finds
//!
//! * [`Host::launcher`], [`Host::stage`], [`Host::command`]: a [`std::process::Command`] that
//!   starts with a clean environment (`PATH`, `HOME`, `TERM`, `BUSYBOX`), in the home directory,
//!   as the identity the variant asks for: host's root, or the user `learner` (uid 1000, no
//!   capabilities, no other groups). `.output()`, `.spawn()`, `.stdin(..)` are the usual ones.
//! * `/tmp`, `/run`, `/home`, `/root`, `/var/cache`, `/dev`, `/proc` are fresh; the rest of `/` is
//!   the machine's, read-only. (Root writes below `/var/lib`, too: into an overlay.) Every mount is
//!   `shared`, as systemd makes it: a mount that escapes a container shows up in the host.
//! * The directory of the built binaries is `/run/testbed/bin`, also for an unprivileged user, and
//!   first on `PATH`. The test binary itself is `/run/testbed/exe`. [`Suite::expose`] brings in
//!   more (a workspace, a toolchain), read-write.
//! * In a suite with [`Suite::own_cgroups`], and for a step that has them, /sys/fs/cgroup is the
//!   host's own: each hierarchy of the machine, from a cgroup of this host's downwards.
//! * [`Host::dir`]: a directory that belongs to the test; what is left in it is no leak.
//! * [`Host::give_subordinate_ids`]: the ordinary user gets a range of ids for its user namespaces.
//!   Without that call it has none, whatever the machine has.
//! * [`Host::skip`]: ends the trial as ignored, with a reason. Under `CI=true` that is a failure
//!   unless `known-skips.txt` lists it.
//!
//! [`CgroupHost::of_machine`] tells which cgroups there are: the one thing a host shares with the
//! machine.
//!
//! [`Host::run`] and [`Host::start`] run a container to its end, or while the test looks at it from
//! outside (module [`running`]); [`terminal`] has a real terminal; [`elsewhere`] a machine that
//! refuses things; [`Outside`] is another machine on the network, [`tcp`] and [`udp`]
//! have servers and clients, [`registry`] has a real one for images; [`pace`] knows how slow the
//! machine is. [`contract::add`] adds what all steps keep. [`shape`] is about the sources
//! themselves: which file uses which.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "all of this is test code: a test fails by panicking, with the line that did it"
)]

pub mod book;
mod cgroups;
pub mod contract;
pub mod elsewhere;
mod etc;
pub mod extent;
pub mod faults;
mod host;
mod host_cgroups;
mod identity;
mod leaks;
mod mounts;
mod outside;
pub mod pace;
mod probe;
pub mod registry;
pub mod running;
pub mod shape;
mod signals;
mod stage;
mod subordinate_ids;
mod suite;
pub mod tcp;
pub mod terminal;
pub mod udp;
mod website;

pub use cgroups::CgroupHost;
pub use host::{BIN, EXE, Host, Variant};
pub use outside::{Outside, in_network_of};
pub use running::{Outcome, Running};
pub use stage::Stage;
pub use suite::Suite;
