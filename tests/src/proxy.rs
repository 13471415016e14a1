//! A TCP proxy to put in front of a broker, a database or a bucket, whose network then does what
//! the test says: cut, stall, lose the answers, slow down.

mod carry;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use carry::carry;

/// What happens to bytes on their way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// They arrive.
    #[default]
    Through,
    /// They wait: the connection stays open and nothing moves until the flow is let through again.
    Stalled,
    /// They vanish: read and thrown away. A connection that has lost bytes is of no use afterwards.
    Lost,
}

/// How the network is at the moment.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// Whether new connections reach the server. Otherwise they are accepted and closed at once.
    pub open: bool,
    /// From the client to the server.
    pub requests: Flow,
    /// From the server to the client.
    pub replies: Flow,
    /// How long each piece is held back, in both directions.
    pub delay: Duration,
    /// The most that passes per second, for each connection and direction; bytes.
    pub bytes_per_second: Option<u64>,
    /// After so many more bytes from clients every connection is reset, once; bytes.
    pub reset_after: Option<u64>,
}

impl Default for Weather {
    fn default() -> Self {
        Self {
            open: true,
            requests: Flow::Through,
            replies: Flow::Through,
            delay: Duration::ZERO,
            bytes_per_second: None,
            reset_after: None,
        }
    }
}

/// How a connection is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Severance {
    /// By FIN, as a server that goes away in order.
    Close,
    /// By RST, as a machine that has forgotten the connection.
    Reset,
}

/// The state that the proxy shares with its connections.
#[derive(Debug)]
struct Controls {
    /// The weather.
    weather: watch::Sender<Weather>,
    /// The number of the last severance, and what it was. A connection ends when it changes.
    severed: watch::Sender<(u64, Severance)>,
    /// Bytes that clients have sent since `reset_after` was last set.
    sent: AtomicU64,
    /// Connections accepted so far.
    accepted: AtomicU64,
}

impl Controls {
    fn sever(&self, how: Severance) {
        self.severed.send_modify(|(number, kind)| {
            *number += 1;
            *kind = how;
        });
    }

    /// Counts bytes from a client, and resets everything when the count says so.
    fn count(&self, bytes: u64) {
        let before = self.sent.fetch_add(bytes, Ordering::SeqCst);
        let Some(limit) = self.weather.borrow().reset_after else {
            return;
        };
        if before < limit && before + bytes >= limit {
            self.weather
                .send_modify(|weather| weather.reset_after = None);
            self.sever(Severance::Reset);
        }
    }
}

/// A running proxy. Dropping it closes the listener and every connection.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens.
    address: SocketAddr,
    /// What steers it.
    controls: Arc<Controls>,
    /// The accepting task, which owns the connections' tasks.
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// Starts a proxy on a free loopback port in front of `upstream` (`host:port`).
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(upstream: &str) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .context("binding the proxy")?;
        let address = listener.local_addr()?;
        let controls = Arc::new(Controls {
            weather: watch::Sender::new(Weather::default()),
            severed: watch::Sender::new((0, Severance::Close)),
            sent: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, upstream.to_owned(), Arc::clone(&controls)));
        Ok(Self {
            address,
            controls,
            _tasks: tasks,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections it has accepted.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.controls.accepted.load(Ordering::SeqCst)
    }

    /// How many bytes clients have sent since [`Proxy::reset_after`] was last called.
    #[must_use]
    pub fn sent_bytes(&self) -> u64 {
        self.controls.sent.load(Ordering::SeqCst)
    }

    /// Changes the weather, for open connections too.
    pub fn change(&self, change: impl FnOnce(&mut Weather)) {
        self.controls.weather.send_modify(change);
    }

    /// Good weather again.
    pub fn restore(&self) {
        self.change(|weather| *weather = Weather::default());
    }

    /// Closes every connection and lets no new one through until [`Proxy::restore`].
    pub fn cut(&self) {
        self.change(|weather| weather.open = false);
        self.controls.sever(Severance::Close);
    }

    /// Resets every connection (RST); new ones go through.
    pub fn reset(&self) {
        self.controls.sever(Severance::Reset);
    }

    /// Half-open: connections stay up, nothing moves in either direction.
    pub fn stall(&self) {
        self.change(|weather| {
            weather.requests = Flow::Stalled;
            weather.replies = Flow::Stalled;
        });
    }

    /// The server hears and acts, its answers are lost: the client cannot know what happened.
    pub fn lose_replies(&self) {
        self.change(|weather| weather.replies = Flow::Lost);
    }

    /// Holds each piece back for so long, in both directions.
    pub fn delay(&self, delay: Duration) {
        self.change(|weather| weather.delay = delay);
    }

    /// Limits each connection and direction.
    pub fn limit(&self, bytes_per_second: u64) {
        self.change(|weather| weather.bytes_per_second = Some(bytes_per_second));
    }

    /// Resets every connection once clients have sent so many more bytes: in the middle of an
    /// upload, at a place that does not depend on time.
    pub fn reset_after(&self, bytes: u64) {
        self.controls.sent.store(0, Ordering::SeqCst);
        self.change(|weather| weather.reset_after = Some(bytes));
    }
}

/// Accepts until the proxy is dropped.
async fn accept(listener: TcpListener, upstream: String, controls: Arc<Controls>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                controls.accepted.fetch_add(1, Ordering::SeqCst);
                if controls.weather.borrow().open {
                    connections.spawn(connect(client, upstream.clone(), Arc::clone(&controls)));
                }
            }
            Some(_ended) = connections.join_next() => {}
        }
    }
}

/// One connection, until either side or the test ends it.
async fn connect(mut client: TcpStream, upstream: String, controls: Arc<Controls>) {
    let mut severed = controls.severed.subscribe();
    // An upstream that refuses: closing the client's connection says so.
    let Ok(mut server) = TcpStream::connect(&upstream).await else {
        return;
    };
    let ended_by_us = tokio::select! {
        () = carry(&mut client, &mut server, &controls) => false,
        changed = severed.changed() => changed.is_ok(),
    };
    if ended_by_us && severed.borrow().1 == Severance::Reset {
        for stream in [&client, &server] {
            // Without it the connection is closed in order, which a test would notice.
            drop(stream.set_zero_linger());
        }
    }
}
