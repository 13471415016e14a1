//! Header and claims of a token, each with the one type it may have.

use std::fmt;

use recording::AccountId;
use serde::de::{self, IgnoredAny, Visitor};
use serde::{Deserialize, Deserializer};
use telemetry::TokenRefusal;

use super::jwks::Algorithm;

/// The longest subject, key id or issuer, in bytes.
const WORD_BYTES_MAX: usize = 256;

/// A token's header, as far as it is believed. `jku`, `x5u`, `x5c` and `jwk` are not read.
#[derive(Debug, Deserialize)]
pub(super) struct Header {
    alg: String,
    /// Which of the issuer's keys.
    #[serde(default)]
    pub(super) kid: Option<String>,
    #[serde(default)]
    typ: Option<String>,
    /// Whether it asks for extensions that must be understood. We understand none.
    #[serde(default, deserialize_with = "is_there")]
    crit: bool,
}

impl Header {
    /// Its algorithm, if it is one of ours and nothing else is asked of us.
    pub(super) fn algorithm(&self) -> Result<Algorithm, TokenRefusal> {
        let known = ["jwt", "at+jwt", "application/at+jwt"];
        let typ = self.typ.as_deref().map(str::to_ascii_lowercase);
        let is_jwt = typ.is_none_or(|typ| known.contains(&typ.as_str()));
        let kid = self.kid.as_deref().unwrap_or_default();
        if !is_jwt || kid.len() > WORD_BYTES_MAX {
            return Err(TokenRefusal::Malformed);
        }
        if self.crit {
            return Err(TokenRefusal::Algorithm);
        }
        Algorithm::named(&self.alg).ok_or(TokenRefusal::Algorithm)
    }
}

fn is_there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

/// A token's claims. What is not here is not read.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    #[serde(rename = "iss")]
    pub(super) issuer: String,
    #[serde(rename = "aud")]
    pub(super) audience: Audience,
    #[serde(rename = "exp")]
    pub(super) expires: Seconds,
    #[serde(rename = "nbf")]
    pub(super) not_before: Seconds,
    #[serde(rename = "sub")]
    pub(super) subject: Subject,
    /// Absent for the platform's administrators. Null is no absence: an issuer that lost the
    /// account of its customer must not make an administrator of them.
    #[serde(rename = "account_id", default, deserialize_with = "account")]
    pub(super) account: Option<AccountId>,
    #[serde(default)]
    pub(super) scope: String,
}

fn account<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<AccountId>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(de::Error::custom)
}

/// Whom a token is for: one, or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    pub(super) fn names(&self, who: &str) -> bool {
        match self {
            Self::One(one) => one == who,
            Self::Several(several) => several.iter().any(|one| one == who),
        }
    }
}

/// A subject that can stand in a log and in the ledger.
#[derive(Debug)]
pub(super) struct Subject(String);

impl From<Subject> for String {
    fn from(subject: Subject) -> Self {
        subject.0
    }
}

impl<'de> Deserialize<'de> for Subject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let sound = (1..=WORD_BYTES_MAX).contains(&text.len()) && !text.contains(char::is_control);
        if sound {
            return Ok(Self(text));
        }
        Err(de::Error::custom("a subject of 1 to 256 bytes"))
    }
}

/// Seconds since 1970, as a number. A text that looks like one is none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seconds(i64);

impl Seconds {
    pub(super) fn at(self) -> i64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Number)
    }
}

/// Takes whole numbers, and the fractions that some issuers write, without their fraction.
struct Number;

impl Visitor<'_> for Number {
    type Value = Seconds;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of seconds since 1970")
    }

    fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Seconds, E> {
        let seconds = i64::try_from(seconds);
        seconds.map(Seconds).map_err(de::Error::custom)
    }

    fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Seconds, E> {
        let whole = seconds.trunc().to_string().parse();
        match whole {
            Ok(whole) if seconds >= 0.0 => Ok(Seconds(whole)),
            Ok(_) | Err(_) => Err(de::Error::custom("out of range")),
        }
    }
}
