//! How many recordings each revision holds, by state: what a person wants to know before an old
//! role or bucket may go.

use std::collections::BTreeMap;

use recording::DestinationOwner;
use serde::Serialize;

use crate::Catalog;
use crate::admin::AdminFault;
use crate::rows::{get, unsigned};

/// Released recordings of an account that are counted at most.
pub const MOST_COUNTED: u32 = 100_000;

/// By the index of open recordings: as long as the account has of those.
const OPEN: &str = "-- name: pinned_open
    select destination_revision,
           count(*) filter (where state = 'staged') as staged,
           count(*) filter (where state = 'parked') as parked,
           count(*) filter (where state = 'stored') as stored
      from recordings
     where account_id between coalesce($1::text, '') and coalesce($1::text, '~')
       and state not in ('released', 'expired') and destination_revision is not null
     group by destination_revision";

const RELEASED: &str = "-- name: pinned_released
    select destination_revision, count(*) as released
      from (select destination_revision from recordings
             where account_id = $1 and state = 'released' limit $2) counted
     group by destination_revision";

/// Recordings that are pinned to one revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct PinnedCounts {
    /// On their way.
    pub staged: u64,
    /// Cannot go on now.
    pub parked: u64,
    /// Copied, and the original not released yet.
    pub stored: u64,
    /// Copied and released; null where it is not counted.
    pub released: Option<u64>,
    /// There are more released ones than were counted: the number is a part of them.
    pub released_is_a_part: bool,
}

impl Catalog {
    /// How many recordings each revision holds, those with none left out. What is open is exact.
    /// What is released is counted for a single account, up to [`MOST_COUNTED`] of them: for
    /// everybody, and for the platform's own, that would be a walk through the whole ledger.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_pinned(
        &self,
        owner: Option<&DestinationOwner>,
    ) -> Result<BTreeMap<i64, PinnedCounts>, AdminFault> {
        let account = match owner {
            Some(DestinationOwner::Account(account)) => Some(account.as_str()),
            Some(DestinationOwner::Default) | None => None,
        };
        let mut counts: BTreeMap<i64, PinnedCounts> = BTreeMap::new();
        let mut lent = self.pool.lend().await?;
        lent.begin().await?;
        lent.take_your_time().await?;
        for row in lent.rows(OPEN, &[&account]).await? {
            let of = counts
                .entry(get(&row, "destination_revision")?)
                .or_default();
            of.staged = unsigned(get(&row, "staged")?)?;
            of.parked = unsigned(get(&row, "parked")?)?;
            of.stored = unsigned(get(&row, "stored")?)?;
        }
        let Some(account) = account else {
            lent.commit().await?;
            return Ok(counts);
        };
        let most = i64::from(MOST_COUNTED);
        let mut all: u64 = 0;
        let most = most.saturating_add(1);
        for row in lent.rows(RELEASED, &[&account, &most]).await? {
            let released: u64 = unsigned(get(&row, "released")?)?;
            all = all.saturating_add(released);
            let revision = get(&row, "destination_revision")?;
            counts.entry(revision).or_default().released = Some(released);
        }
        for of in counts.values_mut() {
            of.released.get_or_insert(0);
            of.released_is_a_part = all > u64::from(MOST_COUNTED);
        }
        lent.commit().await?;
        Ok(counts)
    }
}
