//! Carries the bytes of one connection through the weather.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::sleep;

use super::{Controls, Flow, Weather};

/// The largest piece carried at once, bytes.
const PIECE: usize = 16 * 1024;

/// Which way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    /// From the client to the server.
    Requests,
    /// From the server to the client.
    Replies,
}

impl Direction {
    fn flow(self, weather: &Weather) -> Flow {
        match self {
            Self::Requests => weather.requests,
            Self::Replies => weather.replies,
        }
    }
}

/// Carries both directions until both have ended.
pub(super) async fn carry(client: &mut TcpStream, server: &mut TcpStream, controls: &Controls) {
    let (mut client_reads, mut client_writes) = client.split();
    let (mut server_reads, mut server_writes) = server.split();
    let requests = pump(
        Direction::Requests,
        &mut client_reads,
        &mut server_writes,
        controls,
    );
    let replies = pump(
        Direction::Replies,
        &mut server_reads,
        &mut client_writes,
        controls,
    );
    // A broken connection ends both directions, an orderly end only its own.
    drop(tokio::try_join!(requests, replies));
}

/// Carries one direction until its source ends, and passes the end on.
async fn pump(
    direction: Direction,
    from: &mut ReadHalf<'_>,
    to: &mut WriteHalf<'_>,
    controls: &Controls,
) -> io::Result<()> {
    let mut weather = controls.weather.subscribe();
    let mut piece = vec![0; PIECE];
    loop {
        until_not_stalled(direction, &mut weather).await;
        let read = tokio::select! {
            read = from.read(&mut piece) => read?,
            // It may be stalled now: nothing may be read that was not yet on its way.
            _ = weather.changed() => continue,
        };
        let Some(bytes) = piece.get(..read).filter(|bytes| !bytes.is_empty()) else {
            until_not_stalled(direction, &mut weather).await;
            return to.shutdown().await;
        };
        let (delay, rate) = {
            let now = weather.borrow();
            (now.delay, now.bytes_per_second)
        };
        sleep(delay).await;
        if let Some(rate) = rate.filter(|rate| *rate > 0) {
            sleep(taking(bytes.len(), rate)).await;
        }
        until_not_stalled(direction, &mut weather).await;
        let flow = direction.flow(&weather.borrow());
        if flow == Flow::Through {
            to.write_all(bytes).await?;
        }
        if direction == Direction::Requests {
            controls.count(u64::try_from(read).unwrap_or(u64::MAX));
        }
    }
}

/// How long so many bytes take at that rate.
fn taking(bytes: usize, bytes_per_second: u64) -> Duration {
    let micros = u64::try_from(bytes)
        .unwrap_or(u64::MAX)
        .saturating_mul(1_000_000);
    Duration::from_micros(micros / bytes_per_second)
}

async fn until_not_stalled(direction: Direction, weather: &mut watch::Receiver<Weather>) {
    let moving = |weather: &Weather| direction.flow(weather) != Flow::Stalled;
    // The sender lives for as long as the connection does.
    drop(weather.wait_for(moving).await);
}
