//! What `nix` does not offer of prctl(2): all `unsafe` of this crate.

use nix::errno::Errno;

/// PR_CAPBSET_DROP of prctl(2): no program that this process executes gets this capability.
///
/// # Errors
/// EINVAL if there is no capability of that number, EPERM without CAP_SETPCAP.
pub(crate) fn drop_from_bounding_set(capability: u8) -> nix::Result<()> {
    let capability = libc::c_ulong::from(capability);
    // SAFETY: two integers; no memory is touched.
    Errno::result(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) }).map(drop)
}
