//! What cleanup makes of a stored recording: released, refused, or parked because its copy is
//! gone.

use std::time::Duration;

use recording::{
    Advance, Claimed, Happened, Ledger, ParkReason, Parking, Queue, ReleaseClaim, State,
};

use super::world::{World, announced, parking, proven};

#[tokio::test]
async fn only_the_very_receipt_of_the_row_is_granted_its_release() {
    let world = World::settled().await;
    let event = announced("rec-1");
    let key = &event.key;
    let (catalog, none) = (&world.catalog, catalog_answer);
    assert_eq!(none(catalog.claim_release(key, None).await), "NoRow");
    let grant = world.granted(&event).await;
    let answer = catalog.claim_release(key, None).await;
    assert!(none(answer).starts_with("NotStored(Staged"));
    let stored = proven(&grant);
    catalog.store(&grant.lease, &stored).await.unwrap();
    let receipt = stored.receipt();
    let mut others = vec![receipt.clone(); 5];
    others[0].etag = "\"e-2\"".to_owned();
    others[1].version_id = Some("v".to_owned());
    others[2].stored_at += chrono::TimeDelta::microseconds(1);
    others[3].checksum = "crc64nvme:0000000000000000".to_owned();
    others[4].size_bytes = u64::MAX;
    for other in &others {
        let answer = catalog.claim_release(key, Some(other)).await;
        assert_eq!(none(answer), "OtherReceipt");
    }
    let answer = catalog.claim_release(key, Some(receipt)).await.unwrap();
    let ReleaseClaim::Granted(grant) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(grant.stored.receipt(), receipt);
    let answer = catalog.claim_release(key, Some(receipt)).await;
    assert_eq!(none(answer), "Waits");
}

fn catalog_answer(answer: Result<ReleaseClaim, recording::LedgerFault>) -> String {
    let answer = format!("{:?}", answer.unwrap());
    answer.split(' ').next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn of_sixteen_simultaneous_claims_for_release_exactly_one_is_granted() {
    let world = World::settled_with(|settings| settings.pool_size = 16).await;
    let event = announced("rec-1");
    world.stored(&event).await;
    let claims = (0..16).map(|_| world.catalog.claim_release(&event.key, None));
    let answers = futures::future::join_all(claims).await;
    let granted = answers
        .iter()
        .filter(|answer| matches!(answer, Ok(ReleaseClaim::Granted(_))))
        .count();
    assert_eq!(granted, 1);
    assert!(answers.iter().all(Result::is_ok));
}

#[tokio::test]
async fn releasing_again_after_a_lost_answer_returns_the_same_announcement() {
    let world = World::settled().await;
    let event = announced("rec-1");
    world.stored(&event).await;
    let grant = world.release_granted(&event.key).await;
    let catalog = &world.catalog;
    let first = catalog.release(&event.key, &grant.lease, "deleted").await;
    let again = catalog.release(&event.key, &grant.lease, "deleted").await;
    assert_eq!(first, again);
    match first.unwrap() {
        Advance::Done(owed) => assert_eq!(owed.what, Happened::Released),
        Advance::Overtaken => panic!("overtaken"),
    }
    assert_eq!(
        world.history(&event.key).await,
        [">staged", "staged>stored", "stored>released"]
    );
}

#[tokio::test]
async fn a_release_under_a_lease_that_ran_out_is_overtaken() {
    let world = World::settled_with(|settings| settings.lease = Duration::from_millis(40)).await;
    let event = announced("rec-1");
    let grant = world.granted(&event).await;
    world
        .force(&event.key, "lease_until = now() + '1 min'")
        .await;
    world
        .catalog
        .store(&grant.lease, &proven(&grant))
        .await
        .unwrap();
    let (key, late) = (&event.key, world.release_granted(&event.key).await.lease);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let refusal = parking(ParkReason::OriginalReplaced);
    let catalog = &world.catalog;
    assert_eq!(
        catalog.release(key, &late, "deleted").await.unwrap(),
        Advance::Overtaken
    );
    assert_eq!(
        catalog.refuse_release(key, &late, &refusal).await.unwrap(),
        Advance::Overtaken
    );
    assert_eq!(
        catalog.copy_lost(key, &late, "gone").await.unwrap(),
        Advance::Overtaken
    );
    world.release_granted(key).await;
    assert_eq!(world.column(key, "unclean_claims").await, "1");
}

#[tokio::test]
async fn a_refused_release_stays_stored_and_waits_for_its_time_or_a_person() {
    let world = World::settled_with(|settings| {
        settings.note_every = Duration::from_millis(1);
    })
    .await;
    let event = announced("rec-1");
    let key = &event.key;
    let stored = world.stored(&event).await;
    world.catalog.note(recording::Note::Acknowledged(
        key.clone(),
        stored.acknowledgment_id(),
    ));
    callferry_tests::patience::until("the note is written", Duration::from_secs(10), async || {
        let noted = world.column(key, "acknowledged_at is not null").await;
        Ok((noted == "t").then_some(()))
    })
    .await
    .unwrap();
    let refusal = Parking {
        after: None,
        ..parking(ParkReason::OriginalReplaced)
    };
    for attempt in 0..2 {
        let grant = world.release_granted(key).await;
        assert_eq!(grant.rungs, attempt);
        for _ in 0..2 {
            let kept = world.catalog.refuse_release(key, &grant.lease, &refusal);
            assert_eq!(kept.await.unwrap(), Advance::Done(()));
        }
        let answer = world.catalog.claim_release(key, None).await;
        assert_eq!(catalog_answer(answer), "Waits");
        assert!(
            world
                .catalog
                .due(Queue::Cleanup, 9)
                .await
                .unwrap()
                .is_empty()
        );
        assert!(
            world
                .catalog
                .due(Queue::Transfer, 9)
                .await
                .unwrap()
                .is_empty()
        );
        let listed = world.catalog.list_parked(None).await.unwrap();
        assert_eq!(listed[0].state, State::Stored);
        assert_eq!(listed[0].reason, Some(ParkReason::OriginalReplaced));
        assert_eq!(world.catalog.retry_parked(None, None).await.unwrap(), 1);
        let due = world.catalog.due(Queue::Cleanup, 9).await.unwrap();
        assert_eq!(due, std::slice::from_ref(key));
    }
    let shown = world.history(key).await;
    assert_eq!(shown, [">staged", "staged>stored", "stored>stored"]);
    let grant = world.release_granted(key).await;
    world
        .catalog
        .release(key, &grant.lease, "deleted")
        .await
        .unwrap();
    assert_eq!(world.column(key, "release_reason is null").await, "t");
}

#[tokio::test]
async fn a_lost_copy_is_parked_due_at_once_and_its_old_receipt_cannot_release_the_new_one() {
    let world = World::settled().await;
    let event = announced("rec-1");
    let key = &event.key;
    let old = world.stored(&event).await;
    let grant = world.release_granted(key).await;
    let lost = world.catalog.copy_lost(key, &grant.lease, "404").await;
    let again = world.catalog.copy_lost(key, &grant.lease, "404").await;
    assert_eq!(lost, again);
    match lost.unwrap() {
        Advance::Done(Some(owed)) => match owed.what {
            Happened::Parked(ParkReason::CopyLost, Some(_)) => {}
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
    let answer = world.catalog.claim_release(key, Some(old.receipt())).await;
    assert!(catalog_answer(answer).starts_with("NotStored(Parked"));
    assert_eq!(
        world.catalog.due(Queue::Transfer, 9).await.unwrap(),
        std::slice::from_ref(key)
    );
    let grant = world.granted_due(key).await;
    assert!(grant.tried_before);
    let new = proven(&grant);
    world.catalog.store(&grant.lease, &new).await.unwrap();
    assert_ne!(new.acknowledgment_id(), old.acknowledgment_id());
    // A late note for the lost copy says nothing of this one.
    world.catalog.note(recording::Note::Acknowledged(
        key.clone(),
        old.acknowledgment_id(),
    ));
    world.catalog.close().await;
    assert_eq!(world.column(key, "acknowledged_at is null").await, "t");
    let steps = world.sql("select count(*) from recording_history").await;
    assert_eq!(steps, "5");
}

#[tokio::test]
async fn transfer_finds_a_refused_release_stored() {
    let world = World::settled().await;
    let event = announced("rec-1");
    world.stored(&event).await;
    let grant = world.release_granted(&event.key).await;
    let refusal = parking(ParkReason::CopyDiffers);
    world
        .catalog
        .refuse_release(&event.key, &grant.lease, &refusal)
        .await
        .unwrap();
    assert!(matches!(
        world.catalog.claim(&event).await.unwrap(),
        Claimed::Beyond(recording::Recording::Stored(_))
    ));
}
