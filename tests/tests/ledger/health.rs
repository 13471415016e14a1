//! The health of destinations: what makes one unhealthy or healthy, who is told, and that work at
//! one that works writes nothing.

use std::time::Duration;

use callferry_tests::patience;
use recording::{
    Advance, Capability, CheckReport, DueCheck, Finding, Ledger, ParkReason, Queue, RecordingKey,
    Verdict,
};

use super::world::{World, announced, owner, parking};

const SOON: Duration = Duration::from_secs(20);

/// Quick enough for a test; nothing is judged by it.
pub(crate) async fn quick() -> World {
    World::settled_with(|settings| {
        settings.settle_after = Duration::ZERO;
        settings.probe_after = Duration::ZERO;
        settings.announce_after = Duration::from_secs(3600);
    })
    .await
}

/// Claims and parks.
pub(crate) async fn fails(world: &World, id: &str, reason: ParkReason) -> RecordingKey {
    let event = announced(id);
    let grant = world.granted(&event).await;
    let parking = parking(reason);
    let park = world.catalog.park(&event.key, &grant.lease, &parking);
    assert!(matches!(park.await.unwrap(), Advance::Done(_)));
    event.key
}

/// State, reason, whether it holds, and how many failed in a row.
pub(crate) async fn health(world: &World) -> String {
    world
        .sql(
            "select state, coalesce(reason, '-'), holds, cardinality(failed) \
             from destination_health order by revision limit 1",
        )
        .await
}

/// Makes a parked row due.
pub(crate) async fn due_now(world: &World, key: &RecordingKey) {
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
        let parking = parking(denied);
        let park = world.catalog.park(&first, &grant.lease, &parking);
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

pub(crate) fn report(
    capability: Capability,
    verdict: Verdict,
    reason: Option<ParkReason>,
) -> CheckReport {
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
pub(crate) async fn due_check(world: &World) -> DueCheck {
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
    assert_eq!(health(&world).await, "unhealthy|destination_unsafe|f|0");
    world.stored(&announced("rec-1")).await;
    assert_eq!(health(&world).await, "unhealthy|destination_unsafe|f|0");
    let unreached = report(
        Capability::Reach,
        Verdict::Failed,
        Some(ParkReason::DestinationUnreachable),
    );
    world.catalog.checked(&check, &unreached).await.unwrap();
    assert_eq!(health(&world).await, "unhealthy|destination_unsafe|f|0");
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
    let nobody = recording::AccountId::of_checks();
    let expected = [(1, "acme"), (3, "acme"), (4, nobody.as_str())];
    assert_eq!(checked, expected);
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
