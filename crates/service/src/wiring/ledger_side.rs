//! The ledger.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use catalog::{AdminFault, Catalog, KeyRing, Settings};
use recording::{Clock, LedgerFault, Meter};
use secrecy::ExposeSecret;

use crate::config::Config;
use crate::failure::Failure;

/// Seconds of a day.
const DAY_S: u64 = 24 * 3600;

/// What is wrong with the ledger, with what to do about it.
pub(crate) fn admin_failure(fault: AdminFault) -> anyhow::Error {
    let (why, hint) = (fault.to_string(), fault.hint().to_owned());
    let failure = match fault {
        AdminFault::Misconfigured { .. } => Failure::usage(why),
        AdminFault::NotFound { .. }
        | AdminFault::Exists { .. }
        | AdminFault::Refused { .. }
        | AdminFault::Overlap { .. }
        | AdminFault::Ledger(_) => Failure::failed(why),
    };
    failure.hint(hint).into()
}

/// The same of a fault of the ledger itself.
pub(crate) fn ledger_failure(fault: LedgerFault) -> anyhow::Error {
    admin_failure(AdminFault::Ledger(fault))
}

/// The ledger; connections are made when they are first used.
pub(crate) fn catalog(
    config: &Config,
    clock: &Arc<dyn Clock>,
    meter: &Arc<dyn Meter>,
) -> Result<Catalog> {
    let seconds = Duration::from_secs;
    let drive = &config.drive;
    let keyring = config.keyring_file.as_deref().map(KeyRing::load);
    let settings = Settings {
        pool_size: config.database_pool_size,
        lease: seconds(config.lease_s),
        unacknowledged_after: seconds(drive.unacknowledged_s),
        unreleased_after: seconds(drive.unreleased_s),
        drive_again_after: seconds(drive.redrive_s),
        drive_again_at_most: seconds(drive.redrive_cap_s),
        announce_after: seconds(drive.unannounced_s),
        sweep_after: seconds(drive.leftover_age_s),
        settle_after: seconds(drive.settle_s),
        probe_after: seconds(drive.probe_s),
        probe_at_most: seconds(drive.probe_cap_s),
        check_every: seconds(drive.check_every_s),
        check_again_after: seconds(drive.recheck_s),
        secret_warnings: (
            seconds(u64::from(config.secret_warning_days).saturating_mul(DAY_S)),
            seconds(u64::from(config.secret_last_warning_days).saturating_mul(DAY_S)),
        ),
        retention_pause: seconds(drive.retention_pause_s),
        late_writes: seconds(drive.late_writes_s),
        quarantine_kept_for: seconds(u64::from(config.quarantine_days).saturating_mul(DAY_S)),
        keyring: keyring.transpose().map_err(admin_failure)?,
        meter: Arc::clone(meter),
        ..Settings::new(config.database_url()?.expose_secret())
    };
    Catalog::connect(settings, Arc::clone(clock)).map_err(admin_failure)
}

/// Refuses a ledger whose schema is not this release's.
pub(crate) async fn expect_schema(catalog: &Catalog) -> Result<()> {
    match catalog.schema_is_current().await {
        Ok(true) => Ok(()),
        Ok(false) => Err(old_schema()),
        Err(fault) => Err(admin_failure(fault)),
    }
}

/// The ledger's schema is not this release's.
pub(crate) fn old_schema() -> anyhow::Error {
    Failure::failed("the ledger's schema is not the one of this release")
        .hint("run `callferry migrate`")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure;

    fn connect(url: &str) -> Result<Catalog> {
        let config = Config {
            database_url: Some(url.into()),
            ..Config::default()
        };
        let meter = crate::wiring::no_meter();
        catalog(&config, &crate::wiring::clock(), &meter)
    }

    #[tokio::test]
    async fn what_is_no_url_of_a_database_is_asked_wrongly_and_no_password_is_repeated() {
        for url in [
            "http://canary@h/d",
            "canary",
            "postgres:///d",
            "postgres://u:canary@h:port/d",
            "postgres://u:p@x?canary=y@h/d",
            "host=h password=x canary=y",
        ] {
            let Err(error) = connect(url) else {
                panic!("{url} is taken");
            };
            assert_eq!(failure::exit_code(&error), 2, "{url}: {error:#}");
            let hint = failure::hint(&error).unwrap_or_default();
            assert!(hint.contains("CALLFERRY_DATABASE_URL"), "{url}: {hint}");
            let said = format!("{error:#}");
            assert!(
                said.contains("`database_url` is not the URL"),
                "{url}: {said}"
            );
            assert!(!said.contains("canary"), "{said}");
        }
        let error = connect("postgres://u@h/d?sslmood=require").unwrap_err();
        assert!(format!("{error:#}").contains("sslmood"), "{error:#}");
        assert!(connect("postgres://u:p@h:5432/d").is_ok());
    }
}
