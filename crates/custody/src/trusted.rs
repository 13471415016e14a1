//! Public keys that somebody trusts: a JSON Web Key Set as the service publishes it, one JSON Web
//! Key, or PEM.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use recording::strict_document;
use serde_json::{Value, json};

use crate::key::{KEY_BYTES, PublicKey, SPKI_LEAD};

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END PUBLIC KEY-----";

/// Public keys, by id. An id is computed from its key, so no two keys share one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKeys {
    keys: BTreeMap<String, PublicKey>,
}

impl TrustedKeys {
    pub(crate) fn of(keys: Vec<PublicKey>) -> Self {
        let keys = keys.into_iter();
        Self {
            keys: keys.map(|key| (key.id().to_owned(), key)).collect(),
        }
    }

    /// Reads keys.
    ///
    /// # Errors
    /// In words: what is no set of public keys, holds a private one, calls a key by a name that is
    /// not its own, or has none that can verify receipts.
    pub fn read(text: &str) -> Result<Self, String> {
        let keys = if text.trim_start().starts_with('{') {
            set(text)?
        } else {
            pem(text)?
        };
        if keys.is_empty() {
            return Err("holds no Ed25519 public key".to_owned());
        }
        Ok(Self::of(keys))
    }

    /// Each key.
    pub fn keys(&self) -> impl Iterator<Item = &PublicKey> {
        self.keys.values()
    }

    pub(crate) fn find(&self, id: &str) -> Option<&PublicKey> {
        self.keys.get(id)
    }
}

/// Several keys as a JSON Web Key Set.
impl PublicKey {
    /// The set that is published.
    #[must_use]
    pub fn set(keys: &[Self]) -> Value {
        let keys: Vec<_> = keys.iter().map(Self::jwk).collect();
        json!({ "keys": keys })
    }
}

fn set(text: &str) -> Result<Vec<PublicKey>, String> {
    let document = strict_document(text.as_bytes());
    let document = document.ok_or("is no JSON Web Key Set: not strict JSON")?;
    match document.get("keys") {
        Some(Value::Array(keys)) => {
            let keys = keys.iter().map(jwk).collect::<Result<Vec<_>, _>>()?;
            Ok(keys.into_iter().flatten().collect())
        }
        Some(_) => Err("is no JSON Web Key Set: `keys` is no list".to_owned()),
        None => Ok(jwk(&document)?.into_iter().collect()),
    }
}

/// One key; `None` is one of another kind, which sets may hold besides.
fn jwk(key: &Value) -> Result<Option<PublicKey>, String> {
    let text = |name: &str| key.get(name).and_then(Value::as_str);
    if key.get("d").is_some() {
        return Err("holds a private key: only the public ones belong here".to_owned());
    }
    if (text("kty"), text("crv")) != (Some("OKP"), Some("Ed25519")) {
        return Ok(None);
    }
    let signs = text("use").is_none_or(|usage| usage == "sig");
    if !signs || text("alg").is_some_and(|alg| alg != "EdDSA" && alg != "Ed25519") {
        return Ok(None);
    }
    let public = text("x").and_then(PublicKey::from_x);
    let public = public.ok_or("holds an Ed25519 key whose `x` is not 32 bytes in base64url")?;
    if key.get("kid").is_some_and(|kid| kid != public.id()) {
        return Err(format!(
            "calls key {} by another name: a thumbprint (RFC 7638) is its name",
            public.id()
        ));
    }
    Ok(Some(public))
}

fn pem(text: &str) -> Result<Vec<PublicKey>, String> {
    let mut keys = Vec::new();
    for block in text.split(BEGIN).skip(1) {
        let tag = block.split("-----").next().unwrap_or_default();
        if tag.contains("PRIVATE") {
            return Err("holds a private key: only the public ones belong here".to_owned());
        }
        let body = block.strip_prefix("PUBLIC KEY-----");
        let body = body
            .and_then(|rest| rest.split_once(END))
            .map(|(body, _)| body);
        let body = body.ok_or("is not PEM with PUBLIC KEY blocks")?;
        let body: String = body.split_whitespace().collect();
        let der = BASE64_STANDARD.decode(body).unwrap_or_default();
        let bytes = der.strip_prefix(&SPKI_LEAD[..]);
        let bytes = bytes.and_then(|bytes| <[u8; KEY_BYTES]>::try_from(bytes).ok());
        keys.push(PublicKey::new(
            bytes.ok_or("holds a PUBLIC KEY that is not Ed25519")?,
        ));
    }
    if keys.is_empty() {
        return Err("is neither a JSON Web Key Set nor PEM with PUBLIC KEY blocks".to_owned());
    }
    Ok(keys)
}

#[cfg(test)]
mod tests;
