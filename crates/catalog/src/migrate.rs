//! Migrations: each file once, in order, in a transaction of its own, never edited afterwards.
//! Any number of processes may run them at the same time.

use sha2::{Digest, Sha256};
use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};

use crate::Catalog;
use crate::admin::AdminFault;
use crate::failure::{Failure, corrupt, unavailable};
use crate::pool::Connector;
use crate::rows::get;

/// One file.
struct Migration {
    version: i32,
    name: &'static str,
    sql: &'static str,
}

macro_rules! migrations {
    ($($version:literal $name:literal,)+) => {
        &[$(Migration {
            version: $version,
            name: $name,
            sql: include_str!(concat!("../../../schemas/postgres/", $name, ".sql")),
        },)+]
    };
}

const MIGRATIONS: &[Migration] = migrations![
    1 "0001_accounts",
    2 "0002_recordings",
    3 "0003_quarantine",
    4 "0004_clouds_and_uploads",
    5 "0005_destination_options",
    6 "0006_destination_checks",
    7 "0007_keyring",
    8 "0008_destination_health",
    9 "0009_reroute",
    10 "0010_api",
    11 "0011_staging",
    12 "0012_succession",
    13 "0013_health",
    14 "0014_playback",
    15 "0015_retention",
    16 "0016_erasing_originals",
    17 "0017_accesses",
    18 "0018_erasing_what_is_its_own",
    19 "0019_what_erasures_owe",
];

/// The advisory lock that migrating processes queue for; an arbitrary number of our own.
const LOCK: &str = "select pg_advisory_lock(7305829130422251)";

const BOOK: &str = "create table if not exists schema_migrations (
    version integer primary key,
    name text not null,
    checksum text not null,
    applied_at timestamptz not null default now())";

impl Migration {
    fn checksum(&self) -> String {
        hex::encode(Sha256::digest(self.sql.as_bytes()))
    }

    /// Whether a database that remembers `checksum` for this version has this very file.
    fn compare(&self, checksum: &str) -> Result<(), AdminFault> {
        if checksum == self.checksum() {
            return Ok(());
        }
        Err(AdminFault::refused(
            format!("migration {} was applied with other contents", self.name),
            "migrations are never edited: use the release that made this database, or a newer one",
        ))
    }
}

impl Catalog {
    /// Applies what is missing and returns the names of what it applied.
    ///
    /// # Errors
    /// When an applied migration differs from ours, or the database fails; what was applied
    /// before stays.
    pub async fn migrate(&self) -> Result<Vec<String>, AdminFault> {
        let connector = Connector::new(&self.settings)?;
        // A connection of its own: the lock is the session's and ends with it.
        let mut connection = JoinSet::new();
        let connecting = async {
            Ok::<Client, tokio_postgres::Error>(match connector.tls {
                Some(tls) => {
                    let (client, task) = connector.config.connect(tls).await?;
                    connection.spawn(async move { drop(task.await) });
                    client
                }
                None => {
                    let (client, task) = connector.config.connect(NoTls).await?;
                    connection.spawn(async move { drop(task.await) });
                    client
                }
            })
        };
        let mut client = tokio::time::timeout(self.settings.connect_timeout, connecting)
            .await
            .map_err(|_| unavailable("no connection in time"))?
            .map_err(Failure::from)?;
        let applied = apply_missing(&mut client).await;
        drop(client);
        while connection.join_next().await.is_some() {}
        applied
    }

    /// Whether every migration of this release is applied. A newer release's do no harm: they
    /// only ever add.
    ///
    /// # Errors
    /// When an applied migration differs from ours, or the database fails.
    pub async fn schema_is_current(&self) -> Result<bool, AdminFault> {
        let exists = "-- name: schema_exists
            select to_regclass('schema_migrations') is not null as is";
        let row = self.pool.row(exists, &[]).await?;
        let exists: bool = match &row {
            Some(row) => get(row, "is")?,
            None => false,
        };
        if !exists {
            return Ok(false);
        }
        let sql = "-- name: schema_migrations
            select version, checksum from schema_migrations";
        let rows = self.pool.rows(sql, &[]).await?;
        for migration in MIGRATIONS {
            let mut known = rows.iter().filter_map(|row| {
                let version: i32 = get(row, "version").ok()?;
                (version == migration.version).then(|| get::<String>(row, "checksum"))
            });
            match known.next() {
                Some(checksum) => migration.compare(&checksum?)?,
                None => return Ok(false),
            }
        }
        Ok(true)
    }
}

async fn apply_missing(client: &mut Client) -> Result<Vec<String>, AdminFault> {
    let pg = Failure::from;
    // Waiting for another migrating process, and building an index, may take long.
    client
        .batch_execute("set statement_timeout = 0; set lock_timeout = 0")
        .await
        .map_err(pg)?;
    client.batch_execute(LOCK).await.map_err(pg)?;
    client.batch_execute(BOOK).await.map_err(pg)?;
    // Other sessions use the tables meanwhile: a migration that cannot have its lock must not
    // make them queue behind it for long.
    client
        .batch_execute("set lock_timeout = '10s'")
        .await
        .map_err(pg)?;
    let mut applied = Vec::new();
    for migration in MIGRATIONS {
        let find = "select checksum from schema_migrations where version = $1";
        let known = client
            .query_opt(find, &[&migration.version])
            .await
            .map_err(pg)?;
        if let Some(row) = known {
            migration.compare(get(&row, "checksum")?)?;
            continue;
        }
        let transaction = client.transaction().await.map_err(pg)?;
        transaction
            .batch_execute(migration.sql)
            .await
            .map_err(|error| {
                let failure = pg(error);
                match failure.fault {
                    recording::LedgerFault::Corrupt(text) => {
                        corrupt(format!("migration {}: {text}", migration.name))
                    }
                    recording::LedgerFault::Unavailable(_) => failure,
                }
            })?;
        let note = "insert into schema_migrations (version, name, checksum) values ($1, $2, $3)";
        transaction
            .execute(
                note,
                &[&migration.version, &migration.name, &migration.checksum()],
            )
            .await
            .map_err(pg)?;
        transaction.commit().await.map_err(pg)?;
        tracing::info!(migration.name = migration.name, "applied a migration");
        applied.push(migration.name.to_owned());
    }
    Ok(applied)
}
