//! Whom a request is from: a bearer token, signed by the issuer's key, for us, and good now.
//!
//! `jsonwebtoken` verifies signatures. Header and claims are read here, strictly: a claim of the
//! wrong type is no claim, a claim that stands there twice is an attack, and time is our clock's.
//! Only asymmetric algorithms are known, so that no public key can pass for a shared secret, and
//! a header's own ideas of where keys are (`jku`, `x5u`, `jwk`) are not even read.

mod claims;
mod jwks;
mod keys;
mod scope;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use recording::{AccountId, Clock};
use telemetry::TokenRefusal;

use claims::{Claims, Header};
use jwks::Key;
pub(crate) use keys::{Keys, Source};
pub(crate) use scope::Scope;

use crate::config::Tokens;

/// Who makes a browser ask, as it says itself.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// The longest token, in bytes.
const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// By how much clocks may differ.
const LEEWAY: Duration = Duration::from_secs(30);

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The token's subject.
    pub(crate) subject: String,
    /// The account that the token is bound to; `None` is the platform's administrator.
    pub(crate) account: Option<AccountId>,
    /// What the token allows.
    scopes: BTreeSet<Scope>,
}

impl Caller {
    /// Whether the token allows it.
    pub(crate) fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}

/// Why nobody is known to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// The token is not believed.
    Refused(TokenRefusal),
    /// No token can be judged: the issuer's keys could not be read yet.
    NoKeys,
}

impl From<TokenRefusal> for Unknown {
    fn from(why: TokenRefusal) -> Self {
        Self::Refused(why)
    }
}

/// Judges tokens.
pub(crate) struct Verifier {
    issuer: String,
    audience: String,
    keys: Arc<Keys>,
    clock: Arc<dyn Clock>,
}

impl Verifier {
    /// Judges by these keys.
    pub(crate) fn new(tokens: &Tokens, keys: Arc<Keys>, clock: Arc<dyn Clock>) -> Self {
        Self {
            issuer: tokens.issuer.clone(),
            audience: tokens.audience.clone(),
            keys,
            clock,
        }
    }

    /// Who sent these headers; in a cookie of this name, where one is taken at all.
    ///
    /// # Errors
    /// Nobody can be believed to; why is for the metrics, not for whoever asks.
    pub(crate) async fn caller(
        &self,
        headers: &HeaderMap,
        cookie: Option<&str>,
    ) -> Result<Caller, Unknown> {
        let token = match cookie {
            Some(name) if !headers.contains_key(header::AUTHORIZATION) => baked(headers, name)?,
            Some(_) | None => bearer(headers)?,
        };
        let parts = Parts::of(token)?;
        let header: Header = parts.header()?;
        let algorithm = header.algorithm()?;
        if !self.keys.are_there() {
            return Err(Unknown::NoKeys);
        }
        let mut candidates = self.keys.find(header.kid.as_deref(), algorithm);
        if candidates.is_empty() && header.kid.is_some() {
            self.keys.look_again().await;
            candidates = self.keys.find(header.kid.as_deref(), algorithm);
        }
        if candidates.is_empty() {
            return Err(TokenRefusal::Key.into());
        }
        let is_its = |key: &Arc<Key>| key.signed(parts.signature, parts.message, algorithm);
        if !candidates.iter().any(is_its) {
            return Err(TokenRefusal::Signature.into());
        }
        let claims: Claims = parts.claims()?;
        Ok(self.judge(claims)?)
    }

    fn judge(&self, claims: Claims) -> Result<Caller, TokenRefusal> {
        if claims.issuer != self.issuer {
            return Err(TokenRefusal::Issuer);
        }
        if !claims.audience.names(&self.audience) {
            return Err(TokenRefusal::Audience);
        }
        let now = self.clock.now().timestamp();
        let leeway = i64::try_from(LEEWAY.as_secs()).unwrap_or(0);
        if claims.expires.at() <= now.saturating_sub(leeway) {
            return Err(TokenRefusal::Expired);
        }
        if claims.not_before.at() > now.saturating_add(leeway) {
            return Err(TokenRefusal::NotYet);
        }
        if claims.not_before.at() > claims.expires.at() {
            return Err(TokenRefusal::Claims);
        }
        Ok(Caller {
            scopes: Scope::of(&claims.scope),
            subject: claims.subject.into(),
            account: claims.account,
        })
    }
}

/// The token in the one cookie of this name, which our own page had the browser keep. A browser
/// says who makes it ask: nobody else's page may.
fn baked<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, TokenRefusal> {
    let site = headers.get(SEC_FETCH_SITE).map(HeaderValue::as_bytes);
    if !matches!(site, None | Some(b"same-origin" | b"none")) {
        return Err(TokenRefusal::Missing);
    }
    // Byte by byte: other cookies of the line may be anything.
    let lines = headers.get_all(header::COOKIE).iter();
    let pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    let mut tokens = pairs.filter_map(|pair| {
        let rest = pair.trim_ascii().strip_prefix(name.as_bytes())?;
        rest.strip_prefix(b"=")
    });
    match (tokens.next(), tokens.next()) {
        (Some(token), None) if token.len() <= TOKEN_BYTES_MAX => {
            std::str::from_utf8(token).map_err(|_| TokenRefusal::Malformed)
        }
        (Some(_), None) => Err(TokenRefusal::Malformed),
        (_, _) => Err(TokenRefusal::Missing),
    }
}

/// The token of the one `Authorization` header.
pub(super) fn bearer(headers: &HeaderMap) -> Result<&str, TokenRefusal> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(only), None) = (given.next(), given.next()) else {
        return Err(TokenRefusal::Missing);
    };
    let text = only.to_str().map_err(|_| TokenRefusal::Malformed)?;
    let (scheme, token) = text.split_once(' ').ok_or(TokenRefusal::Missing)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(TokenRefusal::Missing);
    }
    if token.len() > TOKEN_BYTES_MAX {
        return Err(TokenRefusal::Malformed);
    }
    Ok(token.trim_start_matches(' '))
}

/// A token, taken apart.
struct Parts<'a> {
    header: &'a str,
    claims: &'a str,
    signature: &'a str,
    /// What is signed: header and claims as they came.
    message: &'a str,
}

impl<'a> Parts<'a> {
    fn of(token: &'a str) -> Result<Self, TokenRefusal> {
        let (message, signature) = token.rsplit_once('.').ok_or(TokenRefusal::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(TokenRefusal::Malformed)?;
        let plain = |part: &str| {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            !part.is_empty() && part.bytes().all(plain)
        };
        if ![header, claims].into_iter().all(plain) {
            return Err(TokenRefusal::Malformed);
        }
        // A token without a signature is one whose header says `none`, or one that was cut.
        if !plain(signature) {
            return Err(TokenRefusal::Signature);
        }
        Ok(Self {
            header,
            claims,
            signature,
            message,
        })
    }

    fn header(&self) -> Result<Header, TokenRefusal> {
        json(self.header).ok_or(TokenRefusal::Malformed)
    }

    fn claims(&self) -> Result<Claims, TokenRefusal> {
        json(self.claims).ok_or(TokenRefusal::Claims)
    }
}

fn json<T: serde::de::DeserializeOwned>(part: &str) -> Option<T> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(part).ok()?;
    serde_json::from_slice(&bytes).ok()
}
