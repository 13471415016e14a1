//! The proxy does to connections what it says.

use std::net::SocketAddr;
use std::time::Duration;

use callferry_tests::proxy::Proxy;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::{A_WHILE, SOON};

/// A server that sends back what it gets.
async fn echo() -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            connections.spawn(async move {
                let (mut reads, mut writes) = stream.split();
                drop(tokio::io::copy(&mut reads, &mut writes).await);
            });
        }
    });
    (address, tasks)
}

async fn say(stream: &mut TcpStream, text: &str) -> std::io::Result<String> {
    stream.write_all(text.as_bytes()).await?;
    let mut heard = vec![0; text.len()];
    stream.read_exact(&mut heard).await?;
    Ok(String::from_utf8(heard).unwrap())
}

#[tokio::test]
async fn a_proxy_carries_cuts_and_restores() {
    let (server, _tasks) = echo().await;
    let proxy = Proxy::start(&server.to_string()).await.unwrap();
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(say(&mut client, "one").await.unwrap(), "one");
    proxy.cut();
    assert_eq!(
        timeout(SOON, client.read(&mut [0; 8]))
            .await
            .unwrap()
            .unwrap(),
        0
    );
    let mut refused = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(
        timeout(SOON, say(&mut refused, "two"))
            .await
            .unwrap()
            .is_err()
    );
    proxy.restore();
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(say(&mut client, "three").await.unwrap(), "three");
    assert_eq!(proxy.accepted(), 3);
    client.shutdown().await.unwrap();
    assert_eq!(
        timeout(SOON, client.read(&mut [0; 8]))
            .await
            .unwrap()
            .unwrap(),
        0
    );
}

#[tokio::test]
async fn a_proxy_resets_at_once_and_after_a_number_of_bytes() {
    let (server, _tasks) = echo().await;
    let proxy = Proxy::start(&server.to_string()).await.unwrap();
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(say(&mut client, "one").await.unwrap(), "one");
    proxy.reset();
    let ended = timeout(SOON, client.read(&mut [0; 8])).await.unwrap();
    assert_eq!(
        ended.unwrap_err().kind(),
        std::io::ErrorKind::ConnectionReset
    );

    proxy.reset_after(100_000);
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    let (mut reads, mut writes) = client.split();
    let sent = async {
        let mut sent = 0;
        while sent < 10_000_000 && writes.write_all(&[7; 10_000]).await.is_ok() {
            sent += 10_000;
        }
        sent
    };
    let mut nowhere = tokio::io::sink();
    let (sent, _) = tokio::join!(sent, tokio::io::copy(&mut reads, &mut nowhere));
    assert!(sent < 10_000_000, "the upload went through");
    assert!(proxy.sent_bytes() >= 100_000);
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(say(&mut client, "once only").await.unwrap(), "once only");
}

#[tokio::test]
async fn a_proxy_stalls_and_loses_replies() {
    let (server, _tasks) = echo().await;
    let proxy = Proxy::start(&server.to_string()).await.unwrap();
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(say(&mut client, "one").await.unwrap(), "one");
    proxy.stall();
    assert!(timeout(A_WHILE, say(&mut client, "two")).await.is_err());
    proxy.restore();
    let mut heard = [0; 3];
    timeout(SOON, client.read_exact(&mut heard))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&heard, b"two");

    proxy.lose_replies();
    assert!(timeout(A_WHILE, say(&mut client, "lost")).await.is_err());
    proxy.restore();
    assert_eq!(say(&mut client, "kept").await.unwrap(), "kept");
}

#[tokio::test]
async fn a_proxy_delays_and_limits_by_as_much_as_it_was_told() {
    let (server, _tasks) = echo().await;
    let proxy = Proxy::start(&server.to_string()).await.unwrap();
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    proxy.delay(Duration::from_millis(100));
    let started = std::time::Instant::now();
    assert_eq!(say(&mut client, "slow").await.unwrap(), "slow");
    assert!(started.elapsed() >= Duration::from_millis(200));
    proxy.restore();
    proxy.limit(20);
    let started = std::time::Instant::now();
    assert_eq!(say(&mut client, "slow").await.unwrap(), "slow");
    assert!(started.elapsed() >= Duration::from_millis(400));
}
