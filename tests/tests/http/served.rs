//! A process that serves, and somebody who asks it. Every answer is held against the contract.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use callferry_tests::fleet::Member;
use callferry_tests::issuer::{AUDIENCE, Algorithm, ISSUER, IssuerKey, claims};
use callferry_tests::platform::Platform;
use callferry_tests::ports::free_port;
use callferry_tests::scratch::Scratch;
use reqwest::Method;
use serde_json::{Value, json};

use super::contract;

/// Bounds every wait; nothing is judged by how long it took.
pub(crate) const LONG: Duration = Duration::from_secs(120);

/// Every scope there is.
pub(crate) const EVERYTHING: &str = "accounts:read accounts:write destinations:read \
    destinations:write recordings:read recordings:play parked:read parked:write quarantine:read \
    quarantine:write status:read audit:read recordings:erase holds:read holds:write \
    retention:read retention:write";

/// A platform with a process that serves.
pub(crate) struct Served {
    pub(crate) member: Member,
    pub(crate) platform: Platform,
    /// The issuer's key that the process knows.
    pub(crate) key: IssuerKey,
    pub(crate) root: String,
    /// Must live longer than the servers.
    pub(crate) scratch: Scratch,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
    pub(crate) json: Value,
}

impl Answered {
    /// The answer, if it has this status.
    #[track_caller]
    pub(crate) fn must(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json
    }

    /// Everything that may not differ between what is foreign and what is not there.
    pub(crate) fn essence(&self) -> (u16, String, Vec<(String, String)>) {
        let mut headers = Vec::new();
        for (name, value) in &self.headers {
            if !["x-request-id", "date"].contains(&name.as_str()) {
                headers.push((
                    name.to_string(),
                    String::from_utf8_lossy(value.as_bytes()).into(),
                ));
            }
        }
        headers.sort();
        (self.status, self.text.clone(), headers)
    }
}

/// The variables of a process that serves.
pub(crate) fn variables(address: &str, keys: &str) -> Vec<(&'static str, String)> {
    vec![
        ("CALLFERRY_HTTP_ADDR", address.to_owned()),
        ("CALLFERRY_JWT_ISSUER", ISSUER.to_owned()),
        ("CALLFERRY_JWT_AUDIENCE", AUDIENCE.to_owned()),
        ("CALLFERRY_JWT_KEYS", keys.to_owned()),
        ("CALLFERRY_HTTP_SUBJECT_RATE", "1000".to_owned()),
        ("CALLFERRY_HTTP_ACCOUNT_RATE", "1000".to_owned()),
    ]
}

/// Starts a process that serves with these keys, and variables of its own.
pub(crate) async fn start(
    platform: &Platform,
    keys: &str,
    own: &[(&str, &str)],
) -> Result<(Member, String)> {
    let address = format!("127.0.0.1:{}", free_port()?);
    let variables = variables(&address, keys);
    let mut all: Vec<_> = variables.iter().map(|(k, v)| (*k, v.as_str())).collect();
    all.extend(own);
    let name = format!("playback-{}", address.replace([':', '.'], "-"));
    let mut member = platform.fleet.start_with(&name, &["playback"], &all)?;
    member.ready(LONG).await?;
    Ok((member, format!("http://{address}")))
}

fn written(dir: &Path, key: &IssuerKey) -> Result<String> {
    let file = dir.join("issuer.pem");
    std::fs::write(&file, key.public_pem())?;
    Ok(file.display().to_string())
}

impl Served {
    /// Servers, a platform and a process that serves.
    pub(crate) async fn new(name: &str, own: &[(&str, &str)]) -> Result<Self> {
        let scratch = Scratch::new(name)?;
        let platform = Platform::start(scratch.path()).await?;
        Self::of(platform, scratch, own).await
    }

    /// The same over a platform that is there.
    pub(crate) async fn of(
        platform: Platform,
        scratch: Scratch,
        own: &[(&str, &str)],
    ) -> Result<Self> {
        let key = IssuerKey::new(Algorithm::EdDSA)?;
        let keys = written(scratch.path(), &key)?;
        let (member, root) = start(&platform, &keys, own).await?;
        Ok(Self {
            member,
            platform,
            key,
            root,
            scratch,
        })
    }

    /// A good token.
    pub(crate) fn token(&self, account: Option<&str>, scope: &str) -> Result<String> {
        let header = json!({"alg": "EdDSA", "typ": "JWT"});
        let claims = claims("tester", account, scope);
        self.key.sign(Algorithm::EdDSA, &header, &claims)
    }

    /// Asks as an administrator who may everything.
    pub(crate) async fn ask(&self, what: &str, body: Option<Value>) -> Result<Answered> {
        let token = self.token(None, EVERYTHING)?;
        self.ask_as(&token, what, body).await
    }

    /// Asks with a token; `what` is a method and a path.
    pub(crate) async fn ask_as(
        &self,
        token: &str,
        what: &str,
        body: Option<Value>,
    ) -> Result<Answered> {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str())];
        let answered = ask(&self.root, what, &headers, body).await?;
        contract::assert_fits(what, &answered);
        Ok(answered)
    }
}

/// Asks with any headers.
pub(crate) async fn ask(
    root: &str,
    what: &str,
    headers: &[(&str, &str)],
    body: Option<Value>,
) -> Result<Answered> {
    let (method, path) = what.split_once(' ').context("a method and a path")?;
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(LONG)
        .build()?;
    let method = Method::from_bytes(method.as_bytes())?;
    let mut request = client.request(method, format!("{root}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if let Some(body) = body {
        request = request
            .header("content-type", "application/json")
            .body(body.to_string());
    }
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await?;
    Ok(Answered {
        status,
        headers,
        json: serde_json::from_str(&text).unwrap_or_default(),
        text,
    })
}
