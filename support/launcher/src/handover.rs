//! How a file that the child has opened comes to the supervisor: through a socket that both have.

pub use crate::system_calls::receive_descriptor;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd};

/// sendmsg(2): sends a descriptor through a socket (unix(7), SCM_RIGHTS).
///
/// # Errors
/// Those of sendmsg(2).
pub fn send_descriptor(socket: impl AsFd, descriptor: impl AsFd) -> nix::Result<()> {
    let descriptor = [descriptor.as_fd().as_raw_fd()];
    let message = [ControlMessage::ScmRights(&descriptor)];
    let bytes = [IoSlice::new(b"d")]; // a message of a stream is never empty
    sendmsg::<()>(socket.as_fd().as_raw_fd(), &bytes, &message, MsgFlags::empty(), None).map(drop)
}
