//! The health of destinations: what makes one unhealthy, what its breaker holds back and lets
//! try, what becomes due when it closes, and who is told.

use std::time::Duration;

use callferry_tests::patience;
use recording::{
    Advance, Capability, CheckReport, DueCheck, Fault, Finding, Ledger, ParkReason, Queue,
    RecordingKey, Verdict,
};

use super::world::{World, announced, owner, parking, proven};

const SOON: Duration = Duration::from_secs(20);

/// Quick enough for a test; nothing is judged by it.
async fn quick() -> World {
    World::settled_with(|settings| {
        settings.settle_after = Duration::ZERO;
        settings.probe_after = Duration::ZERO;
        settings.announce_after = Duration::from_secs(3600);
    })
    .await
}

/// Claims and parks.
async fn fails(world: &World, id: &str, reason: ParkReason) -> RecordingKey {
    let event = announced(id);
    let grant = world.granted(&event).await;
    let park = world
        .catalog
        .park(&event.key, &grant.lease, &parking(reason));
    assert!(matches!(park.await.unwrap(), Advance::Done(_)));
    event.key
}

async fn health(world: &World) -> String {
    world
        .sql(
            "select state, coalesce(reason, '-'), holds, cardinality(failed) \
             from destination_health order by revision limit 1",
        )
        .await
}

/// How far in the future a row is due, in minutes.
async fn due_in(world: &World, key: &RecordingKey) -> i64 {
    let minutes = "round(extract(epoch from due_at - now()) / 60)::bigint";
    world.column(key, minutes).await.parse().unwrap()
}

async fn due_now(world: &World, key: &RecordingKey) {
    world
        .force(key, "due_at = now(), next_attempt_at = now()")
        .await;
}

#[tokio::test]
async fn what_every_recording_would_meet_makes_a_destination_unhealthy_at_once() {
    let world = quick().await;
    assert_eq!(health(&world).await, "healthy|-|f|0");
    fails(&world, "rec-1", ParkReason::BucketMissing).await;
    assert_eq!(health(&world).await, "unhealthy|bucket_missing|t|0");
    // Another reason later is kept, and is no change of health.
    let since = "select since from destination_health";
    let began = world.sql(since).await;
    world
        .sql("update destination_health set asked_until = now() + '1 h'")
        .await;
    fails(&world, "rec-2", ParkReason::RoleNotAssumable).await;
    assert_eq!(health(&world).await, "unhealthy|role_not_assumable|t|0");
    assert_eq!(world.sql(since).await, began);
}

#[tokio::test]
async fn a_denial_is_believed_when_three_different_recordings_in_a_row_meet_it() {
    let world = quick().await;
    let denied = ParkReason::AccessDenied;
    let first = fails(&world, "rec-1", denied).await;
    assert_eq!(health(&world).await, "healthy|-|f|1");
    // The same one again is still one.
    for _ in 0..4 {
        due_now(&world, &first).await;
        let grant = world.granted_due(&first).await;
        let park = world.catalog.park(&first, &grant.lease, &parking(denied));
        park.await.unwrap();
    }
    assert_eq!(health(&world).await, "healthy|-|f|1");
    fails(&world, "rec-2", denied).await;
    // A success in between says that it is theirs alone.
    world.stored(&announced("good-1")).await;
    assert_eq!(health(&world).await, "healthy|-|f|0");
    for id in ["rec-3", "rec-4", "rec-5"] {
        fails(&world, id, denied).await;
    }
    assert_eq!(health(&world).await, "unhealthy|access_denied|t|0");
}

#[tokio::test]
async fn what_time_or_a_person_repairs_says_nothing_about_the_destination() {
    let world = quick().await;
    for (n, reason) in ParkReason::ALL.iter().enumerate() {
        if reason.blame() == recording::Blame::Nobody && *reason != ParkReason::NoDestination {
            fails(&world, &format!("rec-{n}"), *reason).await;
        }
    }
    assert_eq!(health(&world).await, "healthy|-|f|0");
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
    let park = world
        .catalog
        .park(&probe, &grant.lease, &parking(ParkReason::BucketMissing));
    park.await.unwrap();
    assert!((47..=73).contains(&due_in(&world, &probe).await));
    world
        .sql("update destination_health set probe_at = now()")
        .await;
    let next = world.catalog.tend_breakers(9).await.unwrap();
    assert_eq!(next.len(), 1);
    assert_eq!(world.sql("select probes from destination_health").await, "2");
}

#[tokio::test]
async fn a_probe_that_nobody_hears_of_gives_way_to_the_next() {
    let world = quick().await;
    fails(&world, "rec-1", ParkReason::BucketMissing).await;
    fails_held(&world, "rec-2").await;
    assert_eq!(world.catalog.tend_breakers(9).await.unwrap().len(), 1);
    let late = "update destination_health set probe_at = now()";
    world.sql(late).await;
    assert!(world.catalog.tend_breakers(9).await.unwrap().is_empty());
    world
        .sql("update destination_health set probe_until = now()")
        .await;
    assert_eq!(world.catalog.tend_breakers(9).await.unwrap().len(), 1);
}

/// A new recording that its destination's breaker holds back.
async fn fails_held(world: &World, id: &str) -> RecordingKey {
    let event = announced(id);
    let grant = world.granted(&event).await;
    let shut = grant.shut.clone().expect("the breaker is open");
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
    let first = fails(&world, "rec-0", ParkReason::BucketMissing).await;
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
               next_attempt_at = now() + '50 min', due_at = now() + '50 min' \
              where recording_id like 'bulk-%'",
        )
        .await;
    let (_, probe) = world.catalog.tend_breakers(9).await.unwrap().remove(0);
    assert_eq!(probe, first);
    let grant = world.granted_due(&probe).await;
    let stored = proven(&grant);
    world.catalog.store(&grant.lease, &stored).await.unwrap();
    assert_eq!(health(&world).await, "healthy|-|f|0");

    // Parked since for another reason: it is on its ladder.
    let later = fails(&world, "later-1", ParkReason::Throttled).await;
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
    let past = "update destination_health set drain_from = now() - interval '11 s', \
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
async fn cleanups_looks_count_and_its_own_success_heals_only_what_it_saw() {
    let world = quick().await;
    let mut stored = Vec::new();
    for n in 0..4 {
        let event = announced(&format!("rec-{n}"));
        world.stored(&event).await;
        let key = event.key;
        world.force(&key, "acknowledged_at = now()").await;
        stored.push(key);
    }
    let last = stored.pop().unwrap();
    for key in &stored {
        let grant = world.release_granted(key).await;
        let refusal = parking(ParkReason::AccessDenied);
        let kept = world.catalog.refuse_release(key, &grant.lease, &refusal);
        kept.await.unwrap();
    }
    assert_eq!(health(&world).await, "unhealthy|access_denied|t|0");
    for key in &stored {
        let now = "due_at = now(), release_next_attempt_at = now()";
        world.force(key, now).await;
    }
    assert!(
        world
            .catalog
            .due(Queue::Cleanup, 9)
            .await
            .unwrap()
            .is_empty()
    );
    let probes = world.catalog.tend_breakers(9).await.unwrap();
    assert_eq!(probes[0].0, Queue::Cleanup);
    let grant = world.release_granted(&last).await;
    let released = world.catalog.release(&last, &grant.lease, "deleted").await;
    released.unwrap();
    assert_eq!(health(&world).await, "healthy|-|f|0");

    // What transfer saw is not healed by a look.
    fails(&world, "new-1", ParkReason::BucketMissing).await;
    let key = &probes[0].1;
    let grant = world.release_granted(key).await;
    let released = world.catalog.release(key, &grant.lease, "deleted").await;
    released.unwrap();
    assert_eq!(health(&world).await, "unhealthy|bucket_missing|t|0");
}

fn report(capability: Capability, verdict: Verdict, reason: Option<ParkReason>) -> CheckReport {
    CheckReport {
        at: chrono::DateTime::UNIX_EPOCH,
        findings: vec![Finding {
            capability,
            verdict,
            detail: "seen\0 so".to_owned(),
            reason,
            missing: Vec::new(),
            remedy: Some("repair it".to_owned()),
        }],
    }
}

/// The one destination, due for its check.
async fn due_check(world: &World) -> DueCheck {
    world
        .sql("update destination_health set next_check_at = now()")
        .await;
    let mut due = world.catalog.checks(9).await.unwrap();
    assert_eq!(due.len(), 1);
    due.remove(0)
}

#[tokio::test]
async fn a_check_moves_the_health_and_says_when_the_next_is_due() {
    let world = quick().await;
    let check = due_check(&world).await;
    assert_eq!(check.account.as_str(), "acme");
    assert!(world.catalog.checks(9).await.unwrap().is_empty());
    let next_h = "select round(extract(epoch from next_check_at - now()) / 3600)::int \
                  from destination_health";
    let hours = async || world.sql(next_h).await.parse::<i32>().unwrap();

    let passed = report(Capability::Put, Verdict::Passed, None);
    world.catalog.checked(&check, &passed).await.unwrap();
    assert_eq!(health(&world).await, "healthy|-|f|0");
    assert!((19..=29).contains(&hours().await));

    let denied = report(
        Capability::Put,
        Verdict::Failed,
        Some(ParkReason::AccessDenied),
    );
    world.catalog.checked(&check, &denied).await.unwrap();
    assert_eq!(health(&world).await, "unhealthy|access_denied|t|0");
    assert_eq!(hours().await, 1);
    let views = world.catalog.destination_health(&[1]).await.unwrap();
    let view = &views[&1];
    assert_eq!(view.findings[0].detail, "seen so");
    assert!(view.held_back);
    assert_eq!(view.hint, Some(ParkReason::AccessDenied.hint()));

    // What work does not notice holds nothing back, and work does not heal it.
    let open_role = report(Capability::ExternalIdRequired, Verdict::Failed, None);
    world.catalog.checked(&check, &open_role).await.unwrap();
    assert_eq!(health(&world).await, "unhealthy|destination_refused|f|0");
    world.stored(&announced("rec-1")).await;
    assert_eq!(health(&world).await, "unhealthy|destination_refused|f|0");
    let unreached = report(
        Capability::Reach,
        Verdict::Failed,
        Some(ParkReason::DestinationUnreachable),
    );
    world.catalog.checked(&check, &unreached).await.unwrap();
    assert_eq!(health(&world).await, "unhealthy|destination_refused|f|0");
    world.catalog.checked(&check, &passed).await.unwrap();
    assert_eq!(health(&world).await, "healthy|-|f|0");
}

#[tokio::test]
async fn only_what_is_in_use_is_checked() {
    let world = quick().await;
    // The first revision keeps a recording that is not released, the second keeps nothing.
    world.stored(&announced("rec-1")).await;
    world.destination("acme", "second").await;
    world.destination("acme", "third").await;
    world.destination("default", "ours").await;
    world
        .sql("update destination_health set next_check_at = now()")
        .await;
    let mut due = world.catalog.checks(9).await.unwrap();
    due.sort_by_key(|check| check.destination.revision);
    let checked: Vec<_> = due
        .iter()
        .map(|check| (check.destination.revision, check.account.as_str()))
        .collect();
    assert_eq!(checked, [(1, "acme"), (3, "acme"), (4, "callferry-check")]);
}

#[tokio::test]
async fn a_change_is_told_once_until_it_is_confirmed_and_not_at_all_when_it_was_taken_back() {
    let world = quick().await;
    let catalog = &world.catalog;
    assert!(catalog.health_announcements(9).await.unwrap().is_empty());
    fails(&world, "rec-1", ParkReason::BucketMissing).await;
    let told = catalog.health_announcements(9).await.unwrap();
    assert_eq!(told.len(), 1);
    let news = &told[0];
    assert_eq!(news.owner, owner("acme"));
    assert_eq!(news.reason, Some(ParkReason::BucketMissing));
    assert_eq!(news.location, "s3://acme-bucket");
    assert_eq!((news.revision, news.recordings_waiting), (1, 1));
    // Not confirmed: the same again, later.
    assert!(catalog.health_announcements(9).await.unwrap().is_empty());
    let now = "update destination_health set announce_after = now()";
    world.sql(now).await;
    let again = catalog.health_announcements(9).await.unwrap();
    assert_eq!(again[0].id, news.id);
    catalog.health_announced(1, news.id).await.unwrap();
    let owed = "select announce_after is not null, announced_at is not null \
                from destination_health";
    assert_eq!(world.sql(owed).await, "f|t");

    // Healthy and unhealthy again before anybody was told: nothing is owed.
    let check = due_check(&world).await;
    let passed = report(Capability::Put, Verdict::Passed, None);
    catalog.checked(&check, &passed).await.unwrap();
    assert_eq!(world.sql(owed).await, "t|f");
    fails(&world, "rec-2", ParkReason::BucketMissing).await;
    assert_eq!(world.sql(owed).await, "f|f");
    catalog.checked(&check, &passed).await.unwrap();
    let told = catalog.health_announcements(9).await.unwrap();
    assert_eq!((told.len(), told[0].reason), (1, None));
}

#[tokio::test]
async fn a_change_that_does_not_last_is_not_told() {
    let world = World::settled_with(|settings| {
        settings.settle_after = Duration::from_secs(3600);
    })
    .await;
    fails(&world, "rec-1", ParkReason::BucketMissing).await;
    let told = world.catalog.health_announcements(9).await.unwrap();
    assert!(told.is_empty());
}

#[tokio::test]
async fn unhealthy_destinations_and_secrets_that_end_are_in_the_reading() {
    let world = quick().await;
    fails(&world, "rec-1", ParkReason::BucketMissing).await;
    world.account("beta").await;
    world.destination("beta", "beta-bucket").await;
    world
        .sql("update destination_health set secret_expires_at = now() + revision * '5 d'::interval")
        .await;
    let reading = world.catalog.reading().await.unwrap();
    assert_eq!(reading.unhealthy[&ParkReason::BucketMissing].count, 1);
    assert_eq!(reading.secrets_ending, (2, 0));
    assert!(reading.secret_expires_at.is_some());
    // A later revision is in force: nobody needs the first one's secret for anything new.
    world.destination("acme", "another").await;
    let reading = world.catalog.reading().await.unwrap();
    assert_eq!(reading.secrets_ending, (1, 0));
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
    let work = grants.iter().enumerate().map(|(n, (key, grant))| async move {
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

#[tokio::test]
async fn nothing_is_written_about_a_destination_that_works() {
    let world = quick().await;
    let written = "select n_tup_upd from pg_stat_user_tables where relname = 'destination_health'";
    for n in 0..20 {
        let event = announced(&format!("rec-{n}"));
        let stored = world.stored(&event).await;
        let claim = world
            .catalog
            .claim_release(&event.key, Some(stored.receipt()));
        let recording::ReleaseClaim::Granted(grant) = claim.await.unwrap() else {
            panic!("not granted");
        };
        let released = world
            .catalog
            .release(&event.key, &grant.lease, "deleted")
            .await;
        released.unwrap();
        let fault = Fault::new(ParkReason::Throttled, "");
        assert_eq!(fault.reason.blame(), recording::Blame::Nobody);
    }
    world.catalog.close().await;
    // The server counts what a connection did when it ends.
    let there = "select count(*) from pg_stat_activity where datname = current_database() \
                 and application_name = 'callferry'";
    patience::until("the connections end", SOON, async || {
        Ok((world.sql(there).await == "0").then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(world.sql(written).await, "0");
}
