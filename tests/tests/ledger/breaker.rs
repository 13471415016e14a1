//! Breakers: what an open one holds back and lets try, and what becomes due when it closes.

use catalog::ParkedFilter;
use recording::{Advance, Ledger, ParkReason, Queue, RecordingKey};

use super::health::{due_now, fails, health, quick};
use super::world::{World, announced, parking, proven};

/// How far in the future a row is due, in minutes.
async fn due_in(world: &World, key: &RecordingKey) -> i64 {
    let minutes = "round(extract(epoch from due_at - now()) / 60)::bigint";
    world.column(key, minutes).await.parse().unwrap()
}

#[tokio::test]
async fn an_open_breaker_lets_one_at_a_time_try_and_puts_the_others_off() {
    let world = quick().await;
    let mut keys = Vec::new();
    for n in 0..6 {
        let reason = ParkReason::Throttled;
        keys.push(fails(&world, &format!("rec-{n}"), reason).await);
    }
    fails(&world, "rec-bad", ParkReason::BucketMissing).await;
    for key in &keys {
        due_now(&world, key).await;
    }
    // Nothing of it is driven, however often it is asked for.
    assert!(
        world
            .catalog
            .due(Queue::Transfer, 99)
            .await
            .unwrap()
            .is_empty()
    );
    let probes = world.catalog.tend_breakers(9).await.unwrap();
    assert_eq!(probes.len(), 1);
    let (queue, probe) = probes.into_iter().next().unwrap();
    assert_eq!(queue, Queue::Transfer);
    for key in keys.iter().filter(|key| **key != probe) {
        let minutes = due_in(&world, key).await;
        assert!((47..=73).contains(&minutes), "{key}: {minutes}");
    }
    // Not two, and not by a second replica.
    assert!(world.catalog.tend_breakers(9).await.unwrap().is_empty());

    // Whoever is not the probe is held back; the probe goes through.
    let other = announced("new-1");
    let grant = world.granted(&other).await;
    let shut = grant.shut.clone().unwrap();
    assert_eq!(shut.reason, ParkReason::BucketMissing);
    let held = world.catalog.hold(&other.key, &grant.lease, &shut).await;
    let Advance::Done(Some(told)) = held.unwrap() else {
        panic!("the new reason is not told");
    };
    assert_eq!(told.key, other.key);
    assert_eq!(world.column(&other.key, "state, rungs").await, "parked|0");
    assert!((47..=73).contains(&due_in(&world, &other.key).await));
    let grant = world.granted_due(&probe).await;
    assert_eq!(grant.shut, None);

    // It fails: the next one may, and it goes to the end of the line.
    let parking = parking(ParkReason::BucketMissing);
    let park = world.catalog.park(&probe, &grant.lease, &parking);
    park.await.unwrap();
    assert!((47..=73).contains(&due_in(&world, &probe).await));
    world
        .sql("update destination_health set probe_at = now()")
        .await;
    let next = world.catalog.tend_breakers(9).await.unwrap();
    assert_eq!(next.len(), 1);
    assert_eq!(
        world.sql("select probes from destination_health").await,
        "2"
    );
}

#[tokio::test]
async fn a_probe_in_a_long_queue_keeps_its_turn_for_an_hour_and_goes_through_however_late() {
    let world = quick().await;
    fails(&world, "rec-1", ParkReason::BucketMissing).await;
    fails_held(&world, "rec-2").await;
    let (_, probe) = world.catalog.tend_breakers(9).await.unwrap().remove(0);
    let late = "update destination_health set probe_at = now()";
    world.sql(late).await;
    assert!(world.catalog.tend_breakers(9).await.unwrap().is_empty());
    let late = "update destination_health set probe_at = now(), probe_until = now()";
    for _ in 0..3 {
        world.sql(late).await;
        let probes = world.catalog.tend_breakers(9).await.unwrap();
        assert_eq!(probes, [(Queue::Transfer, probe.clone())]);
    }
    // What nobody hears of for so long may never be heard of.
    world.force(&probe, "drive_count = 30").await;
    world.sql(late).await;
    let (_, next) = world.catalog.tend_breakers(9).await.unwrap().remove(0);
    assert_ne!(next, probe);
    world.sql(late).await;
    let grant = world.granted_due(&probe).await;
    assert!(grant.shut.is_some(), "it is no probe any more");
    let grant = world.granted_due(&next).await;
    assert_eq!(grant.shut, None);
    let stored = proven(&grant);
    world.catalog.store(&grant.lease, &stored).await.unwrap();
    assert_eq!(health(&world).await, "healthy|-|f|0");
}

#[tokio::test]
async fn what_a_drain_made_due_and_was_driven_since_is_not_taken_again() {
    let world = quick().await;
    fails(&world, "rec-0", ParkReason::BucketMissing).await;
    let held = fails_held(&world, "rec-1").await;
    let (_, probe) = world.catalog.tend_breakers(9).await.unwrap().remove(0);
    let grant = world.granted_due(&probe).await;
    let stored = proven(&grant);
    world.catalog.store(&grant.lease, &stored).await.unwrap();
    world.catalog.tend_breakers(9).await.unwrap();
    let other = if probe == held { "rec-0" } else { "rec-1" };
    let waiting = announced(other).key;
    due_now(&world, &waiting).await;
    let driven = world.catalog.due(Queue::Transfer, 9).await.unwrap();
    assert!(driven.contains(&waiting), "{driven:?}");
    for _ in 0..2 {
        world.catalog.tend_breakers(9).await.unwrap();
    }
    assert_eq!(due_in(&world, &waiting).await, 10);
    let grant = world.granted_due(&waiting).await;
    assert_eq!(grant.shut, None);
}

#[tokio::test]
async fn who_was_about_to_be_held_back_while_the_breaker_closed_does_not_wait() {
    let world = quick().await;
    fails(&world, "rec-0", ParkReason::BucketMissing).await;
    // One that learns in time that it is closed, and one whose statement began before.
    let (event, unaware) = (announced("rec-1"), announced("rec-2"));
    let grant = world.granted(&event).await;
    let shut = grant.shut.clone().unwrap();
    let late = world.granted(&unaware).await;
    world
        .catalog
        .hold(&unaware.key, &late.lease, &shut)
        .await
        .unwrap();
    let (_, probe) = world.catalog.tend_breakers(9).await.unwrap().remove(0);
    let granted = world.granted_due(&probe).await;
    let stored = proven(&granted);
    world.catalog.store(&granted.lease, &stored).await.unwrap();
    assert_eq!(health(&world).await, "healthy|-|f|0");
    let held = world.catalog.hold(&event.key, &grant.lease, &shut).await;
    assert!(matches!(held.unwrap(), Advance::Done(_)));
    assert_eq!(world.column(&event.key, "due_at <= now()").await, "t");
    let later = "updated_at = now() + interval '5 seconds', \
                 due_at = now() + interval '1 hour', next_attempt_at = now() + interval '1 hour'";
    let other = if probe == unaware.key {
        announced("rec-0").key
    } else {
        unaware.key
    };
    world.force(&other, later).await;
    world.catalog.tend_breakers(9).await.unwrap();
    assert_eq!(due_in(&world, &other).await, 0);
}

/// A new recording that its destination's breaker holds back.
pub(crate) async fn fails_held(world: &World, id: &str) -> RecordingKey {
    let event = announced(id);
    let grant = world.granted(&event).await;
    let shut = grant.shut.clone().unwrap();
    world
        .catalog
        .hold(&event.key, &grant.lease, &shut)
        .await
        .unwrap();
    event.key
}

#[tokio::test]
async fn a_success_closes_the_breaker_and_what_waited_is_due_a_thousand_in_a_minute() {
    let world = quick().await;
    fails(&world, "rec-0", ParkReason::BucketMissing).await;
    for n in 1..=30 {
        fails_held(&world, &format!("rec-{n:02}")).await;
    }
    // As many as make two batches, by the database's own hand.
    world
        .sql(
            "insert into recordings (account_id, recording_id, state, interaction_id, kind, \
               media_type, started_at, completed_at, path, size_bytes, attributes, \
               destination_revision, created_by, due_at, due_queue) \
             select 'acme', 'bulk-' || n, 'staged', 'i', 'call', 'audio/wav', now(), now(), \
               'acme/bulk/' || n, 1, '{}', 1, gen_random_uuid(), now(), 'transfer' \
               from generate_series(1, 600) n; \
             update recordings set state = 'parked', reason = 'bucket_missing', \
               next_attempt_at = now() + '90 min', due_at = now() + '90 min' \
              where recording_id like 'bulk-%'",
        )
        .await;
    let (_, probe) = world.catalog.tend_breakers(9).await.unwrap().remove(0);
    let grant = world.granted_due(&probe).await;
    let stored = proven(&grant);
    world.catalog.store(&grant.lease, &stored).await.unwrap();
    assert_eq!(health(&world).await, "healthy|-|f|0");

    // Parked since for another reason: it is on its ladder. Whoever was being parked at the very
    // moment may not have seen that the breaker closed, and is not told from those.
    let later = fails(&world, "later-1", ParkReason::Throttled).await;
    world
        .force(&later, "updated_at = now() + interval '1 minute'")
        .await;
    let waiting = "select count(*) from recordings \
                   where state = 'parked' and due_at > now() + '70 s'";
    let mut batches = vec![world.sql(waiting).await];
    for _ in 0..3 {
        world.catalog.tend_breakers(9).await.unwrap();
        batches.push(world.sql(waiting).await);
    }
    assert_eq!(batches, ["631", "131", "1", "1"]);
    assert!(due_in(&world, &later).await >= 47);
    let spread = "select round(extract(epoch from max(due_at) - min(due_at))) from recordings \
                  where state = 'parked' and recording_id <> 'later-1'";
    let seconds: f64 = world.sql(spread).await.parse().unwrap();
    assert!((30.0..60.0).contains(&seconds), "{seconds}");
    assert_eq!(
        world
            .sql("select count(*) from recordings where rungs > 0 and recording_id <> 'later-1'")
            .await,
        "0"
    );
    // Nothing is left to do once nobody can come late any more.
    let past = "update destination_health set drain_from = now() - interval '1 h', \
                drain_until = now()";
    world.sql(past).await;
    world.catalog.tend_breakers(9).await.unwrap();
    let done = "select drain_until is null from destination_health";
    assert_eq!(world.sql(done).await, "t");
}

#[tokio::test]
async fn what_a_person_asks_for_goes_through_an_open_breaker() {
    let world = quick().await;
    fails(&world, "rec-1", ParkReason::BucketMissing).await;
    let held = fails_held(&world, "rec-2").await;
    let retried = world.catalog.retry_parked(Some(&held.account_id), None);
    assert_eq!(retried.await.unwrap(), 2);
    world.catalog.tend_breakers(9).await.unwrap();
    let due = world.catalog.due(Queue::Transfer, 9).await.unwrap();
    assert!(due.contains(&held), "{due:?}");
    let grant = world.granted_due(&held).await;
    assert_eq!(grant.shut, None);
    let stored = proven(&grant);
    world.catalog.store(&grant.lease, &stored).await.unwrap();
    assert_eq!(health(&world).await, "healthy|-|f|0");
}

#[tokio::test]
async fn what_a_person_asked_for_goes_through_when_its_message_comes_late() {
    let world = quick().await;
    fails(&world, "rec-1", ParkReason::BucketMissing).await;
    let (first, second) = (
        fails_held(&world, "rec-2").await,
        fails_held(&world, "rec-3").await,
    );
    let retried = world.catalog.retry_parked(Some(&first.account_id), None);
    retried.await.unwrap();
    world.catalog.due(Queue::Transfer, 9).await.unwrap();
    // Ten minutes later.
    world
        .sql(
            "update destination_health set asked_until = asked_until - interval '10 min'; \
             update recordings set driven_at = driven_at - interval '10 min'",
        )
        .await;
    assert_eq!(world.granted_due(&first).await.shut, None);
    world
        .force(&second, "driven_at = now() - interval '1 min'")
        .await;
    assert!(world.granted_due(&second).await.shut.is_some());
}

#[tokio::test]
async fn only_the_breakers_are_asked_of_what_is_tried_again() {
    let world = quick().await;
    world.account("globex").await;
    let default = world.destination("default", "ours").await;
    fails(&world, "rec-1", ParkReason::BucketMissing).await;
    let event = super::world::announced_of("globex", "rec-2");
    let grant = world.granted(&event).await;
    let parking = parking(ParkReason::KmsKeyUnusable);
    let park = world.catalog.park(&event.key, &grant.lease, &parking);
    park.await.unwrap();
    let asked = async || {
        let asked = "select coalesce(string_agg(revision::text, ' ' order by revision), '-') \
                     from destination_health where asked_until is not null";
        let seen = world.sql(asked).await;
        world
            .sql("update destination_health set asked_until = null")
            .await;
        seen
    };
    let of_reason = ParkedFilter {
        reason: Some(ParkReason::KmsKeyUnusable),
        ..ParkedFilter::default()
    };
    let retry = async |filter: &ParkedFilter| {
        let retried = world.catalog.retry_parked_of(filter, None).await;
        retried.unwrap()
    };
    assert_eq!(retry(&of_reason).await, 1);
    assert_eq!(asked().await, default.to_string());
    // A bound token speaks for its own account, and the platform's destination is everybody's.
    let bound = |account: &RecordingKey| ParkedFilter {
        account: Some(account.account_id.clone()),
        own_only: true,
        ..ParkedFilter::default()
    };
    assert_eq!(retry(&bound(&event.key)).await, 1);
    assert_eq!(asked().await, "-");
    assert_eq!(retry(&bound(&announced("rec-1").key)).await, 1);
    assert_eq!(asked().await, "1");
}

#[tokio::test]
async fn two_that_fail_and_heal_at_once_wait_for_each_other_and_no_longer() {
    let world = quick().await;
    let catalog = &world.catalog;
    let mut grants = Vec::new();
    for n in 0..12 {
        let event = announced(&format!("rec-{n:02}"));
        grants.push((event.key.clone(), world.granted(&event).await));
    }
    let work = grants
        .iter()
        .enumerate()
        .map(|(n, (key, grant))| async move {
            if n % 3 == 0 {
                let stored = proven(grant);
                catalog.store(&grant.lease, &stored).await.map(drop)
            } else {
                let refused = parking(ParkReason::BucketMissing);
                catalog.park(key, &grant.lease, &refused).await.map(drop)
            }
        });
    let tending = async {
        for _ in 0..20 {
            catalog.tend_breakers(9).await?;
        }
        Ok(())
    };
    let (worked, tended): (Vec<Result<(), recording::LedgerFault>>, Result<_, _>) =
        futures::join!(futures::future::join_all(work), tending);
    assert!(worked.iter().all(Result::is_ok), "{worked:?}");
    tended.unwrap_or_else(|fault: recording::LedgerFault| panic!("{fault}"));
    let counts = "select count(*) filter (where state = 'stored'), \
                  count(*) filter (where state = 'parked') from recordings";
    assert_eq!(world.sql(counts).await, "4|8");
}
