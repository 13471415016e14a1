//! From configuration to adapters: the only place where the crates that know the outside meet.

mod broker_side;
mod custody_side;
mod ledger_side;
mod staging_side;
mod stores_side;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use recording::{Clock, Meter, NoMeter};
use roles::Tuning;

pub(crate) use broker_side::{Publishing, broker, broker_failure};
pub(crate) use custody_side::{key_failure, receipt_keys, signer};
pub(crate) use ledger_side::{admin_failure, catalog, expect_schema, ledger_failure, old_schema};
pub(crate) use staging_side::{Files, StagingSide, staging};
pub(crate) use stores_side::{Buckets, buckets};

use crate::clock::SystemClock;
use crate::config::Config;
use crate::failure::Failure;

/// The machine's clocks.
pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

/// What counts for a command that nobody scrapes.
pub(crate) fn no_meter() -> Arc<dyn Meter> {
    Arc::new(NoMeter)
}

/// One provider of cryptography for everything; must run before anything opens a connection.
pub(crate) fn install_crypto_provider() -> Result<()> {
    let installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    installed.map_err(|_| {
        Failure::failed("a provider of cryptography is installed already")
            .hint("this is a defect")
            .into()
    })
}

/// The roles' patience, as configured.
pub(crate) fn tuning(config: &Config) -> Tuning {
    let drive = &config.drive;
    let lease = Duration::from_secs(config.lease_s);
    Tuning {
        outage_patience: Duration::from_secs(drive.outage_s),
        // Twice before the fence closes, so that one lost renewal costs nothing.
        renew_every: lease.saturating_sub(recording::FENCE_MARGIN) / 3,
        growing_max: Duration::from_secs(drive.growing_s),
        tick: Duration::from_millis(config.tick_ms),
        trash_every: Duration::from_secs(drive.trash_every_s),
        hand_off_after: Duration::from_secs(drive.hand_off_s),
        suspect_after: config.isolate_after,
        reading_every: Duration::from_secs(drive.reading_every_s),
        sweep_every: Duration::from_secs(drive.sweep_every_s),
        leftover_age: Duration::from_secs(drive.leftover_age_s),
        check_poll: Duration::from_secs(drive.check_poll_s),
        trash_age_s: drive.trash_age_s,
        expire_batch: drive.retention_batch,
        ..Tuning::production()
    }
}
