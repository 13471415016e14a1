//! How long each stage may take.

use std::time::Duration;

/// A look, and any other small request.
pub(crate) const LOOK: Duration = Duration::from_secs(60);
/// Completing a multipart upload: the store puts the whole object together.
pub(crate) const COMPLETE: Duration = Duration::from_secs(300);
/// A call of STS.
pub(crate) const STS: Duration = Duration::from_secs(10);

const BASE: Duration = Duration::from_secs(30);
/// The slowest rate that is waited for, in bytes a second.
const SLOWEST: u64 = 1024 * 1024;

/// Moving `bytes` one way, with `sharing` such moves on one line.
pub(crate) fn moving(bytes: u64, sharing: u64) -> Duration {
    let seconds = bytes.div_ceil(SLOWEST).saturating_mul(sharing);
    BASE.saturating_add(Duration::from_secs(seconds))
}
