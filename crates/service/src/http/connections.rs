//! Connections: how many there may be, how large a request's head, and how slowly anybody may send
//! or take. One who is too slow is cut off; nobody else waits for them.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use telemetry::Metrics;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use super::origin::Peer;
use crate::failure::Failure;

/// Connections at once.
const CONNECTIONS_MAX: usize = 512;
/// How long a request's head may take to arrive, and how long a connection may be idle before it.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
/// How long somebody may take nothing of an answer, or send nothing of a body.
const STALL_MAX: Duration = Duration::from_secs(10);
/// The largest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// The most headers of a request.
const HEADERS_MAX: usize = 64;
/// How long nothing is accepted after accepting failed, for want of files for instance.
const BREATHER: Duration = Duration::from_millis(500);

/// Takes the port, so that a second process on it fails at once and says so.
pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| {
        let hint = if error.kind() == ErrorKind::AddrInUse {
            "another process has it; choose another with CALLFERRY_HTTP_ADDR=127.0.0.1:8081 or so"
        } else {
            "CALLFERRY_HTTP_ADDR must be an address of this machine with a port that is ours to \
             take: 127.0.0.1:8080, or 0.0.0.0:8080 for every address it has"
        };
        Failure::failed(format!("the HTTP port {address}: {error}"))
            .hint(hint)
            .into()
    })
}

/// Serves until `stop` fires, and then until what is being answered is answered.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) -> Result<()> {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut open = JoinSet::new();
    loop {
        metrics.http_connections(open.len());
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = open.join_next() => {
                note(ended);
                continue;
            }
            accepted = accept(&listener, &places) => accepted,
        };
        match accepted {
            Ok((stream, peer, place)) => {
                let one = one((stream, peer), router.clone(), stop.clone(), place);
                open.spawn(one);
            }
            Err(error) => {
                tracing::warn!(error = %error, "no connection can be accepted");
                sleep(BREATHER).await;
            }
        }
    }
    drop(listener);
    while let Some(ended) = open.join_next().await {
        metrics.http_connections(open.len());
        note(ended);
    }
    Ok(())
}

/// A handler that panicked took its own connection with it, and nothing else.
fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(error = %error, "answering a request failed");
    }
}

/// The next connection, once there is a place for it: who comes when all are taken waits in the
/// system's queue.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, Peer, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await;
    let place = place.map_err(std::io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, Peer(peer.ip()), place))
}

/// One connection, to its end.
async fn one(
    (stream, peer): (TcpStream, Peer),
    router: Router,
    stop: CancellationToken,
    place: OwnedSemaphorePermit,
) {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(STALL_MAX));
    let stream = TokioIo::new(Box::pin(stream));
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut router = router.clone();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        async move { router.call(request).await }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(stream, service);
    let mut connection = std::pin::pin!(connection);
    let mut stopping = false;
    let ended = loop {
        tokio::select! {
            ended = connection.as_mut() => break ended,
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    };
    if let Err(error) = ended {
        // Somebody was slow, went away, or sent what is no request: theirs to know.
        tracing::debug!(error = %error, "a connection ended early");
    }
    drop(place);
}
