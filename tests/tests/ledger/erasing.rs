//! Erasing what no copy was proven of: what the ledger grants, what the database refuses, and what
//! is left.

use std::time::Duration;

use catalog::{Catalog, HoldScope};
use recording::{
    Advance, Announced, Claimed, ErasingOriginal, ErasureLedger, ExpiryReason, Happened, Kept,
    Ledger, OriginalRemains, ParkReason, QuarantineEntry, Queue, Recording, RecordingKey,
    RefusalReason, Remains, Retained, RetentionLedger, State,
};

use super::world::{World, announced, granted, parking, proven};

const BY: (&str, &str) = ("Jo", "case 4711");

/// Nothing that was sent before is waited for.
pub(crate) async fn settled() -> World {
    World::settled_with(|it| it.late_writes = Duration::ZERO).await
}

pub(crate) async fn parked(world: &World, event: &Announced) -> RecordingKey {
    let grant = world.granted(event).await;
    let parking = parking(ParkReason::AccessDenied);
    let parked = world.catalog.park(&event.key, &grant.lease, &parking).await;
    assert!(matches!(parked.unwrap(), Advance::Done(_)));
    event.key.clone()
}

pub(crate) async fn erase(world: &World, key: &RecordingKey) {
    let asked = world
        .catalog
        .erase_recording(&key.account_id, &key.recording_id, BY);
    asked.await.unwrap();
}

pub(crate) async fn turn(catalog: &Catalog) -> Vec<ErasingOriginal> {
    catalog.begin_original_erasures(100).await.unwrap().begun
}

async fn gone(catalog: &Catalog, erasing: &ErasingOriginal) -> Advance<()> {
    let gone = OriginalRemains::default().gone().unwrap();
    catalog.original_erased(erasing, gone, 1).await.unwrap()
}

/// Its lease is over, and it is looked at again.
pub(crate) async fn again(world: &World, key: &RecordingKey) {
    let due = "expiry_next_at = now(), \
         lease_until = case when lease_token is not null then now() end";
    world.force(key, due).await;
}

async fn hold(world: &World, key: &RecordingKey) -> catalog::PlacedHold {
    let scope = HoldScope::Recording(key.recording_id.clone());
    let placed = world.catalog.place_hold(&key.account_id, &scope, BY).await;
    placed.unwrap()
}

async fn expire(world: &World) -> Vec<recording::Announcement> {
    let mut told = Vec::new();
    world.sql("update retention_pace set next_at = now()").await;
    let turn = world.catalog.begin_expiries(16, 100).await.unwrap();
    for expiring in &turn.begun {
        let gone = expiring.nowhere().or(Remains::default().gone()).unwrap();
        match world.catalog.expire(expiring, gone, 0).await.unwrap() {
            Advance::Done(announcement) => told.push(announcement),
            Advance::Overtaken => panic!("overtaken"),
        }
    }
    told
}

/// The sweep is given what may lie at a key, and finds nothing of it.
async fn ends_at_its_key(world: &World, lies_at: &str) {
    world.sql("update retention_pace set next_at = now()").await;
    let turn = world.catalog.begin_expiries(16, 100).await.unwrap();
    let [expiring] = turn.begun.as_slice() else {
        panic!("{turn:?}");
    };
    assert!(expiring.is_unproven() && expiring.nowhere().is_none());
    let copy = expiring.removable().unwrap().copy().clone();
    assert_eq!(copy.object_key.as_str(), lies_at);
    assert_eq!((copy.etag, copy.version_id), (None, None));
    let none = Remains::default().gone().unwrap();
    let done = world.catalog.expire(expiring, none, 0).await.unwrap();
    let Advance::Done(told) = done else {
        panic!("overtaken");
    };
    assert_eq!(told.what, Happened::Expired(ExpiryReason::Erasure, None));
}

#[tokio::test]
async fn a_parked_one_is_erased_without_ever_having_been_stored_and_stays_so() {
    let world = settled().await;
    let event = announced("rec-1");
    let key = parked(&world, &event).await;
    assert!(turn(&world.catalog).await.is_empty(), "nobody asked");
    erase(&world, &key).await;
    // Nobody claims it any more, by whatever way.
    world.force(&key, "next_attempt_at = now()").await;
    for claimed in [
        world.catalog.claim(&event).await.unwrap(),
        world.catalog.claim_due(&key).await.unwrap(),
    ] {
        assert!(
            matches!(claimed, Claimed::Waits(State::Parked)),
            "{claimed:?}"
        );
    }
    let reading = world.catalog.retention_reading().await.unwrap();
    assert_eq!(reading.erasures, 1);
    let begun = turn(&world.catalog).await;
    let [erasing] = begun.as_slice() else {
        panic!("{begun:?}");
    };
    assert_eq!(erasing.key(), &key);
    assert_eq!(erasing.original().path.as_str(), "acme/2024/rec-1.wav");
    let lies_at = erasing.object_key().unwrap().as_str().to_owned();
    assert_eq!(erasing.erasable().unwrap().original().key, key);
    assert!(turn(&world.catalog).await.is_empty(), "once");
    assert_eq!(gone(&world.catalog, erasing).await, Advance::Done(()));
    // A lost answer, asked for again.
    assert_eq!(gone(&world.catalog, erasing).await, Advance::Done(()));
    let row = world.column(&key, "row(recordings.*)::text").await;
    for word in ["call-1", "2024/rec-1.wav", "sales", "audio/wav"] {
        assert!(!row.replace(&lies_at, "").contains(word), "{word}: {row}");
    }
    let shown = world.catalog.show_recording(None, &key.recording_id).await;
    let shown = shown.unwrap().remove(0);
    assert_eq!(shown.state, State::Released);
    assert!(shown.location.is_none() && shown.receipt.is_none());
    assert!(shown.erased_at.is_some() && shown.erasure_asked_at.is_some());
    let claimed = world.catalog.claim(&event).await.unwrap();
    assert!(matches!(claimed, Claimed::Beyond(Recording::Withdrawn(_))));

    ends_at_its_key(&world, &lies_at).await;
    let claimed = world.catalog.claim(&event).await.unwrap();
    assert!(matches!(claimed, Claimed::Beyond(Recording::Expired(_))));
    world.catalog.finish_erasures().await.unwrap();
    assert_eq!(not_over(&world).await, 0);
    assert_eq!(
        world.history(&key).await,
        [
            ">staged",
            "staged>parked",
            "parked>parked",
            "parked>parked",
            "parked>released",
            "released>expired"
        ]
    );
    let reasons = world.reasons(&key).await;
    assert_eq!(
        reasons[4],
        "erasure, without a proven copy: 1 deleted; nothing is at the path or in the trash, and \
         the marker is there"
    );
    // Its path is free for others.
    let other = Announced {
        key: announced("rec-2").key,
        ..event
    };
    granted(world.catalog.claim(&other).await.unwrap());
}

#[tokio::test]
async fn without_a_destination_there_is_nowhere_to_look_and_the_proof_says_so() {
    let world = World::with(|it| it.late_writes = Duration::ZERO).await;
    world.account("acme").await;
    let event = announced("rec-1");
    let claimed = world.catalog.claim(&event).await.unwrap();
    assert!(matches!(claimed, Claimed::NoDestination(Some(_))));
    erase(&world, &event.key).await;
    let begun = turn(&world.catalog).await;
    assert!(begun[0].object_key().is_none());
    gone(&world.catalog, &begun[0]).await;
    // A destination that comes later is none of its own.
    world.destination("acme", "acme-bucket").await;
    assert_eq!(expire(&world).await.len(), 1);
    let last = world.reasons(&event.key).await.pop().unwrap();
    assert!(last.contains("never pinned to a destination"), "{last}");
    assert!(
        world
            .catalog
            .known_upload(&event.key)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn whoever_sends_goes_on_and_what_comes_of_it_is_erased() {
    let world = settled().await;
    // One that is stored goes the usual way.
    let sent = world.granted(&announced("rec-1")).await;
    let key = announced("rec-1").key;
    erase(&world, &key).await;
    assert!(turn(&world.catalog).await.is_empty(), "a live lease");
    let stored = world.catalog.store(&sent.lease, &proven(&sent)).await;
    assert_eq!(stored.unwrap(), Advance::Done(()));
    assert!(turn(&world.catalog).await.is_empty());
    let grant = world.release_granted(&key).await;
    let release = world.catalog.release(&key, &grant.lease, "deleted");
    release.await.unwrap();
    let owed = "acknowledged_at = now(), due_at = null, announce_after = null";
    world.force(&key, owed).await;
    assert_eq!(expire(&world).await.len(), 1);

    // One that dies is erased when its lease is over.
    let dead = announced("rec-2");
    world.granted(&dead).await;
    erase(&world, &dead.key).await;
    assert!(turn(&world.catalog).await.is_empty());
    again(&world, &dead.key).await;
    let claimed = world.catalog.claim_due(&dead.key).await.unwrap();
    assert!(matches!(claimed, Claimed::Waits(State::Staged)));
    let begun = turn(&world.catalog).await;
    gone(&world.catalog, &begun[0]).await;
    assert_eq!(expire(&world).await.len(), 1);
}

#[tokio::test]
async fn nobody_looks_for_a_copy_before_a_late_write_would_have_arrived() {
    let world = World::settled().await;
    let key = parked(&world, &announced("rec-1")).await;
    erase(&world, &key).await;
    let begun = turn(&world.catalog).await;
    gone(&world.catalog, &begun[0]).await;
    assert!(expire(&world).await.is_empty());
    let late = "expiry_next_at - now() > interval '5 minutes'";
    assert_eq!(world.column(&key, late).await, "t");
    assert_eq!(world.column(&key, "erased_at is not null").await, "t");
}

#[tokio::test]
async fn a_hold_wins_before_and_keeps_what_is_left_after() {
    let world = settled().await;
    let event = announced("rec-1");
    let key = parked(&world, &event).await;
    erase(&world, &key).await;
    let early = hold(&world, &key).await;
    assert!(early.too_late.is_empty());
    assert!(turn(&world.catalog).await.is_empty());
    assert_eq!(world.column(&key, "expiry_outcome").await, "held");
    let reading = world.catalog.retention_reading().await.unwrap();
    assert_eq!(
        reading.erasures, 0,
        "it waits for the hold, and for nobody else"
    );
    // Not even a statement of another's begins it.
    world
        .force(
            &key,
            "original_erasure_attempts = original_erasure_attempts + 1, \
             original_erasure_compared = original_erasure_attempts + 1",
        )
        .await;
    assert_eq!(world.column(&key, "original_erasure_attempts").await, "0");
    // While it is held it is stored as any other.
    world.force(&key, "next_attempt_at = now()").await;
    let grant = world.granted_due(&key).await;
    let again_parked = parking(ParkReason::AccessDenied);
    world
        .catalog
        .park(&key, &grant.lease, &again_parked)
        .await
        .unwrap();
    let account = &key.account_id;
    let release = world.catalog.release_hold(account, early.hold.hold_id, BY);
    release.await.unwrap();
    let first = turn(&world.catalog).await;
    assert_eq!(first.len(), 1);

    let late = hold(&world, &key).await;
    assert_eq!(late.too_late.len(), 1);
    assert!(!late.too_late[0].gone);
    again(&world, &key).await;
    let claimed = world.catalog.claim(&event).await.unwrap();
    assert!(
        matches!(claimed, Claimed::Waits(_)),
        "not while it may be gone"
    );
    let second = turn(&world.catalog).await;
    assert!(second[0].erasable().is_none());
    assert_eq!(gone(&world.catalog, &first[0]).await, Advance::Overtaken);
    let kept = Kept {
        why: Retained::Held,
        detail: "it is there".to_owned(),
        lock_until: None,
        after: Duration::from_secs(3600),
    };
    let done = world.catalog.keep_original(&second[0], &kept).await;
    assert_eq!(done.unwrap(), Advance::Done(()));
    // It goes on, and is stored.
    let grant = world.granted_due(&key).await;
    let stored = world.catalog.store(&grant.lease, &proven(&grant)).await;
    assert_eq!(stored.unwrap(), Advance::Done(()));
}

#[tokio::test]
async fn a_hold_that_finds_the_original_gone_keeps_the_words() {
    let world = settled().await;
    let key = parked(&world, &announced("rec-1")).await;
    erase(&world, &key).await;
    turn(&world.catalog).await;
    let placed = hold(&world, &key).await;
    again(&world, &key).await;
    let looked = turn(&world.catalog).await;
    assert_eq!(gone(&world.catalog, &looked[0]).await, Advance::Done(()));
    assert_eq!(world.column(&key, "interaction_id").await, "call-1");
    assert!(expire(&world).await.is_empty());
    let release = world
        .catalog
        .release_hold(&key.account_id, placed.hold.hold_id, BY);
    release.await.unwrap();
    again(&world, &key).await;
    assert_eq!(expire(&world).await.len(), 1);
    assert_eq!(world.column(&key, "interaction_id").await, "erased");
}

#[tokio::test]
async fn a_release_that_is_refused_keeps_nothing_from_being_erased() {
    let world = settled().await;
    let event = announced("rec-1");
    world.stored(&event).await;
    let key = event.key.clone();
    let grant = world.release_granted(&key).await;
    let refusal = parking(ParkReason::CopyDiffers);
    let refused = world.catalog.refuse_release(&key, &grant.lease, &refusal);
    refused.await.unwrap();
    erase(&world, &key).await;
    let begun = turn(&world.catalog).await;
    assert!(begun[0].is_copied());
    assert_eq!(gone(&world.catalog, &begun[0]).await, Advance::Done(()));
    let owed = "acknowledged_at = now(), due_at = null, announce_after = null, \
         expiry_next_at = now()";
    world.force(&key, owed).await;
    let told = expire(&world).await;
    let Happened::Expired(ExpiryReason::Erasure, Some(copy)) = &told[0].what else {
        panic!("{told:?}");
    };
    assert_eq!(copy.key, key, "it was proven, and its receipt says so");
    let reasons = world.reasons(&key).await.join("\n");
    assert!(reasons.contains("without a second look"), "{reasons}");
}

#[tokio::test]
async fn the_database_refuses_every_other_way_to_it() {
    let world = settled().await;
    let key = parked(&world, &announced("rec-1")).await;
    // Passed over: nobody asked for its erasure.
    world
        .force(
            &key,
            "original_erasure_attempts = 1, original_erasure_compared = 1, \
             original_erasure_began_at = now()",
        )
        .await;
    assert_eq!(world.column(&key, "original_erasure_attempts").await, "0");
    erase(&world, &key).await;
    for (change, says) in [
        ("original_erasure_began_at = now()", "was not begun"),
        ("original_erased_at = now()", "was not begun"),
        (
            "state = 'released', due_at = null",
            "may not go from parked",
        ),
        ("erased_at = now()", "only_the_expired_are_erased"),
    ] {
        let refused = world.try_force(&key, change).await.unwrap_err();
        let refused = format!("{refused:#}");
        assert!(refused.contains(says), "{change}: {refused}");
    }
    turn(&world.catalog).await;
    let other = world.destination("acme", "another-bucket").await;
    for change in [
        "claims = claims + 1".to_owned(),
        format!("destination_revision = {other}, reroute_note = 'x'"),
    ] {
        again(&world, &key).await;
        let refused = world.try_force(&key, &change).await.unwrap_err();
        let refused = format!("{refused:#}");
        assert!(refused.contains("has begun"), "{change}: {refused}");
    }
}

#[tokio::test]
async fn an_erasure_and_a_claim_at_the_same_moment_never_both_have_it() {
    let world = settled().await;
    let (mut claimed, mut erased) = (0, 0);
    for round in 0..40 {
        let event = announced(&format!("rec-{round}"));
        let key = parked(&world, &event).await;
        world.force(&key, "next_attempt_at = now()").await;
        let (claim, (), begun) = tokio::join!(
            world.catalog.claim_due(&key),
            erase(&world, &key),
            turn(&world.catalog)
        );
        let has_it = matches!(claim.unwrap(), Claimed::Granted(_));
        assert!(!has_it || begun.is_empty(), "{key}: both");
        let later = turn(&world.catalog).await;
        assert_eq!(
            has_it,
            begun.is_empty() && later.is_empty(),
            "{key}: nobody"
        );
        claimed += usize::from(has_it);
        erased += usize::from(!has_it);
    }
    assert_eq!(claimed + erased, 40);
}

#[tokio::test]
async fn a_hold_and_a_beginning_at_the_same_moment_never_miss_each_other() {
    let world = settled().await;
    for round in 0..40 {
        let key = parked(&world, &announced(&format!("rec-{round}"))).await;
        erase(&world, &key).await;
        let (begun, placed) = tokio::join!(turn(&world.catalog), hold(&world, &key));
        assert_eq!(
            begun.len(),
            placed.too_late.len(),
            "a deletion that began is named, and no other"
        );
    }
}

#[tokio::test]
async fn its_quarantined_messages_go_with_the_words_and_nobody_elses() {
    let world = settled().await;
    let key = parked(&world, &announced("rec-1")).await;
    let message = |text: &str| QuarantineEntry {
        reason: RefusalReason::NotJson,
        detail: "a test".to_owned(),
        queue: Queue::Transfer,
        body: text.to_owned().into(),
        content_type: None,
        names: None,
    };
    let say = |account: &str, recording: &str, cut: &str| {
        format!(
            "{{\"data\":{{\"account_id\":\"{account}\",\"recording_id\":\"{recording}\",\
             \"interaction_id\":\"rec-1\"}}}}{cut}"
        )
    };
    for text in [
        say("acme", "rec-1", ""),
        say("acme", "rec-1", "\u{0}"),
        say("acme", "rec-2", ""),
        say("beta", "rec-1", ""),
        "\u{1}neither".to_owned(),
    ] {
        let kept = world.catalog.quarantine(&message(&text)).await;
        kept.unwrap();
    }
    erase(&world, &key).await;
    let begun = turn(&world.catalog).await;
    gone(&world.catalog, &begun[0]).await;
    assert_eq!(not_over(&world).await, 1);
    world.catalog.finish_erasures().await.unwrap();
    assert_eq!(not_over(&world).await, 0);
    // What cannot be read may be another's, so that its row stays: without its words.
    let left = "select string_agg(case when body = '' then detail else '' end, '|' order by id) \
         from quarantined_messages";
    let left = world.sql(left).await;
    assert!(left.starts_with("its body went with the erasure"), "{left}");
    assert!(left.ends_with("|||"), "{left}");
    let told = world.reasons(&key).await.join("\n");
    let said = "1 quarantined messages of it erased, and 1 emptied";
    assert!(told.contains(said), "{told}");
}

async fn not_over(world: &World) -> u64 {
    world.catalog.retention_reading().await.unwrap().erasures
}

#[tokio::test]
async fn a_long_quarantine_is_searched_in_many_small_statements() {
    let world = settled().await;
    let key = parked(&world, &announced("rec-1")).await;
    // More than one call makes.
    let many = "insert into quarantined_messages \
         (reason, body_sha256, detail, queue, body, body_bytes, requeuable) \
         select 'not_json', sha256(int8send(n)), 'a test', 'transfer', \
                convert_to(case when n > 20500 then '\"acme\" \"rec-1\" {' else '{' end, 'UTF8'), \
                1, true \
           from generate_series(1, 20501) n";
    world.sql(many).await;
    erase(&world, &key).await;
    let begun = turn(&world.catalog).await;
    gone(&world.catalog, &begun[0]).await;
    world.catalog.finish_erasures().await.unwrap();
    assert_eq!(not_over(&world).await, 1);
    world.catalog.finish_erasures().await.unwrap();
    assert_eq!(not_over(&world).await, 0);
    let left = "select count(*) from quarantined_messages where body = ''";
    assert_eq!(world.sql(left).await, "1");
}
