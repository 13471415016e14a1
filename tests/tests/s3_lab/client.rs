//! A small S3 and STS client: signs, sends, and hands back what came.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use crc_fast::{CrcAlgorithm, checksum};
use md5::Md5;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use reqwest::header::HeaderMap;
use sha2::{Digest, Sha256};

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// Somebody with credentials.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) http: reqwest::Client,
    pub(crate) endpoint: String,
    pub(crate) key: String,
    pub(crate) secret: String,
    pub(crate) token: Option<String>,
}

/// A request before it is signed.
pub(crate) struct Ask {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    unsigned_headers: Vec<(String, String)>,
    body: Vec<u8>,
    payload: Option<String>,
    service: &'static str,
    age: TimeDelta,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// The text of the first element of this name.
    pub(crate) fn element(&self, name: &str) -> Option<String> {
        let text = self.text();
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        let (inner, _) = rest.split_once(&format!("</{name}>"))?;
        Some(inner.to_owned())
    }

    /// How many elements of this name there are.
    pub(crate) fn elements(&self, name: &str) -> usize {
        self.text().matches(&format!("<{name}>")).count()
    }

    pub(crate) fn etag(&self) -> String {
        self.header("etag").unwrap().to_owned()
    }

    /// Status and error code together: what refusals are compared by.
    pub(crate) fn refusal(&self) -> (u16, String) {
        (self.status, self.element("Code").unwrap_or_default())
    }
}

impl Ask {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.parse().unwrap(),
            path: path.to_owned(),
            query: Vec::new(),
            headers: Vec::new(),
            unsigned_headers: Vec::new(),
            body: Vec::new(),
            payload: Some(UNSIGNED.to_owned()),
            service: "s3",
            age: TimeDelta::zero(),
        }
    }

    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A header added after signing.
    pub(crate) fn unsigned_header(mut self, name: &str, value: &str) -> Self {
        let header = (name.to_owned(), value.to_owned());
        self.unsigned_headers.push(header);
        self
    }

    pub(crate) fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    /// Signs the payload's hash instead of leaving the payload unsigned.
    pub(crate) fn signed_payload(mut self) -> Self {
        self.payload = Some(hex::encode(Sha256::digest(&self.body)));
        self
    }

    /// Says this about the payload.
    pub(crate) fn payload(mut self, payload: &str) -> Self {
        self.payload = Some(payload.to_owned());
        self
    }

    pub(crate) fn service(mut self, service: &'static str) -> Self {
        self.service = service;
        self
    }

    /// Signed so long ago.
    pub(crate) fn signed_ago(mut self, age: TimeDelta) -> Self {
        self.age = age;
        self
    }
}

impl Client {
    pub(crate) fn new(endpoint: &str, key: &str, secret: &str) -> Self {
        Self {
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            endpoint: endpoint.to_owned(),
            key: key.to_owned(),
            secret: secret.to_owned(),
            token: None,
        }
    }

    pub(crate) async fn put(&self, path: &str, body: &[u8]) -> Answer {
        self.send(Ask::new("PUT", path).body(body)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Ask::new("GET", path)).await
    }

    /// HEAD with checksum mode.
    pub(crate) async fn head(&self, path: &str) -> Answer {
        let ask = Ask::new("HEAD", path).header("x-amz-checksum-mode", "ENABLED");
        self.send(ask).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Ask::new("DELETE", path)).await
    }

    /// An STS request with these parameters.
    pub(crate) async fn sts(&self, parameters: &[(&str, &str)]) -> Answer {
        self.form("sts", parameters).await
    }

    /// A request of a service that takes forms.
    pub(crate) async fn form(&self, service: &'static str, parameters: &[(&str, &str)]) -> Answer {
        let pairs = parameters.iter().map(|(k, v)| format!("{k}={}", enc(v)));
        let form = pairs.collect::<Vec<_>>().join("&");
        let mut ask = Ask::new("POST", "/").body(form.as_bytes()).service(service);
        ask.payload = None;
        let content_type = "application/x-www-form-urlencoded; charset=utf-8";
        self.send(ask.header("content-type", content_type)).await
    }

    pub(crate) async fn send(&self, ask: Ask) -> Answer {
        self.try_send(ask).await.unwrap()
    }

    /// Fails when the connection is closed without an answer.
    pub(crate) async fn try_send(&self, ask: Ask) -> reqwest::Result<Answer> {
        let (url, headers) = self.signed(&ask);
        let mut request = self.http.request(ask.method, url).body(ask.body);
        for (name, value) in headers.iter().chain(&ask.unsigned_headers) {
            request = request.header(name, value);
        }
        let response = request.send().await?;
        Ok(Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await?.to_vec(),
        })
    }

    /// A URL that carries its own authorisation.
    pub(crate) fn presigned(
        &self,
        method: &str,
        path: &str,
        valid_s: u32,
        age: TimeDelta,
    ) -> String {
        let at = now() - age;
        let date = at.format("%Y%m%dT%H%M%SZ").to_string();
        let scope = scope(&at, "s3");
        let mut query = vec![
            ("X-Amz-Algorithm".into(), "AWS4-HMAC-SHA256".into()),
            ("X-Amz-Credential".into(), format!("{}/{scope}", self.key)),
            ("X-Amz-Date".into(), date.clone()),
            ("X-Amz-Expires".into(), valid_s.to_string()),
            ("X-Amz-SignedHeaders".into(), "host".into()),
        ];
        if let Some(token) = &self.token {
            query.push(("X-Amz-Security-Token".into(), token.clone()));
        }
        let query = canonical_query(&query);
        let path = canonical_path(path);
        let host = self.endpoint.strip_prefix("http://").unwrap();
        let canonical = format!("{method}\n{path}\n{query}\nhost:{host}\n\nhost\n{UNSIGNED}");
        let signature = self.signature(&canonical, &date, &scope);
        format!(
            "{}{path}?{query}&X-Amz-Signature={signature}",
            self.endpoint
        )
    }

    fn signed(&self, ask: &Ask) -> (String, Vec<(String, String)>) {
        let at = now() - ask.age;
        let date = at.format("%Y%m%dT%H%M%SZ").to_string();
        let scope = scope(&at, ask.service);
        let host = self.endpoint.strip_prefix("http://").unwrap();
        let mut headers = ask.headers.clone();
        headers.push(("host".into(), host.into()));
        headers.push(("x-amz-date".into(), date.clone()));
        if let Some(payload) = &ask.payload {
            headers.push(("x-amz-content-sha256".into(), payload.clone()));
        }
        if let Some(token) = &self.token {
            headers.push(("x-amz-security-token".into(), token.clone()));
        }
        headers.sort();
        let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        let names = names.join(";");
        let lines = headers
            .iter()
            .map(|(name, value)| format!("{name}:{value}\n"));
        let lines: String = lines.collect();
        let hash = hex::encode(Sha256::digest(&ask.body));
        let payload = ask.payload.clone().unwrap_or(hash);
        let query = canonical_query(&ask.query);
        let path = canonical_path(&ask.path);
        let canonical = format!(
            "{}\n{path}\n{query}\n{lines}\n{names}\n{payload}",
            ask.method
        );
        let signature = self.signature(&canonical, &date, &scope);
        let key = &self.key;
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={names}, \
             Signature={signature}"
        );
        headers.push(("authorization".into(), authorization));
        let mark = if query.is_empty() { "" } else { "?" };
        (format!("{}{path}{mark}{query}", self.endpoint), headers)
    }

    fn signature(&self, canonical: &str, date: &str, scope: &str) -> String {
        let hash = hex::encode(Sha256::digest(canonical));
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hash}");
        let mut key = format!("AWS4{}", self.secret).into_bytes();
        for part in scope.split('/') {
            key = hmac(&key, part.as_bytes());
        }
        hex::encode(hmac(&key, text.as_bytes()))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a signature carries the real time"
)]
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}

fn scope(at: &DateTime<Utc>, service: &str) -> String {
    format!("{}/us-east-1/{service}/aws4_request", at.format("%Y%m%d"))
}

fn enc(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

fn canonical_path(path: &str) -> String {
    let segments: Vec<String> = path.split('/').map(enc).collect();
    segments.join("/")
}

fn canonical_query(pairs: &[(String, String)]) -> String {
    let mut pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", enc(name), enc(value)))
        .collect();
    pairs.sort();
    pairs.join("&")
}

fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(key);
    let pad = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text);
    let outer = Sha256::new().chain_update(pad(0x5c));
    outer.chain_update(inner.finalize()).finalize().to_vec()
}

pub(crate) fn md5_hex(bytes: &[u8]) -> String {
    hex::encode(Md5::digest(bytes))
}

pub(crate) fn md5_base64(bytes: &[u8]) -> String {
    STANDARD.encode(Md5::digest(bytes))
}

pub(crate) fn sha256_base64(bytes: &[u8]) -> String {
    STANDARD.encode(Sha256::digest(bytes))
}

pub(crate) fn crc64_base64(bytes: &[u8]) -> String {
    STANDARD.encode(checksum(CrcAlgorithm::Crc64Nvme, bytes).to_be_bytes())
}
