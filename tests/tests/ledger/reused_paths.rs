//! What the ledger says of an original that is to be erased: what it is known by, and whether
//! somebody else waits for its path.

use recording::{
    Announced, ErasureLedger, KnownBy, LeaseLost, Ledger, ParkReason, QuarantineEntry, Queue,
    RefusalReason, Sha256,
};

use super::erasing::{again, erase, parked, settled, turn};
use super::world::{World, announced, parking};

/// An event waits, for this reason, that names this path of this account.
async fn waits(world: &World, reason: RefusalReason, account: &str, path: &str) {
    let entry = QuarantineEntry {
        reason,
        detail: "a test".to_owned(),
        queue: Queue::Transfer,
        body: format!("{reason} {account} {path}").into(),
        content_type: None,
        names: Some((account.to_owned(), path.to_owned())),
    };
    world.catalog.quarantine(&entry).await.unwrap();
}

async fn known_by(world: &World) -> KnownBy {
    let begun = turn(&world.catalog).await;
    let [erasing] = begun.as_slice() else {
        panic!("{begun:?}");
    };
    assert!(erasing.erasable().is_some());
    erasing.original().known_by.clone()
}

#[tokio::test]
async fn whoever_waits_for_the_path_is_seen_at_each_beginning() {
    let world = settled().await;
    let event = Announced {
        original: recording::AnnouncedOriginal {
            sha256: Some(Sha256::new([7; 32])),
            ..announced("rec-1").original
        },
        ..announced("rec-1")
    };
    let path = event.original.path.as_str();
    let key = parked(&world, &event).await;
    erase(&world, &key).await;
    let known = |path_is_wanted| KnownBy::Event {
        size_bytes: event.original.size_bytes,
        sha256: event.original.sha256,
        path_is_wanted,
    };
    waits(&world, RefusalReason::PathInUse, "acme", "acme/another.wav").await;
    waits(&world, RefusalReason::PathInUse, "beta", path).await;
    waits(&world, RefusalReason::DeliveryLimit, "acme", path).await;
    assert_eq!(known_by(&world).await, known(false));
    waits(&world, RefusalReason::PathInUse, "acme", path).await;
    again(&world, &key).await;
    assert_eq!(known_by(&world).await, known(true));
    // It went back to its queue.
    let ended = "update quarantined_messages set ended_at = now(), check_at = null";
    world.sql(ended).await;
    again(&world, &key).await;
    assert_eq!(known_by(&world).await, known(false));
}

#[tokio::test]
async fn a_stored_one_is_known_by_what_was_copied() {
    let world = settled().await;
    let event = announced("rec-1");
    let stored = world.stored(&event).await;
    let grant = world.release_granted(&event.key).await;
    let refusal = parking(ParkReason::OriginalReplaced);
    let refused = world
        .catalog
        .refuse_release(&event.key, &grant.lease, &refusal);
    refused.await.unwrap();
    erase(&world, &event.key).await;
    let known = KnownBy::Copy {
        identity: stored.identity().clone(),
        sha256: stored.receipt().sha256,
    };
    assert_eq!(known_by(&world).await, known);
}

#[tokio::test]
async fn a_lease_is_renewed_while_it_lasts_and_no_drive_is_due_for_it() {
    let world = settled().await;
    let key = parked(&world, &announced("rec-1")).await;
    erase(&world, &key).await;
    let begun = turn(&world.catalog).await;
    let (due, until) = (
        world.column(&key, "due_at").await,
        world.column(&key, "lease_until").await,
    );
    let renewed = world.catalog.renew_erasure(&begun[0]).await.unwrap();
    assert_eq!(renewed, Ok(()));
    assert_eq!(world.column(&key, "due_at").await, due);
    assert_ne!(world.column(&key, "lease_until").await, until);
    assert!(turn(&world.catalog).await.is_empty());
    again(&world, &key).await;
    let lost = world.catalog.renew_erasure(&begun[0]).await.unwrap();
    assert_eq!(lost, Err(LeaseLost));
}

/// An earlier release would delete whatever lies at the path.
#[tokio::test]
async fn who_does_not_compare_begins_no_erasure() {
    let world = settled().await;
    let key = parked(&world, &announced("rec-1")).await;
    erase(&world, &key).await;
    let begin = "original_erasure_attempts = original_erasure_attempts + 1, \
         original_erasure_began_at = now()";
    for _ in 0..2 {
        world.force(&key, begin).await;
        let attempts = world.column(&key, "original_erasure_attempts").await;
        assert_eq!(attempts, "0");
    }
    turn(&world.catalog).await;
    again(&world, &key).await;
    world.force(&key, begin).await;
    let attempts = world.column(&key, "original_erasure_attempts").await;
    assert_eq!(attempts, "1");
    // It goes on where it is compared.
    assert_eq!(turn(&world.catalog).await.len(), 1);
}
