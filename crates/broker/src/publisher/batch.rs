//! One batch of messages: sent together, judged together.

use std::collections::HashSet;

use lapin::options::BasicPublishOptions;
use lapin::{Channel, Confirmation};
use recording::PublishFault;

use super::Job;

/// Messages in one batch at most.
pub(super) const BATCH: usize = 256;

/// What the broker said to one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// Whether it took responsibility for it.
    taken: Taken,
    /// The id of a message that came back. Not necessarily of this one: see the parent module.
    returned: Option<String>,
}

/// Whether the broker took responsibility.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    /// It has the message, unless it was returned.
    Acked,
    /// It has not.
    Nacked,
    /// The channel is not in confirm mode: nothing is known.
    Unasked,
}

/// Takes the next batch off `waiting`. No two messages of a batch have the same id, for a
/// returned message is recognised by it; the second one waits for the next batch.
pub(super) fn take(waiting: &mut Vec<Job>) -> Vec<Job> {
    let mut ids = HashSet::new();
    let mut batch = Vec::with_capacity(waiting.len().min(BATCH));
    let mut later = Vec::new();
    for job in waiting.drain(..) {
        if batch.len() < BATCH && ids.insert(job.message.id.clone()) {
            batch.push(job);
        } else {
            later.push(job);
        }
    }
    *waiting = later;
    batch
}

/// Sends a batch and waits for every answer.
pub(super) async fn send(channel: &Channel, batch: &[Job]) -> lapin::Result<Vec<Answer>> {
    let mut confirms = Vec::with_capacity(batch.len());
    for job in batch {
        let message = &job.message;
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one place: the worker's task owns the channel"
        )]
        let confirm = channel
            .basic_publish(
                message.exchange.clone(),
                message.routing_key.clone(),
                BasicPublishOptions {
                    mandatory: true,
                    ..BasicPublishOptions::default()
                },
                &message.body,
                message.properties.clone(),
            )
            .await?;
        confirms.push(confirm);
    }
    let mut answers = Vec::with_capacity(confirms.len());
    for confirm in confirms {
        answers.push(answer(confirm.await?));
    }
    Ok(answers)
}

fn answer(confirmation: Confirmation) -> Answer {
    let taken = match confirmation {
        Confirmation::Ack(_) => Taken::Acked,
        Confirmation::Nack(_) => Taken::Nacked,
        Confirmation::NotRequested => Taken::Unasked,
    };
    let returned = confirmation.take_message().map(|message| {
        let id = message.delivery.properties.message_id().as_ref();
        id.map(ToString::to_string).unwrap_or_default()
    });
    Answer { taken, returned }
}

/// What each message's answer means, in the light of all of them.
///
/// SUBTLE: a return precedes the ack of the same message, and every ack takes one waiting return
/// with it, so when all acks of a batch are there, all its returns are among them, each exactly
/// once, only not at the right place. Hence by id. A returned id that is none of the batch's means
/// that this argument is wrong, and then nothing of the batch counts as confirmed.
pub(super) fn judge(ids: &[&str], answers: &[Answer]) -> Vec<Result<(), PublishFault>> {
    let returned: HashSet<&str> = answers
        .iter()
        .filter_map(|answer| answer.returned.as_deref())
        .collect();
    let known: HashSet<&str> = ids.iter().copied().collect();
    let sound = returned.is_subset(&known) && ids.len() == answers.len();
    if !sound {
        return vec![Err(PublishFault::Unconfirmed); ids.len()];
    }
    let verdict = |(id, answer): (&&str, &Answer)| match answer.taken {
        Taken::Unasked => Err(PublishFault::Unconfirmed),
        Taken::Acked | Taken::Nacked if returned.contains(id) => Err(PublishFault::Unroutable),
        Taken::Nacked => Err(PublishFault::Refused),
        Taken::Acked => Ok(()),
    };
    ids.iter().zip(answers).map(verdict).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(taken: Taken, returned: Option<&str>) -> Answer {
        Answer {
            taken,
            returned: returned.map(str::to_owned),
        }
    }

    #[test]
    fn a_return_that_hangs_on_a_neighbours_ack_is_still_attributed_by_id() {
        let answers = [
            said(Taken::Acked, Some("b")),
            said(Taken::Acked, None),
            said(Taken::Nacked, None),
        ];
        assert_eq!(
            judge(&["a", "b", "c"], &answers),
            [
                Ok(()),
                Err(PublishFault::Unroutable),
                Err(PublishFault::Refused)
            ]
        );
    }

    #[test]
    fn a_return_that_belongs_to_nobody_makes_the_whole_batch_unknown() {
        let answers = [said(Taken::Acked, Some("")), said(Taken::Acked, None)];
        let unknown = Err(PublishFault::Unconfirmed);
        assert_eq!(
            judge(&["a", "b"], &answers),
            [unknown.clone(), unknown.clone()]
        );
        assert_eq!(judge(&["a"], &[]), [unknown]);
    }

    #[test]
    fn a_channel_that_does_not_confirm_is_never_success() {
        let answers = [said(Taken::Unasked, None)];
        assert_eq!(judge(&["a"], &answers), [Err(PublishFault::Unconfirmed)]);
    }
}
