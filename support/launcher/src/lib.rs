//! What every careful launcher of processes needs before it can have an idea.
//!
//! The steps are the course; this is what carries them, "skip on first reading". No module here
//! knows what a container is. One module for each concern:
//!
//! | module | what it does |
//! |---|---|
//! | [`command_line`] | options, one-line errors, exit status 125 |
//! | [`options`] | those typed by habit, from docker run or from a later step |
//! | `help` | a page of help, on one screen |
//! | [`advice`] | an errno, with what its reader can do about it |
//! | [`parse_size`] | a number of bytes, as a command line has it |
//! | [`caller`] | who has called us, and has left what to us: umask, stdin, stdout, stderr |
//! | [`directories`] | where everything lies that outlives a process: cache, running pods |
//! | [`locked_directory`] | a directory with an owner, and how the next start finds what has none |
//! | [`program`] | finds the programs that a launcher starts |
//! | [`rootless`] | root without root: a user namespace |
//! | `subordinate_ids` | more ids than one, without root: newuidmap, newgidmap |
//! | `capabilities` | what root may do, which is not always all |
//! | [`container`] | starts, waits for, kills: what `main.rs` of a step has |
//! | `report` | how an error of the child comes to its parent |
//! | [`supervised`] | a child that is waited for, and signals meanwhile |
//! | [`child`] | fork, kill, wait |
//! | [`signals`] | which ones, and which the command starts with |
//! | [`terminal`] | who may read the terminal, and whether it is still there |
//! | [`handover`] | how a file that a child has opened comes to its parent |
//! | [`users`] | users and groups by name, as the container's own lists have them |
//! | [`lookup`] | names that lead nowhere but into the root directory |
//! | `executable` | what execve(2) is about to look up: interpreters too |
//! | [`elf_file`] | programs in the ELF format: for which machine, with which interpreter |
//! | [`command`] | execve(2) of the command: environment, PATH, 126 and 127 |
//! | [`mountinfo`] | the mounts that a process sees |
//! | [`in_memory`] | a program in memory, sealed: nobody can change it |
//! | [`bounded`] | reads what others wrote: no more than so much, and without waiting |
//! | [`remove_tree`] | removes what others have filled, however deep |
//! | [`printable()`] | what others have named, fit for a terminal |
//! | [`system_calls`] | those that nix does not offer: all `unsafe` of this crate |

#[cfg(not(target_os = "linux"))]
compile_error!(
    "Containers are made of Linux system calls. On macOS use Lima, on Windows WSL 2: see README.md."
);

pub mod advice;
pub mod bounded;
pub mod caller;
mod capabilities;
pub mod child;
pub mod command;
pub mod command_line;
pub mod container;
pub mod directories;
pub mod elf_file;
mod executable;
pub mod handover;
mod help;
pub mod in_memory;
pub mod locked_directory;
pub mod lookup;
pub mod mountinfo;
pub mod options;
mod printable;
pub mod program;
mod removal;
mod report;
pub mod rootless;
pub mod signals;
mod size;
mod subordinate_ids;
pub mod supervised;
pub mod system_calls;
pub mod terminal;
pub mod users;

pub use advice::Advise;
pub use caller::Caller;
pub use capabilities::Capability;
pub use child::{Child, Forked};
pub use command::exec;
pub use command_line::{finish, parse};
pub use container::Container;
pub use printable::printable;
pub use removal::remove_tree;
pub use report::close_host_descriptors;
pub use rootless::{AsRoot, become_root, become_root_with_subordinate_ids};
pub use size::parse_size;
pub use supervised::Supervised;
pub use system_calls::{close_on_exec_from_3, exit_now};
