//! An ear on the line to a token service: passes everything on and keeps what was answered, so that
//! sessions and tokens are known that nobody gave to the test.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Ends with its handle.
pub(crate) struct Ear {
    pub(crate) origin: String,
    heard: Arc<Mutex<Vec<u8>>>,
    _listening: JoinSet<()>,
}

impl Ear {
    pub(crate) async fn at(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let heard = Arc::<Mutex<Vec<u8>>>::default();
        let kept = Arc::clone(&heard);
        let mut listening = JoinSet::new();
        listening.spawn(async move {
            let mut lines = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                lines.spawn(carry(client, server, Arc::clone(&kept)));
            }
        });
        Self {
            origin,
            heard,
            _listening: listening,
        }
    }

    /// Everything between these two, each time.
    pub(crate) fn between(&self, open: &str, close: &str) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        let text = String::from_utf8_lossy(&heard);
        let pieces = text.split(open).skip(1);
        let found = pieces.filter_map(|piece| piece.split_once(close));
        found.map(|(text, _)| text.to_owned()).collect()
    }
}

async fn carry(client: TcpStream, server: SocketAddr, kept: Arc<Mutex<Vec<u8>>>) {
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let there = tokio::io::copy(&mut from_client, &mut to_server);
    let back = async {
        let mut piece = vec![0; 16 * 1024];
        while let Ok(len @ 1..) = from_server.read(&mut piece).await {
            kept.lock().unwrap().extend_from_slice(&piece[..len]);
            if to_client.write_all(&piece[..len]).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        _ = there => {}
        () = back => {}
    }
}
