//! The operations port: `/metrics`, `/livez`, `/readyz`. It answers from the first moment of the
//! process, also while the ledger or the broker are down.

mod readiness;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use telemetry::Metrics;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub(crate) use readiness::{Readiness, Seen};

use crate::failure::Failure;

/// What the pages are made from.
#[derive(Clone)]
pub(crate) struct Pages {
    /// The process's metrics.
    pub(crate) metrics: Arc<Metrics>,
    /// The parts of the process and how they are.
    pub(crate) readiness: Arc<Readiness>,
}

/// Takes the port, so that a second process on it fails at once and says so.
pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| {
        Failure::failed(format!("the operations port {address}: {error}"))
            .hint(help(error.kind()))
            .into()
    })
}

/// What helps where the port cannot be taken.
fn help(kind: ErrorKind) -> &'static str {
    if kind == ErrorKind::AddrInUse {
        "another process has it; choose another with CALLFERRY_OPS_ADDR=127.0.0.1:9465 or so"
    } else if kind == ErrorKind::AddrNotAvailable {
        "CALLFERRY_OPS_ADDR must be an address of this machine: 127.0.0.1:9464, or \
         0.0.0.0:9464 for every one it has"
    } else if kind == ErrorKind::PermissionDenied {
        "ports below 1024 are not for everybody; choose another with CALLFERRY_OPS_ADDR"
    } else {
        "choose another with CALLFERRY_OPS_ADDR, as in 127.0.0.1:9464"
    }
}

/// Serves the pages until `stop` fires.
pub(crate) async fn serve(
    listener: TcpListener,
    pages: Pages,
    stop: CancellationToken,
) -> Result<()> {
    let router = Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(pages);
    axum::serve(listener, router)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
        .context("serving the operations port")
}

async fn readyz(State(pages): State<Pages>) -> Response {
    let report = pages.readiness.report();
    let status = if report.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(report)).into_response()
}

async fn metrics(State(pages): State<Pages>) -> Response {
    match pages.metrics.text() {
        Ok(text) => {
            let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
            (kind, text).into_response()
        }
        Err(error) => {
            let why = format!("the metrics cannot be written: {error}\n");
            (StatusCode::INTERNAL_SERVER_ERROR, why).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_that_cannot_be_taken_is_refused_with_what_helps_just_there() {
        let taken = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let twice = bind(taken.local_addr().unwrap()).await.unwrap_err();
        let hint = crate::failure::hint(&twice).unwrap();
        assert!(hint.contains("another process"), "{hint}");
        // An address for documentation: no machine has it.
        let foreign = bind(SocketAddr::from(([192, 0, 2, 1], 9464))).await;
        let foreign = foreign.unwrap_err();
        let hint = crate::failure::hint(&foreign).unwrap();
        assert!(hint.contains("of this machine"), "{hint}");
    }

    #[tokio::test]
    async fn readiness_and_metrics_say_which_part_is_missing() {
        let pages = Pages {
            metrics: Metrics::new().unwrap(),
            readiness: Arc::new(Readiness::default()),
        };
        let not_yet = readyz(State(pages.clone())).await;
        assert_eq!(not_yet.status(), StatusCode::SERVICE_UNAVAILABLE);
        pages.readiness.note("ledger", Seen::down("no answer"));
        pages.readiness.note("staging", Seen::fine("marked"));
        pages.readiness.started();
        assert!(!pages.readiness.report().ready);
        let readiness = Arc::clone(&pages.readiness);
        let parts_ready = Box::new(move || readiness.parts_ready());
        pages.metrics.watch_parts(parts_ready);
        let text = pages.metrics.text().unwrap();
        assert!(
            text.contains("callferry_part_ready{part=\"ledger\"} 0"),
            "{text}"
        );
        assert!(
            text.contains("callferry_part_ready{part=\"staging\"} 1"),
            "{text}"
        );
        pages.readiness.note("ledger", Seen::fine("answers"));
        assert_eq!(readyz(State(pages.clone())).await.status(), StatusCode::OK);
        pages.readiness.stopping();
        let stopping = readyz(State(pages)).await;
        assert_eq!(stopping.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
