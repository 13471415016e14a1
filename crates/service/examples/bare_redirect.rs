//! The least that a server of redirects can be: axum, one handler, one constant. What playback is
//! measured beside (`tests/src/bin/playback.rs`).

#![expect(clippy::unwrap_used, reason = "a yardstick, not a service")]

use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;
use tokio::net::TcpListener;

const PLACE: &str = "https://acme-recordings.s3.eu-central-1.amazonaws.com/rec.wav";

#[tokio::main]
async fn main() {
    let address = std::env::args().nth(1).unwrap();
    let router = Router::new().route(
        "/v1/recordings/{recording_id}/playback",
        get(async || (StatusCode::FOUND, [(header::LOCATION, PLACE)])),
    );
    let listener = TcpListener::bind(address).await.unwrap();
    axum::serve(listener, router).await.unwrap();
}
