//! Writing events.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{CLEANUP_DUE, EXPIRED, HEALTHY, PARKED, RELEASED, STORED, TRANSFER_DUE, UNHEALTHY};
use crate::{
    ExpiryReason, Finding, HealthAnnouncement, ParkReason, Queue, RecordingKey, SignedReceipt,
    Stored,
};

/// Where an event goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// To the exchange `callferry.recordings` with this routing key.
    Topic(&'static str),
    /// Straight to one of our own queues; nobody else sees it.
    Queue(Queue),
}

/// An event to publish: persistent, mandatory, confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Where it goes.
    pub route: Route,
    /// The message id: stable over repetitions of the same statement.
    pub message_id: String,
    /// The event.
    pub body: Vec<u8>,
    /// Text headers besides.
    pub headers: Vec<(String, String)>,
}

const SOURCE: &str = "urn:callferry";

fn event(kind: &str, id: &str, at: DateTime<Utc>, key: &RecordingKey, data: &Value) -> Vec<u8> {
    about(kind, id, at, key.recording_id.as_str(), data)
}

fn about(kind: &str, id: &str, at: DateTime<Utc>, subject: &str, data: &Value) -> Vec<u8> {
    json!({
        "specversion": "1.0",
        "id": id,
        "source": SOURCE,
        "type": kind,
        "subject": subject,
        "time": at.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        "datacontenttype": "application/json",
        "data": data,
    })
    .to_string()
    .into_bytes()
}

fn topic(routing_key: &'static str, id: &str, body: Vec<u8>) -> Outgoing {
    Outgoing {
        route: Route::Topic(routing_key),
        message_id: id.to_owned(),
        body,
        headers: Vec::new(),
    }
}

/// The acknowledgment: the copy is proven. The same copy has the same id and the same data,
/// however often it is published; only the key under which `signed` is may be another.
#[must_use]
pub fn stored(stored: &Stored, signed: Option<&SignedReceipt>) -> Outgoing {
    let announced = stored.announced();
    let id = stored.acknowledgment_id().to_string();
    let mut data = json!({
        "account_id": announced.key.account_id,
        "recording_id": announced.key.recording_id,
        "interaction_id": announced.interaction_id,
        "kind": announced.kind,
        "destination_revision": stored.destination().revision,
        "location": stored.location(),
        "receipt": stored.receipt(),
        "attributes": announced.attributes,
    });
    if let (Some(signed), Some(data)) = (signed, data.as_object_mut()) {
        data.insert("signed_receipt".to_owned(), json!(signed));
    }
    let body = event(
        STORED,
        &id,
        stored.receipt().stored_at,
        &announced.key,
        &data,
    );
    topic("recording.stored.v1", &id, body)
}

/// The recording cannot go on now; published once per new reason. `id` is the row's.
#[must_use]
pub fn parked(
    key: &RecordingKey,
    id: Uuid,
    at: DateTime<Utc>,
    reason: ParkReason,
    next_attempt_at: Option<DateTime<Utc>>,
) -> Outgoing {
    let id = id.to_string();
    let data = json!({
        "account_id": key.account_id,
        "recording_id": key.recording_id,
        "reason": reason,
        "hint": reason.hint(),
        "next_attempt_at": next_attempt_at,
    });
    topic(
        "recording.parked.v1",
        &id,
        event(PARKED, &id, at, key, &data),
    )
}

/// The original is gone. `id` is the row's.
#[must_use]
pub fn released(key: &RecordingKey, id: Uuid, at: DateTime<Utc>) -> Outgoing {
    let id = id.to_string();
    let data = json!({ "account_id": key.account_id, "recording_id": key.recording_id });
    topic(
        "recording.released.v1",
        &id,
        event(RELEASED, &id, at, key, &data),
    )
}

/// The copy is gone: its retention ended, or its erasure was asked for. `id` is the row's; only
/// the key under which `signed` is may be another when it is published again.
#[must_use]
pub fn expired(
    key: &RecordingKey,
    (id, at): (Uuid, DateTime<Utc>),
    why: ExpiryReason,
    signed: Option<&SignedReceipt>,
) -> Outgoing {
    let id = id.to_string();
    let mut data = json!({
        "account_id": key.account_id,
        "recording_id": key.recording_id,
        "why": why,
    });
    if let (Some(signed), Some(data)) = (signed, data.as_object_mut()) {
        data.insert("signed_receipt".to_owned(), json!(signed));
    }
    topic(
        "recording.expired.v1",
        &id,
        event(EXPIRED, &id, at, key, &data),
    )
}

/// A destination is unhealthy from now on, or healthy again; published once for each change.
/// `account_id` and the subject are the owner's word: an account's id, or `default`.
#[must_use]
pub fn health_changed(news: &HealthAnnouncement) -> Outgoing {
    let utc = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    let (id, owner) = (news.id.to_string(), news.owner.to_string());
    let mut data = json!({
        "account_id": owner,
        "destination_revision": news.revision,
        "location": news.location,
        "since": utc(news.at),
        "recordings_waiting": news.recordings_waiting,
        "secret_expires_at": news.secret_expires_at.map(utc),
    });
    let (kind, routing_key) = match (news.reason, data.as_object_mut()) {
        (Some(reason), Some(data)) => {
            data.insert("reason".to_owned(), json!(reason));
            data.insert("hint".to_owned(), json!(reason.hint()));
            let findings: Vec<Value> = news.findings.iter().map(told).collect();
            data.insert("findings".to_owned(), json!(findings));
            (UNHEALTHY, "destination.unhealthy.v1")
        }
        (Some(_) | None, _) => (HEALTHY, "destination.healthy.v1"),
    };
    topic(routing_key, &id, about(kind, &id, news.at, &owner, &data))
}

/// What a check found, for the customer's administrator.
fn told(finding: &Finding) -> Value {
    json!({
        "capability": finding.capability,
        "detail": finding.detail,
        "remedy": finding.remedy,
    })
}

/// Drives a row on: to the transfer or the cleanup queue.
#[must_use]
pub fn due(queue: Queue, key: &RecordingKey, id: Uuid, at: DateTime<Utc>) -> Outgoing {
    let kind = match queue {
        Queue::Transfer | Queue::Quarantine => TRANSFER_DUE,
        Queue::Cleanup => CLEANUP_DUE,
    };
    let id = id.to_string();
    let data = json!({ "account_id": key.account_id, "recording_id": key.recording_id });
    Outgoing {
        route: Route::Queue(queue),
        message_id: id.clone(),
        body: event(kind, &id, at, key, &data),
        headers: Vec::new(),
    }
}
