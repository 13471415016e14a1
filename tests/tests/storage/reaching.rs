//! Which endpoints are reached, and what becomes of redirects.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use recording::ParkReason;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::setting::{Setting, refused, settings};
use storage::StoreSettings;

#[tokio::test]
async fn a_private_address_is_refused_unless_it_is_allowed() {
    let mut it = Setting::start().await;
    let strict = StoreSettings {
        allowed_private_ranges: Vec::new(),
        ..settings(&it.lab.endpoint())
    };
    it.stores = super::setting::stores(strict);
    let port = it.lab.address().port();
    let hosts = [
        "127.0.0.1",
        "localhost",
        "[::ffff:127.0.0.1]",
        "0x7f.1",
        "169.254.169.254",
    ];
    for (number, host) in hosts.into_iter().enumerate() {
        it.destination.revision = 100 + i64::try_from(number).unwrap();
        super::setting::s3(&mut it.destination).endpoint = Some(format!("http://{host}:{port}"));
        let fault = refused(it.send("rec", b"x").await);
        assert_eq!(fault.reason, ParkReason::AddressRefused, "{host}: {fault}");
        let fault = it.look("rec").await.unwrap_err();
        assert_eq!(fault.reason, ParkReason::AddressRefused, "{host}");
    }
    assert!(it.stored("rec").is_none());
}

#[tokio::test]
async fn a_name_is_reached_when_its_address_is_allowed() {
    let mut it = Setting::start().await;
    let port = it.lab.address().port();
    super::setting::s3(&mut it.destination).endpoint = Some(format!("http://localhost:{port}"));
    super::setting::sent(it.send("rec", b"x").await);
}

#[tokio::test]
async fn plain_http_is_refused_where_it_is_not_allowed() {
    let mut it = Setting::start().await;
    let strict = StoreSettings {
        allow_http: false,
        ..settings(&it.lab.endpoint())
    };
    it.stores = super::setting::stores(strict);
    let fault = refused(it.send("rec", b"x").await);
    assert_eq!(fault.reason, ParkReason::DestinationRefused);
    assert!(it.lab.history().is_empty());
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_is_unreachable() {
    let mut it = Setting::start().await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    super::setting::s3(&mut it.destination).endpoint = Some(format!("http://{address}"));
    let fault = refused(it.send("rec", b"x").await);
    assert_eq!(fault.reason, ParkReason::DestinationUnreachable);
    let fault = it.look("rec").await.unwrap_err();
    assert_eq!(fault.reason, ParkReason::DestinationUnreachable);
}

/// Answers every connection with `answer` and counts them.
async fn stub(answer: String) -> (String, Arc<AtomicU32>, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let calls = Arc::<AtomicU32>::default();
    let count = Arc::clone(&calls);
    let mut listening = JoinSet::new();
    listening.spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let mut request = vec![0; 16 * 1024];
            if client.read(&mut request).await.is_ok() {
                client.write_all(answer.as_bytes()).await.unwrap();
                client.shutdown().await.unwrap();
            }
        }
    });
    (endpoint, calls, listening)
}

#[tokio::test]
async fn a_redirect_is_never_followed() {
    let mut it = Setting::start().await;
    let (inside, visits, _inside) =
        stub("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".into()).await;
    for (number, status) in ["301 Moved", "307 Temporary Redirect"]
        .into_iter()
        .enumerate()
    {
        let answer =
            format!("HTTP/1.1 {status}\r\nlocation: {inside}/calls/x\r\ncontent-length: 0\r\n\r\n");
        let (endpoint, calls, _listening) = stub(answer).await;
        it.destination.revision = 200 + i64::try_from(number).unwrap();
        super::setting::s3(&mut it.destination).endpoint = Some(endpoint);
        let fault = refused(it.send("rec", b"x").await);
        assert_eq!(fault.reason, ParkReason::WrongRegion);
        let fault = it.look("rec").await.unwrap_err();
        assert_eq!(fault.reason, ParkReason::WrongRegion);
        assert!(calls.load(Ordering::SeqCst) >= 2);
    }
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_answer_that_is_not_s3s_is_never_taken_for_success_or_absence() {
    let mut it = Setting::start().await;
    let page = "<html>welcome</html>";
    let answer = format!(
        "HTTP/1.1 404 Not Found\r\ncontent-length: {}\r\n\r\n{page}",
        page.len()
    );
    let (endpoint, _calls, _listening) = stub(answer).await;
    super::setting::s3(&mut it.destination).endpoint = Some(endpoint);
    assert!(it.look("rec").await.is_err());
    refused(it.send("rec", b"x").await);
}
