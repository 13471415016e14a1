//! Uploads in parts, remembered so that whoever claims a recording next sends only what is
//! missing.

use std::collections::BTreeMap;

use recording::{
    Advance, Crc64Nvme, Identity, KnownUpload, Lease, LedgerFault, ObjectKey, Part, RecordingKey,
    State, Upload, object_key,
};
use tokio_postgres::Row;

use crate::Catalog;
use crate::catalog::seconds;
use crate::failure::{Failure, corrupt};
use crate::rows::{self, get, recording_columns, unsigned};
use crate::stores::destination;

// SUBTLE: the parts of an earlier upload are found by this statement's snapshot. None can be
// added behind it: whoever adds one holds the lease, and so did the row's lock, before it was ours.
const BEGUN: &str = "-- name: upload_begun
with moved as (
    update recordings set
        upload_id = $4, upload_part_bytes = $5, upload_size_bytes = $6, upload_mtime_ns = $7,
        upload_inode = $8, upload_entity = $10, updated_at = now()
     where account_id = $1 and recording_id = $2
       and lease_token = $3::uuid and lease_until > now() and state = 'staged'
    returning account_id, recording_id, destination_revision
), cleared as (
    delete from recording_upload_parts p using moved m
     where p.account_id = m.account_id and p.recording_id = m.recording_id
), swept as (
    insert into upload_sweeps as known (revision, account_id, begun_at, due_at)
    select destination_revision, account_id, now(), now() + make_interval(secs => $9::float8)
      from moved
    -- What is due stays due, or an account that always uploads would never be looked through.
    on conflict (revision, account_id) do update set begun_at = now()
)
select true from moved";

const LANDED: &str = "-- name: upload_landed
with held as materialized (
    select account_id, recording_id from recordings
     where account_id = $1 and recording_id = $2
       and lease_token = $3::uuid and lease_until > now() and state = 'staged'
       and upload_id is not null
       for update
), landed as (
    insert into recording_upload_parts (account_id, recording_id, number, etag, crc64nvme)
    select h.account_id, h.recording_id, p.number, p.etag, p.crc64nvme
      from held h
      cross join unnest($4::integer[], $5::text[], $6::bigint[]) p (number, etag, crc64nvme)
    on conflict (account_id, recording_id, number) do update set
        etag = excluded.etag, crc64nvme = excluded.crc64nvme
)
select true from held";

const PARTS: &str = "-- name: upload_parts
    select number, etag, crc64nvme from recording_upload_parts
     where account_id = $1 and recording_id = $2 order by number";

const KNOWN: &str = concat!(
    "-- name: known_upload
    select r.erased_at is not null as erased, ",
    recording_columns!(),
    "from recordings r left join reached_destinations d on d.revision = r.destination_revision
    where r.account_id = $1 and r.recording_id = $2"
);

fn signed<T: Copy + std::fmt::Display, S: TryFrom<T>>(number: T) -> Result<S, Failure> {
    S::try_from(number).map_err(|_| corrupt(format!("{number} is out of range")))
}

impl Catalog {
    /// See [`recording::Ledger::upload_begun`].
    pub(crate) async fn remember_upload(
        &self,
        key: &RecordingKey,
        lease: &Lease,
        upload: &Upload,
    ) -> Result<Advance<()>, LedgerFault> {
        let (account, recording) = (key.account_id.as_str(), key.recording_id.as_str());
        let identity = &upload.identity;
        let row = self
            .pool
            .row(
                BEGUN,
                &[
                    &account,
                    &recording,
                    &lease.token,
                    &upload.id,
                    &signed::<u64, i64>(upload.part_bytes)?,
                    &signed::<u64, i64>(identity.size_bytes)?,
                    &identity.mtime_ns,
                    &identity.inode,
                    &seconds(self.settings.sweep_after),
                    &identity.entity,
                ],
            )
            .await?;
        Ok(row.map_or(Advance::Overtaken, |_| Advance::Done(())))
    }

    /// See [`recording::Ledger::upload_landed`]. The same part again replaces what was known.
    pub(crate) async fn remember_parts(
        &self,
        key: &RecordingKey,
        lease: &Lease,
        parts: &[Part],
    ) -> Result<Advance<()>, LedgerFault> {
        // One statement cannot write the same row twice.
        let parts: BTreeMap<u32, &Part> = parts.iter().map(|part| (part.number, part)).collect();
        let numbers = parts.keys().copied().map(signed::<u32, i32>);
        let numbers = numbers.collect::<Result<Vec<_>, _>>()?;
        let etags: Vec<&str> = parts.values().map(|part| part.etag.as_str()).collect();
        let sums: Vec<i64> = parts
            .values()
            .map(|part| part.crc64nvme.value().cast_signed())
            .collect();
        let (account, recording) = (key.account_id.as_str(), key.recording_id.as_str());
        let row = self
            .pool
            .row(
                LANDED,
                &[&account, &recording, &lease.token, &numbers, &etags, &sums],
            )
            .await?;
        Ok(row.map_or(Advance::Overtaken, |_| Advance::Done(())))
    }

    /// The upload of a row that was just claimed. Its parts are one more statement, sent only
    /// where there is an upload.
    pub(crate) async fn upload_left_open(&self, row: &Row) -> Result<Option<Upload>, Failure> {
        let Some(id) = get::<Option<String>>(row, "upload_id")? else {
            return Ok(None);
        };
        let key = rows::key(row)?;
        let (account, recording) = (key.account_id.as_str(), key.recording_id.as_str());
        let parts = self.pool.rows(PARTS, &[&account, &recording]).await?;
        Ok(Some(Upload {
            id,
            part_bytes: unsigned(get(row, "upload_part_bytes")?)?,
            identity: Identity {
                size_bytes: unsigned(get(row, "upload_size_bytes")?)?,
                mtime_ns: get(row, "upload_mtime_ns")?,
                inode: get(row, "upload_inode")?,
                entity: get(row, "upload_entity")?,
            },
            parts: parts.iter().map(part).collect::<Result<_, _>>()?,
        }))
    }

    /// See [`recording::Ledger::known_upload`].
    pub(crate) async fn upload_known(
        &self,
        key: &RecordingKey,
    ) -> Result<Option<KnownUpload>, LedgerFault> {
        let (account, recording) = (key.account_id.as_str(), key.recording_id.as_str());
        let Some(row) = self.pool.row(KNOWN, &[&account, &recording]).await? else {
            return Ok(None);
        };
        let announced = rows::announced(&row)?;
        let object_key = match rows::state(&row)? {
            State::Staged | State::Parked => {
                // Without a destination nothing of it can be open anywhere.
                if get::<Option<i64>>(&row, "destination_revision")?.is_none() {
                    return Ok(None);
                }
                object_key(&announced, &destination(&row, None)?)
            }
            State::Stored | State::Released | State::Expired => {
                // Erased without ever having had a destination.
                let Some(known) = get::<Option<String>>(&row, "object_key")? else {
                    return Ok(None);
                };
                ObjectKey::remembered(known)
            }
        };
        let upload_id = get(&row, "upload_id")?;
        Ok(Some(KnownUpload {
            announced,
            erased: get(&row, "erased")?,
            object_key,
            upload_id,
        }))
    }
}

fn part(row: &Row) -> Result<Part, Failure> {
    Ok(Part {
        number: unsigned(i64::from(get::<i32>(row, "number")?))?,
        etag: get(row, "etag")?,
        crc64nvme: Crc64Nvme::new(get::<i64>(row, "crc64nvme")?.cast_unsigned()),
    })
}
