//! What transfer makes of a claim: stored or parked, with the history and announcements that each
//! owes, and the same answer when it is asked again after a lost one.

use std::time::Duration;

use recording::{Advance, Claimed, Happened, Ledger, ParkReason, Parking, Queue, State};
use uuid::Uuid;

use super::world::{World, announced, parking, proven};

#[tokio::test]
async fn storing_again_after_a_lost_answer_is_done_and_writes_nothing() {
    let world = World::settled().await;
    let event = announced("rec-1");
    let grant = world.granted(&event).await;
    let stored = proven(&grant);
    for _ in 0..3 {
        let advance = world.catalog.store(&grant.lease, &stored).await.unwrap();
        assert_eq!(advance, Advance::Done(()));
    }
    assert_eq!(
        world.history(&event.key).await,
        [">staged", "staged>stored"]
    );
    // The same lease, but another copy: that one is not what is stored.
    let other = proven(&grant);
    assert_eq!(
        world.catalog.store(&grant.lease, &other).await.unwrap(),
        Advance::Overtaken
    );
}

#[tokio::test]
async fn a_copy_in_another_destination_than_the_pinned_one_is_never_recorded() {
    let world = World::settled().await;
    let event = announced("rec-1");
    let grant = world.granted(&event).await;
    let newer = world.destination("acme", "acme-bucket-2").await;
    // The database itself refuses to move a pin like this: here only the statement is judged.
    world
        .sql("alter table recordings disable trigger pins_move_by_reroute_alone")
        .await;
    world
        .force(&event.key, &format!("destination_revision = {newer}"))
        .await;
    let error = world.catalog.store(&grant.lease, &proven(&grant)).await;
    assert!(error.unwrap_err().to_string().contains("is pinned to"));
    assert_eq!(world.column(&event.key, "state").await, "staged");
}

#[tokio::test]
async fn parking_again_for_the_same_reason_climbs_but_writes_no_history_and_announces_nothing() {
    let world = World::settled().await;
    let event = announced("rec-1");
    let key = &event.key;
    let mut grant = world.granted(&event).await;
    for rung in 0..4 {
        assert_eq!(grant.rungs, rung);
        let denied = parking(ParkReason::AccessDenied);
        let advance = world.catalog.park(key, &grant.lease, &denied).await;
        let Advance::Done(owed) = advance.unwrap() else {
            panic!("overtaken");
        };
        assert_eq!(owed.is_some(), rung == 0);
        assert!(matches!(
            world.catalog.claim(&event).await.unwrap(),
            Claimed::Waits(State::Parked)
        ));
        world.catalog.retry_parked(None, None).await.unwrap();
        grant = world.granted_due(key).await;
    }
    assert_eq!(
        world.history(key).await,
        [">staged", "staged>parked", "parked>staged"]
    );
    let other = parking(ParkReason::BucketMissing);
    let advance = world.catalog.park(key, &grant.lease, &other).await.unwrap();
    match advance {
        Advance::Done(Some(owed)) => match owed.what {
            Happened::Parked(ParkReason::BucketMissing, Some(_)) => {}
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
    let shown = world.history(key).await;
    assert_eq!(
        shown,
        [">staged", "staged>parked", "parked>staged", "staged>parked"]
    );
    world.catalog.retry_parked(None, None).await.unwrap();
    let grant = world.granted_due(key).await;
    assert_eq!(grant.rungs, 5);
    let done = world.catalog.store(&grant.lease, &proven(&grant)).await;
    assert_eq!(done.unwrap(), Advance::Done(()));
    let shown = world.history(key).await;
    assert_eq!(shown[4..], ["parked>staged", "staged>stored"]);
    assert_eq!(world.column(key, "rungs").await, "0");
}

#[tokio::test]
async fn parking_again_after_a_lost_answer_returns_the_same_announcement() {
    let world = World::settled().await;
    let event = announced("rec-1");
    let grant = world.granted(&event).await;
    let denied = parking(ParkReason::AccessDenied);
    let first = world.catalog.park(&event.key, &grant.lease, &denied).await;
    let again = world.catalog.park(&event.key, &grant.lease, &denied).await;
    assert!(matches!(first, Ok(Advance::Done(Some(_)))));
    assert_eq!(first, again);
    assert_eq!(world.column(&event.key, "rungs").await, "1");
    assert_eq!(world.history(&event.key).await.len(), 2);
}

#[tokio::test]
async fn waiting_for_a_share_of_the_process_counts_no_attempt_and_announces_nothing() {
    let world = World::settled().await;
    let event = announced("rec-1");
    let key = &event.key;
    let grant = world.granted(&event).await;
    let denied = parking(ParkReason::AccessDenied);
    let busy = parking(ParkReason::AccountBusy);
    world
        .catalog
        .park(key, &grant.lease, &denied)
        .await
        .unwrap();
    for reason in [&busy, &denied, &busy] {
        world.catalog.retry_parked(None, None).await.unwrap();
        let grant = world.granted_due(key).await;
        let advance = world.catalog.park(key, &grant.lease, reason).await.unwrap();
        assert_eq!(advance, Advance::Done(None));
    }
    assert_eq!(world.column(key, "rungs").await, "2");
}

#[tokio::test]
async fn the_time_of_the_next_attempt_is_jittered_by_a_fifth_at_most() {
    let world = World::settled().await;
    let mut seen = std::collections::BTreeSet::new();
    for n in 0..10 {
        let event = announced(&format!("rec-{n}"));
        let grant = world.granted(&event).await;
        let denied = parking(ParkReason::AccessDenied);
        world
            .catalog
            .park(&event.key, &grant.lease, &denied)
            .await
            .unwrap();
        let wait = world.column(
            &event.key,
            "extract(epoch from next_attempt_at - updated_at)::integer",
        );
        let wait: i32 = wait.await.parse().unwrap();
        assert!((2879..=4321).contains(&wait), "{wait}");
        seen.insert(wait);
    }
    assert!(seen.len() > 1);
}

#[tokio::test]
async fn what_is_parked_for_a_person_is_never_due_until_the_person_says_so() {
    let world = World::settled().await;
    let event = announced("rec-1");
    let grant = world.granted(&event).await;
    let parking = Parking {
        after: None,
        ..parking(ParkReason::ForeignObject)
    };
    let parked = world.catalog.park(&event.key, &grant.lease, &parking).await;
    assert!(matches!(parked, Ok(Advance::Done(Some(_)))));
    let due = world.catalog.due(Queue::Transfer, 10).await.unwrap();
    assert!(due.is_empty());
    assert!(matches!(
        world.catalog.claim_due(&event.key).await.unwrap(),
        Claimed::Waits(State::Parked)
    ));
    let account = "acme".parse().unwrap();
    let listed = world.catalog.list_parked(Some(&account)).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].reason, Some(ParkReason::ForeignObject));
    assert_eq!(listed[0].detail.as_deref(), Some("seen so"));
    assert_eq!(listed[0].next_attempt_at, None);
    let id = event.key.recording_id.clone();
    let retry = world.catalog.retry_parked(Some(&account), Some(&id)).await;
    assert_eq!(retry.unwrap(), 1);
    world.granted(&event).await;
}

#[tokio::test]
async fn announcements_are_owed_until_they_are_noted_and_not_handed_out_twice_at_once() {
    let world = World::settled_with(|settings| {
        settings.announce_after = Duration::from_millis(200);
        settings.note_every = Duration::from_millis(5);
    })
    .await;
    let event = announced("rec-1");
    let grant = world.granted(&event).await;
    let denied = parking(ParkReason::AccessDenied);
    let parked = world.catalog.park(&event.key, &grant.lease, &denied).await;
    let Advance::Done(Some(owed)) = parked.unwrap() else {
        panic!("nothing owed");
    };
    assert!(world.catalog.announcements(10).await.unwrap().is_empty());
    tokio::time::sleep(Duration::from_millis(210)).await;
    let (one, two) = tokio::join!(
        world.catalog.announcements(10),
        world.catalog.announcements(10)
    );
    let handed: Vec<_> = one.unwrap().into_iter().chain(two.unwrap()).collect();
    assert_eq!(handed, std::slice::from_ref(&owed));
    // Another one's note does nothing.
    world.catalog.note(recording::Note::Announced(
        event.key.clone(),
        Uuid::new_v4(),
    ));
    tokio::time::sleep(Duration::from_millis(210)).await;
    assert_eq!(world.catalog.announcements(10).await.unwrap().len(), 1);
    world
        .catalog
        .note(recording::Note::Announced(event.key.clone(), owed.id));
    world.catalog.close().await;
    let noted = world.column(
        &event.key,
        "announced_at is not null and announce_after is null",
    );
    assert_eq!(noted.await, "t");
}
