//! The ledger's side, as its statements promise it, and a broker that confirms.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use recording::{
    AccountId, Advance, Announced, AnnouncedOriginal, Announcement, Clock, Destination,
    DestinationOwner, Expiring, ExpiryReason, ExpiryTurn, Fence, Gone, Happened, Identity, Kept,
    Kind, LEASE, Lease, LedgerFault, Method, ObjectKey, Outgoing, PublishFault, Publisher, Queue,
    Receipt, Record, Recording, RecordingKey, Released, RetentionLedger, RetentionReading,
    S3Bucket, S3Options, Sha256, StagingPath, Store, Withdrawn, WithdrawnRecord,
};
use uuid::Uuid;

use super::RetentionMutant;
use super::world::{DAY, HOUR, Life, Time, Weather, World};

/// What one process is told by the ledger.
pub(super) struct Told(pub(super) Life);

fn down() -> LedgerFault {
    LedgerFault::Unavailable("the simulation".to_owned())
}

/// Where the copies of an account are.
fn place(key: &RecordingKey) -> Destination {
    Destination {
        owner: DestinationOwner::Account(key.account_id.clone()),
        revision: 1,
        credential_revision: 1,
        store: Store::S3(S3Bucket {
            bucket: key.account_id.to_string(),
            region: "eu-central-1".to_owned(),
            role_arn: None,
            endpoint: None,
            prefix: String::new(),
            kms_key: None,
            storage_class: None,
            expected_owner: None,
            options: S3Options::default(),
        }),
        external_id: None,
        account_leads_key: false,
    }
}

/// A row whose original was erased before a copy was proven, as the ledger recalls it.
fn withdrawn(key: &RecordingKey) -> Option<Withdrawn> {
    let object_key = ObjectKey::remembered(format!("call/{}.wav", key.recording_id));
    let record = Record::Withdrawn(WithdrawnRecord {
        key: key.clone(),
        place: Some((place(key), object_key)),
        size_bytes: 1,
        upload_id: None,
    });
    #[expect(
        clippy::disallowed_methods,
        reason = "the simulated ledger remembers, as the real one does"
    )]
    let recalled = Recording::recall(record);
    match recalled {
        Recording::Withdrawn(withdrawn) => Some(*withdrawn),
        Recording::Staged(_)
        | Recording::Parked(_)
        | Recording::Stored(_)
        | Recording::Released(_)
        | Recording::Expired(_) => None,
    }
}

/// The row as the ledger recalls it.
fn released(key: &RecordingKey) -> Option<Released> {
    let path = format!("{}/{}.wav", key.account_id, key.recording_id);
    let announced = Announced {
        key: key.clone(),
        interaction_id: "call".parse().ok()?,
        kind: Kind::Call,
        media_type: "audio/wav".to_owned(),
        started_at: DateTime::UNIX_EPOCH,
        completed_at: DateTime::UNIX_EPOCH,
        duration_ms: None,
        original: AnnouncedOriginal {
            path: StagingPath::new(&key.account_id, &path).ok()?,
            size_bytes: 1,
            sha256: None,
        },
        attributes: BTreeMap::new(),
    };
    let record = Record::Stored {
        announced,
        destination: place(key),
        key: ObjectKey::remembered(format!("call/{}.wav", key.recording_id)),
        receipt: Receipt {
            size_bytes: 1,
            sha256: Sha256::new([0; 32]),
            etag: "e".to_owned(),
            version_id: Some("v1".to_owned()),
            checksum: String::new(),
            content_md5: None,
            method: Method::ReportedChecksum,
            stored_at: DateTime::UNIX_EPOCH,
        },
        identity: Identity {
            size_bytes: 1,
            mtime_ns: 0,
            inode: 0,
            entity: None,
        },
        acknowledgment_id: Uuid::nil(),
        released: true,
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "the simulated ledger remembers, as the real one does"
    )]
    let recalled = Recording::recall(record);
    match recalled {
        Recording::Released(released) => Some(*released),
        Recording::Staged(_)
        | Recording::Parked(_)
        | Recording::Stored(_)
        | Recording::Withdrawn(_)
        | Recording::Expired(_) => None,
    }
}

/// What a claim of a due row came to.
enum Claim {
    Granted(Uuid),
    LookOnly(Uuid),
    PutOff,
}

impl World {
    fn claim(&mut self, number: usize) -> Option<Claim> {
        self.events += 1;
        let (now, events) = (self.now(), self.events);
        let hasty = if self.mutated(RetentionMutant::Hasty) {
            DAY
        } else {
            0
        };
        let held = self.held_since(number, events) && !self.mutated(RetentionMutant::IgnoresHolds);
        let token = self.dice.uuid();
        let row = self.rows.get_mut(number)?;
        if row.lease.is_some_and(|(_, until)| until > now) {
            return None;
        }
        let due = row.due <= now + hasty || row.erase;
        let (claim, next) = match (held, row.began, due) {
            (true, true, _) => (Claim::LookOnly(token), now + LEASE.as_secs()),
            (false, _, true) => (Claim::Granted(token), now + LEASE.as_secs()),
            (true, false, _) | (false, _, false) => (Claim::PutOff, now + HOUR),
        };
        match &claim {
            Claim::PutOff => {}
            Claim::LookOnly(token) => row.lease = Some((*token, now + LEASE.as_secs())),
            Claim::Granted(token) => {
                row.lease = Some((*token, now + LEASE.as_secs()));
                row.began = true;
                row.attempts += 1;
                row.granted = Some(events);
            }
        }
        self.later(number, next);
        Some(claim)
    }

    /// Whether the token's lease is live.
    pub(super) fn holds_lease(&self, number: usize, token: Uuid) -> bool {
        let now = self.now();
        let row = self.rows.get(number);
        row.is_some_and(|row| {
            !row.expired && row.lease.is_some_and(|it| it.0 == token && it.1 > now)
        })
    }
}

#[async_trait]
impl RetentionLedger for Told {
    async fn ledger_time(&self) -> Result<DateTime<Utc>, LedgerFault> {
        match self.0.request().await {
            Weather::Fine => Ok(self.0.shared.clock.now()),
            Weather::FailsBefore | Weather::FailsAfter => Err(down()),
        }
    }

    async fn begin_expiries(&self, accounts: u32, batch: u32) -> Result<ExpiryTurn, LedgerFault> {
        let sent_at = self.0.shared.clock.boot();
        let weather = self.0.request().await;
        if weather == Weather::FailsBefore {
            return Err(down());
        }
        let mut turn = ExpiryTurn::default();
        let mut world = self.0.shared.world();
        let (now, most) = (world.now(), accounts.saturating_mul(batch));
        let ahead = if world.mutated(RetentionMutant::Hasty) {
            DAY
        } else {
            0
        };
        let due: Vec<_> = world
            .queue
            .range(..=(now + ahead, usize::MAX))
            .take(usize::try_from(most).unwrap_or(usize::MAX))
            .map(|(_, number)| *number)
            .collect();
        for number in due {
            let (token, granted) = match world.claim(number) {
                Some(Claim::Granted(token)) => (token, true),
                Some(Claim::LookOnly(token)) => (token, false),
                Some(Claim::PutOff) => {
                    turn.held += 1;
                    continue;
                }
                None => continue,
            };
            let Some(row) = world.rows.get(number) else {
                continue;
            };
            let why = match row.erase {
                true => ExpiryReason::Erasure,
                false => ExpiryReason::Retention,
            };
            let clock: Arc<dyn Clock> = Arc::<Time>::clone(&self.0.shared.clock);
            let lease = Lease {
                token,
                fence: Fence::new(clock, sent_at, LEASE),
            };
            let granted = (row.attempts, granted);
            if row.original.granted.is_some() && !row.original.copied {
                if let Some(withdrawn) = withdrawn(&row.key) {
                    let expiring = Expiring::unproven(&withdrawn, lease, why, granted);
                    turn.begun.push(expiring);
                }
            } else if let Some(released) = released(&row.key) {
                turn.begun
                    .push(Expiring::new(&released, lease, why, granted));
            }
        }
        match weather {
            Weather::FailsAfter => Err(down()),
            Weather::Fine | Weather::FailsBefore => Ok(turn),
        }
    }

    async fn expire(
        &self,
        expiring: &Expiring,
        _gone: Gone,
        _versions: u32,
    ) -> Result<Advance<Announcement>, LedgerFault> {
        let weather = self.0.request().await;
        if weather == Weather::FailsBefore {
            return Err(down());
        }
        let mut world = self.0.shared.world();
        let key = expiring.key().clone();
        let token = expiring.lease().token;
        let Some(number) = world.index.get(&key).copied() else {
            return Ok(Advance::Overtaken);
        };
        let told = Announcement {
            key: key.clone(),
            id: Uuid::nil(),
            at: self.0.shared.clock.now(),
            what: Happened::Expired(expiring.why(), None),
        };
        if !world.holds_lease(number, token) {
            let before = world.rows.get(number);
            let ours = before.is_some_and(|row| row.expired && row.last_token == Some(token));
            return Ok(if ours {
                Advance::Done(told)
            } else {
                Advance::Overtaken
            });
        }
        let left = world.keys.get(number).into_iter().flatten();
        if left.filter(|one| one.ours).count() > 0 {
            world
                .violations
                .push(format!("H4 {key} is called gone, and a version is there"));
        }
        world.counted.lasted = self.0.shared.clock.boot();
        let next = world.rows.get(number).map_or(0, |row| row.next);
        world.queue.remove(&(next, number));
        if let Some(row) = world.rows.get_mut(number) {
            row.expired = true;
            row.lease = None;
            row.last_token = Some(token);
        }
        match weather {
            Weather::FailsAfter => Err(down()),
            Weather::Fine | Weather::FailsBefore => Ok(Advance::Done(told)),
        }
    }

    async fn keep_copy(
        &self,
        expiring: &Expiring,
        kept: &Kept,
    ) -> Result<Advance<()>, LedgerFault> {
        let weather = self.0.request().await;
        if weather == Weather::FailsBefore {
            return Err(down());
        }
        let mut world = self.0.shared.world();
        let number = world.index.get(expiring.key()).copied();
        let token = expiring.lease().token;
        let Some(number) = number.filter(|number| world.holds_lease(*number, token)) else {
            return Ok(Advance::Overtaken);
        };
        let next = world.now() + kept.after.as_secs();
        world.later(number, next);
        if let Some(row) = world.rows.get_mut(number) {
            row.lease = None;
            row.last_token = Some(token);
            row.began &= kept.why != recording::Retained::Held;
        }
        match weather {
            Weather::FailsAfter => Err(down()),
            Weather::Fine | Weather::FailsBefore => Ok(Advance::Done(())),
        }
    }

    async fn not_begun(&self, expiring: &Expiring) -> Result<(), LedgerFault> {
        let weather = self.0.request().await;
        if weather == Weather::FailsBefore {
            return Err(down());
        }
        let mut world = self.0.shared.world();
        let number = world.index.get(expiring.key()).copied();
        let token = expiring.lease().token;
        if let Some(number) = number.filter(|number| world.holds_lease(*number, token)) {
            let now = world.now();
            world.later(number, now);
            if let Some(row) = world.rows.get_mut(number) {
                row.lease = None;
                row.last_token = Some(token);
                if expiring.is_granted() {
                    row.attempts -= 1;
                    row.began &= row.attempts > 0;
                }
            }
        }
        match weather {
            Weather::FailsAfter => Err(down()),
            Weather::Fine | Weather::FailsBefore => Ok(()),
        }
    }

    async fn put_off(
        &self,
        _account: Option<&AccountId>,
        _by: Duration,
    ) -> Result<(), LedgerFault> {
        // Accounts have no turns here: each row has its own time.
        Ok(())
    }

    async fn stop_retention(&self, detail: &str) -> Result<(), LedgerFault> {
        let stopped = format!("a clock that does not jump is said to: {detail}");
        self.0.shared.world().violations.push(stopped);
        Ok(())
    }

    fn expiry_told(&self, _key: &RecordingKey, _id: Uuid) {}

    async fn retention_reading(&self) -> Result<RetentionReading, LedgerFault> {
        Ok(RetentionReading {
            overdue: Duration::ZERO,
            ..RetentionReading::default()
        })
    }
}

/// A broker that confirms.
pub(super) struct Tongue(pub(super) Life);

#[async_trait]
impl Publisher for Tongue {
    async fn publish(&self, _event: Outgoing) -> Result<(), PublishFault> {
        match self.0.request().await {
            Weather::Fine | Weather::FailsAfter => Ok(()),
            Weather::FailsBefore => Err(PublishFault::Unconfirmed),
        }
    }

    fn is_live(&self) -> bool {
        true
    }

    async fn ready(&self, _queue: Queue) -> Result<u32, PublishFault> {
        Ok(0)
    }
}
