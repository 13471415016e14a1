//! A laboratory of an identity provider: keys of every kind, tokens signed with them, and a place
//! that publishes the public ones.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use chrono::Utc;
use http::{Response, StatusCode, header};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
pub use jsonwebtoken::Algorithm;
use jsonwebtoken::EncodingKey;
use rcgen::{
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Who the laboratory's tokens are from.
pub const ISSUER: &str = "https://login.laboratory.invalid/";
/// Whom they are for.
pub const AUDIENCE: &str = "callferry-laboratory";

/// A key of the issuer.
#[derive(Debug)]
pub struct IssuerKey {
    pair: KeyPair,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

fn kind(algorithm: Algorithm) -> Option<Kind> {
    let name = format!("{algorithm:?}");
    match name.as_str() {
        "ES256" => Some(Kind::P256),
        "ES384" => Some(Kind::P384),
        "EdDSA" => Some(Kind::Ed25519),
        _ if name.starts_with("RS") || name.starts_with("PS") => Some(Kind::Rsa),
        _ => None,
    }
}

impl IssuerKey {
    /// A new key that signs by this algorithm.
    ///
    /// # Errors
    /// It is not an asymmetric one.
    pub fn new(algorithm: Algorithm) -> Result<Self> {
        let kind = kind(algorithm).context("not an asymmetric algorithm")?;
        let how = match kind {
            Kind::Rsa => &PKCS_RSA_SHA256,
            Kind::P256 => &PKCS_ECDSA_P256_SHA256,
            Kind::P384 => &PKCS_ECDSA_P384_SHA384,
            Kind::Ed25519 => &PKCS_ED25519,
        };
        let pair = KeyPair::generate_for(how)?;
        Ok(Self { pair, kind })
    }

    /// The public part as PEM.
    #[must_use]
    pub fn public_pem(&self) -> String {
        self.pair.public_key_pem()
    }

    /// The private part as PEM, for tests that put it where it does not belong.
    #[must_use]
    pub fn private_pem(&self) -> String {
        self.pair.serialize_pem()
    }

    /// The public part as a JSON Web Key of this id; not for RSA, whose parts nobody takes apart
    /// here.
    ///
    /// # Errors
    /// For RSA.
    pub fn jwk(&self, kid: &str) -> Result<Value> {
        let raw = self.pair.public_key_raw();
        let text = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let curve = |name: &str, size: usize| -> Result<Value> {
            let (x, y) = (raw.get(1..=size), raw.get(size + 1..));
            let (x, y) = (x.context("no x")?, y.context("no y")?);
            Ok(json!({"kty": "EC", "crv": name, "kid": kid, "use": "sig",
                      "x": text(x), "y": text(y)}))
        };
        match self.kind {
            Kind::Rsa => anyhow::bail!("RSA keys are given out as PEM"),
            Kind::P256 => curve("P-256", 32),
            Kind::P384 => curve("P-384", 48),
            Kind::Ed25519 => Ok(json!({"kty": "OKP", "crv": "Ed25519", "kid": kid,
                                       "alg": "EdDSA", "x": text(raw)})),
        }
    }

    /// A token of this header and these claims, whatever they are.
    ///
    /// # Errors
    /// The key cannot sign by this algorithm.
    pub fn sign(&self, algorithm: Algorithm, header: &Value, claims: &Value) -> Result<String> {
        self.sign_text(algorithm, &header.to_string(), &claims.to_string())
    }

    /// The same of texts that need not be JSON.
    ///
    /// # Errors
    /// The key cannot sign by this algorithm.
    pub fn sign_text(&self, algorithm: Algorithm, header: &str, claims: &str) -> Result<String> {
        let pem = self.pair.serialize_pem();
        let key = match self.kind {
            Kind::Rsa => EncodingKey::from_rsa_pem(pem.as_bytes()),
            Kind::P256 | Kind::P384 => EncodingKey::from_ec_pem(pem.as_bytes()),
            Kind::Ed25519 => EncodingKey::from_ed_pem(pem.as_bytes()),
        };
        signed(&key?, algorithm, header, claims)
    }
}

/// A token that is signed with a shared secret.
///
/// # Errors
/// The algorithm is another kind's.
pub fn sign_with_secret(secret: &[u8], header: &Value, claims: &Value) -> Result<String> {
    let key = EncodingKey::from_secret(secret);
    signed(
        &key,
        Algorithm::HS256,
        &header.to_string(),
        &claims.to_string(),
    )
}

fn signed(key: &EncodingKey, algorithm: Algorithm, header: &str, claims: &str) -> Result<String> {
    let part = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let message = format!("{}.{}", part(header), part(claims));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, algorithm)?;
    Ok(format!("{message}.{signature}"))
}

/// The claims of a good token of five minutes.
#[must_use]
pub fn claims(subject: &str, account: Option<&str>, scope: &str) -> Value {
    #[expect(clippy::disallowed_methods, reason = "an issuer's clock is the wall's")]
    let now = Utc::now().timestamp();
    let mut claims = json!({"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "scope": scope,
                            "nbf": now - 5, "exp": now + 300, "iat": now});
    if let (Some(account), Some(fields)) = (account, claims.as_object_mut()) {
        fields.insert("account_id".to_owned(), json!(account));
    }
    claims
}

/// What the place of keys answers.
#[derive(Debug, Clone)]
pub enum KeyAnswer {
    /// This set.
    Keys(Vec<Value>),
    /// This text.
    Text(String),
    /// Nothing but a status.
    Status(u16),
    /// A redirect to somewhere else.
    Elsewhere(String),
}

#[derive(Debug)]
struct State {
    answer: KeyAnswer,
    asked: u64,
}

/// A place that publishes keys, over plain http. Dropping it ends it.
#[derive(Debug)]
pub struct KeyPlace {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    _tasks: JoinSet<()>,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl KeyPlace {
    /// Starts it.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(answer: KeyAnswer) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State { answer, asked: 0 }));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&state)));
        Ok(Self {
            address,
            state,
            _tasks: tasks,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/keys", self.address)
    }

    /// What it answers from now on.
    pub fn answers(&self, answer: KeyAnswer) {
        lock(&self.state).answer = answer;
    }

    /// How often it was asked.
    #[must_use]
    pub fn asked(&self) -> u64 {
        lock(&self.state).asked
    }
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        let service = service_fn(move |_| {
            let answer = answer(&state);
            async move { Ok::<_, Infallible>(answer) }
        });
        connections.spawn(async move {
            let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            drop(served.await);
        });
    }
}

fn answer(state: &Mutex<State>) -> Response<Full<Bytes>> {
    let mut state = lock(state);
    state.asked += 1;
    let (status, text, place) = match &state.answer {
        KeyAnswer::Keys(keys) => (200, json!({ "keys": keys }).to_string(), None),
        KeyAnswer::Text(text) => (200, text.clone(), None),
        KeyAnswer::Status(status) => (*status, String::new(), None),
        KeyAnswer::Elsewhere(place) => (302, String::new(), Some(place.clone())),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    if let Some(Ok(place)) = place.map(|place| place.parse()) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    response
}
