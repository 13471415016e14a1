//! What an erasure owes when the copy is gone, what a hold that came too late is told, and what a
//! confirmation confirms.

use std::time::Duration;

use catalog::{AdminFault, HoldScope};
use recording::{AccountId, Announced, ExpiryReason, Kept, Ledger, Retained, RetentionLedger};

use super::retention::{expire, now, released, turn};
use super::world::{World, announced};

const BY: (&str, &str) = ("Jo", "case 4711");

#[tokio::test]
async fn nobody_confirms_a_stop_that_they_have_not_seen() {
    let world = World::settled().await;
    let upgrade = "insert into retention_stops (reason, detail, told, due_until) \
         values ('upgrade', 'a test', true, now() + interval '1 year') returning stop_id";
    let upgrade: i64 = world.sql(upgrade).await.parse().unwrap();
    // It opens after they looked.
    world.catalog.stop_retention("a clock").await.unwrap();
    let unnamed = world.catalog.confirm_retention(None, &[], BY).await;
    let Err(AdminFault::Refused { hint, why, .. }) = unnamed else {
        panic!("{unnamed:?}");
    };
    assert!(
        why.contains("(clock_jump)") && why.contains("(upgrade)"),
        "{why}"
    );
    assert!(hint.contains("--stop"), "{hint}");
    // One that is not there confirms none of the others.
    let wrong = world
        .catalog
        .confirm_retention(None, &[upgrade, 4711], BY)
        .await;
    assert!(
        matches!(wrong, Err(AdminFault::NotFound { .. })),
        "{wrong:?}"
    );
    let one = world
        .catalog
        .confirm_retention(None, &[upgrade, upgrade], BY)
        .await;
    assert_eq!(one.unwrap()[0].reason, "upgrade");
    assert_eq!(world.catalog.retention_reading().await.unwrap().stops, 1);
    // A clock that had jumped lets nothing go that falls due later.
    let later = "select count(*) from retention_stops where due_until > now()";
    assert_eq!(world.sql(later).await, "0");
    let rest = world.catalog.confirm_retention(None, &[], BY).await;
    assert_eq!(rest.unwrap()[0].reason, "clock_jump");
}

#[tokio::test]
async fn an_erasure_that_comes_while_the_copy_goes_takes_the_words_too() {
    let world = World::settled().await;
    let account = "acme".parse().unwrap();
    let key = released(&world, &announced("rec-1")).await;
    let begun = turn(&world, &world.catalog).await;
    assert_eq!(begun[0].why(), ExpiryReason::Retention);
    let asked = world
        .catalog
        .erase_recording(&account, &key.recording_id, BY);
    assert!(asked.await.unwrap().erased_at.is_none());
    expire(&world.catalog, &begun[0]).await;
    assert_eq!(world.column(&key, "interaction_id").await, "erased");
}

#[tokio::test]
async fn words_that_a_late_hold_kept_go_when_it_is_released() {
    let world = World::settled().await;
    let account: AccountId = "acme".parse().unwrap();
    let key = released(&world, &announced("rec-1")).await;
    let asked = world
        .catalog
        .erase_recording(&account, &key.recording_id, BY);
    asked.await.unwrap();
    let begun = turn(&world, &world.catalog).await;
    let scope = HoldScope::Recording(key.recording_id.clone());
    let hold = world
        .catalog
        .place_hold(&account, &scope, BY)
        .await
        .unwrap();
    assert_eq!(hold.too_late.len(), 1);
    expire(&world.catalog, &begun[0]).await;
    assert_eq!(world.catalog.finish_erasures().await.unwrap(), 0);
    assert_ne!(world.column(&key, "interaction_id").await, "erased");
    let released = world.catalog.release_hold(&account, hold.hold.hold_id, BY);
    released.await.unwrap();
    assert_eq!(world.catalog.finish_erasures().await.unwrap(), 1);
    assert_eq!(world.column(&key, "interaction_id").await, "erased");
    assert_eq!(world.catalog.finish_erasures().await.unwrap(), 0);
}

#[tokio::test]
async fn a_hold_is_told_of_a_deletion_whose_attempt_before_was_refused() {
    let world = World::settled().await;
    let account: AccountId = "acme".parse().unwrap();
    let key = released(&world, &announced("rec-1")).await;
    let begun = turn(&world, &world.catalog).await;
    let denied = Kept {
        why: Retained::Denied,
        detail: "a test".to_owned(),
        lock_until: None,
        after: Duration::ZERO,
    };
    world.catalog.keep_copy(&begun[0], &denied).await.unwrap();
    let scope = HoldScope::Recording(key.recording_id.clone());
    let hold = world
        .catalog
        .place_hold(&account, &scope, BY)
        .await
        .unwrap();
    assert!(hold.too_late.is_empty(), "what was refused is still there");
    let released = world.catalog.release_hold(&account, hold.hold.hold_id, BY);
    released.await.unwrap();
    // The next attempt deletes, and its process dies before it says so.
    let _deleted = turn(&world, &world.catalog).await;
    world
        .force(&key, "lease_until = now() - interval '1 hour'")
        .await;
    let hold = world
        .catalog
        .place_hold(&account, &scope, BY)
        .await
        .unwrap();
    assert_eq!(hold.too_late.len(), 1);
}

#[tokio::test]
async fn a_copy_that_took_two_claims_is_not_erased_before_late_writes_are_over() {
    let world = World::settled().await;
    let account = "acme".parse().unwrap();
    for (recording, claims) in [("rec-1", 1), ("rec-2", 2)] {
        let event = Announced {
            completed_at: now(),
            ..announced(recording)
        };
        let key = released(&world, &event).await;
        // Receipts never change, and the fixture's is of long ago.
        world
            .sql("alter table recordings disable trigger user")
            .await;
        let change = format!("claims = {claims}, stored_at = now()");
        world.force(&key, &change).await;
        world
            .sql("alter table recordings enable trigger user")
            .await;
        let asked = world
            .catalog
            .erase_recording(&account, &key.recording_id, BY);
        asked.await.unwrap();
    }
    let begun = turn(&world, &world.catalog).await;
    assert_eq!(begun.len(), 1);
    assert_eq!(begun[0].key().recording_id.as_str(), "rec-1");
    let waits = "select expiry_next_at between stored_at + interval '5 minutes' \
         and stored_at + interval '7 minutes' from recordings where recording_id = 'rec-2'";
    assert_eq!(world.sql(waits).await, "t");
}

#[tokio::test]
async fn what_was_granted_and_not_begun_is_as_before() {
    let world = World::settled().await;
    let key = released(&world, &announced("rec-1")).await;
    let begun = turn(&world, &world.catalog).await;
    world.catalog.not_begun(&begun[0]).await.unwrap();
    let said = world.column(&key, "expiry_attempts").await;
    assert_eq!(said, "0");
    assert_eq!(world.column(&key, "expiry_began_at").await, "");
    // At once again, and what was begun before stays begun.
    let denied = Kept {
        why: Retained::Denied,
        detail: "a test".to_owned(),
        lock_until: None,
        after: Duration::ZERO,
    };
    let begun = turn(&world, &world.catalog).await;
    world.catalog.keep_copy(&begun[0], &denied).await.unwrap();
    let begun = turn(&world, &world.catalog).await;
    assert_eq!(begun[0].attempts(), 2);
    world.catalog.not_begun(&begun[0]).await.unwrap();
    // Whoever's lease it is not any more changes nothing.
    world.catalog.not_begun(&begun[0]).await.unwrap();
    assert_eq!(world.column(&key, "expiry_attempts").await, "1");
    assert_ne!(world.column(&key, "expiry_began_at").await, "");
}

#[tokio::test]
async fn an_account_that_is_put_off_keeps_nobody_from_their_turn() {
    let world = World::settled().await;
    let account: AccountId = "acme".parse().unwrap();
    released(&world, &announced("rec-1")).await;
    let due = "update retention_pace set next_at = now()";
    world.sql(due).await;
    let minutes = Duration::from_secs(300);
    world
        .catalog
        .put_off(Some(&account), minutes)
        .await
        .unwrap();
    let none = world.catalog.begin_expiries(16, 100).await.unwrap();
    assert!(none.begun.is_empty());
    world.sql(due).await;
    // Whose turn it is: the one that has waited longest.
    let first = "update retention_pace set next_at = now() - interval '1 hour' \
         where account_id = 'acme'";
    world.sql(first).await;
    world.catalog.put_off(None, minutes).await.unwrap();
    let next = "select next_at > now() from retention_pace where account_id = 'acme'";
    assert_eq!(world.sql(next).await, "t");
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_counted_and_keeps_none_of_the_others() {
    let world = World::settled().await;
    let key = released(&world, &announced("rec-1")).await;
    released(&world, &announced("rec-2")).await;
    world
        .sql("alter table recordings disable trigger user")
        .await;
    world.force(&key, "attributes = '{\"n\": 1}'").await;
    world
        .sql("alter table recordings enable trigger user")
        .await;
    assert_eq!(turn(&world, &world.catalog).await.len(), 1);
    let reading = world.catalog.retention_reading().await.unwrap();
    assert_eq!(reading.retained, [(Retained::Unclear, 1)]);
    let detail = world.column(&key, "expiry_detail").await;
    assert!(detail.contains("cannot be read"), "{detail}");
}
