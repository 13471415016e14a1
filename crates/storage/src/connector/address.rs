//! Which addresses customer traffic may reach: public unicast ones, and what the operator allows.
//!
//! A customer who could point an endpoint at our own network, at a loopback service or at the
//! machine's metadata address would have a proxy into it that carries signed requests.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The address is one that customer traffic may not reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the endpoint's address is private or reserved")]
pub(crate) struct AddressRefused;

/// Everything in IPv4 that is not public unicast (IANA's special-purpose registry).
const RESERVED_V4: [(Ipv4Addr, u8); 15] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// IPv6's global unicast; all else (loopback, mapped, NAT64, unique local, link local, multicast)
/// is refused by not being in it.
const GLOBAL_V6: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// What in it is not: protocol assignments with Teredo, documentation, 6to4 (which embeds any
/// IPv4 address).
const RESERVED_V6: [(Ipv6Addr, u8); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0x0db8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// Judges addresses.
#[derive(Debug, Clone)]
pub(crate) struct AddressFilter {
    allowed: Vec<IpNet>,
}

impl AddressFilter {
    /// Lets through public addresses and those in `allowed`.
    pub(crate) fn new(allowed: Vec<IpNet>) -> Self {
        Self { allowed }
    }

    /// Whether customer traffic may reach the address.
    pub(crate) fn permits(&self, address: IpAddr) -> bool {
        // An IPv4 address in IPv6 clothes is the IPv4 address.
        let plain = address.to_canonical();
        let public = match plain {
            IpAddr::V4(v4) => !RESERVED_V4.into_iter().any(|net| in_v4(net, v4)),
            IpAddr::V6(v6) => {
                in_v6(GLOBAL_V6, v6) && !RESERVED_V6.into_iter().any(|net| in_v6(net, v6))
            }
        };
        public || self.allowed.iter().any(|net| net.contains(&plain))
    }

    /// Judges a URL whose host is written as an address; names are judged when they are resolved.
    pub(crate) fn check_host(&self, url: &url::Url) -> Result<(), AddressRefused> {
        let address = match url.host() {
            Some(url::Host::Ipv4(v4)) => IpAddr::V4(v4),
            Some(url::Host::Ipv6(v6)) => IpAddr::V6(v6),
            Some(url::Host::Domain(_)) => return Ok(()),
            None => return Err(AddressRefused),
        };
        if self.permits(address) {
            Ok(())
        } else {
            Err(AddressRefused)
        }
    }
}

fn in_v4((net, prefix): (Ipv4Addr, u8), address: Ipv4Addr) -> bool {
    Ipv4Net::new(net, prefix).is_ok_and(|net| net.contains(&address))
}

fn in_v6((net, prefix): (Ipv6Addr, u8), address: Ipv6Addr) -> bool {
    Ipv6Net::new(net, prefix).is_ok_and(|net| net.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(filter: &AddressFilter, address: &str) -> bool {
        filter.permits(address.parse().unwrap())
    }

    #[test]
    fn only_public_addresses_pass_unless_a_range_is_allowed() {
        let strict = AddressFilter::new(Vec::new());
        for public in ["52.216.1.1", "8.8.8.8", "2600:1fa0::1", "::ffff:52.216.1.1"] {
            assert!(permits(&strict, public), "{public}");
        }
        let private = [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.0.9",
            "169.254.169.254",
            "172.31.0.1",
            "192.0.0.192",
            "192.168.1.1",
            "198.19.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "fd00:ec2::254",
            "fe80::1",
            "ff02::1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "100::1",
        ];
        for private in private {
            assert!(!permits(&strict, private), "{private}");
        }
        let lab = AddressFilter::new(vec!["127.0.0.0/8".parse().unwrap()]);
        assert!(permits(&lab, "127.0.0.1"));
        assert!(permits(&lab, "::ffff:127.0.0.1"));
        assert!(!permits(&lab, "10.0.0.1"));
        assert!(!permits(&lab, "::1"));
    }

    #[test]
    fn hosts_written_as_addresses_are_judged_in_every_spelling() {
        let strict = AddressFilter::new(Vec::new());
        let spellings = [
            "http://127.0.0.1:9/",
            "http://127.1/",
            "http://0x7f000001/",
            "http://2130706433/",
            "http://0177.0.0.1/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
        ];
        for spelling in spellings {
            let url = url::Url::parse(spelling).unwrap();
            assert_eq!(strict.check_host(&url), Err(AddressRefused), "{spelling}");
        }
        let named = url::Url::parse("https://bucket.s3.eu-west-1.amazonaws.com/").unwrap();
        assert_eq!(strict.check_host(&named), Ok(()));
    }
}
