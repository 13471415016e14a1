//! Publishes what a row owes to the outside, once, and notes that it was confirmed. Whatever is
//! not confirmed here, housekeeping publishes later: losing this costs a minute, nothing else.

use recording::{
    Announcement, Happened, Ledger, Note, Outgoing, Publisher, ReceiptSigner, Statement, expired,
    parked, released,
};

/// What an announcement is to everybody else. The end of a copy carries a receipt, where there is
/// a key.
pub(crate) fn event(announcement: &Announcement, signer: &dyn ReceiptSigner) -> Outgoing {
    let Announcement { key, id, at, what } = announcement;
    match what {
        Happened::Parked(reason, next_attempt_at) => {
            parked(key, *id, *at, *reason, *next_attempt_at)
        }
        Happened::Released => released(key, *id, *at),
        Happened::Expired(why, copy) => {
            let copy = copy.as_deref();
            let signed = copy.and_then(|copy| signer.sign(&Statement::expired(copy)));
            expired(key, (*id, *at), *why, signed.as_ref())
        }
    }
}

/// Publishes and notes. `false`: not confirmed.
pub(crate) async fn announce(
    (publisher, signer): (&dyn Publisher, &dyn ReceiptSigner),
    ledger: &dyn Ledger,
    announcement: &Announcement,
) -> bool {
    match publisher.publish(event(announcement, signer)).await {
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
