//! Where the broker is. Addresses hold passwords, so they have types that do not print them.

use std::fmt;
use std::str::FromStr;

use ::url::{Host, Url};
use lapin::uri::{AMQPScheme, AMQPUri};

use crate::BrokerFault;

/// The longest name that AMQP can carry.
const NAME_MAX: usize = 255;

/// `amqp[s]://user:password@host:port/vhost`. Printed without the password.
#[derive(Clone, PartialEq, Eq)]
pub struct BrokerUrl(AMQPUri);

impl BrokerUrl {
    /// The virtual host.
    #[must_use]
    pub fn vhost(&self) -> &str {
        &self.0.vhost
    }

    /// For a connection with these limits, unless the address names its own.
    pub(crate) fn with_limits(&self, heartbeat_s: u16, frame_max: u32) -> AMQPUri {
        let mut uri = self.0.clone();
        uri.query.heartbeat.get_or_insert(heartbeat_s);
        uri.query.frame_max.get_or_insert(frame_max);
        uri
    }
}

impl FromStr for BrokerUrl {
    type Err = BrokerFault;

    fn from_str(text: &str) -> Result<Self, BrokerFault> {
        // The parser's own error repeats the text, password included.
        let wrong = BrokerFault::Url("broker's", "amqp[s]://user:password@host:port/vhost");
        let mut uri: AMQPUri = text.parse().map_err(|_| wrong.clone())?;
        // The parser takes an IPv6 address for "no host" and goes to localhost.
        if let Some(Host::Ipv6(address)) = Url::parse(text).ok().as_ref().and_then(Url::host) {
            uri.authority.host = address.to_string();
        }
        // A virtual host without a name cannot exist at RabbitMQ; a slash at the end is common.
        if uri.vhost.is_empty() {
            uri.vhost = "/".to_owned();
        }
        if uri.vhost.len() > NAME_MAX || uri.authority.host.is_empty() {
            return Err(wrong);
        }
        Ok(Self(uri))
    }
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, at) = (&self.0.scheme, &self.0.authority);
        let user = &at.userinfo.username;
        write!(
            f,
            "{scheme}://{user}@{}:{}/{}",
            at.host, at.port, self.0.vhost
        )
    }
}

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether a connection to `uri` begins in clear text, and where.
pub(crate) fn clear_text(uri: &AMQPUri) -> bool {
    match uri.scheme {
        AMQPScheme::AMQP => true,
        AMQPScheme::AMQPS => false,
    }
}

/// `http[s]://user:password@host:port` of the management API. Printed without the password.
#[derive(Clone, PartialEq, Eq)]
pub struct ManagementUrl(Url);

impl ManagementUrl {
    /// The address of what `segments` lead to below `/api`, credentials included.
    pub(crate) fn api(&self, segments: &[&str]) -> Url {
        let mut url = self.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push("api").extend(segments);
        }
        url
    }
}

impl FromStr for ManagementUrl {
    type Err = BrokerFault;

    fn from_str(text: &str) -> Result<Self, BrokerFault> {
        let wrong = BrokerFault::Url("management", "http[s]://user:password@host:port");
        let url = Url::parse(text).map_err(|_| wrong.clone())?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(wrong);
        }
        Ok(Self(url))
    }
}

impl fmt::Debug for ManagementUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.0.host_str().unwrap_or_default();
        let port = self.0.port_or_known_default().unwrap_or_default();
        write!(f, "{}://{host}:{port}", self.0.scheme())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_printed_nor_repeated_in_an_error() {
        let url: BrokerUrl = "amqps://bob:s3cret@broker.example/recordings"
            .parse()
            .unwrap();
        let shown = format!("{url} {url:?}");
        assert!(!shown.contains("s3cret"), "{shown}");
        assert!(shown.starts_with("amqps://bob@broker.example:5671/recordings"));
        let wrong = "amqp:bob:s3cret@broker"
            .parse::<BrokerUrl>()
            .unwrap_err()
            .to_string();
        assert!(!wrong.contains("s3cret"), "{wrong}");
        let management: ManagementUrl = "http://bob:s3cret@broker:15672".parse().unwrap();
        assert_eq!(format!("{management:?}"), "http://broker:15672");
    }

    #[test]
    fn an_ipv6_broker_is_not_taken_for_localhost() {
        let url: BrokerUrl = "amqp://bob:x@[2001:db8::7]:5700/%2F".parse().unwrap();
        assert_eq!(url.to_string(), "amqp://bob@2001:db8::7:5700//");
    }

    #[test]
    fn a_slash_at_the_end_means_the_default_virtual_host() {
        for text in ["amqp://h", "amqp://h/", "amqp://h/%2F"] {
            assert_eq!(text.parse::<BrokerUrl>().unwrap().vhost(), "/");
        }
    }

    #[test]
    fn names_in_management_paths_are_escaped() {
        let management: ManagementUrl = "http://broker:15672/".parse().unwrap();
        let url = management.api(&["queues", "/", "a b"]);
        assert_eq!(url.as_str(), "http://broker:15672/api/queues/%2F/a%20b");
    }
}
