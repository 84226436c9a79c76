//! init: the first process of a container, in the place of the command.
//!
//! There is no standard library in it, and no C library either. What is in the memory of process 1
//! everybody in the container can see, and root there can write to the files behind it
//! (/proc/1/map_files): so none of them may be the host's. `build.rs` compiles it, and v3-pidns
//! carries it inside. How it asks the kernel is in `support/freestanding`.

#![no_std]
#![no_main]

#[path = "../../support/freestanding/kernel.rs"]
mod kernel;

use kernel::{CHILD, Kernel};

/// The number of the command: it is the second process in its PID namespace.
const COMMAND: isize = 2;

// ANCHOR: main
/// Passes signals on, reaps, and ends as the command ends. Then the kernel kills what is left.
fn main(kernel: &Kernel) -> u8 {
    kernel.block_all_signals(); // they wait until somebody takes them
    kernel.set_name(c"init");
    loop {
        match kernel.wait_for_any_signal() {
            // One SIGCHLD can stand for many children that have ended.
            CHILD => {
                while let Some(ended) = kernel.reap_a_child() {
                    if ended.pid == COMMAND {
                        return ended.status;
                    }
                }
            }
            signal if signal > 0 => kernel.send(COMMAND, signal),
            _ => {} // stopped and continued
        }
    }
}
// ANCHOR_END: main
