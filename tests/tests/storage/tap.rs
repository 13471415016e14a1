//! A tap on the line to STS: passes everything on and keeps what was answered, so that a test can
//! take a session of ours and try what it must not be able to do.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Ends with its handle.
pub(crate) struct Tap {
    pub(crate) endpoint: String,
    heard: Arc<Mutex<Vec<u8>>>,
    _listening: JoinSet<()>,
}

impl Tap {
    pub(crate) async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let heard = Arc::<Mutex<Vec<u8>>>::default();
        let mut listening = JoinSet::new();
        let ear = Arc::clone(&heard);
        listening.spawn(async move {
            let mut lines = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                lines.spawn(carry(client, server, Arc::clone(&ear)));
            }
        });
        Self {
            endpoint,
            heard,
            _listening: listening,
        }
    }

    /// The texts of all elements of this name, in the order of the answers.
    pub(crate) fn elements(&self, name: &str) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        let text = String::from_utf8_lossy(&heard);
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let pieces = text.split(&open).skip(1);
        pieces
            .filter_map(|piece| piece.split_once(&close))
            .map(|(text, _)| text.to_owned())
            .collect()
    }
}

async fn carry(client: TcpStream, server: SocketAddr, ear: Arc<Mutex<Vec<u8>>>) {
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let there = tokio::io::copy(&mut from_client, &mut to_server);
    let back = async {
        let mut piece = vec![0; 16 * 1024];
        while let Ok(len @ 1..) = from_server.read(&mut piece).await {
            ear.lock().unwrap().extend_from_slice(&piece[..len]);
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
