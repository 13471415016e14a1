//! **I6**: once nothing goes wrong any more, everything comes to an end. Good recordings are
//! released and acknowledged, the rest waits for a person or in quarantine, with a reason that
//! the world can explain.

use std::collections::BTreeSet;

use recording::{ParkReason, RefusalReason, State};

use super::ledger::Row;
use super::staging::EndedBy;
use super::truth::{Flaw, Subject};
use super::world::World;

/// What is still going on. Empty: nothing will happen any more.
pub(crate) fn going_on(world: &World) -> Vec<String> {
    let mut going = Vec::new();
    if !world.broker.is_empty() {
        going.push("messages are in the queues".to_owned());
    }
    if world.truth.producing > 0 {
        going.push("producers are at work".to_owned());
    }
    if world.in_flight > 0 {
        going.push("requests are under way".to_owned());
    }
    let now = world.now();
    let instant = world.instant(now);
    for (index, process) in world.processes.iter().enumerate() {
        if !process.alive || world.frozen_until(index) > instant {
            going.push(format!("{} is dead or frozen", process.name));
        }
    }
    for (key, row) in &world.ledger.rows {
        if let Some(why) = unfinished(row) {
            going.push(format!("{key} {why}"));
        }
        if !row.owed.is_empty() {
            going.push(format!("{key} owes an announcement"));
        }
    }
    for (revision, health) in &world.ledger.health {
        if let Some(why) = health.going_on() {
            going.push(format!("destination {revision} {why}"));
        }
    }
    if !world.ledger.sweeps.is_empty() {
        going.push("leftovers are to be swept".to_owned());
    }
    for kept in world.ledger.kept.values() {
        let by_itself = kept.reason == RefusalReason::DeliveryLimit;
        if by_itself || world.ledger.may_return(kept, now) {
            going.push(format!("a message refused for {} may return", kept.reason));
        }
    }
    going
}

/// Why a row is not at rest.
fn unfinished(row: &Row) -> Option<String> {
    match row.state {
        State::Staged => Some("is staged".to_owned()),
        State::Parked => match row.parked {
            Some((ParkReason::NoDestination, None)) if row.destination.is_none() => None,
            Some((_, None)) => None,
            Some((reason, Some(at))) => Some(format!("is parked ({reason}) until {at:?}")),
            None => Some("is parked without a reason".to_owned()),
        },
        State::Stored => match row.refused {
            Some((_, None)) => None,
            Some((reason, Some(at))) => Some(format!("is refused ({reason}) until {at:?}")),
            None => Some("is stored and not released".to_owned()),
        },
        State::Released => {
            let noted = row.copy.as_ref().and_then(|copy| copy.acknowledged_at);
            let is_owed = noted.is_none();
            is_owed.then(|| "is released, its acknowledgment is not confirmed".to_owned())
        }
        State::Expired => None,
    }
}

/// Whether the world knows why a person is asked.
fn explains(flaws: &BTreeSet<Flaw>, reason: ParkReason) -> bool {
    use ParkReason as Why;
    flaws.iter().any(|flaw| match flaw {
        Flaw::Replaced | Flaw::Rewritten | Flaw::SharedPath => matches!(
            reason,
            Why::OriginalReplaced
                | Why::OriginalMissing
                | Why::SizeMismatch
                | Why::DigestMismatch
                | Why::ForeignObject
        ),
        Flaw::Conflict => matches!(
            reason,
            Why::SizeMismatch | Why::DigestMismatch | Why::OriginalMissing
        ),
        Flaw::WrongSize => reason == Why::SizeMismatch,
        Flaw::WrongDigest => reason == Why::DigestMismatch,
        Flaw::NotPlain => reason == Why::NotAPlainFile,
        Flaw::UnknownAccount => false,
        Flaw::Damaged => matches!(reason, Why::ForeignObject | Why::CopyDiffers),
        Flaw::Deleted => reason == Why::OriginalReplaced,
        Flaw::Overwritten => matches!(
            reason,
            Why::ForeignObject | Why::CopyDiffers | Why::OriginalReplaced
        ),
    })
}

/// What is wrong with a world that came to rest.
pub(crate) fn judge(world: &World) -> Vec<String> {
    let mut wrong: Vec<String> = world
        .truth
        .subjects
        .iter()
        .filter(|subject| subject.published)
        .filter_map(|subject| judge_one(world, subject))
        .collect();
    for (key, token) in world.files.trash.keys() {
        let flawed = world
            .truth
            .subject(key)
            .is_some_and(|subject| subject.flaws.iter().any(|flaw| keeps_trash(*flaw)));
        // Whoever retries a refused release looks into the trash first.
        let row = world.ledger.rows.get(key);
        let found_by_a_person = row.is_some_and(|row| row.state == State::Stored);
        if !flawed && !found_by_a_person {
            wrong.push(format!("I6 the trash keeps {key}~{token}"));
        }
    }
    wrong.extend(open_uploads(world));
    for (body, reason) in &world.truth.bad {
        let mut kept = world.ledger.kept.values();
        if !kept.any(|kept| kept.body == *body && kept.reason == *reason) {
            wrong.push(format!("I6 a bad event ({reason}) is not in quarantine"));
        }
    }
    wrong
}

/// Uploads that were written down once, and that nobody will go on with.
fn open_uploads(world: &World) -> Vec<String> {
    let named: BTreeSet<&String> = world
        .ledger
        .rows
        .values()
        .filter(|row| matches!(row.state, State::Staged | State::Parked))
        .filter_map(|row| Some(&row.upload.as_ref()?.id))
        .collect();
    let open = world
        .buckets
        .values()
        .flat_map(|store| store.uploads.keys());
    open.filter(|id| world.ledger.begun.contains(*id) && !named.contains(id))
        .map(|id| format!("I6 upload {id} is left open"))
        .collect()
}

/// Whether an entry may stay in the trash for a person: two files claim one path.
fn keeps_trash(flaw: Flaw) -> bool {
    match flaw {
        Flaw::Replaced | Flaw::SharedPath => true,
        Flaw::Rewritten
        | Flaw::WrongSize
        | Flaw::WrongDigest
        | Flaw::NotPlain
        | Flaw::Conflict
        | Flaw::UnknownAccount
        | Flaw::Damaged
        | Flaw::Deleted
        | Flaw::Overwritten => false,
    }
}

fn judge_one(world: &World, subject: &Subject) -> Option<String> {
    let key = &subject.key;
    let flaws = &subject.flaws;
    let Some(row) = world.ledger.rows.get(key) else {
        let id = format!("\"{}\"", key.recording_id);
        let mut kept = world.ledger.kept.values();
        let known = kept.any(|kept| {
            let explained = match kept.reason {
                RefusalReason::AccountUnknown => flaws.contains(&Flaw::UnknownAccount),
                RefusalReason::PathInUse => shares_with_kept(world, subject),
                RefusalReason::TooLarge
                | RefusalReason::ContentType
                | RefusalReason::NotJson
                | RefusalReason::DuplicateKey
                | RefusalReason::TooDeep
                | RefusalReason::MissingField
                | RefusalReason::WrongField
                | RefusalReason::UnknownType
                | RefusalReason::UnsafePath
                | RefusalReason::Conflict
                | RefusalReason::ReceiptUnknown
                | RefusalReason::DeliveryLimit => false,
            };
            explained && String::from_utf8_lossy(&kept.body).contains(&id)
        });
        return (!known).then(|| format!("I6 the event of {key} vanished"));
    };
    let for_person = match row.state {
        State::Released => return unacknowledged(world, row),
        State::Parked => row.parked.map(|(reason, _)| reason),
        State::Stored => row.refused.map(|(reason, _)| reason),
        State::Staged | State::Expired => None,
    };
    let state = row.state.as_str();
    match for_person {
        // Its processes died three times in a row, and nobody but a person may try again.
        Some(ParkReason::KillsWorker) if row.child_deaths >= 3 => None,
        Some(reason) if explains(flaws, reason) => kept_from_going_on(world, row, subject, reason),
        Some(reason) => Some(format!(
            "I6 {key} is {state} ({reason}); its flaws: {flaws:?}"
        )),
        None => Some(format!("I6 {key} is {state} and nobody knows why")),
    }
}

/// A customer's deletion alone needs a person only when the original was gone by then.
fn kept_from_going_on(
    world: &World,
    row: &Row,
    subject: &Subject,
    reason: ParkReason,
) -> Option<String> {
    let only_deleted = subject.flaws.iter().eq([&Flaw::Deleted]);
    let copy = row.copy.as_ref()?;
    let inode = u64::try_from(copy.identity.inode).unwrap_or_default();
    let file = world.files.inodes.get(&inode)?;
    let original_is_gone = file.ended == Some(EndedBy::Us);
    (only_deleted && !original_is_gone).then(|| {
        format!(
            "I6 {} asks a person ({reason}); its original is there",
            subject.key
        )
    })
}

/// Whether a recording that is not released has the same path.
fn shares_with_kept(world: &World, subject: &Subject) -> bool {
    world.ledger.rows.values().any(|row| {
        row.announced.original.path.as_str() == subject.path && row.state != State::Released
    })
}

fn unacknowledged(world: &World, row: &Row) -> Option<String> {
    let copy = row.copy.as_ref()?;
    let known = world.truth.acknowledgments.get(&copy.acknowledgment_id);
    let arrived = known.is_some_and(|known| known.arrived > 0);
    let key = &row.announced.key;
    (!arrived).then(|| format!("I6 {key} is released and was never acknowledged"))
}
