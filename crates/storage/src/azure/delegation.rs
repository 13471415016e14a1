//! User delegation keys: what signs URLs where we are known by tokens. The service makes one for
//! whoever may have one, and a signature made with it can do no more than that identity may.
//!
//! **Decision.** A key is asked for two hours, twice the longest life of a URL. **Because** whoever
//! stole it could sign until it ends, also after the customer took our role away; and because a
//! customer may revoke the storage account's delegation keys, which nobody tells us but a player
//! that was refused (`BucketPlayers::refused`): for players that say nothing, what we sign is dead
//! until this key ends.
//! **Instead of** the seven days that the service would give.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use http::{HeaderMap, HeaderValue, Method, Uri};
use object_store::client::HttpRequest;
use recording::{Clock, Fault, Operation, ParkReason, Secret};
use serde::Deserialize;

use super::classify::refusal;
use super::place::Place;
use super::sas::VERSION;
use super::signing;
use crate::credentials::{Issued, Session, Source};
use crate::deadline;
use crate::exchange::{Answered, Ask, Line, Meaning, Refusal, Signer, put_header};
use crate::s3::parse;

const OPERATION: Operation = Operation::Token;
const LIFE: Duration = Duration::from_secs(2 * 3600);
/// A key begins before now, because our clock may be ahead of the service's.
const BEFORE: TimeDelta = TimeDelta::minutes(15);
/// What a customer reads who did not grant it.
const NEEDED: &str = "(a key to sign URLs needs generateUserDelegationKey at the storage account, \
                      as Storage Blob Delegator grants it)";

/// A key, and what every signature made with it must repeat.
#[derive(Debug)]
pub(crate) struct DelegationKey {
    pub(super) object_id: String,
    pub(super) tenant_id: String,
    pub(super) start: String,
    pub(super) expiry: String,
    pub(super) service: String,
    pub(super) version: String,
    pub(super) value: Secret,
}

/// Where keys come from.
#[derive(Debug)]
pub(super) struct Delegation {
    uri: Result<Uri, Fault>,
    tokens: Arc<Session<Secret>>,
    line: Line,
    clock: Arc<dyn Clock>,
}

/// `<UserDelegationKey>`. Not `Debug`: it is secret.
#[derive(Deserialize)]
struct Granted {
    #[serde(rename = "SignedOid")]
    object_id: String,
    #[serde(rename = "SignedTid")]
    tenant_id: String,
    #[serde(rename = "SignedStart")]
    start: String,
    #[serde(rename = "SignedExpiry")]
    expiry: String,
    #[serde(rename = "SignedService")]
    service: String,
    #[serde(rename = "SignedVersion")]
    version: String,
    #[serde(rename = "Value")]
    value: String,
}

impl Delegation {
    /// Keys of one storage account, one at a time, shared while they are good.
    pub(super) fn session(
        place: &Place,
        tokens: &Arc<Session<Secret>>,
        line: &Line,
        clock: &Arc<dyn Clock>,
    ) -> Session<DelegationKey> {
        let source = Self {
            uri: place.service("restype=service&comp=userdelegationkey"),
            tokens: Arc::clone(tokens),
            line: line.clone(),
            clock: Arc::clone(clock),
        };
        Session::new(Box::new(source), Arc::clone(clock))
    }
}

#[async_trait]
impl Source<DelegationKey> for Delegation {
    async fn issue(&self) -> Result<Issued<DelegationKey>, Fault> {
        let (asked_at, now) = (self.clock.boot(), self.clock.now());
        let mut headers = HeaderMap::new();
        headers.insert("x-ms-version", HeaderValue::from_static(VERSION));
        put_header(&mut headers, "content-type", "application/xml")?;
        let mut ask = Ask::new(OPERATION, Method::POST, self.uri.clone()?, headers);
        ask.body = Bytes::from(wish(now));
        ask.patience = deadline::STS;
        let answer = self.line.exchange(self, &ask).await;
        let answer = answer.map_err(|trouble| trouble.fault(OPERATION))?;
        let granted: Option<Granted> = parse(&answer.body);
        let granted = granted.filter(Granted::is_plain).ok_or_else(|| {
            let detail = "token: the delegation key cannot be understood";
            Fault::new(ParkReason::OutcomeUnknown, detail)
        })?;
        Ok(Issued::new(granted.into(), asked_at, LIFE))
    }
}

impl Signer for Delegation {
    type Credential = Arc<Issued<Secret>>;

    async fn credential(&self) -> Result<Self::Credential, Fault> {
        self.tokens.issued().await
    }

    fn sign(&self, request: &mut HttpRequest, token: &Self::Credential) -> Result<(), Fault> {
        signing::bearer(request, token, self.clock.now())
    }

    fn renew(&self, stale: &Self::Credential) -> bool {
        self.tokens.invalidate(stale);
        true
    }

    fn understand(&self, _: &Ask<'_>, answered: Answered) -> Refusal {
        let mut refusal = refusal(answered);
        if refusal.meaning == Meaning::Refused(ParkReason::AccessDenied) {
            refusal.hint = Some(NEEDED.to_owned());
        }
        refusal
    }

    fn code(&self, headers: &HeaderMap, body: &[u8]) -> Option<String> {
        signing::code(headers, body)
    }

    fn is_stale(&self, _: &Ask<'_>, refusal: &Refusal) -> bool {
        refusal.meaning() == Meaning::Refused(ParkReason::CredentialRefused)
    }
}

impl Granted {
    /// They become lines of what is signed.
    fn is_plain(&self) -> bool {
        let Self {
            object_id,
            tenant_id,
            start,
            expiry,
            service,
            version,
            value,
        } = self;
        let parts = [object_id, tenant_id, start, expiry, service, version, value];
        let plain = |part: &&String| {
            (1..=512).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_graphic())
        };
        parts.iter().all(plain)
    }
}

impl From<Granted> for DelegationKey {
    fn from(granted: Granted) -> Self {
        Self {
            object_id: granted.object_id,
            tenant_id: granted.tenant_id,
            start: granted.start,
            expiry: granted.expiry,
            service: granted.service,
            version: granted.version,
            value: Secret::new(granted.value),
        }
    }
}

fn wish(now: DateTime<Utc>) -> String {
    let text = |time: Option<DateTime<Utc>>| {
        let time = time.unwrap_or(now);
        time.to_rfc3339_opts(SecondsFormat::Secs, true)
    };
    let start = text(now.checked_sub_signed(BEFORE));
    let life = TimeDelta::from_std(LIFE).unwrap_or_default();
    let expiry = text(now.checked_add_signed(life));
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><KeyInfo><Start>{start}</Start>\
         <Expiry>{expiry}</Expiry></KeyInfo>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_wished_for_two_hours_from_a_moment_ago() {
        let now = "2026-11-22T10:00:00Z".parse().unwrap();
        let wish = wish(now);
        assert!(
            wish.contains("<Start>2026-11-22T09:45:00Z</Start>"),
            "{wish}"
        );
        assert!(
            wish.contains("<Expiry>2026-11-22T12:00:00Z</Expiry>"),
            "{wish}"
        );
    }

    #[test]
    fn a_key_that_would_add_lines_to_what_is_signed_is_none() {
        let answer = |oid: &str| {
            let text = format!(
                "<UserDelegationKey><SignedOid>{oid}</SignedOid><SignedTid>t</SignedTid>\
                 <SignedStart>s</SignedStart><SignedExpiry>e</SignedExpiry>\
                 <SignedService>b</SignedService><SignedVersion>v</SignedVersion>\
                 <Value>a2V5</Value></UserDelegationKey>"
            );
            parse::<Granted>(text.as_bytes()).unwrap()
        };
        assert!(answer("11-22").is_plain());
        assert!(!answer("11\n22").is_plain());
        assert!(!answer("").is_plain());
        let key = DelegationKey::from(answer("11-22"));
        assert!(!format!("{key:?}").contains("a2V5"));
    }
}
