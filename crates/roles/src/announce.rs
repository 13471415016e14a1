//! Publishes what a row owes to the outside, once, and notes that it was confirmed. Whatever is
//! not confirmed here, housekeeping publishes later: losing this costs a minute, nothing else.

use recording::{
    Announcement, Happened, Ledger, Note, Outgoing, Publisher, ReceiptSigner, Statement, expired,
    parked, released,
};
use telemetry::Metrics;

/// What an announcement is to everybody else, and whether it carries a receipt; `None`: there is
/// nothing to state. The end of a copy carries one, where there is a key.
pub(crate) fn event(
    announcement: &Announcement,
    signer: &dyn ReceiptSigner,
) -> (Outgoing, Option<bool>) {
    let Announcement { key, id, at, what } = announcement;
    match what {
        Happened::Parked(reason, next_attempt_at) => {
            (parked(key, *id, *at, *reason, *next_attempt_at), None)
        }
        Happened::Released => (released(key, *id, *at), None),
        Happened::Expired(why, copy) => {
            let copy = copy.as_deref();
            let signed = copy.and_then(|copy| signer.sign(&Statement::expired(copy)));
            let event = expired(key, (*id, *at), *why, signed.as_ref());
            (event, copy.map(|_| signed.is_some()))
        }
    }
}

/// Publishes and notes. `false`: not confirmed.
pub(crate) async fn announce(
    (publisher, signer): (&dyn Publisher, &dyn ReceiptSigner),
    ledger: &dyn Ledger,
    metrics: &Metrics,
    announcement: &Announcement,
) -> bool {
    let (event, signed) = event(announcement, signer);
    match publisher.publish(event).await {
        Ok(()) => {
            if let Some(signed) = signed {
                metrics.expiry_announced(signed);
            }
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
