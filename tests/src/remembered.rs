//! Recordings as the ledger would remember them, for tests of a store alone.

use std::sync::Arc;

use recording::{
    Announced, Clock, Destination, Expiring, ExpiryReason, Fence, Identity, LEASE, Lease, Method,
    ObjectKey, Observed, Receipt, Record, Recording, Released, Sha256,
};
use uuid::Uuid;

/// A recording whose original is gone, and whose copy is what was observed at `key`.
///
/// # Panics
/// The ledger would not call it released.
#[must_use]
pub fn released(
    announced: Announced,
    destination: Destination,
    key: ObjectKey,
    observed: Observed,
) -> Released {
    let record = Record::Stored {
        announced,
        destination,
        key,
        receipt: Receipt {
            size_bytes: observed.size_bytes,
            sha256: Sha256::new([0; 32]),
            etag: observed.etag,
            version_id: observed.version_id,
            checksum: "crc64nvme:0".to_owned(),
            content_md5: None,
            method: Method::ReportedChecksum,
            stored_at: chrono::DateTime::UNIX_EPOCH,
        },
        identity: Identity {
            size_bytes: observed.size_bytes,
            mtime_ns: 0,
            inode: 0,
            entity: None,
        },
        acknowledgment_id: Uuid::nil(),
        released: true,
    };
    #[expect(clippy::disallowed_methods, reason = "a test plays the ledger")]
    let recalled = Recording::recall(record);
    #[expect(clippy::panic, reason = "what was made is what is asked for")]
    let Recording::Released(released) = recalled else {
        panic!("not released");
    };
    *released
}

/// The lease under which its copy may be deleted, by a clock of the test's own.
#[must_use]
pub fn expiring(released: &Released, clock: Arc<dyn Clock>) -> Expiring {
    let sent_at = clock.boot();
    let lease = Lease {
        token: Uuid::from_u128(7),
        fence: Fence::new(clock, sent_at, LEASE),
    };
    Expiring::new(released, lease, ExpiryReason::Retention, (1, true))
}
