//! The end of copies: retention that has ended, and erasures that were asked for.
//!
//! **Order of effects.** The ledger grants a deletion and writes the intent down; every version of
//! the copy is deleted; a new request looks; only when nothing is left, the ledger is told that the
//! recording expired, and then everybody else. A process that dies in between leaves its intent,
//! and the next sweep deletes what is left and looks.
//!
//! **What was never proven.** An erasure may take the original of a recording whose copy was not
//! proven. Then whatever of ours lies at its key, and each upload that is open there, is ended in
//! the same way.
//!
//! **What wins.** A legal hold: the ledger asks for it when it grants, in the database. Where one
//! came after a deletion may have been sent, the recording is looked at and nothing more.
//!
//! **When it stops.** The ledger stops an account where far more falls due than was ever completed
//! (`retention_excess` in the migrations); this file stops all of it when clocks contradict each
//! other. Either way a person confirms.
//!
//! **Retries.** By why it failed, on a ladder of its own. **Shutdown.** In between two effects.

mod clocks;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future;
use futures::stream::{self, StreamExt, TryStreamExt};
use recording::{
    AccountId, Advance, Announcement, Class, Clock, CopyOf, Expiring, ExpiryTurn, Fault, Gone,
    Kept, LedgerFault, Leftovers, OpenUpload, ParkReason, PublishFault, Publisher, ReceiptSigner,
    Remains, Removable, Removal, Removers, Retained, RetentionLedger,
};
use telemetry::Metrics;
use tokio_util::sync::CancellationToken;

pub use self::clocks::Clocks;
use super::Housekeeping;
use crate::{Tuning, announce};

/// Accounts whose turn one statement takes.
const ACCOUNTS: u32 = 16;
/// Copies of one account deleted at the same time by one process: a bucket that does not answer
/// takes no more places than these, and none of another account's.
const AT_ONCE: usize = 4;
/// For how long an account whose bucket did not answer is not swept: a turn lasts as long as the
/// slowest in it, and the others wait for the next.
const PUT_OFF: Duration = Duration::from_secs(MINUTE);
/// Parts of a lease: without so much nothing is begun, and so much stays for the look and for the
/// note. A place that took the rest, and for nothing, is one that does not answer.
const AT_LEAST: f64 = 0.6;
const FOR_LOOK: f64 = 0.24;
const FOR_NOTE: f64 = 0.08;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// What the sweep reaches the outside through.
#[derive(Clone)]
pub struct RetentionPorts {
    /// The ledger's side of retention.
    pub ledger: Arc<dyn RetentionLedger>,
    /// Deletes copies.
    pub removers: Arc<dyn Removers>,
    /// Ends uploads of what was erased before a copy of it was proven.
    pub leftovers: Arc<dyn Leftovers>,
    /// The broker.
    pub publisher: Arc<dyn Publisher>,
    /// Signs what is stated about copies that are gone.
    pub signer: Arc<dyn ReceiptSigner>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

/// The sweep.
pub struct Retention {
    ports: RetentionPorts,
    tuning: Tuning,
}

impl Housekeeping {
    /// The role with the power to end copies.
    #[must_use]
    pub fn with_retention(mut self, ports: RetentionPorts) -> Self {
        self.retention = Some(Retention::new(ports, self.tuning));
        self
    }
}

impl Retention {
    /// The sweep over its ports.
    #[must_use]
    pub fn new(ports: RetentionPorts, tuning: Tuning) -> Self {
        Self { ports, tuning }
    }

    /// Sweeps until `stop` fires.
    pub(super) async fn run(&self, stop: CancellationToken) {
        let mut clocks = Clocks::default();
        let mut down = false;
        loop {
            let wait = retry::jittered(self.tuning.expire_every, self.tuning.jitter);
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                swept = self.sweep(&mut clocks) => match swept {
                    Ok(()) => down = false,
                    Err(fault) if down => tracing::debug!(error = %fault, "still not swept"),
                    Err(fault) => {
                        down = true;
                        tracing::warn!(error = %fault, "retention is not swept, and tried again");
                    }
                },
            }
            // Whatever the sweep came to: one that fails each time is seen here alone.
            if let Err(fault) = self.read(&mut clocks).await {
                tracing::debug!(error = %fault, "retention is read later");
            }
        }
    }

    /// The gauges, as often as the other readings.
    async fn read(&self, clocks: &mut Clocks) -> Result<(), LedgerFault> {
        let boot = self.ports.clock.boot();
        let since = clocks.read.map(|read| boot.saturating_sub(read));
        if since.is_none_or(|since| since >= self.tuning.reading_every) {
            let reading = self.ports.ledger.retention_reading().await?;
            self.ports.metrics.retention_reading(&reading);
            clocks.read = Some(boot);
        }
        Ok(())
    }

    /// One sweep.
    ///
    /// # Errors
    /// The ledger does not answer; what was begun is taken up again when its lease ends.
    pub async fn sweep(&self, clocks: &mut Clocks) -> Result<(), LedgerFault> {
        let (ports, clock) = (&self.ports, &self.ports.clock);
        let boot = clock.boot();
        let ledger = ports.ledger.ledger_time().await?;
        if let Some(detail) = clocks.contradiction(ledger, clock.now(), boot) {
            tracing::error!(%detail, "retention stops: nothing is deleted until it is confirmed");
            ports.ledger.stop_retention(&detail).await?;
            clocks.noted(ledger, boot);
        }
        let turn = self.begin().await?;
        for (account, detail) in &turn.stopped {
            tracing::error!(
                account.id = %account, %detail,
                "retention stops for an account: nothing of it is deleted until it is confirmed"
            );
        }
        ports.metrics.copies_kept(Retained::Held, turn.held);
        let mut accounts: BTreeMap<AccountId, Vec<Expiring>> = BTreeMap::new();
        for expiring in turn.begun {
            let account = expiring.key().account_id.clone();
            accounts.entry(account).or_default().push(expiring);
        }
        // A ledger that fails ends the sweep; the others' leases run out.
        let sweeps = accounts
            .into_iter()
            .map(|(account, due)| async move { self.of(&account, due).await });
        future::try_join_all(sweeps).await.map(drop)
    }

    /// What is due. An account that the ledger cannot answer for (too slow, or a row that it
    /// refuses) must not keep the others from their turn: it is the first whose turn it is.
    async fn begin(&self) -> Result<ExpiryTurn, LedgerFault> {
        let (ledger, batch) = (&self.ports.ledger, self.tuning.expire_batch);
        let fault = match ledger.begin_expiries(ACCOUNTS, batch).await {
            Ok(turn) => return Ok(turn),
            Err(fault) => fault,
        };
        tracing::warn!(error = %fault, "no turn of the sweep could begin: one account alone");
        match ledger.begin_expiries(1, batch).await {
            Ok(turn) => Ok(turn),
            Err(fault) => {
                ledger.put_off(None, PUT_OFF).await?;
                Err(fault)
            }
        }
    }

    /// What is due of one account.
    async fn of(&self, account: &AccountId, due: Vec<Expiring>) -> Result<(), LedgerFault> {
        let silent = AtomicBool::new(false);
        let due: Vec<_> = due
            .into_iter()
            .map(|expiring| (expiring.lease().fence.left(), expiring))
            .collect();
        let silent = &silent;
        stream::iter(due)
            .map(|(whole, expiring)| async move { self.expire_one(&expiring, whole, silent).await })
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        match silent.load(Ordering::Relaxed) {
            true => self.ports.ledger.put_off(Some(account), PUT_OFF).await,
            false => Ok(()),
        }
    }

    /// One of them, in what is left of the `whole` time of its lease: for a deletion, a look and a
    /// note. What there is no time for, or whose neighbours got no answer, is not begun.
    async fn expire_one(
        &self,
        expiring: &Expiring,
        whole: Duration,
        silent: &AtomicBool,
    ) -> Result<(), LedgerFault> {
        let left = |reserve: f64| {
            let left = expiring.lease().fence.left();
            left.saturating_sub(whole.mul_f64(reserve))
        };
        let began = left(0.0);
        if silent.load(Ordering::Relaxed) || left(AT_LEAST).is_zero() {
            return self.ports.ledger.not_begun(expiring).await;
        }
        let Some(copy) = expiring.copy() else {
            return match expiring.nowhere() {
                Some(gone) => self.ended(expiring, gone, 0).await,
                None => self.stays(expiring, None, Ok(Remains::default())).await,
            };
        };
        let removal = match expiring.removable() {
            Some(removable) => {
                let removing = self.remove(expiring, &removable);
                let removed = tokio::time::timeout(left(FOR_LOOK + FOR_NOTE), removing).await;
                Some(removed.unwrap_or_else(|_| Ok(Removal::Unclear("no end in time".into()))))
            }
            None => None,
        };
        let looking = self.remains(expiring, copy);
        let looked = tokio::time::timeout(left(FOR_NOTE), looking).await;
        let remains = looked.unwrap_or_else(|_| {
            let late = "it could not be looked at in time";
            Err(Fault::new(ParkReason::DestinationUnreachable, late))
        });
        match remains.as_ref().ok().and_then(Remains::gone) {
            Some(gone) => {
                let versions = match &removal {
                    Some(Ok(Removal::Asked(versions))) => *versions,
                    Some(Ok(Removal::Locked(..) | Removal::Unclear(_)) | Err(_)) | None => 0,
                };
                self.ended(expiring, gone, versions).await
            }
            None => {
                // Whoever's time it was that ran out, ours or that of one request.
                let took = began.saturating_sub(left(0.0));
                if took > whole.mul_f64(1.0 - AT_LEAST) {
                    silent.store(true, Ordering::Relaxed);
                }
                self.stays(expiring, removal, remains).await
            }
        }
    }

    /// Deletes what lies at the key. Where nothing was proven an upload may still be open there,
    /// and is ended first, so that nothing of it can become a copy behind the look.
    async fn remove(&self, expiring: &Expiring, removable: &Removable) -> Result<Removal, Fault> {
        if expiring.is_unproven() {
            let copy = removable.copy();
            let known = expiring.upload_id().map(|id| OpenUpload {
                key: copy.object_key.clone(),
                upload_id: id.to_owned(),
                begun_at: self.ports.clock.now(),
            });
            let open = self.open_uploads(copy).await?;
            for upload in open.iter().chain(&known) {
                if removable.fence().check().is_err() {
                    return Ok(Removal::Unclear("the lease ended".to_owned()));
                }
                let (destination, account) = (&copy.destination, &copy.key.account_id);
                self.ports
                    .leftovers
                    .abort(destination, account, upload)
                    .await?;
            }
        }
        self.ports.removers.remove(removable).await
    }

    /// What is left at the key. An upload that is open there is something too: it has no versions,
    /// and counts as one.
    async fn remains(&self, expiring: &Expiring, copy: &CopyOf) -> Result<Remains, Fault> {
        // Uploads first: one that is completed meanwhile lies at the key then.
        let open = match expiring.is_unproven() {
            true => self.open_uploads(copy).await?.len(),
            false => 0,
        };
        let mut remains = self.ports.removers.remains(copy).await?;
        let open = u32::try_from(open).unwrap_or(u32::MAX);
        remains.versions = remains.versions.saturating_add(open);
        Ok(remains)
    }

    async fn open_uploads(&self, copy: &CopyOf) -> Result<Vec<OpenUpload>, Fault> {
        let (destination, account) = (&copy.destination, &copy.key.account_id);
        let mut open = self
            .ports
            .leftovers
            .open_uploads(destination, account)
            .await?;
        open.retain(|upload| upload.key == copy.object_key);
        Ok(open)
    }

    /// Nothing is left: the recording has expired, and others are told.
    async fn ended(
        &self,
        expiring: &Expiring,
        gone: Gone,
        versions: u32,
    ) -> Result<(), LedgerFault> {
        let (ports, seen) = (&self.ports, gone.absence().seen());
        match ports.ledger.expire(expiring, gone, versions).await? {
            Advance::Done(announcement) => {
                let why = expiring.why();
                ports.metrics.copy_expired(why, versions);
                tracing::info!(
                    recording.key = %expiring.key(), why = why.as_str(), versions, seen,
                    "a copy is gone"
                );
                self.tell(&announcement).await;
                Ok(())
            }
            Advance::Overtaken => Ok(()),
        }
    }

    /// It is still there, or may be.
    async fn stays(
        &self,
        expiring: &Expiring,
        removal: Option<Result<Removal, Fault>>,
        remains: Result<Remains, Fault>,
    ) -> Result<(), LedgerFault> {
        let ports = &self.ports;
        let kept = kept(expiring.attempts(), removal, remains, ports.clock.now());
        ports.metrics.copies_kept(kept.why, 1);
        tracing::info!(
            recording.key = %expiring.key(), why = kept.why.as_str(), detail = %kept.detail,
            "a copy stays although its time has come"
        );
        ports.ledger.keep_copy(expiring, &kept).await.map(drop)
    }

    /// Says that a copy is gone, once; housekeeping repeats what is not confirmed.
    async fn tell(&self, announcement: &Announcement) {
        let Announcement { key, id, .. } = announcement;
        let (event, signed) = announce::event(announcement, &*self.ports.signer);
        match self.ports.publisher.publish(event).await {
            Ok(()) => {
                if let Some(signed) = signed {
                    self.ports.metrics.expiry_announced(signed);
                }
                self.ports.ledger.expiry_told(key, *id);
            }
            // Other services may not listen to these.
            Err(PublishFault::Unroutable) => self.ports.ledger.expiry_told(key, *id),
            Err(
                fault @ (PublishFault::Refused
                | PublishFault::Unconfirmed
                | PublishFault::Disconnected),
            ) => {
                self.ports.metrics.unconfirmed();
                tracing::info!(recording.key = %key, error = %fault, "said again later");
            }
        }
    }
}

/// Why a copy is still there, and when it is tried again.
fn kept(
    attempts: u32,
    removal: Option<Result<Removal, Fault>>,
    remains: Result<Remains, Fault>,
    now: DateTime<Utc>,
) -> Kept {
    let (why, detail, lock_until) = match (removal, remains) {
        (None, Ok(_)) => (
            Retained::Held,
            "a legal hold came while it was being deleted; it is still there".to_owned(),
            None,
        ),
        (Some(Ok(Removal::Locked(until, detail))), _) => (Retained::Locked, detail, until),
        (Some(Err(fault)), _) => (denied_or_unclear(&fault), fault.detail, None),
        (Some(Ok(Removal::Unclear(detail))), _) => (Retained::Unclear, detail, None),
        (Some(Ok(Removal::Asked(_))), Ok(remains)) => {
            let left = remains.versions;
            let detail = format!("the store said yes, and a look finds {left} of it");
            (Retained::Unclear, detail, None)
        }
        (None | Some(Ok(Removal::Asked(_))), Err(fault)) => (
            Retained::Unclear,
            format!("whether it is gone cannot be seen: {}", fault.detail),
            None,
        ),
    };
    let rungs: [u64; 4] = match why {
        Retained::Held => [HOUR; 4],
        Retained::Unclear => [MINUTE, 10 * MINUTE, HOUR, 6 * HOUR],
        Retained::Denied => [HOUR, 6 * HOUR, DAY, 7 * DAY],
        Retained::Locked => [DAY, DAY, 7 * DAY, 7 * DAY],
    };
    let rung = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
    let rung = rungs.get(rung).or(rungs.last()).copied();
    let mut after = Duration::from_secs(rung.unwrap_or(DAY));
    if let Some(until) = lock_until {
        // The ledger jitters by a fifth: with a quarter more it is never too early.
        let left = (until - now).to_std().unwrap_or_default().mul_f64(1.25);
        after = left.clamp(Duration::from_secs(MINUTE), Duration::from_secs(30 * DAY));
    }
    Kept {
        why,
        detail,
        lock_until,
        after,
    }
}

fn denied_or_unclear(fault: &Fault) -> Retained {
    match fault.class() {
        Class::Destination => Retained::Denied,
        Class::Transient | Class::Permanent => Retained::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;
    use recording::ParkReason;

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes)
    }

    #[test]
    fn each_way_to_stay_is_told_apart_and_has_its_ladder() {
        let there = || {
            Ok(Remains {
                versions: 1,
                ..Remains::default()
            })
        };
        let denied = Fault::new(ParkReason::AccessDenied, "delete: 403 AccessDenied");
        let unreachable = Fault::new(ParkReason::DestinationUnreachable, "delete: 503");
        let lock = |until| {
            Some(Ok(Removal::Locked(
                until,
                "delete: 403 ObjectLocked".into(),
            )))
        };
        let table = [
            (Some(Err(denied.clone())), there(), Retained::Denied, HOUR),
            (Some(Err(unreachable)), there(), Retained::Unclear, MINUTE),
            (lock(None), there(), Retained::Locked, DAY),
            (lock(Some(at(60))), there(), Retained::Locked, 75 * MINUTE),
            (
                Some(Ok(Removal::Asked(1))),
                there(),
                Retained::Unclear,
                MINUTE,
            ),
            (
                Some(Ok(Removal::Asked(1))),
                Err(denied),
                Retained::Unclear,
                MINUTE,
            ),
            (None, there(), Retained::Held, HOUR),
        ];
        for (removal, remains, why, seconds) in table {
            let kept = kept(1, removal, remains, at(0));
            assert_eq!((kept.why, kept.after.as_secs()), (why, seconds), "{kept:?}");
        }
        let late = kept(9, lock(None), there(), at(0));
        assert_eq!(late.after.as_secs(), 7 * DAY);
    }
}
