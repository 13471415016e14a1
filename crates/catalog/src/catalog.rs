//! The handle that everything else hangs on.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use recording::{Clock, Fence, Lease, LedgerFault};
use uuid::Uuid;

use crate::admin::AdminFault;
use crate::failure::{corrupt, unavailable};
use crate::keyring::KeyRing;
use crate::notes::Notes;
use crate::pool::{Pool, PoolCounts};
use crate::rows::get;
use crate::settings::Settings;

/// The ledger in PostgreSQL.
pub struct Catalog {
    pub(crate) pool: Pool,
    pub(crate) settings: Settings,
    pub(crate) notes: Notes,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Seconds, as the database takes them.
pub(crate) fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

/// A factor of 0.8 to 1.2, so that a fleet does not come back in step.
pub(crate) fn jitter() -> f64 {
    0.8 + 0.4 * rand::random::<f64>()
}

/// Text for people, as the database can keep it: without NUL, and not without end.
pub(crate) fn plain(text: &str) -> String {
    text.chars().filter(|c| *c != '\0').take(2000).collect()
}

impl Catalog {
    /// A catalog whose connections are made when they are first used. Call it within a tokio
    /// runtime: it starts the task that writes notes, which [`Catalog::close`] ends.
    ///
    /// # Errors
    /// When the settings cannot be used.
    pub fn connect(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, AdminFault> {
        let pool = Pool::new(&settings)?;
        let runtime = tokio::runtime::Handle::try_current()
            .map_err(|error| AdminFault::refused(error.to_string(), "this is a defect"))?;
        let notes = Notes::start(&runtime, pool.clone(), &settings);
        Ok(Self {
            pool,
            settings,
            notes,
            clock,
        })
    }

    /// Writes the notes that wait and closes every connection.
    pub async fn close(&self) {
        self.notes.close().await;
        self.pool.close();
    }

    /// The id that the staging root's marker must hold.
    ///
    /// # Errors
    /// When the database fails or is not migrated.
    pub async fn staging_id(&self) -> Result<Uuid, AdminFault> {
        let sql = "-- name: staging_id
            select staging_id from installation";
        let row = self.pool.row(sql, &[]).await?;
        let row = row.ok_or_else(|| corrupt("no installation: run `callferry migrate`"))?;
        Ok(get(&row, "staging_id")?)
    }

    /// Whether what the server says is committed survives a crash. A ledger that forgets would
    /// delete originals whose copies it then no longer knows.
    ///
    /// # Errors
    /// When it would not, naming the setting.
    pub async fn check_durability(&self) -> Result<(), AdminFault> {
        match self.forgetful_setting().await? {
            None => Ok(()),
            Some(setting) => Err(AdminFault::refused(
                format!("the database runs with {setting}=off and may forget what it committed"),
                format!("set {setting}=on for this server, database and user"),
            )),
        }
    }

    async fn forgetful_setting(&self) -> Result<Option<String>, LedgerFault> {
        let sql = "-- name: probe
            select case 'off'
                       when current_setting('fsync') then 'fsync'
                       when current_setting('full_page_writes') then 'full_page_writes'
                       when current_setting('synchronous_commit') then 'synchronous_commit'
                   end as forgetful,
                   current_setting('transaction_read_only') = 'on' as read_only";
        let row = self.pool.row(sql, &[]).await?;
        let row = row.ok_or_else(|| corrupt("the probe returned nothing"))?;
        if get(&row, "read_only")? {
            return Err(
                unavailable("the database takes no writes (read-only or a standby)").into(),
            );
        }
        Ok(get(&row, "forgetful")?)
    }

    /// Asks whether the ledger answers, takes writes and keeps them.
    pub(crate) async fn ask(&self) -> Result<(), LedgerFault> {
        match self.forgetful_setting().await? {
            None => Ok(()),
            Some(name) => Err(corrupt(format!("the database runs with {name}=off")).into()),
        }
    }

    /// The keys of secrets at rest, if there are any.
    pub(crate) fn keyring(&self) -> Option<&KeyRing> {
        self.settings.keyring.as_ref()
    }

    /// The wall clock, for what a person is told; what protects data uses the database's.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// The boot-time clock; read *before* a claim or renewal is sent.
    pub(crate) fn boot(&self) -> Duration {
        self.clock.boot()
    }

    /// The lease of a claim that was sent at `sent_at`.
    pub(crate) fn lease(&self, token: Uuid, sent_at: Duration) -> Lease {
        let fence = Fence::new(Arc::clone(&self.clock), sent_at, self.settings.lease);
        Lease { token, fence }
    }

    /// The connections to the database at this moment, for whoever watches.
    #[must_use]
    pub fn connections(&self) -> PoolCounts {
        self.pool.counts()
    }

    /// How many notes were dropped because the database was too slow for them or they came after
    /// [`Catalog::close`]. Each one only repeats an event.
    #[must_use]
    pub fn notes_dropped(&self) -> u64 {
        self.notes.dropped()
    }
}
