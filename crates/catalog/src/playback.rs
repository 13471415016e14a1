//! What playback must know of one recording: whether there is a copy, where, and how it is reached.

use std::time::Duration;

use chrono::{DateTime, Utc};
use recording::{
    AccountId, Destination, InteractionId, Kind, ObjectKey, RecordingId, StagingPath, State,
    extension,
};
use tokio_postgres::Row;

use crate::Catalog;
use crate::admin::AdminFault;
use crate::failure::{Failure, corrupt};
use crate::keyring::KeyRing;
use crate::rows::{self, get, unsigned, word};
use crate::stores::{destination, reached_columns};

/// Looked for in one account only: another's recording of the same id is not even read.
const PLAYABLE: &str = concat!(
    "-- name: playable
    select r.account_id, r.recording_id, r.state, r.interaction_id, r.kind, r.media_type,
           r.started_at, r.duration_ms, r.path, r.next_attempt_at, r.object_key,
           r.receipt_version_id, r.receipt_size_bytes,
           -- From then on nobody hears it, wherever it is; a hold keeps it, an erasure does not.
           coalesce(r.state = 'expired' or r.expiry_began_at is not null
               or r.original_erased_at is not null
               or exists (select from erasures e
                    where e.account_id = r.account_id and e.recording_id = r.recording_id)
               or (not h.held and r.retain_until <= now()),
               false) as is_over,
           case when not h.held
                then extract(epoch from r.retain_until - now())::float8 end as ends_in, ",
    reached_columns!(),
    "from recordings r
     cross join lateral (
        select held_by(r.account_id, r.interaction_id, r.recording_id) is not null as held) h
     left join reached_destinations d on d.revision = r.destination_revision
     where r.account_id = $1 and r.recording_id = $2"
);

/// A recording, as playback sees it.
#[derive(Debug, Clone)]
pub struct Playable {
    /// Where it stands.
    pub state: State,
    /// The interaction it belongs to.
    pub interaction_id: InteractionId,
    /// What was recorded.
    pub kind: Kind,
    /// Its media type, as the recorder said it.
    pub media_type: String,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// How long it is, in milliseconds, if the recorder said.
    pub duration_ms: Option<u64>,
    /// The ending of the copy's name, without the dot.
    pub extension: String,
    /// When a parked one is tried again; `None` waits for a person.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// Its retention is over: nobody hears it any more, whatever is left of the copy.
    pub is_over: bool,
    /// The copy; there while the recording is stored or released, and its retention is not over.
    pub copy: Option<PlayableCopy>,
}

/// The copy that was proven, and how it is reached.
#[derive(Debug, Clone)]
pub struct PlayableCopy {
    /// The pinned revision, reached with the newest credential for its place.
    pub destination: Destination,
    /// Its key.
    pub key: ObjectKey,
    /// Its version, where the bucket keeps versions.
    pub version_id: Option<String>,
    /// Its size.
    pub size_bytes: u64,
    /// How long it may be heard yet; `None`: nothing ends its retention by itself.
    pub ends_in: Option<Duration>,
}

fn playable(row: &Row, keyring: Option<&KeyRing>) -> Result<Playable, Failure> {
    let state = rows::state(row)?;
    let key = rows::key(row)?;
    let path = StagingPath::new(&key.account_id, get(row, "path")?)
        .map_err(|error| corrupt(format!("column path: {error}")))?;
    let is_over: bool = get(row, "is_over")?;
    let has_copy = match state {
        State::Stored | State::Released => !is_over,
        State::Staged | State::Parked | State::Expired => false,
    };
    let duration_ms: Option<i64> = get(row, "duration_ms")?;
    Ok(Playable {
        state,
        interaction_id: word(row, "interaction_id")?,
        kind: word(row, "kind")?,
        media_type: get(row, "media_type")?,
        started_at: get(row, "started_at")?,
        duration_ms: duration_ms.map(unsigned).transpose()?,
        extension: extension(&path),
        next_attempt_at: get(row, "next_attempt_at")?,
        is_over,
        copy: has_copy.then(|| copy(row, keyring)).transpose()?,
    })
}

fn copy(row: &Row, keyring: Option<&KeyRing>) -> Result<PlayableCopy, Failure> {
    let ends_in: Option<f64> = get(row, "ends_in")?;
    Ok(PlayableCopy {
        destination: destination(row, keyring)?,
        key: ObjectKey::remembered(get(row, "object_key")?),
        version_id: get(row, "receipt_version_id")?,
        size_bytes: unsigned(get(row, "receipt_size_bytes")?)?,
        // What ended meanwhile has no copy here; a far end is as good as none.
        ends_in: ends_in.and_then(|left| Duration::try_from_secs_f64(left).ok()),
    })
}

impl Catalog {
    /// An account's recording, as playback sees it; `None` if the account has none of this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn playable(
        &self,
        account: &AccountId,
        recording: &RecordingId,
    ) -> Result<Option<Playable>, AdminFault> {
        let row = self
            .pool
            .row(PLAYABLE, &[&account.as_str(), &recording.as_str()])
            .await?;
        let found = row.map(|row| playable(&row, self.keyring()));
        Ok(found.transpose()?)
    }
}
