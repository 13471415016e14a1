//! Which destination a recording is pinned to, and what happens to those that find none.

use chrono::{DateTime, Utc};
use recording::{Claimed, DestinationOwner, Happened, Ledger, ParkReason, Queue, State, Store};

use super::world::{UNCHECKED, World, announced, announced_of, at, bucket, granted, owner};

async fn pinned(world: &World, recording: &str, completed_at: &str) -> i64 {
    let mut event = announced(recording);
    event.completed_at = at(completed_at);
    event.started_at = event.completed_at;
    let grant = world.granted(&event).await;
    grant.staged.destination().revision
}

async fn set_from(world: &World, owner: &str, name: &str, from: DateTime<Utc>) -> i64 {
    let view = world
        .catalog
        .set_destination(
            &super::world::owner(owner),
            &Store::S3(bucket(name)),
            Some(from),
            &UNCHECKED,
        )
        .await;
    view.unwrap().revision
}

#[tokio::test]
async fn an_accounts_first_destination_is_in_force_from_the_beginning_of_time() {
    let world = World::with(|_| {}).await;
    world.account("acme").await;
    world.destination("default", "platform").await;
    let own = world.destination("acme", "acme-bucket").await;
    assert_eq!(pinned(&world, "rec-1", "1990-01-01T00:00:00Z").await, own);
    let shown = world
        .catalog
        .show_destination(&owner("acme"))
        .await
        .unwrap();
    assert_eq!(
        (shown.in_force_from, shown.account_leads_key),
        (None, false)
    );
}

#[tokio::test]
async fn an_accounts_first_destination_leaves_the_past_to_the_platforms_once_a_recording_is_there()
{
    let world = World::with(|_| {}).await;
    world.account("acme").await;
    let platform = world.destination("default", "platform").await;
    assert_eq!(
        pinned(&world, "rec-1", "2024-05-01T00:00:00Z").await,
        platform
    );
    let own = world.destination("acme", "acme-bucket").await;
    assert_eq!(
        pinned(&world, "rec-2", "2024-05-01T00:00:00Z").await,
        platform
    );
    // Announced with a clock that is ahead: completed now at the latest.
    assert_eq!(pinned(&world, "rec-3", "2199-05-01T00:00:00Z").await, own);
    // A duplicate keeps what it was pinned to.
    let mut event = announced("rec-1");
    event.completed_at = at("2024-05-01T00:00:00Z");
    event.started_at = event.completed_at;
    world.force(&event.key, "lease_until = now()").await;
    let grant = world.granted(&event).await;
    assert_eq!(grant.staged.destination().revision, platform);
    assert!(grant.staged.destination().account_leads_key);
}

#[tokio::test]
async fn later_destinations_count_from_when_they_are_set_or_from_the_time_given() {
    let world = World::with(|_| {}).await;
    world.account("acme").await;
    let first = world.destination("acme", "bucket-1").await;
    let second = set_from(&world, "acme", "bucket-2", at("2024-03-01T00:00:00Z")).await;
    let third = world.destination("acme", "bucket-3").await;
    assert_eq!(pinned(&world, "rec-1", "2024-02-29T23:59:59Z").await, first);
    assert_eq!(
        pinned(&world, "rec-2", "2024-03-01T00:00:00Z").await,
        second
    );
    assert_eq!(pinned(&world, "rec-3", "2199-01-01T00:00:00Z").await, third);
    let listed = world
        .catalog
        .list_destinations(&owner("acme"))
        .await
        .unwrap();
    let revisions: Vec<_> = listed.iter().map(|view| view.revision).collect();
    assert_eq!(revisions, [first, second, third]);
    // What the latest says already is not said again.
    assert_eq!(world.destination("acme", "bucket-3").await, third);
}

#[tokio::test]
async fn a_recording_that_no_revision_covers_takes_the_accounts_earliest() {
    let world = World::with(|_| {}).await;
    world.account("acme").await;
    let first = set_from(&world, "acme", "bucket-1", at("2024-03-01T00:00:00Z")).await;
    set_from(&world, "acme", "bucket-2", at("2024-04-01T00:00:00Z")).await;
    assert_eq!(pinned(&world, "rec-1", "2024-01-01T00:00:00Z").await, first);
}

#[tokio::test]
async fn the_platforms_first_destination_is_in_force_from_the_beginning_whatever_is_said() {
    let world = World::with(|_| {}).await;
    world.account("acme").await;
    let first = set_from(&world, "default", "platform", at("2024-03-01T00:00:00Z")).await;
    assert_eq!(pinned(&world, "rec-1", "1990-01-01T00:00:00Z").await, first);
}

#[tokio::test]
async fn without_any_destination_a_recording_is_parked_by_its_claim_and_driven_on_the_ladder() {
    let world = World::with(|_| {}).await;
    world.account("acme").await;
    let event = announced("rec-1");
    let claimed = world.catalog.claim(&event).await.unwrap();
    let Claimed::NoDestination(Some(owed)) = claimed else {
        panic!("{claimed:?}");
    };
    let Happened::Parked(ParkReason::NoDestination, Some(_)) = owed.what else {
        panic!("{owed:?}");
    };
    assert!(matches!(
        world.catalog.claim(&event).await.unwrap(),
        Claimed::Waits(State::Parked)
    ));
    world.catalog.retry_parked(None, None).await.unwrap();
    let claimed = world.catalog.claim_due(&event.key).await.unwrap();
    assert!(
        matches!(claimed, Claimed::NoDestination(None)),
        "{claimed:?}"
    );
    world.catalog.retry_parked(None, None).await.unwrap();
    let claimed = world.catalog.claim(&event).await.unwrap();
    assert!(
        matches!(claimed, Claimed::NoDestination(None)),
        "{claimed:?}"
    );
    assert_eq!(world.column(&event.key, "rungs, claims").await, "3|0");
    let later = world.column(&event.key, "next_attempt_at > now() + '8 min'");
    assert_eq!(later.await, "t");
    assert_eq!(world.history(&event.key).await, [">parked"]);
}

#[tokio::test]
async fn setting_a_destination_pins_every_recording_that_waited_for_one_and_makes_it_due() {
    let world = World::with(|_| {}).await;
    world.account("acme").await;
    world.account("beta").await;
    for n in 0..1203 {
        let account = if n < 1201 { "acme" } else { "beta" };
        let event = announced_of(account, &format!("rec-{n}"));
        world.catalog.claim(&event).await.unwrap();
    }
    let own = world.set("acme", &bucket("acme-bucket")).await.unwrap();
    assert_eq!(own.recordings_pinned, Some(1201));
    let due = world.catalog.due(Queue::Transfer, 2000).await.unwrap();
    assert_eq!(due.len(), 1201);
    let grant = world.granted_due(&announced("rec-0").key).await;
    assert_eq!(grant.staged.destination().revision, own.revision);
    assert!(!grant.tried_before);
    let platform = world.set("default", &bucket("platform")).await.unwrap();
    assert_eq!(platform.recordings_pinned, Some(2));
    let grant = world.granted(&announced_of("beta", "rec-1202")).await;
    assert_eq!(grant.staged.destination().owner, DestinationOwner::Default);
    let minted = grant.staged.destination().external_id.clone().unwrap();
    assert!(minted.starts_with("callferry-") && minted.len() > 30);
}

#[tokio::test]
async fn a_claim_pins_a_waiting_recording_itself_if_setting_the_destination_missed_it() {
    let world = World::with(|_| {}).await;
    world.account("acme").await;
    for id in ["rec-1", "rec-2"] {
        let claimed = world.catalog.claim(&announced(id)).await.unwrap();
        assert!(matches!(claimed, Claimed::NoDestination(Some(_))));
    }
    // As a race leaves it: the destination is there, the rows not pinned.
    world
        .sql(
            "insert into destinations (account_id, bucket, region, prefix, place, \
             account_leads_key, external_id, in_force_from) \
             values ('acme', 'late', 'r', '', 'p', false, 'x', '-infinity')",
        )
        .await;
    world.catalog.retry_parked(None, None).await.unwrap();
    for (id, by_event) in [("rec-1", true), ("rec-2", false)] {
        let event = announced(id);
        let claimed = if by_event {
            world.catalog.claim(&event).await
        } else {
            world.catalog.claim_due(&event.key).await
        };
        let grant = granted(claimed.unwrap());
        assert_eq!(grant.staged.destination().store.name(), "late");
        assert_eq!(
            world.history(&event.key).await,
            [">parked", "parked>staged"]
        );
    }
}

#[tokio::test]
async fn two_accounts_share_a_bucket_only_where_their_keys_cannot_meet() {
    let world = World::with(|_| {}).await;
    for account in ["acme", "beta", "gamma"] {
        world.account(account).await;
    }
    let set = async |who: &str, prefix: &str| {
        let mut shared = bucket("shared");
        shared.prefix = prefix.to_owned();
        let set = world.set(who, &shared).await;
        set.map(|view| view.account_leads_key)
    };
    assert_eq!(set("acme", "calls/acme").await, Ok(false));
    assert_eq!(set("beta", "calls").await, Ok(true));
    assert_eq!(set("default", "").await, set("default", "").await);
    assert_eq!(set("acme", "calls").await, Ok(true));
    let whole = bucket("whole");
    let first = world.set("gamma", &whole).await.unwrap();
    assert!(!first.account_leads_key);
    let refused = world.set("beta", &whole).await.unwrap_err();
    assert!(
        refused.to_string().contains("among those of gamma"),
        "{refused}"
    );
    assert!(!refused.hint().is_empty());
}

#[tokio::test]
async fn what_was_insisted_on_by_mistake_keeps_nobody_from_their_bucket_for_ever() {
    let world = World::with(|_| {}).await;
    for account in ["acme", "beta"] {
        world.account(account).await;
    }
    let mistake = world
        .set("acme", &bucket("beta-calls"))
        .await
        .unwrap()
        .revision;
    let set = async || world.set("beta", &bucket("beta-calls")).await;
    assert!(set().await.is_err(), "it is acme's for now");
    let right = world.destination("acme", "acme-calls").await;
    // Not while a recording is there, or a check ever found that storing works.
    let event = announced("rec-1");
    let grant = world.granted(&event).await;
    assert_eq!(grant.staged.destination().revision, mistake);
    assert!(set().await.is_err());
    world.force(&event.key, "lease_until = now()").await;
    let moved = format!("destination_revision = {right}, reroute_note = 'a test'");
    world.force(&event.key, &moved).await;
    let worked = format!(
        "insert into destination_checks (revision, usable, forced, findings) \
         values ({mistake}, true, false, '[]')"
    );
    world.sql(&worked).await;
    assert!(set().await.is_err());
    world
        .sql("alter table destination_checks disable trigger user")
        .await;
    world
        .sql("delete from destination_checks where usable")
        .await;
    let beta = set().await.unwrap();
    assert!(!beta.account_leads_key, "nobody else is there");
}

#[tokio::test]
async fn a_destination_that_would_be_ambiguous_is_refused_with_a_hint() {
    let world = World::with(|_| {}).await;
    world.account("acme").await;
    let mut bad = vec![bucket("acme-bucket"); 5];
    bad[0].bucket = "a/b/c".to_owned();
    bad[1].prefix = "/x".to_owned();
    bad[2].prefix = "x/*".to_owned();
    bad[3].role_arn = None;
    bad[4].expected_owner = Some("12".to_owned());
    for bucket in &bad {
        let refused = world.set("acme", bucket).await.unwrap_err();
        assert!(
            matches!(refused, catalog::AdminFault::Refused { .. }),
            "{refused}"
        );
    }
    let nobody = world.set("nobody", &bucket("b-1")).await.unwrap_err();
    assert!(matches!(nobody, catalog::AdminFault::NotFound { .. }));
    let none = world.catalog.show_destination(&owner("acme")).await;
    assert!(matches!(none, Err(catalog::AdminFault::NotFound { .. })));
}
