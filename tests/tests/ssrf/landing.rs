//! Where an attempt would land: listeners on loopback addresses that count who comes.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use storage::Lookup;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A listener that answers everybody with the same bytes and closes.
pub(crate) struct Landing {
    pub(crate) port: u16,
    visits: Arc<AtomicU32>,
    _listening: JoinSet<()>,
}

impl Landing {
    pub(crate) async fn at(address: &str, port: u16, answer: &str) -> io::Result<Self> {
        let listener = TcpListener::bind((address, port)).await?;
        let port = listener.local_addr()?.port();
        let visits = Arc::<AtomicU32>::default();
        let (count, answer) = (Arc::clone(&visits), answer.to_owned());
        let mut listening = JoinSet::new();
        listening.spawn(async move {
            let mut visitors = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let answer = answer.clone();
                visitors.spawn(async move {
                    let mut request = vec![0; 64 * 1024];
                    if client.read(&mut request).await.is_ok() {
                        drop(client.write_all(answer.as_bytes()).await);
                        drop(client.shutdown().await);
                    }
                });
            }
        });
        Ok(Self {
            port,
            visits,
            _listening: listening,
        })
    }

    pub(crate) fn visits(&self) -> u32 {
        self.visits.load(Ordering::SeqCst)
    }
}

/// A resolver that says what a test tells it, one answer after the other; the last one stays.
#[derive(Debug, Default)]
pub(crate) struct Names {
    answers: Mutex<BTreeMap<String, Vec<Vec<IpAddr>>>>,
    asked: AtomicU32,
}

impl Names {
    pub(crate) fn set(&self, name: &str, answers: &[&[&str]]) {
        let address = |text: &&str| text.parse().unwrap();
        let answers = answers.iter().map(|all| all.iter().map(address).collect());
        let mut known = self.answers.lock().unwrap();
        known.insert(name.to_owned(), answers.collect());
    }

    pub(crate) fn asked(&self) -> u32 {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Lookup for Names {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut known = self.answers.lock().unwrap();
        let Some(answers) = known.get_mut(name) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        Ok(match answers.len() {
            0 | 1 => answers.first().cloned().unwrap_or_default(),
            _ => answers.remove(0),
        })
    }
}
