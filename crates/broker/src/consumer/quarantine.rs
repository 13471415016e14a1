//! Refused messages: as they came, with the reason beside them.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use recording::{Delivery, Queue, Refusal};
use retry::Policy;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::publisher::{Publisher, RawMessage};

/// The header with the reason, as [`recording::RefusalReason`] writes it.
pub const REASON_HEADER: &str = "x-callferry-reason";
/// The header that names the field and the fix.
pub const DETAIL_HEADER: &str = "x-callferry-detail";
/// The header with the queue that it came from.
pub const QUEUE_HEADER: &str = "x-callferry-queue";
/// The header with the time it was refused, RFC 3339.
pub const FIRST_SEEN_HEADER: &str = "x-callferry-first-seen";

/// Headers that are kept: a trace goes on in quarantine.
const KEPT: [&str; 2] = ["traceparent", "tracestate"];
/// The longest that one header is kept.
const HEADER_MAX: usize = 1024;
/// How to repeat a publish that failed: for as long as the delivery is ours.
const AGAIN: Policy = Policy {
    initial: Duration::from_millis(200),
    cap: Duration::from_secs(5),
    jitter: 0.5,
    attempts: None,
    patience: None,
};

/// Publishes a refused delivery until that is confirmed (`true`), or until its session has
/// ended (`false`): then the broker delivers it again, and it is refused again.
pub(super) async fn publish(
    publisher: &Publisher,
    message: RawMessage,
    session: &CancellationToken,
) -> bool {
    let mut delays = AGAIN.delays();
    let mut said = None;
    loop {
        let fault = tokio::select! {
            biased;
            published = publisher.publish_raw(message.clone()) => match published {
                Ok(()) => return true,
                Err(fault) => fault,
            },
            () = session.cancelled() => return false,
        };
        if said.as_ref() != Some(&fault) {
            tracing::warn!(error = %fault, "cannot quarantine a message yet");
            said = Some(fault);
        }
        let wait = delays.next_delay().unwrap_or(AGAIN.cap);
        tokio::select! {
            () = sleep(wait) => {}
            () = session.cancelled() => return false,
        }
    }
}

/// The delivery with its reason.
pub(super) fn message(
    delivery: Delivery,
    refusal: &Refusal,
    from: Queue,
    now: DateTime<Utc>,
) -> RawMessage {
    let mut headers = vec![
        (REASON_HEADER.to_owned(), refusal.reason.to_string()),
        (DETAIL_HEADER.to_owned(), cut(&refusal.detail)),
        (QUEUE_HEADER.to_owned(), from.name().to_owned()),
        (
            FIRST_SEEN_HEADER.to_owned(),
            now.to_rfc3339_opts(SecondsFormat::Millis, true),
        ),
    ];
    for name in KEPT {
        if let Some(text) = delivery.headers.get(name) {
            headers.push((name.to_owned(), cut(text)));
        }
    }
    RawMessage {
        queue: Queue::Quarantine,
        message_id: delivery.message_id,
        content_type: delivery.content_type,
        content_encoding: delivery.content_encoding,
        headers,
        body: delivery.body,
    }
}

/// The beginning of a text, by whole characters.
fn cut(text: &str) -> String {
    let mut short = String::new();
    for character in text.chars() {
        if short.len() + character.len_utf8() > HEADER_MAX {
            break;
        }
        short.push(character);
    }
    short
}

#[cfg(test)]
mod tests {
    use recording::RefusalReason;

    use super::*;

    #[test]
    fn a_refused_message_keeps_what_it_was_and_says_why_in_bounded_headers() {
        let delivery = Delivery {
            body: "{".into(),
            content_type: Some("text/plain".to_owned()),
            message_id: Some("m-1".to_owned()),
            headers: [
                ("traceparent".to_owned(), "00-aa-bb-01".to_owned()),
                ("x-huge".to_owned(), "x".repeat(10_000)),
            ]
            .into(),
            ..Delivery::default()
        };
        let refusal = Refusal::new(RefusalReason::NotJson, "ö".repeat(5000));
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let message = message(delivery, &refusal, Queue::Transfer, now);
        assert_eq!(message.body, "{");
        assert_eq!(message.message_id.as_deref(), Some("m-1"));
        assert_eq!(message.content_type.as_deref(), Some("text/plain"));
        let header = |name: &str| {
            let found = message.headers.iter().find(|(is, _)| is == name);
            found.map(|(_, text)| text.as_str())
        };
        assert_eq!(header(REASON_HEADER), Some("not_json"));
        assert_eq!(header(QUEUE_HEADER), Some("callferry.transfer"));
        assert_eq!(header(FIRST_SEEN_HEADER), Some("2027-01-15T08:00:00.000Z"));
        assert_eq!(header("traceparent"), Some("00-aa-bb-01"));
        assert_eq!(header("x-huge"), None);
        assert_eq!(header(DETAIL_HEADER).unwrap().len(), HEADER_MAX);
    }
}
