//! Rows of the ledger, turned back into the domain. The only place that recalls states.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use recording::{
    Absence, AccountId, Announced, AnnouncedOriginal, Announcement, ExpiredCopy, ExpiryReason,
    Happened, Identity, Kind, Location, Method, ObjectKey, ParkReason, Receipt, Record, Recording,
    RecordingId, RecordingKey, Sha256, StagingPath, State, WithdrawnRecord,
};
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use crate::failure::{Failure, corrupt};
use crate::keyring::KeyRing;
use crate::stores::destination;

/// What a query must select for the functions here: `r` is a row of `recordings` and `d` the
/// pinned row of `reached_destinations`. Listed, because `*` would make cached plans fail as soon
/// as a migration adds a column.
macro_rules! recording_columns {
    () => {
        concat!(
            "r.account_id, r.recording_id, r.state, r.interaction_id, r.kind, r.media_type,
         r.started_at, r.completed_at, r.duration_ms, r.path, r.size_bytes, r.sha256,
         r.attributes, r.destination_revision, r.retain_until, r.reason,
         r.next_attempt_at, r.rungs, r.release_rungs, r.claims, r.unclean_claims,
         r.upload_id, r.upload_part_bytes, r.upload_size_bytes, r.upload_mtime_ns,
         r.upload_inode, r.upload_entity, r.object_key,
         r.receipt_size_bytes, r.receipt_sha256, r.receipt_etag, r.receipt_version_id,
         r.receipt_checksum, r.receipt_content_md5, r.receipt_method, r.stored_at,
         r.original_size_bytes, r.original_mtime_ns, r.original_inode, r.original_entity,
         r.acknowledgment_id, r.original_erased_at,
         r.announcement_id, r.announcement_at, r.announced_reason,
         r.lease_token,
         extract(epoch from now() - r.first_claimed_at)::float8 as known_for, ",
            crate::stores::reached_columns!()
        )
    };
}
pub(crate) use recording_columns;

/// One column.
pub(crate) fn get<'a, T: FromSql<'a>>(row: &'a Row, column: &str) -> Result<T, Failure> {
    row.try_get(column)
        .map_err(|error| corrupt(format!("column {column}: {error}")))
}

/// A column that holds one of a closed set of words, or a checked text.
pub(crate) fn word<T: std::str::FromStr<Err: std::fmt::Display>>(
    row: &Row,
    column: &str,
) -> Result<T, Failure> {
    let text: &str = get(row, column)?;
    text.parse()
        .map_err(|error| corrupt(format!("column {column}: {error}")))
}

/// The same where it may be null.
pub(crate) fn optional_word<T: std::str::FromStr<Err: std::fmt::Display>>(
    row: &Row,
    column: &str,
) -> Result<Option<T>, Failure> {
    match get::<Option<&str>>(row, column)? {
        None => Ok(None),
        Some(_) => word(row, column).map(Some),
    }
}

/// A count or size, which the database keeps signed.
pub(crate) fn unsigned<T: TryFrom<i64>>(number: i64) -> Result<T, Failure> {
    T::try_from(number).map_err(|_| corrupt(format!("{number} is out of range")))
}

/// The state.
pub(crate) fn state(row: &Row) -> Result<State, Failure> {
    let text: &str = get(row, "state")?;
    state_from(text)
}

/// A state from its word.
pub(crate) fn state_from(text: &str) -> Result<State, Failure> {
    State::ALL
        .into_iter()
        .find(|state| state.as_str() == text)
        .ok_or_else(|| corrupt(format!("`{text}` is not a state that this version knows")))
}

/// Which recording it is.
pub(crate) fn key(row: &Row) -> Result<RecordingKey, Failure> {
    Ok(RecordingKey {
        account_id: word::<AccountId>(row, "account_id")?,
        recording_id: word::<RecordingId>(row, "recording_id")?,
    })
}

fn sha256(bytes: &[u8]) -> Result<Sha256, Failure> {
    let bytes = <[u8; 32]>::try_from(bytes).map_err(|_| corrupt("a digest of another length"))?;
    Ok(Sha256::new(bytes))
}

/// The event's data.
pub(crate) fn announced(row: &Row) -> Result<Announced, Failure> {
    let key = key(row)?;
    let path: &str = get(row, "path")?;
    let path = StagingPath::new(&key.account_id, path)
        .map_err(|error| corrupt(format!("column path: {error}")))?;
    let attributes: serde_json::Value = get(row, "attributes")?;
    let attributes: BTreeMap<String, String> = serde_json::from_value(attributes)
        .map_err(|error| corrupt(format!("column attributes: {error}")))?;
    let duration_ms: Option<i64> = get(row, "duration_ms")?;
    let digest: Option<&[u8]> = get(row, "sha256")?;
    Ok(Announced {
        interaction_id: word(row, "interaction_id")?,
        kind: word::<Kind>(row, "kind")?,
        media_type: get(row, "media_type")?,
        started_at: get(row, "started_at")?,
        completed_at: get(row, "completed_at")?,
        duration_ms: duration_ms.map(unsigned).transpose()?,
        original: AnnouncedOriginal {
            path,
            size_bytes: unsigned(get(row, "size_bytes")?)?,
            sha256: digest.map(sha256).transpose()?,
        },
        attributes,
        key,
    })
}

/// The remembered evidence.
pub(crate) fn receipt(row: &Row) -> Result<Receipt, Failure> {
    let method: &str = get(row, "receipt_method")?;
    let method = Method::ALL
        .into_iter()
        .find(|known| known.as_str() == method)
        .ok_or_else(|| corrupt(format!("`{method}` is not a method of proof")))?;
    Ok(Receipt {
        size_bytes: unsigned(get(row, "receipt_size_bytes")?)?,
        sha256: sha256(get(row, "receipt_sha256")?)?,
        etag: get(row, "receipt_etag")?,
        version_id: get(row, "receipt_version_id")?,
        checksum: get(row, "receipt_checksum")?,
        content_md5: get(row, "receipt_content_md5")?,
        method,
        stored_at: get(row, "stored_at")?,
    })
}

/// What the original that was copied is told by.
pub(crate) fn identity(row: &Row) -> Result<Identity, Failure> {
    Ok(Identity {
        size_bytes: unsigned(get(row, "original_size_bytes")?)?,
        mtime_ns: get(row, "original_mtime_ns")?,
        inode: get(row, "original_inode")?,
        entity: get(row, "original_entity")?,
    })
}

/// Where the copy is.
pub(crate) fn location(row: &Row) -> Result<Location, Failure> {
    let key = ObjectKey::remembered(get(row, "object_key")?);
    Ok(Location::new(&destination(row, None)?, &key))
}

/// Whether its original was erased before a copy was proven: then it never has a receipt.
pub(crate) fn is_withdrawn(row: &Row) -> Result<bool, Failure> {
    let erased_at: Option<DateTime<Utc>> = get(row, "original_erased_at")?;
    Ok(erased_at.is_some())
}

/// The recording in the state it is in.
pub(crate) fn recording(row: &Row, keyring: Option<&KeyRing>) -> Result<Recording, Failure> {
    let state = state(row)?;
    let record = match state {
        State::Staged => Record::Staged {
            announced: announced(row)?,
            destination: destination(row, keyring)?,
            retain_until: get(row, "retain_until")?,
        },
        State::Parked => Record::Parked {
            key: key(row)?,
            reason: word::<ParkReason>(row, "reason")?,
            next_attempt_at: get(row, "next_attempt_at")?,
        },
        State::Released if is_withdrawn(row)? => {
            let pinned: Option<i64> = get(row, "destination_revision")?;
            let place = pinned.map(|_| -> Result<_, Failure> {
                let key = ObjectKey::remembered(get(row, "object_key")?);
                Ok((destination(row, keyring)?, key))
            });
            Record::Withdrawn(WithdrawnRecord {
                key: key(row)?,
                place: place.transpose()?,
                size_bytes: unsigned(get(row, "size_bytes")?)?,
                upload_id: get(row, "upload_id")?,
            })
        }
        State::Stored | State::Released => Record::Stored {
            announced: announced(row)?,
            destination: destination(row, keyring)?,
            key: ObjectKey::remembered(get(row, "object_key")?),
            receipt: receipt(row)?,
            identity: identity(row)?,
            acknowledgment_id: get(row, "acknowledgment_id")?,
            released: state == State::Released,
        },
        State::Expired => Record::Expired { key: key(row)? },
    };
    Ok(recall(record))
}

#[expect(
    clippy::disallowed_methods,
    reason = "only the catalog remembers, and this is where it does"
)]
fn recall(record: Record) -> Recording {
    Recording::recall(record)
}

/// Why a copy goes, or went.
pub(crate) fn expiry_reason(row: &Row) -> Result<ExpiryReason, Failure> {
    let text: Option<&str> = get(row, "expiry_for")?;
    ExpiryReason::ALL
        .into_iter()
        .find(|reason| Some(reason.as_str()) == text)
        .ok_or_else(|| corrupt(format!("`{text:?}` is not a reason to expire")))
}

/// What is needed to tell of a recording's end: `r` and `d` as above.
macro_rules! announcement_columns {
    () => {
        concat!(
            "r.account_id, r.recording_id, r.state, r.announced_reason, r.announcement_id,
         r.announcement_at, r.next_attempt_at, r.expiry_for, r.expiry_proof, r.expired_at,
         r.destination_revision, r.object_key,
         r.receipt_size_bytes, r.receipt_sha256, r.receipt_etag, r.receipt_version_id,
         r.receipt_checksum, r.receipt_content_md5, r.receipt_method, r.stored_at, ",
            crate::stores::reached_columns!()
        )
    };
}
pub(crate) use announcement_columns;

/// The copy that is gone, as its receipt states it; `None` if none was ever proven.
fn expired_copy(row: &Row) -> Result<Option<ExpiredCopy>, Failure> {
    let method: Option<&str> = get(row, "receipt_method")?;
    if method.is_none() {
        return Ok(None);
    }
    let proof: &str = get(row, "expiry_proof")?;
    let method = Absence::ALL
        .into_iter()
        .find(|known| known.as_str() == proof)
        .ok_or_else(|| corrupt(format!("`{proof}` is not a proof of absence")))?;
    Ok(Some(ExpiredCopy {
        key: key(row)?,
        destination_revision: get(row, "destination_revision")?,
        location: location(row)?,
        receipt: receipt(row)?,
        expiry_id: get(row, "announcement_id")?,
        expired_at: get(row, "expired_at")?,
        method,
        reason: expiry_reason(row)?,
    }))
}

/// The announcement that a parked, released or expired row owes.
pub(crate) fn announcement(row: &Row) -> Result<Announcement, Failure> {
    let at: DateTime<Utc> = get(row, "announcement_at")?;
    let what = match state(row)? {
        State::Released => Happened::Released,
        State::Parked => Happened::Parked(
            word::<ParkReason>(row, "announced_reason")?,
            get(row, "next_attempt_at")?,
        ),
        State::Expired => Happened::Expired(expiry_reason(row)?, expired_copy(row)?.map(Box::new)),
        other @ (State::Staged | State::Stored) => {
            return Err(corrupt(format!("a {} row announces", other.as_str())));
        }
    };
    Ok(Announcement {
        key: key(row)?,
        id: get(row, "announcement_id")?,
        at,
        what,
    })
}
