//! The listening socket and the connections on it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use s3s::service::S3ServiceBuilder;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::access::Gate;
use super::emulator::Emulator;
use super::front::Front;
use super::lab::Lab;
use super::store::Store;
use super::sts::Sts;

/// A running server. Dropping it cuts every connection.
pub(crate) struct Listening {
    pub(crate) address: SocketAddr,
    tasks: JoinSet<()>,
}

impl Listening {
    /// Starts to answer on the caller's runtime.
    pub(crate) async fn start(
        address: SocketAddr,
        lab: Arc<Lab>,
        store: Arc<Store>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let gate = Gate {
            lab: Arc::clone(&lab),
        };
        let mut builder = S3ServiceBuilder::new(Emulator {
            lab: Arc::clone(&lab),
            store,
        });
        builder.set_auth(gate.clone());
        builder.set_access(gate);
        builder.set_route(Sts {
            lab: Arc::clone(&lab),
        });
        let front = Front {
            lab,
            s3: builder.build(),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, front));
        Ok(Self { address, tasks })
    }

    /// Cuts every connection and gives the port back.
    pub(crate) async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

async fn accept(listener: TcpListener, front: Front) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, front.clone()));
                }
                Err(error) => {
                    // Out of descriptors, most likely: time may help.
                    tracing::warn!(%error, "the laboratory could not accept a connection");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
            },
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a connection of the laboratory panicked");
                }
            }
        }
    }
}

async fn serve(stream: TcpStream, front: Front) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "the client is already gone");
        return;
    }
    let service = service_fn(move |request| front.clone().answer(request));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        // Clients go away in the middle, and faults close connections: both are wanted here.
        tracing::debug!(%error, "a connection ended early");
    }
}
