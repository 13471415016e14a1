//! From where a request comes: the peer, unless the peer is a proxy that the operator trusts and
//! names somebody else.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The most hops that are read: who sends more is making them up.
const HOPS_MAX: usize = 16;

/// The other end of the connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

/// Where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin {
    /// The address.
    pub(super) address: IpAddr,
    /// The trusted proxy that said so; `None`: it is the peer's own.
    pub(super) via: Option<IpAddr>,
}

impl Origin {
    /// Of a request from this peer. Only a trusted peer's `X-Forwarded-For` is read, from its end:
    /// each proxy adds whom it saw, so what stands before the first stranger is that stranger's
    /// own invention.
    pub(super) fn of(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        let peer = peer.to_canonical();
        let is_trusted = |address: IpAddr| trusted.iter().any(|range| range.contains(&address));
        let mut origin = Self {
            address: peer,
            via: None,
        };
        if !is_trusted(peer) {
            return origin;
        }
        let lines = headers.get_all(FORWARDED_FOR).iter();
        let lines: Vec<_> = lines.map(|line| line.to_str().unwrap_or("?")).collect();
        let hops = lines.iter().rev().flat_map(|line| line.rsplit(','));
        for hop in hops.take(HOPS_MAX) {
            let Some(address) = read(hop) else {
                break;
            };
            origin = Self {
                address,
                via: Some(peer),
            };
            if !is_trusted(address) {
                break;
            }
        }
        origin
    }
}

/// An address as proxies write it: bare, in brackets, or with a port.
fn read(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let bare = hop.trim_start_matches('[').trim_end_matches(']');
    let with_port = || hop.parse::<SocketAddr>().map(|address| address.ip());
    let address = bare.parse::<IpAddr>().or_else(|_| with_port()).ok()?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_trusted_proxy_saw_itself_is_believed() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        for (peer, lines, address, via) in [
            ("203.0.113.9", &["198.51.100.1"][..], "203.0.113.9", None),
            ("10.0.0.1", &[], "10.0.0.1", None),
            (
                "10.0.0.1",
                &["198.51.100.1"],
                "198.51.100.1",
                Some("10.0.0.1"),
            ),
            (
                "::ffff:10.0.0.1",
                &["198.51.100.1"],
                "198.51.100.1",
                Some("10.0.0.1"),
            ),
            // What the client wrote itself stands before what the proxy added.
            (
                "10.0.0.1",
                &["1.1.1.1, 198.51.100.1"],
                "198.51.100.1",
                Some("10.0.0.1"),
            ),
            (
                "10.0.0.1",
                &["1.1.1.1", "198.51.100.1"],
                "198.51.100.1",
                Some("10.0.0.1"),
            ),
            (
                "10.0.0.1",
                &["1.1.1.1, 198.51.100.1, 10.9.9.9"],
                "198.51.100.1",
                Some("10.0.0.1"),
            ),
            ("10.0.0.1", &["1.1.1.1, what?"], "10.0.0.1", None),
            (
                "10.0.0.1",
                &["what?, 10.2.2.2"],
                "10.2.2.2",
                Some("10.0.0.1"),
            ),
            (
                "10.0.0.1",
                &["198.51.100.1:4711"],
                "198.51.100.1",
                Some("10.0.0.1"),
            ),
            (
                "10.0.0.1",
                &["[2001:db8::1]"],
                "2001:db8::1",
                Some("10.0.0.1"),
            ),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(FORWARDED_FOR, line.parse().unwrap());
            }
            let origin = Origin::of(peer.parse().unwrap(), &headers, &trusted);
            let expected = Origin {
                address: address.parse().unwrap(),
                via: via.map(|via| via.parse().unwrap()),
            };
            assert_eq!(origin, expected, "{peer} {lines:?}");
        }
    }
}
