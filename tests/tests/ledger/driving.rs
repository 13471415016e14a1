//! What is due, to whom it is handed out, and the notes that say when it no longer is.

use std::collections::BTreeSet;
use std::time::Duration;

use callferry_tests::patience;
use recording::{Claimed, Ledger, Note, Queue, RecordingKey};
use uuid::Uuid;

use super::world::{World, announced};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn two_callers_at_once_never_drive_the_same_recording() {
    let world = World::settled().await;
    for n in 0..60 {
        let event = announced(&format!("rec-{n:02}"));
        let grant = world.granted(&event).await;
        let given = world.catalog.give_back(&event.key, &grant.lease).await;
        given.unwrap();
    }
    let callers = (0..8).map(|_| world.catalog.due(Queue::Transfer, 10));
    let mut driven: Vec<RecordingKey> = Vec::new();
    for answer in futures::future::join_all(callers).await {
        let answer = answer.unwrap();
        assert!(answer.len() <= 10);
        driven.extend(answer);
    }
    driven.extend(world.catalog.due(Queue::Transfer, 100).await.unwrap());
    assert_eq!(driven.len(), 60);
    assert_eq!(driven.iter().collect::<BTreeSet<_>>().len(), 60);
    assert!(
        world
            .catalog
            .due(Queue::Transfer, 100)
            .await
            .unwrap()
            .is_empty()
    );
    let oldest = world.catalog.due(Queue::Cleanup, 100).await.unwrap();
    assert!(oldest.is_empty());
}

#[tokio::test]
async fn the_oldest_are_driven_first() {
    let world = World::settled().await;
    for n in 0..5 {
        let event = announced(&format!("rec-{n}"));
        let grant = world.granted(&event).await;
        let given = world.catalog.give_back(&event.key, &grant.lease).await;
        given.unwrap();
        let ago = format!("due_at = now() - '{} s'::interval", n + 1);
        world.force(&event.key, &ago).await;
    }
    let due = world.catalog.due(Queue::Transfer, 3).await.unwrap();
    let ids: Vec<_> = due.iter().map(|key| key.recording_id.as_str()).collect();
    assert_eq!(ids, ["rec-4", "rec-3", "rec-2"]);
}

#[tokio::test]
async fn a_driven_recording_is_due_again_later_and_later_until_somebody_claims_it() {
    let world = World::settled().await;
    let event = announced("rec-1");
    let key = &event.key;
    let grant = world.granted(&event).await;
    world.catalog.give_back(key, &grant.lease).await.unwrap();
    let minutes = "round(extract(epoch from due_at - driven_at) / 60)";
    for expected in ["10", "20", "40", "80", "160", "320", "360", "360"] {
        assert_eq!(
            world.catalog.due(Queue::Transfer, 9).await.unwrap().len(),
            1
        );
        assert_eq!(world.column(key, minutes).await, expected);
        world.force(key, "due_at = now()").await;
    }
    world.granted_due(key).await;
    let reset = world.column(key, "driven_at is null, drive_count").await;
    assert_eq!(reset, "t|0");
}

#[tokio::test]
async fn an_unconfirmed_drive_is_due_again_at_once() {
    let world = World::settled().await;
    let event = announced("rec-1");
    let keys = std::slice::from_ref(&event.key);
    let grant = world.granted(&event).await;
    world
        .catalog
        .give_back(&event.key, &grant.lease)
        .await
        .unwrap();
    for _ in 0..3 {
        assert_eq!(world.catalog.due(Queue::Transfer, 9).await.unwrap(), keys);
        world.catalog.undrive(Queue::Transfer, keys).await.unwrap();
    }
    assert_eq!(world.column(&event.key, "drive_count").await, "0");
    // Claimed in the meantime: there is no mark to clear.
    world.catalog.due(Queue::Transfer, 9).await.unwrap();
    world.granted_due(&event.key).await;
    world.catalog.undrive(Queue::Transfer, keys).await.unwrap();
    assert!(
        world
            .catalog
            .due(Queue::Transfer, 9)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_lease_that_ran_out_makes_its_recording_due() {
    let world = World::settled_with(|settings| settings.lease = Duration::from_millis(40)).await;
    let event = announced("rec-1");
    world.granted(&event).await;
    patience::until("the lease runs out", SOON, async || {
        let due = world.catalog.due(Queue::Transfer, 9).await?;
        Ok(due.contains(&event.key).then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_stored_recording_is_driven_to_transfer_until_acknowledged_and_then_to_cleanup() {
    let world = World::settled_with(|settings| {
        settings.unacknowledged_after = Duration::from_millis(20);
        settings.unreleased_after = Duration::from_millis(20);
        settings.note_every = Duration::from_millis(1);
    })
    .await;
    let event = announced("rec-1");
    let key = &event.key;
    let stored = world.stored(&event).await;
    patience::until("it is driven to transfer", SOON, async || {
        Ok((world.catalog.due(Queue::Transfer, 9).await?.len() == 1).then_some(()))
    })
    .await
    .unwrap();
    assert!(matches!(
        world.catalog.claim_due(key).await.unwrap(),
        Claimed::Beyond(_)
    ));
    world
        .catalog
        .note(Note::Acknowledged(key.clone(), Uuid::new_v4()));
    world
        .catalog
        .note(Note::Acknowledged(key.clone(), stored.acknowledgment_id()));
    patience::until("it is driven to cleanup", SOON, async || {
        assert!(world.catalog.due(Queue::Transfer, 9).await?.is_empty());
        Ok((world.catalog.due(Queue::Cleanup, 9).await?.len() == 1).then_some(()))
    })
    .await
    .unwrap();
    let grant = world.release_granted(key).await;
    world
        .catalog
        .release(key, &grant.lease, "deleted")
        .await
        .unwrap();
    assert_eq!(world.column(key, "due_at is null").await, "t");
}

#[tokio::test]
async fn notes_are_written_in_batches_and_the_rest_at_closing() {
    let world = World::settled_with(|settings| {
        settings.note_every = Duration::from_secs(3600);
        settings.note_batch = 4;
    })
    .await;
    let mut notes = Vec::new();
    for n in 0..6 {
        let event = announced(&format!("rec-{n}"));
        let stored = world.stored(&event).await;
        notes.push(Note::Acknowledged(event.key, stored.acknowledgment_id()));
    }
    let noted = "select count(acknowledged_at) from recordings";
    for note in notes {
        world.catalog.note(note);
    }
    patience::until("a full batch is written", SOON, async || {
        Ok((world.sql(noted).await == "4").then_some(()))
    })
    .await
    .unwrap();
    world.catalog.close().await;
    assert_eq!(world.sql(noted).await, "6");
    assert_eq!(world.catalog.notes_dropped(), 0);
    world
        .catalog
        .note(Note::Announced(announced("rec-0").key, Uuid::new_v4()));
    assert_eq!(world.catalog.notes_dropped(), 1);
}

#[tokio::test]
async fn notes_beyond_the_backlog_are_dropped_and_counted_without_waiting() {
    let world = World::settled_with(|settings| settings.note_backlog = 10).await;
    // On this test's one thread the writer cannot run in between.
    for _ in 0..25 {
        world
            .catalog
            .note(Note::Announced(announced("rec-0").key, Uuid::new_v4()));
    }
    assert_eq!(world.catalog.notes_dropped(), 15);
}
