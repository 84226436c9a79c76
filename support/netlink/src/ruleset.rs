//! The number of the ruleset: the kernel counts every change that anybody makes to its nft rules,
//! so one question tells whether they are as they were. (It is another family of netlink.)

use launcher::command_line::errno_of;
use netlink_packet_core::{NLM_F_REQUEST, NLMSG_ERROR, NetlinkBuffer, NlasIterator};
use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};
use nix::errno::Errno;
use std::fmt::{self, Display};
use std::io;
use std::num::ParseIntError;
use std::str::FromStr;

/// linux/netfilter/nf_tables.h, as the type of a message is built from a subsystem and its verb.
const GET: u16 = message_type(libc::NFT_MSG_GETGEN);
const NEW: u16 = message_type(libc::NFT_MSG_NEWGEN);
const NFTA_GEN_ID: u16 = 1;

const fn message_type(verb: libc::c_int) -> u16 {
    (libc::NFNL_SUBSYS_NFTABLES << 8 | verb) as u16
}

/// The number of the ruleset of this network namespace. As text it can be written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation(u32);

impl Generation {
    /// Asks the kernel, as `nft` does before each change.
    ///
    /// # Errors
    /// Those of the socket; EINVAL or EPROTONOSUPPORT from a kernel without nf_tables.
    pub fn current() -> nix::Result<Generation> {
        let answer = ask().map_err(|error| errno_of(&error))?;
        let message = NetlinkBuffer::new_checked(&answer[..]).map_err(|_| Errno::EBADMSG)?;
        let content = message.payload();
        match (message.message_type(), content.first_chunk()) {
            (NLMSG_ERROR, Some(code)) => Err(Errno::from_raw(-i32::from_ne_bytes(*code))),
            (NEW, Some(_family)) => number_in(&content[4..]).ok_or(Errno::EBADMSG),
            _ => Err(Errno::EBADMSG),
        }
    }

    /// The number after one more change. (None has the number 0.)
    pub fn next(self) -> Generation {
        Generation(self.0.wrapping_add(1).max(1))
    }
}

impl Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Generation {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Generation, ParseIntError> {
        text.parse().map(Generation)
    }
}

/// One message there, one back.
fn ask() -> io::Result<Vec<u8>> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?; // number 0 is the kernel
    let mut request = Vec::new();
    request.extend(20_u32.to_ne_bytes()); // its length
    request.extend(GET.to_ne_bytes());
    request.extend(NLM_F_REQUEST.to_ne_bytes());
    request.extend([0; 8]); // its number, and whose it is
    request.extend([0; 4]); // struct nfgenmsg: of no family
    socket.send(&request, 0)?;
    let mut answer = Vec::with_capacity(4096);
    socket.recv(&mut answer, 0)?;
    Ok(answer)
}

fn number_in(attributes: &[u8]) -> Option<Generation> {
    let found =
        NlasIterator::new(attributes).flatten().find(|found| found.kind() == NFTA_GEN_ID)?;
    Some(Generation(u32::from_be_bytes(found.value().try_into().ok()?)))
}
