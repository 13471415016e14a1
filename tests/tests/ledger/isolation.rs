//! Recordings that are suspected to take their process down: only a lease that ran out is a
//! suspicion, only the death of a process of its own is evidence, any outcome clears both.

use recording::{
    Advance, Announced, Claimed, Happened, Ledger, ParkReason, Queue, RecordingKey, State,
};

use super::world::{World, announced, parking, proven};

async fn counters(world: &World, key: &RecordingKey) -> String {
    world.column(key, "unclean_claims, child_deaths").await
}

/// Suspected: five leases in a row ran out.
async fn suspect(world: &World, event: &Announced) {
    for _ in 0..5 {
        world.granted(event).await;
        world.run_out(&event.key).await;
    }
}

/// Claims, lends, and lets the child claim and die; says what the parent hears.
async fn one_death(
    world: &World,
    key: &RecordingKey,
    how: &str,
) -> Option<recording::Announcement> {
    let parent = world.granted_due(key).await;
    let lent = world.catalog.lend(key, &parent.lease).await.unwrap();
    assert_eq!(lent, Advance::Done(()));
    world.granted_due(key).await;
    let owed = world.catalog.child_died(key, how).await.unwrap();
    if world.column(key, "state").await == "staged" {
        world.run_out(key).await;
    }
    owed
}

#[tokio::test]
async fn each_lease_that_ran_out_in_a_row_is_told_to_the_next_claim() {
    let world = World::settled().await;
    let event = announced("rec-1");
    for unclean in 0..6 {
        let grant = world.granted(&event).await;
        assert_eq!(grant.unclean_claims, unclean);
        world.run_out(&event.key).await;
    }
}

#[tokio::test]
async fn a_lent_recording_is_free_for_its_process_and_stays_suspected() {
    let world = World::settled().await;
    let event = announced("rec-1");
    let (catalog, key) = (&world.catalog, &event.key);
    suspect(&world, &event).await;
    let parent = world.granted(&event).await;
    assert_eq!(parent.unclean_claims, 5);
    // The same call again, after a lost answer, is done.
    for _ in 0..2 {
        let lent = catalog.lend(key, &parent.lease).await.unwrap();
        assert_eq!(lent, Advance::Done(()));
    }
    assert!(catalog.due(Queue::Transfer, 10).await.unwrap().is_empty());
    let due = "due_at - updated_at = '30 s'";
    assert_eq!(world.column(key, due).await, "t");
    // The parent cannot write any more.
    let stored = catalog.store(&parent.lease, &proven(&parent)).await;
    assert_eq!(stored.unwrap(), Advance::Overtaken);

    let child = world.granted_due(key).await;
    assert_eq!(child.unclean_claims, 5);
    let stored = catalog.store(&child.lease, &proven(&child)).await;
    assert_eq!(stored.unwrap(), Advance::Done(()));
    assert_eq!(counters(&world, key).await, "0|0");
    let lent = catalog.lend(key, &parent.lease).await.unwrap();
    assert_eq!(lent, Advance::Overtaken);
    let why = world.reasons(key).await;
    let story: Vec<&str> = why.iter().map(String::as_str).collect();
    assert_eq!(
        &story[6..],
        [
            "lent to a process of its own: 5 leases in a row ran out without an outcome",
            "claimed after it was lent to a process of its own",
            "reported_checksum",
        ]
    );
}

#[tokio::test]
async fn a_lent_recording_that_nobody_claims_is_due_when_a_lease_would_have_ended() {
    let world = World::settled().await;
    let event = announced("rec-1");
    let parent = world.granted(&event).await;
    let lent = world.catalog.lend(&event.key, &parent.lease).await.unwrap();
    assert_eq!(lent, Advance::Done(()));
    let due = async || world.catalog.due(Queue::Transfer, 10).await.unwrap();
    assert!(due().await.is_empty());
    let ends = "due_at = updated_at + '30 s' and due_queue = 'transfer'";
    assert_eq!(world.column(&event.key, ends).await, "t");
    world.force(&event.key, "due_at = now()").await;
    assert_eq!(due().await, std::slice::from_ref(&event.key));
    // Lending is no suspicion of its own.
    assert_eq!(world.granted_due(&event.key).await.unclean_claims, 0);
}

#[tokio::test]
async fn the_third_process_of_its_own_in_a_row_that_dies_parks_the_recording_for_a_person() {
    let world = World::settled().await;
    let event = announced("rec-1");
    let (catalog, key) = (&world.catalog, &event.key);
    suspect(&world, &event).await;
    for death in 1..3 {
        assert_eq!(one_death(&world, key, "signal 9").await, None);
        let expected = format!("{}|{death}", 4 + death);
        assert_eq!(counters(&world, key).await, expected);
    }
    let owed = one_death(&world, key, "signal 9\0").await.unwrap();
    assert_eq!(owed.what, Happened::Parked(ParkReason::KillsWorker, None));
    assert_eq!(owed.key, *key);
    assert_eq!(counters(&world, key).await, "0|0");
    let account = "acme".parse().unwrap();
    let parked = catalog.list_parked(Some(&account)).await.unwrap();
    assert_eq!(parked[0].reason, Some(ParkReason::KillsWorker));
    assert_eq!(parked[0].detail.as_deref(), Some("signal 9"));
    assert_eq!(parked[0].next_attempt_at, None);
    assert!(matches!(
        catalog.claim(&event).await.unwrap(),
        Claimed::Waits(State::Parked)
    ));
    assert!(catalog.due(Queue::Transfer, 10).await.unwrap().is_empty());
    // Once more after a lost answer: it is said and counted already.
    assert_eq!(catalog.child_died(key, "signal 9").await.unwrap(), None);
    let why = world.reasons(key).await;
    assert_eq!(
        why[why.len() - 2..],
        [
            "its own process died (3 in a row): signal 9",
            "kills_worker"
        ]
    );
    assert_eq!(
        world.history(key).await.last().map(String::as_str),
        Some("staged>parked")
    );
    // A person may have it tried again, in the ordinary way.
    catalog.retry_parked(None, None).await.unwrap();
    let grant = world.granted(&event).await;
    assert_eq!(grant.unclean_claims, 0);
}

#[tokio::test]
async fn the_announcement_of_a_killer_is_owed_until_it_is_noted() {
    let world = World::settled_with(|settings| {
        settings.announce_after = std::time::Duration::ZERO;
    })
    .await;
    let event = announced("rec-1");
    suspect(&world, &event).await;
    let mut owed = None;
    for _ in 0..3 {
        owed = one_death(&world, &event.key, "signal 11").await;
    }
    let handed = world.catalog.announcements(10).await.unwrap();
    assert_eq!(handed, [owed.unwrap()]);
}

#[tokio::test]
async fn a_death_that_is_told_twice_counts_once_and_one_before_the_claim_counts_too() {
    let world = World::settled().await;
    let event = announced("rec-1");
    let (catalog, key) = (&world.catalog, &event.key);
    let parent = world.granted(&event).await;
    // Never lent: nobody's death.
    assert_eq!(catalog.child_died(key, "x").await.unwrap(), None);
    assert_eq!(counters(&world, key).await, "0|0");
    catalog.lend(key, &parent.lease).await.unwrap();
    for _ in 0..3 {
        assert_eq!(catalog.child_died(key, "x").await.unwrap(), None);
    }
    assert_eq!(counters(&world, key).await, "0|1");
}

#[tokio::test]
async fn a_death_counts_nothing_once_the_recording_went_on() {
    let world = World::settled().await;
    let (catalog, event) = (&world.catalog, announced("rec-1"));
    let key = &event.key;
    // The child parked it before it died.
    let parent = world.granted(&event).await;
    catalog.lend(key, &parent.lease).await.unwrap();
    let child = world.granted_due(key).await;
    let refused = parking(ParkReason::AccessDenied);
    catalog.park(key, &child.lease, &refused).await.unwrap();
    assert_eq!(catalog.child_died(key, "x").await.unwrap(), None);
    // Somebody else claimed it after the child.
    catalog.retry_parked(None, None).await.unwrap();
    let parent = world.granted(&event).await;
    catalog.lend(key, &parent.lease).await.unwrap();
    world.granted_due(key).await;
    world.run_out(key).await;
    let other = world.granted_due(key).await;
    assert_eq!(catalog.child_died(key, "x").await.unwrap(), None);
    assert_eq!(counters(&world, key).await, "1|0");
    let stored = catalog.store(&other.lease, &proven(&other)).await;
    assert_eq!(stored.unwrap(), Advance::Done(()));
    assert_eq!(catalog.child_died(key, "x").await.unwrap(), None);
    assert_eq!(world.column(key, "state").await, "stored");
}

#[tokio::test]
async fn any_outcome_clears_the_suspicion_and_the_deaths() {
    let world = World::settled().await;
    let catalog = &world.catalog;
    for outcome in ["stored", "parked", "given back"] {
        let event = announced(&format!("rec-{}", outcome.replace(' ', "-")));
        let key = &event.key;
        suspect(&world, &event).await;
        one_death(&world, key, "x").await;
        let grant = world.granted(&event).await;
        assert_eq!(counters(&world, key).await, "6|1");
        match outcome {
            "stored" => drop(catalog.store(&grant.lease, &proven(&grant)).await.unwrap()),
            "parked" => {
                let refused = parking(ParkReason::Throttled);
                drop(catalog.park(key, &grant.lease, &refused).await.unwrap());
            }
            _ => drop(catalog.give_back(key, &grant.lease).await.unwrap()),
        }
        assert_eq!(counters(&world, key).await, "0|0", "{outcome}");
    }
}
