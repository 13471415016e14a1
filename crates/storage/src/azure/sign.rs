//! Signed URLs: a GET of one blob, or of one of its versions, by a service SAS that is made from
//! the account's key or from a user delegation key. A SAS of the customer's is never given out.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::{SecondsFormat, TimeDelta};
use hmac::{Hmac, KeyInit, Mac};
use recording::{Fault, ParkReason};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::container::{Container, Identity};
use super::delegation::DelegationKey;
use super::sas::VERSION;
use super::signing::locked;
use crate::exchange::encode;
use crate::signed::{LIFE_MAX, Overrides, SignedUrl};

/// What is said where only a SAS is known.
const NEEDS_SIGNER: &str = "signing: a URL needs a credential that can sign, and a SAS is never \
                            given out: set the destination with an identity of Entra or an access \
                            key";

/// What a URL is signed with.
enum Key<'a> {
    Account(&'a str),
    Delegated(&'a DelegationKey),
}

impl Container {
    /// A URL that reads the blob for `life`, or for as long as the key that signs it is good if
    /// that is less; a key that ends sooner is renewed first.
    pub(crate) async fn signed_get(
        &self,
        key: &str,
        version: Option<&str>,
        life: Duration,
        overrides: &Overrides,
    ) -> Result<SignedUrl, Fault> {
        overrides.check()?;
        let life = life.min(LIFE_MAX);
        match (&self.identity, &self.delegation) {
            (Identity::AccessKey(account_key), _) => {
                let account_key = account_key.reveal().map_err(|it| locked(&it))?;
                self.signed(key, version, (Key::Account(account_key), life), overrides)
            }
            (Identity::Token(_), Some(delegation)) => {
                let (issued, left) = delegation.lasting(life).await?;
                let signer = (Key::Delegated(&issued.credential), life.min(left));
                self.signed(key, version, signer, overrides)
            }
            (Identity::Sas(_) | Identity::Token(_), _) => {
                Err(Fault::new(ParkReason::CredentialRefused, NEEDS_SIGNER))
            }
        }
    }

    /// Forgets the key that signs URLs, after the store refused what was signed with it: the
    /// customer may have revoked it.
    pub(crate) fn forget_signer(&self) {
        if let Some(delegation) = &self.delegation {
            delegation.forget();
        }
    }

    fn signed(
        &self,
        key: &str,
        version: Option<&str>,
        (signer, life): (Key<'_>, Duration),
        overrides: &Overrides,
    ) -> Result<SignedUrl, Fault> {
        let life = Duration::from_secs(life.as_secs().max(1));
        let now = self.clock.now();
        let expiry = TimeDelta::from_std(life)
            .ok()
            .and_then(|life| now.checked_add_signed(life))
            .unwrap_or(now)
            .to_rfc3339_opts(SecondsFormat::Secs, true);
        let protocol = match self.place.plain_http {
            true => "https,http",
            false => "https",
        };
        let resource = match version {
            Some(_) => "bv",
            None => "b",
        };
        let of = |text: &Option<String>| text.clone().unwrap_or_default();
        let (cache, disposition, kind) = (
            of(&overrides.cache_control),
            of(&overrides.content_disposition),
            of(&overrides.content_type),
        );
        // Permissions, start, expiry, resource; who signs; addresses, protocol, version of the
        // service, kind of resource, its version, encryption scope, and five headers of answers.
        let text = format!(
            "r\n\n{expiry}\n/blob/{}/{}/{key}\n{}\n{protocol}\n{VERSION}\n{resource}\n{}\n\n\
             {cache}\n{disposition}\n\n\n{kind}",
            self.place.storage_account,
            self.place.container,
            signer.lines(),
            version.unwrap_or_default(),
        );
        let mut query = String::new();
        let mut add = |name: &str, value: &str| {
            if !value.is_empty() {
                let between = if query.is_empty() { "" } else { "&" };
                query.push_str(&format!("{between}{name}={}", encode(value)));
            }
        };
        add("versionid", version.unwrap_or_default());
        add("sv", VERSION);
        add("spr", protocol);
        add("se", &expiry);
        add("sr", resource);
        add("sp", "r");
        for (name, value) in signer.words() {
            add(name, value);
        }
        add("rscc", &cache);
        add("rscd", &disposition);
        add("rsct", &kind);
        add("sig", &signer.sign(&text)?);
        let url = self.place.url(key, &query)?.to_string();
        Ok(SignedUrl::new(url, life))
    }
}

impl Key<'_> {
    /// Who signs, as the signed text has it: a stored policy, which there is none of, or the key.
    fn lines(&self) -> String {
        match self {
            Self::Account(_) => "\n".to_owned(),
            Self::Delegated(_) => {
                let words = self.words();
                let mut lines: String = words.map(|(_, value)| format!("{value}\n")).collect();
                // Another's identity, twice, and a correlation id: none.
                lines.push_str("\n\n\n");
                lines
            }
        }
    }

    /// The same as the query has it.
    fn words(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let words = match self {
            Self::Account(_) => None,
            Self::Delegated(key) => Some([
                ("skoid", key.object_id.as_str()),
                ("sktid", &key.tenant_id),
                ("skt", &key.start),
                ("ske", &key.expiry),
                ("sks", &key.service),
                ("skv", &key.version),
            ]),
        };
        words.into_iter().flatten()
    }

    fn sign(&self, text: &str) -> Result<String, Fault> {
        let malformed = || {
            let detail = "signing: the key is not one: it must be base64";
            Fault::new(ParkReason::CredentialRefused, detail)
        };
        let key = match self {
            Self::Account(key) => *key,
            Self::Delegated(key) => key.value.reveal().map_err(|it| locked(&it))?,
        };
        let raw = BASE64_STANDARD.decode(key).map_err(|_| malformed())?;
        let raw = Zeroizing::new(raw);
        let mut mac = Hmac::<Sha256>::new_from_slice(&raw).map_err(|_| malformed())?;
        mac.update(text.as_bytes());
        Ok(BASE64_STANDARD.encode(mac.finalize().into_bytes()))
    }
}
