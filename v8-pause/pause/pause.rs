//! pause: a process that does nothing, well.
//!
//! It holds the namespaces of a pod, and is PID 1 in one of them. So it has three duties: to be
//! there, to wait for orphans (who else would), and to end when asked to.
//!
//! There is no standard library in it, and no C library either: seven system calls are all that it
//! needs, so one page of memory for the program and one for its stack are all that it uses.
//! `build.rs` compiles it, and v8-pause carries it inside. How it asks the kernel is in
//! `support/freestanding`.

#![no_std]
#![no_main]

#[path = "../../support/freestanding/kernel.rs"]
mod kernel;

use kernel::{CHILD, INTERRUPT, Kernel, STDERR, TERMINATE};

// ANCHOR: main
fn main(kernel: &Kernel) -> u8 {
    if kernel.getpid() != 1 {
        kernel.write(STDERR, b"Warning: pause should be the first process\n");
    }
    // A blocked signal waits until somebody takes it. So there are no handlers, which could
    // interrupt anything, and nothing happens while there is nothing to do. Even for PID 1, to
    // which the kernel gives no signal that it does not handle, a blocked one waits: signal(7).
    kernel.block_all_signals();
    kernel.set_name(c"pause");
    loop {
        match kernel.wait_for_signal(&[TERMINATE, INTERRUPT, CHILD]) {
            TERMINATE | INTERRUPT => return 0,
            // One SIGCHLD can stand for many children that have ended.
            CHILD => while kernel.reap_a_child().is_some() {},
            _ => {} // stopped and continued
        }
    }
}
// ANCHOR_END: main
