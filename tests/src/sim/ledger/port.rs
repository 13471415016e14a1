//! The ledger's port: each method is one request whose fate is drawn.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use recording::{
    Advance, Announced, Announcement, CheckReport, Claimed, Clock, DueCheck, Fault,
    HealthAnnouncement, KnownUpload, Lease, LeaseLost, Ledger, LedgerFault, LedgerReading, Note,
    Parking, Part, QuarantineEntry, Queue, Receipt, RecordingKey, ReleaseClaim, ReleaseRefusal,
    Requeue, Stored, Sweep, Upload,
};
use uuid::Uuid;

use super::Claimant;
use crate::sim::call::{Call, Lost};
use crate::sim::oracle;
use crate::sim::side::{Side, SimClock};
use crate::sim::truth::Grant;
use crate::sim::world::World;

/// One process's ledger.
pub(crate) struct LedgerPort(pub(crate) Side);

impl LedgerPort {
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        call: Call,
        about: &(dyn fmt::Display + Sync),
        effect: impl FnOnce(&mut World) -> T + Send + 'static,
    ) -> Result<T, LedgerFault> {
        let asked = self.0.step(call, about, |world| {
            let now = world.now();
            world.ledger.write_notes(now);
            effect(world)
        });
        asked.await.map_err(|lost| {
            LedgerFault::Unavailable(match lost {
                Lost::Before => "the statement did not arrive".to_owned(),
                Lost::After => "the answer was lost".to_owned(),
            })
        })
    }

    fn claimant(&self) -> Claimant {
        Claimant {
            process: self.0.process,
            clock: Arc::<SimClock>::clone(&self.0.clock),
            sent_at: self.0.clock.boot(),
        }
    }
}

fn granted(world: &mut World, token: Uuid, who: &Claimant) {
    let seq = world.seq;
    let grant = Grant {
        process: who.process,
        seq,
    };
    world.truth.grants.insert(token, grant);
}

fn note_claim(world: &mut World, claimed: &Claimed, who: &Claimant, key: &RecordingKey) {
    let what = match claimed {
        Claimed::Granted(claim) => {
            granted(world, claim.lease.token, who);
            "granted"
        }
        Claimed::Waits(_) => "waits",
        Claimed::Beyond(_) => "beyond",
        Claimed::NoDestination(_) => "no_destination",
        Claimed::AccountUnknown => "account_unknown",
        Claimed::Conflict(_) => "conflict",
        Claimed::PathInUse => "path_in_use",
        Claimed::NoRow => "no_row",
    };
    world.truth.count(format!("claim {what}"));
    world.say(format_args!("  {key} {what}"));
    oracle::pinned_once(world, key);
}

#[async_trait]
impl Ledger for LedgerPort {
    async fn claim(&self, announced: &Announced) -> Result<Claimed, LedgerFault> {
        let (who, event) = (self.claimant(), announced.clone());
        self.ask(Call::Claim, &announced.key, move |world| {
            let moment = world.moment();
            let claimed = world.ledger.claim(&event, &who, moment);
            note_claim(world, &claimed, &who, &event.key);
            claimed
        })
        .await
    }

    async fn claim_due(&self, key: &RecordingKey) -> Result<Claimed, LedgerFault> {
        let (who, due) = (self.claimant(), key.clone());
        self.ask(Call::ClaimDue, key, move |world| {
            let moment = world.moment();
            let claimed = world.ledger.claim_due(&due, &who, moment);
            note_claim(world, &claimed, &who, &due);
            claimed
        })
        .await
    }

    async fn renew(
        &self,
        key: &RecordingKey,
        lease: &Lease,
    ) -> Result<Result<(), LeaseLost>, LedgerFault> {
        let sent_at = self.0.clock.boot();
        let (row, held) = (key.clone(), lease.clone());
        let renewed = self
            .ask(Call::Renew, key, move |world| {
                let now = world.now();
                world.ledger.renew(&row, &held, now)
            })
            .await?;
        if renewed.is_ok() {
            lease.fence.renewed(sent_at);
        }
        Ok(renewed)
    }

    async fn upload_begun(
        &self,
        key: &RecordingKey,
        lease: &Lease,
        upload: &Upload,
    ) -> Result<Advance<()>, LedgerFault> {
        let (row, held, upload) = (key.clone(), lease.clone(), upload.clone());
        self.ask(Call::UploadBegun, key, move |world| {
            let now = world.now();
            world.ledger.upload_begun(&row, &held, upload, now)
        })
        .await
    }

    async fn upload_landed(
        &self,
        key: &RecordingKey,
        lease: &Lease,
        parts: &[Part],
    ) -> Result<Advance<()>, LedgerFault> {
        let (row, held, parts) = (key.clone(), lease.clone(), parts.to_vec());
        self.ask(Call::UploadLanded, key, move |world| {
            let now = world.now();
            world.ledger.upload_landed(&row, &held, parts, now)
        })
        .await
    }

    async fn lend(&self, key: &RecordingKey, lease: &Lease) -> Result<Advance<()>, LedgerFault> {
        let (row, held) = (key.clone(), lease.clone());
        self.ask(Call::Lend, key, move |world| {
            let now = world.now();
            world.ledger.lend(&row, &held, now)
        })
        .await
    }

    async fn child_died(
        &self,
        key: &RecordingKey,
        _how: &str,
    ) -> Result<Option<Announcement>, LedgerFault> {
        let row = key.clone();
        self.ask(Call::ChildDied, key, move |world| {
            let moment = world.moment();
            world.truth.count("child died");
            world.ledger.child_died(&row, moment)
        })
        .await
    }

    async fn store(&self, lease: &Lease, stored: &Stored) -> Result<Advance<()>, LedgerFault> {
        let (held, copy, process) = (lease.clone(), stored.clone(), self.0.process);
        self.ask(Call::Store, &stored.announced().key, move |world| {
            let moment = world.moment();
            let advance = world.ledger.store(&held, &copy, moment);
            world.say(format_args!("  {advance:?}"));
            if advance == Advance::Done(()) {
                oracle::recorded(world, process, &copy);
            }
            advance
        })
        .await
    }

    async fn park(
        &self,
        key: &RecordingKey,
        lease: &Lease,
        parking: &Parking,
    ) -> Result<Advance<Option<Announcement>>, LedgerFault> {
        let (row, held, why) = (key.clone(), lease.clone(), parking.clone());
        self.ask(Call::Park, key, move |world| {
            let moment = world.moment();
            let advance = world.ledger.park(&row, &held, &why, moment);
            let done = matches!(advance, Advance::Done(_));
            let Parking {
                reason,
                detail,
                after,
            } = &why;
            world.say(format_args!(
                "  park {done}: {reason} {detail} after {after:?}"
            ));
            world.truth.count(format!("parked {reason}"));
            advance
        })
        .await
    }

    async fn hold(
        &self,
        key: &RecordingKey,
        lease: &Lease,
        shut: &Fault,
    ) -> Result<Advance<Option<Announcement>>, LedgerFault> {
        let (row, held, why) = (key.clone(), lease.clone(), shut.clone());
        self.ask(Call::Hold, key, move |world| {
            let moment = world.moment();
            world.truth.count(format!("held back {}", why.reason));
            world.ledger.hold(&row, &held, &why, moment)
        })
        .await
    }

    async fn give_back(
        &self,
        key: &RecordingKey,
        lease: &Lease,
    ) -> Result<Advance<()>, LedgerFault> {
        let (row, held) = (key.clone(), lease.clone());
        self.ask(Call::GiveBack, key, move |world| {
            let now = world.now();
            world.ledger.give_back(&row, &held, now)
        })
        .await
    }

    async fn claim_release(
        &self,
        key: &RecordingKey,
        receipt: Option<&Receipt>,
    ) -> Result<ReleaseClaim, LedgerFault> {
        let (who, row, receipt) = (self.claimant(), key.clone(), receipt.cloned());
        self.ask(Call::ClaimRelease, key, move |world| {
            let moment = world.moment();
            let claim = world
                .ledger
                .claim_release(&row, receipt.as_ref(), &who, moment);
            let what = match &claim {
                ReleaseClaim::Granted(claim) => {
                    granted(world, claim.lease.token, &who);
                    "granted"
                }
                ReleaseClaim::Waits => "waits",
                ReleaseClaim::NotStored(..) => "not_stored",
                ReleaseClaim::OtherReceipt => "other_receipt",
                ReleaseClaim::NoRow => "no_row",
            };
            world.truth.count(format!("release claim {what}"));
            world.say(format_args!("  {row} {what}"));
            claim
        })
        .await
    }

    async fn release(
        &self,
        key: &RecordingKey,
        lease: &Lease,
        how: &str,
    ) -> Result<Advance<Announcement>, LedgerFault> {
        let (row, held, how) = (key.clone(), lease.clone(), how.to_owned());
        self.ask(Call::Release, key, move |world| {
            let moment = world.moment();
            let advance = world.ledger.release(&row, &held, &how, moment);
            let done = matches!(advance, Advance::Done(_));
            world.say(format_args!("  {row} {how} {done}"));
            if done {
                world.truth.count(format!("released {how}"));
                oracle::released(world, &row);
            }
            advance
        })
        .await
    }

    async fn refuse_release(
        &self,
        key: &RecordingKey,
        lease: &Lease,
        refusal: &ReleaseRefusal,
    ) -> Result<Advance<()>, LedgerFault> {
        let (row, held, why) = (key.clone(), lease.clone(), refusal.clone());
        self.ask(Call::RefuseRelease, key, move |world| {
            let moment = world.moment();
            world.say(format_args!(
                "  {} {} after {:?}",
                why.reason, why.detail, why.after
            ));
            world.truth.count(format!("release refused {}", why.reason));
            world.ledger.refuse_release(&row, &held, &why, moment)
        })
        .await
    }

    async fn copy_lost(
        &self,
        key: &RecordingKey,
        lease: &Lease,
        _detail: &str,
    ) -> Result<Advance<Option<Announcement>>, LedgerFault> {
        let (row, held) = (key.clone(), lease.clone());
        self.ask(Call::CopyLost, key, move |world| {
            let moment = world.moment();
            world.truth.count("copy lost");
            world.ledger.copy_lost(&row, &held, moment)
        })
        .await
    }

    async fn due(&self, queue: Queue, limit: u32) -> Result<Vec<RecordingKey>, LedgerFault> {
        self.ask(Call::Due, &queue.name(), move |world| {
            let now = world.now();
            let due = world.ledger.due(queue, limit, now);
            for key in &due {
                world.say(format_args!("  due {key}"));
            }
            due
        })
        .await
    }

    async fn tend_breakers(&self, _limit: u32) -> Result<Vec<(Queue, RecordingKey)>, LedgerFault> {
        self.ask(Call::TendBreakers, &"", move |world| {
            let moment = world.moment();
            let probes = world.ledger.tend(moment);
            for (_, key) in &probes {
                world.truth.count("probed");
                world.say(format_args!("  probe {key}"));
            }
            probes
        })
        .await
    }

    async fn health_announcements(
        &self,
        _limit: u32,
    ) -> Result<Vec<HealthAnnouncement>, LedgerFault> {
        self.ask(Call::HealthAnnouncements, &"", move |world| {
            let now = world.now();
            world.ledger.health_announcements(now)
        })
        .await
    }

    async fn health_announced(&self, revision: i64, id: Uuid) -> Result<(), LedgerFault> {
        self.ask(Call::HealthAnnounced, &revision, move |world| {
            world.truth.count("health announced");
            world.ledger.health_announced(revision, id);
        })
        .await
    }

    async fn checks(&self, limit: u32) -> Result<Vec<DueCheck>, LedgerFault> {
        self.ask(Call::Checks, &"", move |world| {
            let now = world.now();
            world.ledger.checks(limit, now)
        })
        .await
    }

    async fn checked(&self, check: &DueCheck, report: &CheckReport) -> Result<(), LedgerFault> {
        let (revision, report) = (check.destination.revision, report.clone());
        self.ask(Call::Checked, &revision, move |world| {
            let moment = world.moment();
            world.ledger.checked(revision, &report, moment);
        })
        .await
    }

    async fn undrive(&self, queue: Queue, keys: &[RecordingKey]) -> Result<(), LedgerFault> {
        let keys = keys.to_vec();
        self.ask(Call::Undrive, &queue.name(), move |world| {
            world.ledger.undrive(&keys);
        })
        .await
    }

    async fn announcements(&self, limit: u32) -> Result<Vec<Announcement>, LedgerFault> {
        self.ask(Call::Announcements, &"", move |world| {
            let now = world.now();
            world.ledger.announcements(limit, now)
        })
        .await
    }

    fn note(&self, note: Note) {
        let mut world = self.0.sim.world();
        if world.over || !world.is_alive(self.0.process, self.0.life) {
            return;
        }
        let slow = std::time::Duration::from_secs(2);
        let at = world.now() + world.dice.up_to(slow);
        // A batch that fails is not written again.
        if world.calm || !world.dice.chance(20_000) {
            let (process, life) = (self.0.process, self.0.life);
            world.ledger.notes.push((at, process, life, note));
        }
    }

    async fn sweeps(&self, limit: u32) -> Result<Vec<Sweep>, LedgerFault> {
        self.ask(Call::Sweeps, &"", move |world| {
            let now = world.now();
            world.ledger.sweeps(limit, now)
        })
        .await
    }

    async fn swept(&self, sweep: &Sweep, again: bool) -> Result<(), LedgerFault> {
        let swept = sweep.clone();
        self.ask(Call::Swept, &sweep.account, move |world| {
            let now = world.now();
            world.ledger.swept(&swept, again, now);
        })
        .await
    }

    async fn known_upload(&self, key: &RecordingKey) -> Result<Option<KnownUpload>, LedgerFault> {
        let row = key.clone();
        self.ask(Call::KnownUpload, key, move |world| {
            world.ledger.known_upload(&row)
        })
        .await
    }

    async fn purge_quarantine(&self) -> Result<u64, LedgerFault> {
        Ok(0)
    }

    async fn purge_accesses(&self) -> Result<u64, LedgerFault> {
        Ok(0)
    }

    async fn finish_erasures(&self) -> Result<u64, LedgerFault> {
        Ok(0)
    }

    async fn reading(&self) -> Result<LedgerReading, LedgerFault> {
        self.ask(Call::Reading, &"", |_| LedgerReading::default())
            .await
    }

    async fn quarantine(&self, entry: &QuarantineEntry) -> Result<(), LedgerFault> {
        let entry = entry.clone();
        self.ask(Call::Quarantine, &entry.reason.as_str(), {
            let entry = entry.clone();
            move |world| {
                let now = world.now();
                world.truth.count(format!("quarantined {}", entry.reason));
                world.ledger.quarantine(&entry, now);
            }
        })
        .await
    }

    async fn requeues(&self, limit: u32) -> Result<Vec<Requeue>, LedgerFault> {
        self.ask(Call::Requeues, &"", move |world| {
            let now = world.now();
            let requeues = world.ledger.requeues(limit, now);
            for requeue in &requeues {
                world.say(format_args!("  requeue {}", requeue.id));
            }
            requeues
        })
        .await
    }

    async fn requeued(&self, id: i64) -> Result<(), LedgerFault> {
        self.ask(Call::Requeued, &id, move |world| {
            world.truth.count("requeued");
            world.ledger.requeued(id);
        })
        .await
    }

    async fn probe(&self) -> Result<(), LedgerFault> {
        self.ask(Call::LedgerProbe, &"", |_| ()).await
    }
}
