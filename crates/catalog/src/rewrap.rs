//! Re-wrapping the data keys of destinations' secrets under the key ring's current key, while the
//! fleet runs, and asking which keys are still needed.

use recording::{AccountId, DestinationOwner};
use serde::{Serialize, Serializer};
use tokio_postgres::Row;

use crate::Catalog;
use crate::admin::AdminFault;
use crate::destinations::LOCK;
use crate::failure::{Failure, corrupt};
use crate::keyring::{KeyRing, Sealed};
use crate::pool::Lent;
use crate::rows::{get, optional_word, unsigned};
use crate::stores::{Parts, kept};

/// Secrets that one transaction re-wraps.
const BATCH: i64 = 100;

const LEFT: &str = "-- name: secrets_left
    select count(*) as n from destinations
     where secret_key_id is not null and (secret_key_id <> $1 or secret_wrapped_key is null)";

const NEXT: &str = "-- name: secrets_to_rewrap
    select revision, account_id as destination_account, storage_account, container, endpoint,
           identity, tenant_id, client_id, secret_id, secret_key_id, secret_wrapped_key,
           secret_sealed
      from destinations
     where secret_key_id is not null and (secret_key_id <> $1 or secret_wrapped_key is null)
       and revision > $2
     order by revision limit $3";

/// Compares before it sets: a second rotation may have been here.
const REWRAP: &str = "-- name: rewrap_secret
    update destinations set secret_key_id = $2, secret_wrapped_key = $3, secret_sealed = $4
     where revision = $1 and secret_key_id = $5
       and secret_wrapped_key is not distinct from $6
    returning true";

const BY_KEY: &str = "-- name: secrets_by_key
    select secret_key_id, count(*) as secrets,
           count(*) filter (where secret_wrapped_key is null) as without_data_key
      from destinations where secret_key_id is not null group by 1 order by 1";

/// How many secrets lie under a key of the ring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SecretsUnderKey {
    /// The key.
    pub key_id: String,
    /// The secrets, each a revision's.
    pub secrets: u64,
    /// Those of the first release, which have no data key yet.
    pub without_data_key: u64,
}

/// A secret that could not be opened, so that it stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unopened {
    /// Whose destination: an account's id, or `default`.
    #[serde(serialize_with = "as_word")]
    pub owner: DestinationOwner,
    /// Which revision.
    pub revision: i64,
    /// The key that it names.
    pub key_id: String,
}

fn as_word<S: Serializer>(owner: &DestinationOwner, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(owner)
}

/// What became of one batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rewrapped {
    /// The last revision that was looked at: the next batch begins after it. `None` at the end.
    pub last: Option<i64>,
    /// Secrets that are under the current key now.
    pub rewrapped: u64,
    /// Secrets that nobody can open with this ring.
    pub unopened: Vec<Unopened>,
}

impl Catalog {
    /// How many secrets are not under this key, with a data key of their own.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn secrets_left(&self, key_id: &str) -> Result<u64, AdminFault> {
        let row = self.pool.row(LEFT, &[&key_id]).await?;
        let row = row.ok_or_else(|| corrupt("no count of secrets"))?;
        Ok(unsigned(get(&row, "n")?)?)
    }

    /// Re-wraps the secrets of the next revisions after `after` (at first 0) under the ring's
    /// current key, in one transaction.
    ///
    /// It may be broken off and repeated at any time: what is done is not done again. Readers are
    /// never in the way of it, nor it of them.
    ///
    /// # Errors
    /// When the database fails; nothing of this batch was changed then.
    pub async fn rewrap(&self, ring: &KeyRing, after: i64) -> Result<Rewrapped, AdminFault> {
        let current = ring.current_id();
        let mut lent = self.pool.lend().await?;
        lent.begin().await?;
        let rows = lent.rows(NEXT, &[&current, &after, &BATCH]).await?;
        let mut done = Rewrapped::default();
        for row in &rows {
            let revision = get(row, "revision")?;
            done.last = Some(revision);
            let owner = owner(row)?;
            let parts = Parts::of_row(row)?;
            let binding = parts.binding(&owner, get(row, "secret_id")?);
            let Some(sealed) = ring.rewrap(kept(row)?, &binding) else {
                done.unopened.push(Unopened {
                    owner,
                    revision,
                    key_id: kept(row)?.key_id.to_owned(),
                });
                continue;
            };
            // Where nothing was replaced, another rotation was faster.
            let replaced = replace(&mut lent, row, &sealed).await?;
            done.rewrapped = done.rewrapped.saturating_add(u64::from(replaced));
        }
        lent.commit().await?;
        Ok(done)
    }

    /// How many secrets lie under which key, by key.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn secrets_by_key(&self) -> Result<Vec<SecretsUnderKey>, AdminFault> {
        let rows = self.pool.rows(BY_KEY, &[]).await?;
        let each = rows.iter().map(|row| {
            Ok(SecretsUnderKey {
                key_id: get(row, "secret_key_id")?,
                secrets: unsigned(get(row, "secrets")?)?,
                without_data_key: unsigned(get(row, "without_data_key")?)?,
            })
        });
        Ok(each.collect::<Result<_, Failure>>()?)
    }

    /// Does `retire` if no secret is under the key, and keeps destinations from being set until it
    /// is done, so that none can come to lie under it meanwhile.
    ///
    /// # Errors
    /// When a secret needs the key, `retire` fails, or the database does.
    pub async fn retire_key(
        &self,
        key_id: &str,
        retire: impl FnOnce() -> Result<(), AdminFault>,
    ) -> Result<(), AdminFault> {
        let mut lent = self.pool.lend().await?;
        lent.begin().await?;
        lent.rows(LOCK, &[]).await?;
        for row in lent.rows(BY_KEY, &[]).await? {
            let (id, secrets): (&str, i64) = (get(&row, "secret_key_id")?, get(&row, "secrets")?);
            if id == key_id {
                return Err(AdminFault::refused(
                    format!("{secrets} secrets are under key {key_id}"),
                    "`callferry keyring rotate --resume` brings them under the current key; those \
                     that cannot be opened stay as they are: set those destinations anew",
                ));
            }
        }
        retire()?;
        Ok(lent.commit().await?)
    }
}

fn owner(row: &Row) -> Result<DestinationOwner, Failure> {
    let account = optional_word::<AccountId>(row, "destination_account")?;
    Ok(account.map_or(DestinationOwner::Default, DestinationOwner::Account))
}

async fn replace(lent: &mut Lent, row: &Row, sealed: &Sealed) -> Result<bool, Failure> {
    let (revision, before) = (get::<i64>(row, "revision")?, kept(row)?);
    let replaced = lent
        .rows(
            REWRAP,
            &[
                &revision,
                &sealed.key_id,
                &sealed.wrapped_key,
                &sealed.bytes,
                &before.key_id,
                &before.wrapped_key,
            ],
        )
        .await?;
    Ok(!replaced.is_empty())
}
