//! Opening a connection, with an end to it.

use std::time::Duration;

use lapin::tcp::OwnedTLSConfig;
use lapin::uri::AMQPUri;
use lapin::{Connection, ConnectionProperties, DefaultConnectionBuilder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::address::clear_text;
use crate::{BrokerFault, Settings};

/// lapin keeps 64 frames of buffer per connection. Our messages are small; this is 1 MiB.
const FRAME_MAX: u32 = 16 * 1024;
/// What a client says first: AMQP 0-9-1.
const GREETING: &[u8] = b"AMQP\x00\x00\x09\x01";

/// Opens connections for one purpose, one at a time.
#[derive(Debug)]
pub(crate) struct Dialer {
    /// Where, and how patiently.
    settings: Settings,
    /// What the connection is for, as operators see it.
    purpose: String,
    /// Whether the last attempt got no answer.
    silent: bool,
}

impl Dialer {
    pub(crate) fn new(settings: &Settings, purpose: &str) -> Self {
        Self {
            settings: settings.clone(),
            purpose: purpose.to_owned(),
            silent: false,
        }
    }

    pub(crate) fn purpose(&self) -> &str {
        &self.purpose
    }

    /// Opens a connection. lapin's own recovery stays off.
    ///
    /// # Errors
    /// Nobody is there, nobody answers in time, or we are not let in.
    pub(crate) async fn connect(&mut self) -> Result<Connection, BrokerFault> {
        let settings = &self.settings;
        let uri = settings.url.with_limits(settings.heartbeat_s, FRAME_MAX);
        // SUBTLE: an attempt that lapin is making cannot be taken back: dropping it leaves a
        // thread behind until the broker answers or closes. One is bearable; one every few
        // seconds against a broker that is frozen for a day is not. So after an attempt without
        // an answer the next ones ask with a socket of our own first.
        if self.silent && clear_text(&uri) {
            knock(&uri, settings.connect_timeout).await?;
        }
        let name = format!("{} {}", settings.client_name, self.purpose);
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let trust = OwnedTLSConfig {
            cert_chain: settings.authorities_pem.clone(),
            ..OwnedTLSConfig::default()
        };
        let dialing = DefaultConnectionBuilder::new()
            .map_err(|error| BrokerFault::of("connecting", &error))?
            .with_uri(uri)
            .with_properties(properties)
            .with_tls_config(trust);
        let opened = timeout(settings.connect_timeout, dialing.connect()).await;
        self.silent = opened.is_err();
        match opened {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(BrokerFault::of("connecting", &error)),
            Err(_) => Err(silence(settings.connect_timeout)),
        }
    }
}

fn silence(limit: Duration) -> BrokerFault {
    BrokerFault::Silent(format!("no connection within {} s", limit.as_secs_f32()))
}

/// Greets the broker and waits for the first byte of an answer.
async fn knock(uri: &AMQPUri, limit: Duration) -> Result<(), BrokerFault> {
    let at = (uri.authority.host.as_str(), uri.authority.port);
    let greet = async {
        let mut stream = TcpStream::connect(at).await?;
        stream.write_all(GREETING).await?;
        stream.read_u8().await
    };
    match timeout(limit, greet).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(BrokerFault::Unreachable(format!("connecting: {error}"))),
        Err(_) => Err(silence(limit)),
    }
}
