//! What programs inherit about signals from whoever runs the tests, and do not keep.

use nix::sys::signal::SigSet;

/// Lets every signal have its default effect, and blocks none.
///
/// nohup(1) ignores SIGHUP, a script ignores SIGINT and SIGQUIT in what it starts by `&`, and what
/// is ignored or blocked stays so through fork and execve (man 7 signal). Makes system calls only.
pub(crate) fn reset() -> nix::Result<()> {
    // Rust itself has SIGPIPE ignored, and sets it back in what it starts.
    for signal in (1..=libc::SIGRTMAX()).filter(|signal| *signal != libc::SIGPIPE) {
        // SAFETY: SIG_DFL is no function of ours that could be called at a bad moment. It fails
        // for SIGKILL and SIGSTOP, which nobody can ignore.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    SigSet::empty().thread_set_mask()
}
