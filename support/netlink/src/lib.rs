//! What `ip` does, one function for each of its verbs (rtnetlink(7)).
//!
//! `ip` is a program around one socket of the family netlink(7): the kernel is at its other end. It
//! sends a message for each of its verbs and reads the answers. So do we, without starting a
//! process for each.
//!
//! | module | what it does |
//! |---|---|
//! | `link` | `ip link`: network devices |
//! | `route` | `ip address`, `ip route` |
//! | `socket` | sends one message, reads the answers |
//! | `ruleset` | asks whether somebody has changed the nft rules |

mod link;
mod route;
mod ruleset;
mod socket;

pub use link::{LOOPBACK, Link};
pub use route::{NewRoutes, Route, RouteType};
pub use ruleset::Generation;
pub use socket::Netlink;
