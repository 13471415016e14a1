//! Open uploads that nobody will go on with: begun by a claim that died before it could write them
//! down, or left behind by one whose copy is proven. They cost the customer money and are seen by
//! nobody.
//!
//! Only what is provably ours is aborted: its key is the key of a recording of this account, and
//! the ledger does not name it as that recording's upload. The customer's own uploads below the
//! same prefix stay.

use chrono::TimeDelta;
use recording::{
    AccountId, Announced, Destination, DestinationOwner, LedgerFault, OpenUpload, RecordingId,
    RecordingKey, Sweep, object_key,
};
use tokio_util::sync::CancellationToken;

use super::Housekeeping;

/// Destinations looked through in one round.
const BATCH: u32 = 20;

/// What one open upload is.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Somebody goes on with it, or it is not ours.
    Stays,
    /// It is too young to tell: its claim may be writing it down right now.
    TooYoung,
    /// Nobody goes on with it.
    Leftover,
}

impl Housekeeping {
    /// Sweeps until `stop` fires.
    pub(super) async fn run_sweeps(&self, stop: CancellationToken) {
        loop {
            let wait = retry::jittered(self.tuning.sweep_every, self.tuning.jitter);
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                swept = self.sweep_due() => if let Err(fault) = swept {
                    tracing::debug!(error = %fault, "leftovers are looked for later");
                },
            }
        }
    }

    /// Sweeps what is due.
    ///
    /// # Errors
    /// The ledger does not answer; what is not swept is due again.
    pub async fn sweep_due(&self) -> Result<(), LedgerFault> {
        for sweep in self.ports.ledger.sweeps(BATCH).await? {
            let again = self.sweep(&sweep).await?;
            self.ports.ledger.swept(&sweep, again).await?;
        }
        Ok(())
    }

    /// Looks through one account's uploads in one destination. `true`: somebody must come again.
    async fn sweep(&self, sweep: &Sweep) -> Result<bool, LedgerFault> {
        let Sweep {
            account,
            destination,
        } = sweep;
        let leftovers = &self.ports.leftovers;
        let open = match leftovers.open_uploads(destination, account).await {
            Ok(open) => open,
            Err(fault) => {
                tracing::info!(
                    account.id = %account, destination.revision = destination.revision,
                    error = %fault, "open uploads cannot be listed now"
                );
                return Ok(true);
            }
        };
        let (mut again, mut aborted) = (false, 0_u64);
        for upload in open {
            match self.judge(sweep, &upload).await? {
                Verdict::Stays => {}
                Verdict::TooYoung => again = true,
                Verdict::Leftover => match leftovers.abort(destination, account, &upload).await {
                    Ok(()) => aborted = aborted.saturating_add(1),
                    Err(fault) => {
                        again = true;
                        tracing::info!(
                            object.key = %upload.key, error = %fault,
                            "a leftover upload cannot be aborted now"
                        );
                    }
                },
            }
        }
        if aborted > 0 {
            self.ports.metrics.uploads_aborted(aborted);
            tracing::info!(account.id = %account, aborted, "leftover uploads aborted");
        }
        Ok(again)
    }

    async fn judge(&self, sweep: &Sweep, upload: &OpenUpload) -> Result<Verdict, LedgerFault> {
        let Some(recording_id) = recording_of(&sweep.destination, &sweep.account, upload) else {
            return Ok(Verdict::Stays);
        };
        let age = self.ports.clock.now() - upload.begun_at;
        let least = TimeDelta::from_std(self.tuning.leftover_age).unwrap_or(TimeDelta::MAX);
        if age < least {
            return Ok(Verdict::TooYoung);
        }
        let key = RecordingKey {
            account_id: sweep.account.clone(),
            recording_id,
        };
        // Asked after the bucket was: an upload that is written down meanwhile is older than that.
        let Some(known) = self.ports.ledger.known_upload(&key).await? else {
            return Ok(Verdict::Stays);
        };
        // Its key now, or the one it had here before it was given another revision.
        let was_here = match known.erased {
            false => upload.key == object_key(&known.announced, &sweep.destination),
            true => may_have_been(&known.announced, &sweep.destination, upload),
        };
        if upload.key != known.object_key && !was_here {
            return Ok(Verdict::Stays);
        }
        Ok(match known.upload_id {
            Some(id) if id == upload.upload_id => Verdict::Stays,
            Some(_) | None => Verdict::Leftover,
        })
    }
}

/// Whether a key is one that a recording may have had before its words were erased: its day and its
/// file's extension are forgotten, and everything else of it is the recording's own.
fn may_have_been(erased: &Announced, destination: &Destination, upload: &OpenUpload) -> bool {
    let digits = |text: &str, many| text.len() == many && text.bytes().all(|b| b.is_ascii_digit());
    let plain = |text: &str| {
        (1..=8).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    let prefix = destination.key_prefix(&erased.key.account_id);
    let rest = upload.key.as_str().strip_prefix(&prefix);
    let mut parts = rest.unwrap_or_default().split('/');
    let day = |parts: &mut std::str::Split<'_, char>| {
        [4, 2, 2]
            .into_iter()
            .all(|many| parts.next().is_some_and(|part| digits(part, many)))
    };
    parts.next() == Some(erased.kind.as_str())
        && day(&mut parts)
        && parts
            .next()
            .and_then(|name| name.strip_prefix(erased.key.recording_id.as_str()))
            .and_then(|end| end.strip_prefix('.'))
            .is_some_and(plain)
        && parts.next().is_none()
}

/// The recording that a key would be of, by its last component. `None`: the key is none of ours.
fn recording_of(
    destination: &Destination,
    account: &AccountId,
    upload: &OpenUpload,
) -> Option<RecordingId> {
    match &destination.owner {
        DestinationOwner::Account(owner) if owner != account => return None,
        DestinationOwner::Account(_) | DestinationOwner::Default => {}
    }
    let rest = upload
        .key
        .as_str()
        .strip_prefix(&destination.key_prefix(account))?;
    let (_, name) = rest.rsplit_once('/')?;
    let (stem, _) = name.rsplit_once('.')?;
    stem.parse().ok()
}
