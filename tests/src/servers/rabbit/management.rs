//! RabbitMQ's management API over HTTP: twenty times quicker than its command line.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::Value;
use url::Url;

use crate::environment;

/// A call that takes longer is a broker that does not answer.
const CALL: Duration = Duration::from_secs(10);

/// What is escaped in a segment of a path: all but what never needs it.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What a queue holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth {
    /// Messages waiting for a consumer.
    pub ready: u64,
    /// Messages delivered and not yet settled.
    pub unsettled: u64,
}

/// The management API of one broker.
#[derive(Debug)]
pub struct Management {
    /// Its root, without credentials.
    root: Url,
    /// Who we are there.
    user: String,
    /// And the password.
    password: String,
}

/// One segment of a path, escaped.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// Several segments, escaped and joined.
pub(super) fn path(segments: &[&str]) -> String {
    segments
        .iter()
        .map(|text| segment(text))
        .collect::<Vec<_>>()
        .join("/")
}

impl Management {
    /// The API at `url`, which carries user and password.
    pub(super) fn new(mut url: Url) -> Result<Self> {
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let user = decode(url.username());
        let password = decode(url.password().unwrap_or_default());
        if url.set_username("").is_err() || url.set_password(None).is_err() {
            bail!("the management URL names no host");
        }
        Ok(Self {
            root: url,
            user,
            password,
        })
    }

    /// The API of the broker at an AMQP URL: told by the environment, otherwise on its usual port.
    pub(super) fn beside(amqp: &Url) -> Result<Self> {
        if let Some(told) = environment::management_url() {
            return Self::new(Url::parse(&told).context("CALLFERRY_MANAGEMENT_URL")?);
        }
        let host = amqp.host_str().context("the broker's URL has no host")?;
        let (user, password) = (amqp.username(), amqp.password().unwrap_or_default());
        Self::new(Url::parse(&format!(
            "http://{user}:{password}@{host}:15672"
        ))?)
    }

    /// Its address, without credentials.
    #[must_use]
    pub fn url(&self) -> String {
        self.root.as_str().trim_end_matches('/').to_owned()
    }

    /// Its address with user and password, for [`environment::management_url`] of a child.
    ///
    /// # Errors
    /// When they cannot stand in a URL.
    pub fn url_with_credentials(&self) -> Result<String> {
        let mut url = self.root.clone();
        if url.set_username(&self.user).is_err() || url.set_password(Some(&self.password)).is_err()
        {
            bail!("the management URL names no host");
        }
        Ok(url.into())
    }

    /// Our user there.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// One call; `path` begins with `/api/` and is already escaped. An empty answer is `Null`.
    ///
    /// # Errors
    /// When it cannot be reached, answers anything but success, or not JSON.
    pub async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Result<Value> {
        // A client for each call: its connections belong to the runtime it was used on, and tests
        // have one runtime each.
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(CALL)
            .build()?;
        let method = reqwest::Method::from_bytes(method.as_bytes())?;
        let target = format!("{}{path}", self.url());
        let mut request = client.request(method.clone(), &target);
        request = request.basic_auth(&self.user, Some(&self.password));
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let response = request.send().await.context("calling the management API")?;
        let status = response.status();
        let text = response.text().await?;
        if !status.is_success() {
            bail!("{method} {path} on the management API: {status} {text}");
        }
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).with_context(|| format!("{method} {path} answered {text}"))
    }

    /// Whether the broker is past its boot: the API answers, and listens for AMQP.
    pub(super) async fn is_ready(&self) -> bool {
        let listeners = self.call("GET", "/api/overview", None).await;
        let Ok(overview) = listeners else {
            return false;
        };
        let listeners = overview.get("listeners").and_then(Value::as_array);
        listeners
            .into_iter()
            .flatten()
            .any(|listener| listener.get("protocol").and_then(Value::as_str) == Some("amqp"))
    }

    /// What a queue holds, as of a few seconds ago.
    pub(super) async fn depth(&self, vhost: &str, queue: &str) -> Result<Depth> {
        let path = format!("/api/queues/{}", path(&[vhost, queue]));
        let answer = self.call("GET", &path, None).await?;
        let count = |name: &str| answer.get(name).and_then(Value::as_u64).unwrap_or_default();
        let (ready, unsettled) = (count("messages_ready"), count("messages_unacknowledged"));
        Ok(Depth { ready, unsettled })
    }
}
