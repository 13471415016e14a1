//! Claims: who may work on a recording now, and where it stands otherwise.

use std::time::Duration;

use chrono::SubsecRound;
use recording::{
    Announced, Claimed, Fault, Granted, LedgerFault, ParkReason, RUNGS, Recording, RecordingKey,
    State,
};
use tokio_postgres::Row;
use tokio_postgres::types::Json;

use crate::Catalog;
use crate::catalog::{jitter, seconds};
use crate::failure::{Failure, corrupt};
use crate::rows::{self, get, recording_columns, unsigned};

/// Why the destination's breaker is open, if it is for this recording: `h` is its health. What a
/// person asked for goes through, which the caller's condition says.
///
/// SUBTLE: so does the probe, however late its message comes. When another may be chosen is no
/// matter here: with a long queue none would ever be in time.
macro_rules! shut_columns {
    ($asked:literal) => {
        concat!(
            "case when h.state = 'unhealthy' and h.holds and not coalesce(",
            $asked,
            ", false) and not coalesce(h.probe_until is not null
                        and h.probe_account = r.account_id
                        and h.probe_recording = r.recording_id, false)
              then h.reason end as shut_reason, h.detail as shut_detail, "
        )
    };
}

/// After the statement's own part: the answer, whether there is a row or not.
const CLAIM: &str = concat!(
    include_str!("claim.sql"),
    "select known.account_id as known_account, coalesce(holder.held, false) as path_held,
            r.account_id is not null as has_row,
            coalesce(r.lease_token = offer.token, false) as granted,
            coalesce(r.created_by = offer.token, false) as inserted,
            coalesce(r.last_token = offer.token, false) as still_homeless,
            r.erased_at is not null as erased, ",
    shut_columns!("h.asked_until > now()"),
    recording_columns!(),
    "from (values (1)) one
     left join known on true left join offer on true left join holder on true
     left join r on true left join reached_destinations d on d.revision = r.destination_revision
     left join destination_health h on h.revision = r.destination_revision"
);

const CLAIM_DUE: &str = concat!(
    include_str!("claim_due.sql"),
    "select coalesce(r.lease_token = offer.token, false) as granted,
            false as inserted,
            coalesce(r.last_token = offer.token, false) as still_homeless, ",
    // What was driven because a person asked is let through when its message comes.
    shut_columns!(
        "h.asked_until > now() or (select driven_at from held)
            between h.asked_until - make_interval(secs => $5::float8) and h.asked_until"
    ),
    recording_columns!(),
    "from r cross join offer
     left join reached_destinations d on d.revision = r.destination_revision
     left join destination_health h on h.revision = r.destination_revision"
);

/// How often a claim looks again after somebody committed in between.
const LOOKS: u32 = 8;

/// The ladder in seconds, jittered.
pub(crate) fn ladder() -> Vec<f64> {
    let factor = jitter();
    RUNGS.iter().map(|rung| seconds(*rung) * factor).collect()
}

/// What is kept to the microsecond must be compared to the microsecond.
fn to_the_microsecond(announced: &Announced) -> Announced {
    Announced {
        started_at: announced.started_at.trunc_subsecs(6),
        completed_at: announced.completed_at.trunc_subsecs(6),
        ..announced.clone()
    }
}

impl Catalog {
    /// See [`recording::Ledger::claim`].
    pub(crate) async fn claim_announced(
        &self,
        announced: &Announced,
    ) -> Result<Claimed, LedgerFault> {
        let announced = to_the_microsecond(announced);
        for _ in 0..LOOKS {
            let sent_at = self.boot();
            // Somebody committed the same path between this statement's look and its insert, for
            // this or another recording: the next look sees it. (A conflict of the same id is
            // handled within the statement, but the index of paths may notice it first.)
            let row = match self.send_claim(&announced).await {
                Err(failure) if failure.violates_unique("recordings_open_paths") => continue,
                outcome => outcome?,
            };
            if get::<Option<&str>>(&row, "known_account")?.is_none() {
                return Ok(Claimed::AccountUnknown);
            }
            if !get::<bool>(&row, "has_row")? {
                if get(&row, "path_held")? {
                    return Ok(Claimed::PathInUse);
                }
                continue;
            }
            // Pinned, by somebody who committed after this statement began, to a revision that
            // it could not see yet.
            let pinned: Option<i64> = get(&row, "destination_revision")?;
            if pinned.is_some() && get::<Option<i64>>(&row, "revision")?.is_none() {
                continue;
            }
            // Nothing of the event is left to compare with: the tombstone answers for good.
            if get::<Option<bool>>(&row, "erased")?.unwrap_or(false) {
                return Ok(self.claimed(&row, sent_at).await?);
            }
            if let Some(field) = differing_field(&rows::announced(&row)?, &announced) {
                return Ok(Claimed::Conflict(field.to_owned()));
            }
            return Ok(self.claimed(&row, sent_at).await?);
        }
        // Every look was overtaken by somebody who then let the path go again: try later.
        Err(LedgerFault::Unavailable(
            "the claim was overtaken again and again".to_owned(),
        ))
    }

    async fn send_claim(&self, announced: &Announced) -> Result<Row, Failure> {
        let Announced {
            key,
            interaction_id,
            kind,
            media_type,
            started_at,
            completed_at,
            duration_ms,
            original,
            attributes,
        } = announced;
        let signed = |number: u64| {
            i64::try_from(number).map_err(|_| corrupt(format!("{number} is out of range")))
        };
        let duration_ms = duration_ms.map(signed).transpose()?;
        let digest = original
            .sha256
            .as_ref()
            .map(|digest| &digest.as_bytes()[..]);
        let row = self
            .pool
            .row(
                CLAIM,
                &[
                    &key.account_id.as_str(),
                    &key.recording_id.as_str(),
                    &interaction_id.as_str(),
                    &kind.as_str(),
                    media_type,
                    started_at,
                    completed_at,
                    &duration_ms,
                    &original.path.as_str(),
                    &signed(original.size_bytes)?,
                    &digest,
                    &Json(attributes),
                    &seconds(self.settings.lease),
                    &self.settings.retention_days(),
                    &ladder(),
                    &seconds(self.settings.announce_after),
                ],
            )
            .await?;
        row.ok_or_else(|| corrupt("a claim returned nothing"))
    }

    /// See [`recording::Ledger::claim_due`].
    pub(crate) async fn claim_driven(&self, key: &RecordingKey) -> Result<Claimed, LedgerFault> {
        for _ in 0..LOOKS {
            let sent_at = self.boot();
            let lease = seconds(self.settings.lease);
            let asked_for = seconds(self.settings.asked_for);
            let (account, recording) = (key.account_id.as_str(), key.recording_id.as_str());
            let row = self
                .pool
                .row(
                    CLAIM_DUE,
                    &[&account, &recording, &lease, &ladder(), &asked_for],
                )
                .await?;
            let Some(row) = row else {
                return Ok(Claimed::NoRow);
            };
            let pinned: Option<i64> = get(&row, "destination_revision")?;
            if pinned.is_some() && get::<Option<i64>>(&row, "revision")?.is_none() {
                continue;
            }
            return Ok(self.claimed(&row, sent_at).await?);
        }
        Err(LedgerFault::Unavailable(
            "the claim was overtaken again and again".to_owned(),
        ))
    }

    async fn claimed(&self, row: &Row, sent_at: Duration) -> Result<Claimed, Failure> {
        let state = rows::state(row)?;
        match state {
            State::Staged if get(row, "granted")? => {}
            State::Staged => return Ok(Claimed::Waits(State::Staged)),
            State::Parked => return parked(row),
            State::Stored | State::Released | State::Expired => {
                return Ok(Claimed::Beyond(rows::recording(row, self.keyring())?));
            }
        }
        let Recording::Staged(staged) = rows::recording(row, self.keyring())? else {
            return Err(corrupt("a staged row is not staged"));
        };
        let claims: i32 = get(row, "claims")?;
        let known_for: Option<f64> = get(row, "known_for")?;
        Ok(Claimed::Granted(Box::new(Granted {
            staged: *staged,
            lease: self.lease(get(row, "lease_token")?, sent_at),
            tried_before: claims > 1,
            rungs: unsigned(i64::from(get::<i32>(row, "rungs")?))?,
            known_for: Duration::try_from_secs_f64(known_for.unwrap_or(0.0)).unwrap_or_default(),
            unclean_claims: unsigned(i64::from(get::<i32>(row, "unclean_claims")?))?,
            upload: self.upload_left_open(row).await?,
            shut: shut(row)?,
        })))
    }
}

fn shut(row: &Row) -> Result<Option<Fault>, Failure> {
    let Some(reason) = rows::optional_word::<ParkReason>(row, "shut_reason")? else {
        return Ok(None);
    };
    let seen: Option<&str> = get(row, "shut_detail")?;
    let seen = seen.unwrap_or_default();
    Ok(Some(Fault::new(
        reason,
        format!("held back until the destination works again; it was: {seen}"),
    )))
}

fn parked(row: &Row) -> Result<Claimed, Failure> {
    let reason: ParkReason = rows::word(row, "reason")?;
    let inserted: bool = get(row, "inserted")?;
    if reason == ParkReason::NoDestination && inserted {
        return Ok(Claimed::NoDestination(Some(rows::announcement(row)?)));
    }
    if get(row, "still_homeless")? {
        return Ok(Claimed::NoDestination(None));
    }
    Ok(Claimed::Waits(State::Parked))
}

/// The first field in which an announcement differs from the one that made the row.
fn differing_field(known: &Announced, announced: &Announced) -> Option<&'static str> {
    let (a, b) = (known, announced);
    [
        ("original.path", a.original.path != b.original.path),
        (
            "original.size_bytes",
            a.original.size_bytes != b.original.size_bytes,
        ),
        ("original.sha256", a.original.sha256 != b.original.sha256),
        ("started_at", a.started_at != b.started_at),
        ("completed_at", a.completed_at != b.completed_at),
        ("kind", a.kind != b.kind),
        ("interaction_id", a.interaction_id != b.interaction_id),
    ]
    .into_iter()
    .find_map(|(field, differs)| differs.then_some(field))
}
