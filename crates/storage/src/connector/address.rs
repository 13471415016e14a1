//! Which addresses customer traffic may reach: public unicast ones, and what the operator allows.
//!
//! A customer who could point an endpoint at our own network, at a loopback service or at the
//! machine's metadata address would have a proxy into it that carries signed requests.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Customer traffic may not go there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AddressRefused {
    /// What a name resolves to, or one of several addresses.
    #[error("the endpoint's address is private or reserved")]
    Private,
    /// Public or not: certificates and rules are made for names.
    #[error("the endpoint is written as an address, which only an allowed range may be")]
    Literal,
    /// A mail server, a database or a shell is no store.
    #[error("the endpoint's port is neither 443 nor 1024 or above")]
    Port,
}

/// The port of https.
const HTTPS: u16 = 443;
/// The port of plain http, where that is allowed at all.
const HTTP: u16 = 80;
/// Where ports begin that no service of the system's own has.
const HIGH: u16 = 1024;

/// Whether a customer's endpoint may have this port: https's own, or any that belongs to no
/// well-known service; http's own where plain http is allowed.
#[must_use]
pub fn permits_port(port: u16, allow_http: bool) -> bool {
    port == HTTPS || port >= HIGH || (allow_http && port == HTTP)
}

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

/// IPv6's global unicast; all else (loopback, unique local, link local, multicast, NAT64 by a
/// network's own prefix) is refused by not being in it.
const GLOBAL_V6: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// What in it is not: protocol assignments with Teredo, documentation, 6to4 (which embeds any
/// IPv4 address).
const RESERVED_V6: [(Ipv6Addr, u8); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0x0db8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// The IPv4 address in an IPv6 one: mapped, or by the well-known prefix of NAT64, by which a
/// network without IPv4 reaches public addresses.
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address.to_canonical() else {
        return address.to_canonical();
    };
    let [a, b, rest @ .., high, low] = v6.segments();
    if (a, b, rest) != (0x64, 0xff9b, [0; 4]) {
        return IpAddr::V6(v6);
    }
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

/// Judges addresses.
#[derive(Debug, Clone)]
pub(crate) struct AddressFilter {
    allowed: Vec<IpNet>,
    /// Whether http's own port passes, too.
    allow_http: bool,
}

impl AddressFilter {
    /// Lets through public addresses and those in `allowed`, at ports above 1023 and those of
    /// https, and of http where that is allowed.
    pub(crate) fn new(allowed: Vec<IpNet>, allow_http: bool) -> Self {
        Self {
            allowed,
            allow_http,
        }
    }

    /// Whether customer traffic may reach the address.
    pub(crate) fn permits(&self, address: IpAddr) -> bool {
        let plain = plain(address);
        let public = match plain {
            IpAddr::V4(v4) => !RESERVED_V4.into_iter().any(|net| in_v4(net, v4)),
            IpAddr::V6(v6) => {
                in_v6(GLOBAL_V6, v6) && !RESERVED_V6.into_iter().any(|net| in_v6(net, v6))
            }
        };
        public || self.allows(address)
    }

    /// Whether an operator's range has it.
    pub(crate) fn allows(&self, address: IpAddr) -> bool {
        let plain = plain(address);
        self.allowed.iter().any(|net| net.contains(&plain))
    }

    /// Judges a URL's port, and its host where that is written as an address; names are judged
    /// when they are resolved.
    pub(crate) fn check_url(&self, url: &url::Url) -> Result<(), AddressRefused> {
        let port = url.port_or_known_default();
        if !port.is_some_and(|port| permits_port(port, self.allow_http)) {
            return Err(AddressRefused::Port);
        }
        let address = match url.host() {
            Some(url::Host::Ipv4(v4)) => IpAddr::V4(v4),
            Some(url::Host::Ipv6(v6)) => IpAddr::V6(v6),
            Some(url::Host::Domain(_)) => return Ok(()),
            None => return Err(AddressRefused::Literal),
        };
        if self.allows(address) {
            Ok(())
        } else if self.permits(address) {
            Err(AddressRefused::Literal)
        } else {
            Err(AddressRefused::Private)
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
        let strict = AddressFilter::new(Vec::new(), false);
        for public in [
            "52.216.1.1",
            "8.8.8.8",
            "2600:1fa0::1",
            "::ffff:52.216.1.1",
            // Public, by way of NAT64.
            "64:ff9b::34d8:101",
        ] {
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
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::34d8:101",
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
        let lab = AddressFilter::new(vec!["127.0.0.0/8".parse().unwrap()], true);
        assert!(permits(&lab, "127.0.0.1"));
        assert!(permits(&lab, "::ffff:127.0.0.1"));
        assert!(!permits(&lab, "10.0.0.1"));
        assert!(!permits(&lab, "::1"));
    }

    #[test]
    fn hosts_written_as_addresses_are_judged_in_every_spelling() {
        let strict = AddressFilter::new(Vec::new(), false);
        let spellings = [
            "https://127.0.0.1:9000/",
            "https://127.1/",
            "https://0x7f000001/",
            "https://2130706433/",
            "https://0177.0.0.1/",
            "https://127.0.0.1./",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[64:ff9b::7f00:1]/",
        ];
        let check = |filter: &AddressFilter, url: &str| filter.check_url(&url.parse().unwrap());
        for spelling in spellings {
            let verdict = check(&strict, spelling);
            assert_eq!(verdict, Err(AddressRefused::Private), "{spelling}");
        }
        for public in ["https://52.216.1.1/", "https://[2600:1fa0::1]/"] {
            assert_eq!(check(&strict, public), Err(AddressRefused::Literal));
        }
        let named = "https://bucket.s3.eu-west-1.amazonaws.com/";
        assert_eq!(check(&strict, named), Ok(()));
        let lab = AddressFilter::new(vec!["127.0.0.0/8".parse().unwrap()], true);
        assert_eq!(check(&lab, "http://127.0.0.1/"), Ok(()));
        assert_eq!(check(&lab, "http://[::ffff:127.0.0.1]:9000/"), Ok(()));
    }

    #[test]
    fn only_https_and_high_ports_are_gone_to() {
        let strict = AddressFilter::new(Vec::new(), false);
        let check = |port: u16| {
            let url = format!("https://s3.example.test:{port}/");
            strict.check_url(&url.parse().unwrap())
        };
        for good in [443, 1024, 9000, 65535] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [0, 1, 22, 25, 80, 442, 465, 1023] {
            assert_eq!(check(bad), Err(AddressRefused::Port), "{bad}");
        }
        assert!(permits_port(80, true) && !permits_port(22, true));
    }
}
