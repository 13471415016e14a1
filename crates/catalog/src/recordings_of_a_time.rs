//! Recordings of a time, listed in its order: an index of their own, which reads that time alone.

use chrono::{DateTime, Utc};
use recording::{AccountId, InteractionId, Kind, RecordingId, State};

use crate::Catalog;
use crate::admin::AdminFault;
use crate::recordings::{RecordingFilter, RecordingView, view, view_columns};
use crate::rows::recording_columns;

const LIST_OF_A_TIME: &str = concat!(
    "-- name: list_recordings_of_a_time
    select ",
    view_columns!(),
    "from recordings r left join reached_destinations d on d.revision = r.destination_revision
     where r.account_id = $1 and ($2::text is null or r.state = $2)
       and ($5::text is null or r.kind = $5)
       and ($6::text is null or r.interaction_id = $6)
       and r.started_at >= coalesce($7::timestamptz, '-infinity')
       and r.started_at < coalesce($8::timestamptz, 'infinity')
       and (r.started_at, r.recording_id) > (coalesce($9::timestamptz, '-infinity'),
                                             coalesce($4::text, ''))
     order by r.started_at, r.recording_id limit $3"
);

impl RecordingFilter {
    /// Whether a time is asked for: then they are listed by when they began, not by id.
    #[must_use]
    pub fn is_of_a_time(&self) -> bool {
        self.since.is_some() || self.until.is_some()
    }
}

impl Catalog {
    /// Those of an account's recordings that are asked for, by when they began and then by id, from
    /// after the one that began at `after`'s time
    /// on: for a filter that asks for a time, which this reads and no other.
    ///
    /// # Errors
    /// When there is no such account, or the database fails.
    pub async fn find_recordings_of_a_time(
        &self,
        account: &AccountId,
        filter: &RecordingFilter,
        limit: u32,
        after: Option<&(DateTime<Utc>, RecordingId)>,
    ) -> Result<Vec<RecordingView>, AdminFault> {
        self.show_account(account).await?;
        let rows = self
            .pool
            .rows(
                LIST_OF_A_TIME,
                &[
                    &account.as_str(),
                    &filter.state.map(State::as_str),
                    &i64::from(limit),
                    &after.map(|(_, id)| id.as_str()),
                    &filter.kind.map(Kind::as_str),
                    &filter.interaction.as_ref().map(InteractionId::as_str),
                    &filter.since,
                    &filter.until,
                    &after.map(|(began, _)| *began),
                ],
            )
            .await?;
        Ok(rows.iter().map(view).collect::<Result<_, _>>()?)
    }
}
