//! The addresses of the containers: a range like 10.61.0.0/24.

use std::net::Ipv4Addr;

/// A range of IPv4 addresses. The first one that can be used is the bridge's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    network: u32,
    prefix_length: u8,
}

impl Default for Subnet {
    /// 10.61.0.0/24: of the addresses that are nobody's (RFC 1918), few others take these.
    fn default() -> Subnet {
        Subnet::around(Ipv4Addr::new(10, 61, 0, 0), 24)
    }
}

impl Subnet {
    /// Reads `ADDRESS/PREFIX_LENGTH`.
    ///
    /// # Errors
    /// If it is no such thing, or a range in which containers cannot live.
    pub fn parse(text: &str) -> Result<Subnet, String> {
        let form = "it is not of the form 10.61.0.0/24";
        let (address, prefix_length) = text.split_once('/').ok_or(form)?;
        let address: Ipv4Addr = address.parse().map_err(|_| form)?;
        let prefix_length: u8 = prefix_length.parse().map_err(|_| form)?;
        if !(8..=30).contains(&prefix_length) {
            return Err("the number behind the slash is not between 8 and 30".into());
        }
        let subnet = Subnet::around(address, prefix_length);
        if subnet.network != address.to_bits() {
            return Err(format!("did you mean {}/{prefix_length}?", subnet.address()));
        }
        let first = subnet.address().octets()[0];
        if first == 0 || first == 127 || first >= 224 {
            return Err(
                "these addresses have a meaning of their own (try one of 10.0.0.0/8)".into()
            );
        }
        Ok(subnet)
    }

    /// The subnet of this size that `address` is in.
    pub(crate) fn around(address: Ipv4Addr, prefix_length: u8) -> Subnet {
        let host_bits = u32::MAX.checked_shr(prefix_length.into()).unwrap_or(0);
        Subnet { network: address.to_bits() & !host_bits, prefix_length }
    }

    fn address(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.network)
    }

    /// How many bits all of its addresses have in common.
    pub(crate) fn prefix_length(self) -> u8 {
        self.prefix_length
    }

    // ANCHOR: hosts
    /// The bridge's own address: where the containers send what is for somewhere else.
    pub(crate) fn gateway(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.network + 1)
    }

    /// The addresses for containers, each with its number in the subnet. (The very last address
    /// means "all of them": broadcast.)
    pub(crate) fn hosts(self) -> impl Iterator<Item = (u32, Ipv4Addr)> {
        let last = (u32::MAX >> self.prefix_length) - 1;
        (2..=last).map(move |number| (number, Ipv4Addr::from_bits(self.network + number)))
    }
    // ANCHOR_END: hosts

    /// The subnets of this size for private use (RFC 1918). The less usual ones come first.
    pub(crate) fn others_of_its_size(self) -> impl Iterator<Item = Subnet> {
        let of_10 = (62..=255).chain(0..=61).map(|second| ([10, second, 0, 0], 8));
        let of_172 = (16..=31).map(|second| ([172, second, 0, 0], 12));
        let of_192 = (0..=255).map(|third| ([192, 168, third, 0], 16));
        let has_room = move |(_, range): &([u8; 4], u8)| *range <= self.prefix_length;
        let around = move |(first, _)| Subnet::around(Ipv4Addr::from(first), self.prefix_length);
        of_10.chain(of_172).chain(of_192).filter(has_room).map(around)
    }
}

impl std::fmt::Display for Subnet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address(), self.prefix_length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subnet_is_an_address_and_a_length() {
        let subnet = Subnet::parse("10.61.0.0/24").unwrap();
        assert_eq!(subnet.gateway(), Ipv4Addr::new(10, 61, 0, 1));
        let hosts: Vec<_> = subnet.hosts().collect();
        assert_eq!(hosts.first(), Some(&(2, Ipv4Addr::new(10, 61, 0, 2))));
        assert_eq!(hosts.last(), Some(&(254, Ipv4Addr::new(10, 61, 0, 254))));
        assert_eq!(Subnet::parse("192.168.7.4/30").unwrap().hosts().count(), 1);
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, fault) in [
            ("10.61.0.0", "not of the form"),
            ("10.61.0.0/x", "not of the form"),
            ("10.61.0/24", "not of the form"),
            ("fd00::/64", "not of the form"),
            ("10.61.0.0/31", "between 8 and 30"),
            ("10.0.0.0/7", "between 8 and 30"),
            ("10.61.0.5/24", "did you mean 10.61.0.0/24?"),
            ("127.0.0.0/8", "meaning of their own"),
            ("224.0.0.0/8", "meaning of their own"),
        ] {
            let told = Subnet::parse(text);
            assert!(told.as_ref().is_err_and(|told| told.contains(fault)), "{text}: {told:?}");
        }
    }

    #[test]
    fn others_are_private_and_of_the_same_size() {
        let of = |text| Subnet::parse(text).unwrap().others_of_its_size().collect::<Vec<_>>();
        let all = of("10.61.0.0/24");
        assert_eq!(all[0].to_string(), "10.62.0.0/24");
        assert_eq!(all.last().unwrap().to_string(), "192.168.255.0/24");
        assert_eq!(of("192.0.0.0/16").last().unwrap().to_string(), "192.168.0.0/16");
        assert!(of("11.0.0.0/8").iter().all(|other| other.to_string() == "10.0.0.0/8"));
    }
}
