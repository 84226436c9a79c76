//! The socket itself: one message there, the answers back.

use launcher::command_line::errno_of;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use nix::errno::Errno;
use std::io;

/// More than the kernel packs into one datagram of a list (32 KiB).
const BUFFER: usize = 64 * 1024;

/// linux/rtnetlink.h: the group of those who want to know of routes.
const RTNLGRP_IPV4_ROUTE: u32 = 7;

/// A socket to the network part of the kernel.
///
/// It belongs to the network namespace in which it was opened, for ever. Whoever holds it can
/// change that namespace from anywhere, without entering it.
#[derive(Debug)]
pub struct Netlink(Socket);

impl Netlink {
    /// Opens a socket in the network namespace of this thread.
    ///
    /// # Errors
    /// Those of socket(2) and bind(2).
    pub fn open() -> io::Result<Netlink> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?; // number 0 is the kernel
        Ok(Netlink(socket))
    }

    /// Has something made that is not there yet.
    ///
    /// # Errors
    /// EEXIST if it is, and the others of rtnetlink(7).
    pub(crate) fn make(&self, message: RouteNetlinkMessage) -> nix::Result<()> {
        self.ask(message, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL).map(drop)
    }

    // ANCHOR: ask
    /// Sends one message and reads the answers, up to the last one.
    ///
    /// # Errors
    /// What the kernel answers; EBADMSG for an answer that makes no sense.
    pub(crate) fn ask(
        &self,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> nix::Result<Vec<RouteNetlinkMessage>> {
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST | flags;
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        self.0.send(&bytes, 0).map_err(|error| errno_of(&error))?;

        let is_list = flags & NLM_F_DUMP == NLM_F_DUMP;
        let mut answers = Vec::new();
        let mut datagram = Vec::with_capacity(BUFFER);
        loop {
            datagram.clear();
            let length = self.0.recv(&mut datagram, libc::MSG_TRUNC);
            if length.map_err(|error| errno_of(&error))? > datagram.len() {
                return Err(Errno::EMSGSIZE);
            }
            let mut rest = &datagram[..];
            while !rest.is_empty() {
                let answer = take_message(&mut rest)?;
                match answer.payload {
                    NetlinkPayload::Error(error) => match error.raw_code() {
                        0 => return Ok(answers), // the ACK
                        code => return Err(Errno::from_raw(-code)),
                    },
                    NetlinkPayload::Done(_) => return Ok(answers),
                    NetlinkPayload::InnerMessage(inner) => answers.push(inner),
                    _ => {}
                }
            }
            if !is_list && flags & NLM_F_ACK == 0 {
                return Ok(answers); // a question about one thing has one answer
            }
        }
    }
    // ANCHOR_END: ask

    /// Has the kernel tell of whatever happens to routes: `ip -4 monitor route`.
    pub(crate) fn subscribe_to_routes(&self) -> io::Result<()> {
        self.0.add_membership(RTNLGRP_IPV4_ROUTE)
    }

    /// Waits for the next that the kernel tells without being asked.
    ///
    /// # Errors
    /// ENOBUFS if there was more than the socket can keep.
    pub(crate) fn wait_for_news(&self) -> nix::Result<Vec<RouteNetlinkMessage>> {
        let mut datagram = Vec::with_capacity(BUFFER);
        self.0.recv(&mut datagram, 0).map_err(|error| errno_of(&error))?;
        let (mut rest, mut news) = (&datagram[..], Vec::new());
        while !rest.is_empty() {
            if let NetlinkPayload::InnerMessage(inner) = take_message(&mut rest)?.payload {
                news.push(inner);
            }
        }
        Ok(news)
    }
}

/// Takes the first message off a datagram.
fn take_message(rest: &mut &[u8]) -> nix::Result<NetlinkMessage<RouteNetlinkMessage>> {
    let message: NetlinkMessage<RouteNetlinkMessage> =
        NetlinkMessage::deserialize(rest).map_err(|_| Errno::EBADMSG)?;
    let length = usize::try_from(message.header.length).map_err(|_| Errno::EBADMSG)?;
    *rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    Ok(message)
}
