//! Public keys, read from PEM or from a JSON Web Key Set, each with the algorithms it is for.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{DecodingKey, DecodingKeyKind};
use serde::Deserialize;
use serde_json::Value;

/// The shortest RSA modulus, in bytes: 2048 bits.
const RSA_BYTES_MIN: usize = 256;
/// The same as a key's DER: the modulus and what is around it.
const RSA_DER_BYTES_MIN: usize = RSA_BYTES_MIN + 10;
/// The most keys of one set that are used. A token without a key's id is tried with each.
const KEYS_MAX: usize = 32;

/// What a key is, as far as it decides which algorithms it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

macro_rules! algorithms {
    ($($name:ident $kind:ident,)+) => {
        /// The algorithms that are allowed. There is no other one: no HMAC, and never `none`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Algorithm {
            $($name,)+
        }

        impl Algorithm {
            /// The one of this name.
            pub(super) fn named(name: &str) -> Option<Self> {
                $(if name == stringify!($name) {
                    return Some(Self::$name);
                })+
                None
            }

            fn kind(self) -> Kind {
                match self { $(Self::$name => Kind::$kind,)+ }
            }

            fn of_the_library(self) -> jsonwebtoken::Algorithm {
                match self { $(Self::$name => jsonwebtoken::Algorithm::$name,)+ }
            }
        }
    };
}

algorithms! {
    RS256 Rsa,
    RS384 Rsa,
    RS512 Rsa,
    PS256 Rsa,
    PS384 Rsa,
    PS512 Rsa,
    ES256 P256,
    ES384 P384,
    EdDSA Ed25519,
}

/// One public key of the issuer.
pub(super) struct Key {
    /// What tokens call it; a key out of a PEM file has no name and answers to any.
    id: Option<String>,
    kind: Kind,
    /// The one algorithm it is for, where the set says so.
    only: Option<Algorithm>,
    public: DecodingKey,
}

impl Key {
    /// Whether a token with this key id and algorithm may be this key's.
    pub(super) fn answers_to(&self, id: Option<&str>, algorithm: Algorithm) -> bool {
        let named = match (id, &self.id) {
            (Some(asked), Some(own)) => asked == own,
            (None, _) | (_, None) => true,
        };
        named && self.kind == algorithm.kind() && self.only.is_none_or(|only| only == algorithm)
    }

    /// Whether a signature of `message` is this key's.
    pub(super) fn signed(&self, signature: &str, message: &str, algorithm: Algorithm) -> bool {
        let algorithm = algorithm.of_the_library();
        let verified =
            jsonwebtoken::crypto::verify(signature, message.as_bytes(), &self.public, algorithm);
        verified.unwrap_or(false)
    }
}

/// Reads keys: a JSON Web Key Set, or PEM.
///
/// # Errors
/// In words: there is none that can be used.
pub(super) fn read(text: &str) -> Result<Vec<Arc<Key>>, String> {
    let keys = if text.trim_start().starts_with('{') {
        set(text)?
    } else {
        pem(text)?
    };
    if keys.is_empty() {
        return Err("there is no public key in it that can verify tokens".to_owned());
    }
    Ok(keys.into_iter().take(KEYS_MAX).map(Arc::new).collect())
}

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END PUBLIC KEY-----";

fn pem(text: &str) -> Result<Vec<Key>, String> {
    let mut keys = Vec::new();
    for block in text.split(BEGIN).skip(1) {
        let tag = block.split("-----").next().unwrap_or_default();
        if tag.contains("PRIVATE") {
            return Err("it holds a private key: only the public ones belong here".to_owned());
        }
        if tag != "PUBLIC KEY" {
            return Err(format!("it holds a {tag}: use PUBLIC KEY blocks"));
        }
        let end = block.find(END).ok_or("a PUBLIC KEY does not end")?;
        let body = block.get(..end).unwrap_or_default();
        keys.push(public(&format!("{BEGIN}{body}{END}\n"))?);
    }
    Ok(keys)
}

/// One block. The library tells the kinds apart by trying.
fn public(block: &str) -> Result<Key, String> {
    let bytes = block.as_bytes();
    let key = |kind, public| Key {
        id: None,
        kind,
        only: None,
        public,
    };
    if let Ok(rsa) = DecodingKey::from_rsa_pem(bytes) {
        return if length(&rsa) >= RSA_DER_BYTES_MIN {
            Ok(key(Kind::Rsa, rsa))
        } else {
            Err("an RSA key has less than 2048 bits".to_owned())
        };
    }
    if let Ok(curve) = DecodingKey::from_ec_pem(bytes) {
        // An uncompressed point: one byte, and two coordinates.
        return match length(&curve) {
            65 => Ok(key(Kind::P256, curve)),
            97 => Ok(key(Kind::P384, curve)),
            _ => Err("an EC key is on another curve than P-256 and P-384".to_owned()),
        };
    }
    let edwards = DecodingKey::from_ed_pem(bytes);
    edwards
        .ok()
        .filter(|edwards| length(edwards) == 32)
        .map(|edwards| key(Kind::Ed25519, edwards))
        .ok_or_else(|| "a PUBLIC KEY is none of RSA, P-256, P-384 and Ed25519".to_owned())
}

fn length(key: &DecodingKey) -> usize {
    match key.kind() {
        DecodingKeyKind::SecretOrDer(bytes) => bytes.len(),
        DecodingKeyKind::RsaModulusExponent { n, .. } => n.len(),
    }
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

/// A key of a set, as far as it is read. Private parts, if somebody published them, are not.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

fn set(text: &str) -> Result<Vec<Key>, String> {
    let set: Set = serde_json::from_str(text).map_err(|_| "it is no JSON Web Key Set")?;
    let keys = set.keys.into_iter();
    // Sets hold keys for other purposes, too, and kinds that are yet to come.
    Ok(keys
        .filter_map(|key| serde_json::from_value::<Jwk>(key).ok()?.verifying())
        .collect())
}

impl Jwk {
    /// The key, if it is one that verifies tokens.
    fn verifying(self) -> Option<Key> {
        let operations = self.key_ops.as_deref();
        let verifies = self.usage.as_deref().is_none_or(|usage| usage == "sig")
            && operations.is_none_or(|operations| operations.iter().any(|op| op == "verify"));
        let only = match self.alg.as_deref() {
            Some(name) => Some(Algorithm::named(name)?),
            None => None,
        };
        let (kind, public) = self.public()?;
        let fits = only.is_none_or(|only| only.kind() == kind);
        (verifies && fits).then_some(Key {
            id: self.kid,
            kind,
            only,
            public,
        })
    }

    fn public(&self) -> Option<(Kind, DecodingKey)> {
        let bytes = |part: &Option<String>| {
            let part = part.as_deref()?;
            BASE64_URL_SAFE_NO_PAD.decode(part).ok()
        };
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => {
                let (n, e) = (bytes(&self.n)?, bytes(&self.e)?);
                let strong = n.len() >= RSA_BYTES_MIN;
                strong.then(|| (Kind::Rsa, DecodingKey::from_rsa_raw_components(&n, &e)))
            }
            ("EC", Some(curve)) => {
                let (kind, size) = match curve {
                    "P-256" => (Kind::P256, 32),
                    "P-384" => (Kind::P384, 48),
                    _ => return None,
                };
                let (x, y) = (bytes(&self.x)?, bytes(&self.y)?);
                let whole = x.len() == size && y.len() == size;
                let point = [&[4], x.as_slice(), y.as_slice()].concat();
                whole.then(|| (kind, DecodingKey::from_ec_der(&point)))
            }
            ("OKP", Some("Ed25519")) => {
                let x = bytes(&self.x)?;
                (x.len() == 32).then(|| (Kind::Ed25519, DecodingKey::from_ed_der(&x)))
            }
            _ => None,
        }
    }
}
