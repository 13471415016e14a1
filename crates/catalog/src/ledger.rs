//! The port, implemented: each method is one statement in the file that its concern has.

use async_trait::async_trait;
use recording::{
    Advance, Announced, Announcement, CheckReport, Claimed, DueCheck, Fault, HealthAnnouncement,
    KnownUpload, Lease, LeaseLost, Ledger, LedgerFault, LedgerReading, Note, Parking, Part,
    QuarantineEntry, Queue, Receipt, RecordingKey, ReleaseClaim, ReleaseRefusal, Requeue, Stored,
    Sweep, Upload,
};
use uuid::Uuid;

use crate::Catalog;

#[async_trait]
impl Ledger for Catalog {
    async fn claim(&self, announced: &Announced) -> Result<Claimed, LedgerFault> {
        self.claim_announced(announced).await
    }

    async fn claim_due(&self, key: &RecordingKey) -> Result<Claimed, LedgerFault> {
        self.claim_driven(key).await
    }

    async fn renew(
        &self,
        key: &RecordingKey,
        lease: &Lease,
    ) -> Result<Result<(), LeaseLost>, LedgerFault> {
        self.renew_lease(key, lease).await
    }

    async fn upload_begun(
        &self,
        key: &RecordingKey,
        lease: &Lease,
        upload: &Upload,
    ) -> Result<Advance<()>, LedgerFault> {
        self.remember_upload(key, lease, upload).await
    }

    async fn upload_landed(
        &self,
        key: &RecordingKey,
        lease: &Lease,
        parts: &[Part],
    ) -> Result<Advance<()>, LedgerFault> {
        self.remember_parts(key, lease, parts).await
    }

    async fn lend(&self, key: &RecordingKey, lease: &Lease) -> Result<Advance<()>, LedgerFault> {
        self.lend_out(key, lease).await
    }

    async fn child_died(
        &self,
        key: &RecordingKey,
        how: &str,
    ) -> Result<Option<Announcement>, LedgerFault> {
        self.note_death(key, how).await
    }

    async fn store(&self, lease: &Lease, stored: &Stored) -> Result<Advance<()>, LedgerFault> {
        self.advance_to_stored(lease, stored).await
    }

    async fn park(
        &self,
        key: &RecordingKey,
        lease: &Lease,
        parking: &Parking,
    ) -> Result<Advance<Option<Announcement>>, LedgerFault> {
        self.advance_to_parked(key, lease, parking).await
    }

    async fn hold(
        &self,
        key: &RecordingKey,
        lease: &Lease,
        shut: &Fault,
    ) -> Result<Advance<Option<Announcement>>, LedgerFault> {
        self.hold_back(key, lease, shut).await
    }

    async fn give_back(
        &self,
        key: &RecordingKey,
        lease: &Lease,
    ) -> Result<Advance<()>, LedgerFault> {
        self.end_lease(key, lease).await
    }

    async fn claim_release(
        &self,
        key: &RecordingKey,
        receipt: Option<&Receipt>,
    ) -> Result<ReleaseClaim, LedgerFault> {
        self.claim_for_release(key, receipt).await
    }

    async fn release(
        &self,
        key: &RecordingKey,
        lease: &Lease,
        how: &str,
    ) -> Result<Advance<Announcement>, LedgerFault> {
        self.advance_to_released(key, lease, how).await
    }

    async fn refuse_release(
        &self,
        key: &RecordingKey,
        lease: &Lease,
        refusal: &ReleaseRefusal,
    ) -> Result<Advance<()>, LedgerFault> {
        self.keep_stored(key, lease, refusal).await
    }

    async fn copy_lost(
        &self,
        key: &RecordingKey,
        lease: &Lease,
        detail: &str,
    ) -> Result<Advance<Option<Announcement>>, LedgerFault> {
        self.fall_back_to_parked(key, lease, detail).await
    }

    async fn due(&self, queue: Queue, limit: u32) -> Result<Vec<RecordingKey>, LedgerFault> {
        self.drive(queue, limit).await
    }

    async fn tend_breakers(&self, limit: u32) -> Result<Vec<(Queue, RecordingKey)>, LedgerFault> {
        self.tend(limit).await
    }

    async fn health_announcements(
        &self,
        limit: u32,
    ) -> Result<Vec<HealthAnnouncement>, LedgerFault> {
        self.owed_health(limit).await
    }

    async fn health_announced(&self, revision: i64, id: Uuid) -> Result<(), LedgerFault> {
        self.note_health_announced(revision, id).await
    }

    async fn checks(&self, limit: u32) -> Result<Vec<DueCheck>, LedgerFault> {
        self.due_checks(limit).await
    }

    async fn checked(&self, check: &DueCheck, report: &CheckReport) -> Result<(), LedgerFault> {
        self.note_check(check, report).await
    }

    async fn undrive(&self, queue: Queue, keys: &[RecordingKey]) -> Result<(), LedgerFault> {
        self.clear_drive(queue, keys).await
    }

    async fn announcements(&self, limit: u32) -> Result<Vec<Announcement>, LedgerFault> {
        self.owed_announcements(limit).await
    }

    fn note(&self, note: Note) {
        self.notes.add(note);
    }

    async fn sweeps(&self, limit: u32) -> Result<Vec<Sweep>, LedgerFault> {
        self.due_sweeps(limit).await
    }

    async fn swept(&self, sweep: &Sweep, again: bool) -> Result<(), LedgerFault> {
        self.end_sweep(sweep, again).await
    }

    async fn known_upload(&self, key: &RecordingKey) -> Result<Option<KnownUpload>, LedgerFault> {
        self.upload_known(key).await
    }

    async fn purge_quarantine(&self) -> Result<u64, LedgerFault> {
        self.forget_quarantined().await
    }

    async fn purge_accesses(&self) -> Result<u64, LedgerFault> {
        self.forget_accesses().await
    }

    async fn finish_erasures(&self) -> Result<u64, LedgerFault> {
        self.pay_erasures().await
    }

    async fn reading(&self) -> Result<LedgerReading, LedgerFault> {
        self.count_open().await
    }

    async fn quarantine(&self, entry: &QuarantineEntry) -> Result<(), LedgerFault> {
        self.keep_quarantined(entry).await
    }

    async fn requeues(&self, limit: u32) -> Result<Vec<Requeue>, LedgerFault> {
        self.returning_messages(limit).await
    }

    async fn requeued(&self, id: i64) -> Result<(), LedgerFault> {
        self.end_quarantine(id).await
    }

    async fn probe(&self) -> Result<(), LedgerFault> {
        self.ask().await
    }
}
