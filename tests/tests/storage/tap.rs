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

/// A server that refuses everything and sends back in every place what it was sent.
pub(crate) struct Echo {
    address: SocketAddr,
    tokens: Arc<Mutex<Vec<String>>>,
    _listening: JoinSet<()>,
}

impl Echo {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let tokens = Arc::<Mutex<Vec<String>>>::default();
        let mut listening = JoinSet::new();
        let kept = Arc::clone(&tokens);
        listening.spawn(async move {
            let mut lines = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                lines.spawn(echo(client, Arc::clone(&kept)));
            }
        });
        Self {
            address,
            tokens,
            _listening: listening,
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The tokens of sessions that it was sent.
    pub(crate) fn tokens(&self) -> Vec<String> {
        self.tokens.lock().unwrap().clone()
    }
}

/// Answers one request and closes.
async fn echo(mut client: TcpStream, tokens: Arc<Mutex<Vec<String>>>) {
    let mut request = Vec::new();
    let mut piece = vec![0; 16 * 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match client.read(&mut piece).await {
            Ok(len @ 1..) => request.extend_from_slice(&piece[..len]),
            Ok(0) | Err(_) => return,
        }
    }
    let text = String::from_utf8_lossy(&request).into_owned();
    let token = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_token = name.eq_ignore_ascii_case("x-amz-security-token");
        is_token.then(|| value.trim().to_owned())
    });
    let token = token.unwrap_or_else(|| "NONE".to_owned());
    if token != "NONE" {
        tokens.lock().unwrap().push(token.clone());
    }
    let body = format!(
        "<Error><Code>{token}</Code><Message>not authorized to perform: s3:ListBucket {token} \
         {text}</Message><Region>{token}</Region><RequestId>{token}</RequestId></Error>"
    );
    let answer = format!(
        "HTTP/1.1 403 {token}\r\nx-amz-bucket-region: {token}\r\nserver: {token}\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    drop(client.write_all(answer.as_bytes()).await);
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
