//! The parts of root's power that a step can need (capabilities(7)), and which of them are missing.
//!
//! The number 0 says who one is, not what one may do: the root of a container, or of a service, is
//! a root that has given up some.

use crate::system_calls::effective_capabilities;
use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::unistd::geteuid;
use std::fmt::{self, Display};

/// A capability, with the kernel's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// To give files to others: an image has owners.
    Chown = 0,
    /// To open what file modes forbid.
    DacOverride = 1,
    /// To change the mode of other people's files.
    Fowner = 3,
    /// To become a member of other groups.
    Setgid = 6,
    /// To become another user.
    Setuid = 7,
    /// To give up capabilities for what is executed.
    Setpcap = 8,
    /// To change a network.
    NetAdmin = 12,
    /// chroot(2), and to enter another mount namespace.
    SysChroot = 18,
    /// To make namespaces, to mount, and much else.
    SysAdmin = 21,
    /// To make device nodes.
    Mknod = 27,
}

use Capability::{
    Chown, DacOverride, Fowner, Mknod, NetAdmin, Setgid, Setpcap, Setuid, SysAdmin, SysChroot,
};

/// All that some step needs.
const NEEDED: [Capability; 10] =
    [SysAdmin, NetAdmin, SysChroot, Chown, DacOverride, Fowner, Setgid, Setuid, Setpcap, Mknod];

impl Capability {
    /// Whether this process has it, over what belongs to its user namespace.
    ///
    /// # Errors
    /// Those of capget(2).
    pub fn is_ours(self) -> Result<bool> {
        let ours = effective_capabilities().context("cannot read the capabilities")?;
        Ok(self.is_in(ours))
    }

    /// Whether a set of the kernel's has it: bit N for capability N.
    pub(crate) fn is_in(self, set: u64) -> bool {
        set & (1 << self as u32) != 0
    }
}

impl Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Chown => "CAP_CHOWN",
            DacOverride => "CAP_DAC_OVERRIDE",
            Fowner => "CAP_FOWNER",
            Setgid => "CAP_SETGID",
            Setuid => "CAP_SETUID",
            Setpcap => "CAP_SETPCAP",
            NetAdmin => "CAP_NET_ADMIN",
            SysChroot => "CAP_SYS_CHROOT",
            SysAdmin => "CAP_SYS_ADMIN",
            Mknod => "CAP_MKNOD",
        })
    }
}

/// The text of an error, and if root was refused something, what this root lacks: it may be why.
/// The kernel does not say which capability a call takes, and each call would have to know it.
pub(crate) fn name_missing(text: String, errno: Option<Errno>) -> String {
    let is_refusal = matches!(errno, Some(Errno::EPERM | Errno::EACCES));
    if !is_refusal || !geteuid().is_root() {
        return text;
    }
    match (effective_capabilities().ok().and_then(words_for), text.strip_suffix(')')) {
        (Some(words), Some(advised)) => format!("{advised}; {words})"),
        (Some(words), None) => format!("{text} ({words})"),
        (None, _) => text,
    }
}

fn words_for(ours: u64) -> Option<String> {
    let missing = NEEDED.iter().filter(|it| !it.is_in(ours));
    let missing: Vec<_> = missing.map(Capability::to_string).collect();
    let [first, ..] = &missing[..] else { return None };
    Some(format!(
        "this root lacks {}; in a container? Start that one with --cap-add {}",
        missing.join(", "),
        first.trim_start_matches("CAP_")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let all = u64::MAX;
        assert_eq!(words_for(all), None);
        let told = words_for(all & !(1 << 0)).unwrap();
        assert!(told.starts_with("this root lacks CAP_CHOWN; "), "{told}");
        assert!(told.ends_with(" --cap-add CHOWN"), "{told}");
        let told = words_for(all & !(1 << 12) & !(1 << 21)).unwrap();
        assert!(told.contains("lacks CAP_SYS_ADMIN, CAP_NET_ADMIN; "), "{told}");
    }
}
