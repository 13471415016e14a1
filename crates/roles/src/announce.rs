//! Publishes what a row owes to the outside, once, and notes that it was confirmed. Whatever is
//! not confirmed here, housekeeping publishes later: losing this costs a minute, nothing else.

use recording::{
    Announcement, Happened, Ledger, Note, Outgoing, Publisher, expired, parked, released,
};

fn event(announcement: &Announcement) -> Outgoing {
    let Announcement { key, id, at, what } = announcement;
    match what {
        Happened::Parked(reason, next_attempt_at) => {
            parked(key, *id, *at, *reason, *next_attempt_at)
        }
        Happened::Released => released(key, *id, *at),
        Happened::Expired(why) => expired(key, *id, *at, *why),
    }
}

/// Publishes and notes. `false`: not confirmed.
pub(crate) async fn announce(
    publisher: &dyn Publisher,
    ledger: &dyn Ledger,
    announcement: &Announcement,
) -> bool {
    match publisher.publish(event(announcement)).await {
        Ok(()) => {
            ledger.note(Note::Announced(announcement.key.clone(), announcement.id));
            true
        }
        // Other services may not listen to these: without a binding there is nobody to tell.
        Err(recording::PublishFault::Unroutable) => {
            ledger.note(Note::Announced(announcement.key.clone(), announcement.id));
            true
        }
        Err(
            fault @ (recording::PublishFault::Refused
            | recording::PublishFault::Unconfirmed
            | recording::PublishFault::Disconnected),
        ) => {
            tracing::info!(
                recording.key = %announcement.key, error = %fault,
                "an announcement is not confirmed; housekeeping repeats it"
            );
            false
        }
    }
}
