//! Acknowledgments that are not ours: nothing that they say is believed, and nothing is deleted
//! for them. Made from a real receipt, so that each differs from the truth in one thing only.

use recording::ParkReason::CopyDiffers;
use recording::RefusalReason::{ReceiptUnknown, UnknownType, WrongField};
use serde_json::{Value, json};

use super::case::{COMPLETED, Case, Cases, End, Message, Row};

/// The row's number.
pub(crate) const NUMBER: &str = "B41";
/// The recording that is stored and cannot be released: its copy was overwritten.
pub(crate) const KEPT: &str = "b41-kept";
/// The routing key of acknowledgments.
const STORED: &str = "recording.stored.v1";

/// The recording that the forged acknowledgments name. Its release is refused.
pub(crate) fn kept() -> Case {
    let what = "a recording whose copy the customer overwrites before it is released";
    Case::new(NUMBER, what, KEPT, End::Kept(CopyDiffers)).good()
}

fn forged(account: &str, id: &str, receipt: &Value) -> Message {
    let event = json!({
        "specversion": "1.0", "id": "forged", "source": "urn:forger",
        "type": "callferry.recording.stored.v1", "subject": id,
        "time": "2026-11-22T10:00:07Z", "datacontenttype": "application/json",
        "data": {
            "account_id": account, "recording_id": id, "interaction_id": "call-19",
            "kind": "call", "destination_revision": 1,
            "location": "s3://acme-recordings/call/2026/11/22/forged.wav",
            "receipt": receipt, "attributes": {}
        }
    });
    let mut message = Message::new(event.to_string());
    message.key = STORED;
    message
}

fn due(kind: &str, id: &str) -> Message {
    let event = json!({
        "specversion": "1.0", "id": "forged", "source": "urn:forger", "type": kind,
        "subject": id, "data": {"account_id": "acme", "recording_id": id}
    });
    Message::new(event.to_string())
}

/// The whole row: what was stored, and what is forged about it. `receipt` is the real one of
/// [`KEPT`]; `parked` and `released` are recordings in those states.
pub(crate) fn row(receipt: &Value, parked: &str, released: &str) -> Row {
    let mut b41 = Cases::of(NUMBER);
    untrue(&mut b41, receipt);
    untimely(&mut b41, receipt, parked, released);
    astray(&mut b41, receipt);
    let mut row = b41.row("acknowledgments that are not ours");
    row.cases.insert(0, kept());
    row
}

fn send(b41: &mut Cases, what: &str, end: End, says: &str, message: Message) {
    b41.add(what, end, |case| {
        let mut case = case.lying(Vec::new()).wave(2).says(says);
        case.sent.push(message);
        case
    });
}

/// What differs from the truth in one thing.
fn untrue(b41: &mut Cases, receipt: &Value) {
    let end = End::Quarantine(ReceiptUnknown);
    let says = "receipt: the ledger has no such receipt; nothing is deleted for it";
    for (what, account, id) in [
        ("of a recording that nobody knows", "acme", "b41-none"),
        ("of an account that nobody knows", "nobody", KEPT),
        ("with the right receipt, of another account", "globex", KEPT),
    ] {
        let what = format!("an acknowledgment {what}");
        send(b41, &what, end, says, forged(account, id, receipt));
    }
    let older = json!("2026-01-01T00:00:00Z");
    for (what, field, value) in [
        ("another digest", "sha256", json!("0".repeat(64))),
        ("another size", "size_bytes", json!(1)),
        ("another entity tag", "etag", json!("x")),
        ("an older copy's time", "stored_at", older),
    ] {
        let what = format!("an acknowledgment with {what}");
        let mut receipt = receipt.clone();
        receipt[field] = value;
        send(b41, &what, end, says, forged("acme", KEPT, &receipt));
    }
    let says = "receipt: must be a receipt as this service writes it";
    let words = forged("acme", KEPT, &json!("stored, believe me"));
    let what = "a receipt that is a text";
    send(b41, what, End::Quarantine(WrongField), says, words);
}

/// What comes when there is nothing to do for it.
fn untimely(b41: &mut Cases, receipt: &Value, parked: &str, released: &str) {
    let stranger = "the right acknowledgment, sent by a stranger";
    let of_parked = "an acknowledgment of a recording that is parked";
    let of_released = "an acknowledgment of one that is released";
    for (what, outcome, id) in [
        (stranger, "waits", KEPT),
        (of_parked, "not_stored", parked),
        (of_released, "not_stored", released),
    ] {
        let end = End::Counted("cleanup", outcome);
        send(b41, what, end, "", forged("acme", id, receipt));
    }
    let mut drive = due("callferry.cleanup.due.v1", "b41-none");
    drive.key = STORED;
    let end = End::Counted("cleanup", "no_row");
    send(b41, "a drive for cleanup, of nothing", end, "", drive);
    let drive = due("callferry.transfer.due.v1", "b41-none");
    let end = End::Counted("transfer", "no_row");
    send(b41, "a drive for transfer, of nothing", end, "", drive);
}

/// What is sent to the wrong queue.
fn astray(b41: &mut Cases, receipt: &Value) {
    let end = End::Quarantine(UnknownType);
    let says = "type: this queue carries completed recordings only";
    let mut message = forged("acme", KEPT, receipt);
    message.key = COMPLETED;
    let what = "an acknowledgment sent as the recorder";
    send(b41, what, end, says, message);
    let says = "type: this queue carries acknowledgments only";
    let event = Case::new(NUMBER, "", "b41-astray", end).event();
    let mut message = Message::new(event.text());
    message.key = STORED;
    let what = "a completed recording sent as transfer";
    send(b41, what, end, says, message);
}
