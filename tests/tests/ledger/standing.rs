//! What a check found stands whatever work does, and nobody tends what nothing depends on.

use recording::{Capability, CheckReport, Finding, Health, Ledger, ParkReason, Verdict};

use super::breaker::fails_held;
use super::health::{due_check, fails, health, quick, report};
use super::world::{World, announced, proven};

/// The role is open to strangers, which work does not notice.
fn open_role() -> CheckReport {
    let unsafe_ = Some(ParkReason::DestinationUnsafe);
    report(Capability::ExternalIdRequired, Verdict::Failed, unsafe_)
}

fn with(report: CheckReport, capability: Capability, reason: Option<ParkReason>) -> CheckReport {
    let verdict = if reason.is_some() {
        Verdict::Failed
    } else {
        Verdict::Passed
    };
    let mut findings = report.findings;
    findings.push(Finding {
        capability,
        verdict,
        reason,
        ..findings.first().unwrap().clone()
    });
    CheckReport { findings, ..report }
}

/// The events that are owed now, as the words of the health.
async fn told(world: &World) -> Vec<Health> {
    let owed = world.catalog.health_announcements(9).await.unwrap();
    for news in &owed {
        let told = world.catalog.health_announced(news.revision, news.id);
        told.await.unwrap();
    }
    let word = |reason: Option<ParkReason>| match reason {
        Some(_) => Health::Unhealthy,
        None => Health::Healthy,
    };
    owed.iter().map(|news| word(news.reason)).collect()
}

#[tokio::test]
async fn one_denial_of_one_key_holds_nothing_back_where_only_a_check_minds() {
    let world = quick().await;
    let check = due_check(&world).await;
    world.catalog.checked(&check, &open_role()).await.unwrap();
    assert_eq!(health(&world).await, "unhealthy|destination_unsafe|f|0");
    let denied = ParkReason::AccessDenied;
    fails(&world, "rec-1", denied).await;
    fails(&world, "rec-2", denied).await;
    assert_eq!(health(&world).await, "unhealthy|destination_unsafe|f|2");
    world.stored(&announced("good-1")).await;
    assert_eq!(health(&world).await, "unhealthy|destination_unsafe|f|0");
    for id in ["rec-3", "rec-4", "rec-5"] {
        fails(&world, id, denied).await;
    }
    assert_eq!(health(&world).await, "unhealthy|access_denied|t|0");
    let view = world.catalog.destination_health(&[1]).await.unwrap();
    assert!(view[&1].held_back);
    assert_eq!(told(&world).await, [Health::Unhealthy]);
}

#[tokio::test]
async fn a_success_ends_what_work_met_and_not_what_a_check_found() {
    let world = quick().await;
    let check = due_check(&world).await;
    world.catalog.checked(&check, &open_role()).await.unwrap();
    assert_eq!(told(&world).await, [Health::Unhealthy]);
    let since = "select since from destination_health";
    let began = world.sql(since).await;
    fails(&world, "rec-1", ParkReason::BucketMissing).await;
    assert_eq!(health(&world).await, "unhealthy|bucket_missing|t|0");
    let held = fails_held(&world, "rec-2").await;
    // A check in between finds both, and what it found of old stands.
    let both = with(
        open_role(),
        Capability::Owner,
        Some(ParkReason::BucketMissing),
    );
    world.catalog.checked(&check, &both).await.unwrap();
    assert_eq!(health(&world).await, "unhealthy|bucket_missing|t|0");

    let (_, probe) = world.catalog.tend_breakers(9).await.unwrap().remove(0);
    let grant = world.granted_due(&probe).await;
    let stored = proven(&grant);
    world.catalog.store(&grant.lease, &stored).await.unwrap();
    assert_eq!(health(&world).await, "unhealthy|destination_unsafe|f|0");
    // What waited goes on all the same.
    world.catalog.tend_breakers(9).await.unwrap();
    let waiting = if probe == held {
        announced("rec-1").key
    } else {
        held
    };
    let soon = "due_at < now() + interval '1 minute'";
    assert_eq!(world.column(&waiting, soon).await, "t");
    // Nothing changed for others: it is unhealthy as it was, and the next check says the same.
    world.catalog.checked(&check, &open_role()).await.unwrap();
    assert_eq!(told(&world).await, []);
    assert_eq!(world.sql(since).await, began);
    let passed = report(Capability::ExternalIdRequired, Verdict::Passed, None);
    world.catalog.checked(&check, &passed).await.unwrap();
    assert_eq!(health(&world).await, "healthy|-|f|0");
    assert_eq!(told(&world).await, [Health::Healthy]);
    // It stands no longer: what work meets, work ends.
    fails(&world, "rec-4", ParkReason::BucketMissing).await;
    let (_, probe) = world.catalog.tend_breakers(9).await.unwrap().remove(0);
    let grant = world.granted_due(&probe).await;
    let stored = proven(&grant);
    world.catalog.store(&grant.lease, &stored).await.unwrap();
    assert_eq!(health(&world).await, "healthy|-|f|0");
}

#[tokio::test]
async fn what_only_a_check_minds_is_written_by_no_work() {
    let world = quick().await;
    let check = due_check(&world).await;
    world.catalog.checked(&check, &open_role()).await.unwrap();
    let row = "select xmin, xmax from destination_health";
    let before = world.sql(row).await;
    for n in 0..3 {
        world.stored(&announced(&format!("rec-{n}"))).await;
    }
    assert_eq!(world.sql(row).await, before);
}

#[tokio::test]
async fn an_abandoned_revision_is_neither_counted_nor_tended() {
    let world = quick().await;
    fails(&world, "rec-1", ParkReason::BucketMissing).await;
    let unhealthy = async || {
        let reading = world.catalog.reading().await.unwrap();
        let of = reading.unhealthy.get(&ParkReason::BucketMissing);
        of.map_or(0, |tally| tally.count)
    };
    world.destination("acme", "another").await;
    // Not in force any more, and a recording still waits for it.
    assert_eq!(unhealthy().await, 1);
    // It is rerouted, and the new place has it.
    world
        .sql(
            "alter table recordings disable trigger user; \
             update recordings set destination_revision = 2; \
             alter table recordings enable trigger user",
        )
        .await;
    assert_eq!(unhealthy().await, 0);
    world
        .sql("update destination_health set next_check_at = now() where revision = 1")
        .await;
    let due = world.catalog.checks(9).await.unwrap();
    assert!(due.is_empty(), "{due:?}");
    // What was seen of it last is remembered, and it is probed no more.
    assert_eq!(health(&world).await, "unhealthy|bucket_missing|f|0");
    world
        .sql("update destination_health set probe_at = now()")
        .await;
    world.catalog.tend_breakers(9).await.unwrap();
    let probes = "select probes from destination_health where revision = 1";
    assert_eq!(world.sql(probes).await, "0");
    assert_eq!(told(&world).await, [Health::Unhealthy]);
}

#[tokio::test]
async fn those_that_nothing_depends_on_take_no_place_and_one_that_is_unreadable_stops_nobody() {
    let world = quick().await;
    for n in 0..6 {
        world.destination("acme", &format!("bucket-{n}")).await;
    }
    for account in ["beta", "gamma"] {
        world.account(account).await;
        world.destination(account, account).await;
    }
    // The abandoned ones are due for longer.
    world
        .sql("update destination_health set next_check_at = now() - '1 h'::interval / revision")
        .await;
    let due = world.catalog.checks(2).await.unwrap();
    let owners: Vec<_> = due.iter().map(|due| due.account.as_str()).collect();
    assert_eq!(owners.len(), 2, "{owners:?}");
    let rest = world.catalog.checks(2).await.unwrap();
    assert_eq!(rest.len(), 1);
    assert!(world.catalog.checks(2).await.unwrap().is_empty());
    let put_off = "select count(*) from destination_health \
                   where next_check_at > now() + interval '12 hours'";
    assert_eq!(world.sql(put_off).await, "6");

    // As a newer release may write it.
    world
        .sql(
            "alter table destinations drop constraint if exists destinations_sse_check; \
             alter table destinations disable trigger user; \
             update destinations set sse = 'newer' where account_id = 'beta'; \
             alter table destinations enable trigger user; \
             update destination_health set next_check_at = now()",
        )
        .await;
    let due = world.catalog.checks(9).await.unwrap();
    let owners: Vec<_> = due.iter().map(|due| due.account.as_str()).collect();
    assert_eq!(owners, ["acme", "gamma"]);
}
