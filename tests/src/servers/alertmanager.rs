//! A private Alertmanager: what Prometheus tells it is what would wake somebody.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::child::{Launch, Supervised};
use crate::ports::free_port;
use crate::servers::prometheus::is_installed;
use crate::{patience, scratch};

/// It answers within a second, and many times that on a busy machine.
const READY: Duration = Duration::from_secs(60);
/// Debian's name for it.
const PROGRAM: &str = "prometheus-alertmanager";

/// A running Alertmanager.
#[derive(Debug)]
pub struct Alertmanager {
    /// Its process.
    server: Supervised,
    /// Where it listens, `host:port`.
    address: String,
    /// Asks it.
    client: reqwest::Client,
}

impl Alertmanager {
    /// Starts it with its state in `dir`; it notifies nobody. When it is not installed that is
    /// said loudly and `None` returned: the test is then skipped, not passed.
    ///
    /// # Errors
    /// When it is installed and does not come up: with the end of its log.
    pub async fn start(dir: &Path) -> Result<Option<Self>> {
        if !is_installed(PROGRAM) {
            let why = "not installed; deploy/local/install.sh prometheus gets it";
            scratch::skip(PROGRAM, why)?;
            return Ok(None);
        }
        fs::create_dir_all(dir)?;
        let config = dir.join("alertmanager.yml");
        let nobody = json!({"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]});
        fs::write(&config, nobody.to_string())?;
        let address = format!("127.0.0.1:{}", free_port()?);
        let launch = Launch::new(PROGRAM, PROGRAM, &dir.join("alertmanager.log"));
        let server = launch.args([
            format!("--config.file={}", config.display()),
            format!("--storage.path={}", dir.join("data").display()),
            format!("--web.listen-address={address}"),
            // No cluster: nothing is listened to but the address above.
            "--cluster.listen-address=".to_owned(),
        ]);
        let mut manager = Self {
            server: server.start()?,
            address,
            client: reqwest::Client::builder().no_proxy().build()?,
        };
        let ready = format!("http://{}/-/ready", manager.address);
        patience::until("Alertmanager is ready", READY, async || {
            manager.server.must_run()?;
            let answer = manager.client.get(&ready).send().await;
            Ok(answer
                .is_ok_and(|answer| answer.status().is_success())
                .then_some(()))
        })
        .await?;
        Ok(Some(manager))
    }

    /// Where Prometheus sends alerts to, `host:port`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The alerts that somebody would be told of now, each with its labels and annotations.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn alerts(&self) -> Result<Vec<Value>> {
        let url = format!("http://{}/api/v2/alerts", self.address);
        let answer = self.client.get(url).send().await?.text().await?;
        let answer: Value = serde_json::from_str(&answer)?;
        let alerts = answer.as_array().cloned();
        alerts.with_context(|| format!("Alertmanager answers {answer}"))
    }
}
