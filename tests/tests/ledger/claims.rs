//! Claims: exactly one worker has a recording, and everybody else learns where it stands.

use std::time::Duration;

use recording::{
    Advance, Announced, Claimed, Kind, LeaseLost, Ledger, ParkReason, Recording, StagingPath, State,
};

use super::uploads::upload;
use super::world::{World, announced, announced_of, at, parking, proven};

fn at_path(mut announced: Announced, path: &str) -> Announced {
    announced.original.path = StagingPath::new(&announced.key.account_id, path).unwrap();
    announced
}

#[tokio::test]
async fn of_sixteen_simultaneous_claims_of_one_event_exactly_one_is_granted() {
    let world = World::settled_with(|settings| settings.pool_size = 16).await;
    for round in 0..5 {
        let event = announced(&format!("rec-{round}"));
        let claims = (0..16).map(|_| world.catalog.claim(&event));
        let answers = futures::future::join_all(claims).await;
        let mut granted = 0;
        for answer in answers {
            match answer.unwrap() {
                Claimed::Granted(_) => granted += 1,
                Claimed::Waits(State::Staged) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(granted, 1);
    }
}

#[tokio::test]
async fn of_two_recordings_that_race_for_one_path_one_is_granted_and_one_learns_it_is_in_use() {
    let world = World::settled_with(|settings| settings.pool_size = 16).await;
    for round in 0..5 {
        let path = format!("acme/shared-{round}.wav");
        let events: Vec<_> = (0..16)
            .map(|n| at_path(announced(&format!("rec-{round}-{n}")), &path))
            .collect();
        let claims = events.iter().map(|event| world.catalog.claim(event));
        let answers = futures::future::join_all(claims).await;
        let mut granted = 0;
        for answer in answers {
            match answer.unwrap() {
                Claimed::Granted(_) => granted += 1,
                Claimed::PathInUse => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(granted, 1);
    }
    assert_eq!(world.sql("select count(*) from recordings").await, "5");
}

#[tokio::test]
async fn a_path_is_free_again_for_another_recording_after_release() {
    let world = World::settled().await;
    let first = announced("rec-1");
    let second = at_path(announced("rec-2"), first.original.path.as_str());
    world.stored(&first).await;
    assert!(matches!(
        world.catalog.claim(&second).await.unwrap(),
        Claimed::PathInUse
    ));
    let grant = world.release_granted(&first.key).await;
    world
        .catalog
        .release(&first.key, &grant.lease, "deleted")
        .await
        .unwrap();
    world.granted(&second).await;
}

#[tokio::test]
async fn the_same_id_with_other_content_is_a_conflict_that_names_the_field_in_every_state() {
    let world = World::settled().await;
    let event = announced("rec-1");
    let other = |change: fn(&mut Announced)| {
        let mut other = event.clone();
        change(&mut other);
        other
    };
    let changed = [
        (
            "original.path",
            at_path(event.clone(), "acme/elsewhere.wav"),
        ),
        (
            "original.size_bytes",
            other(|e| e.original.size_bytes = 480_045),
        ),
        ("original.sha256", other(|e| e.original.sha256 = None)),
        (
            "started_at",
            other(|e| e.started_at = at("2024-05-01T09:57:00Z")),
        ),
        (
            "completed_at",
            other(|e| e.completed_at = at("2024-05-01T10:00:01Z")),
        ),
        ("kind", other(|e| e.kind = Kind::Screen)),
        (
            "interaction_id",
            other(|e| e.interaction_id = "call-2".parse().unwrap()),
        ),
    ];
    let refused_in = async |state: &str| {
        let before = world.column(&event.key, "to_jsonb(recordings)").await;
        for (field, other) in &changed {
            match world.catalog.claim(other).await.unwrap() {
                Claimed::Conflict(named) => assert_eq!(named, *field, "{state}"),
                answer => panic!("{state}: {field}: {answer:?}"),
            }
        }
        let after = world.column(&event.key, "to_jsonb(recordings)").await;
        assert_eq!(before, after, "{state}");
    };
    let grant = world.granted(&event).await;
    refused_in("leased").await;
    let busy = parking(ParkReason::Throttled);
    let parked = world.catalog.park(&event.key, &grant.lease, &busy).await;
    assert!(matches!(parked.unwrap(), Advance::Done(Some(_))));
    world
        .force(&event.key, "next_attempt_at = now(), due_at = now()")
        .await;
    refused_in("parked and due").await;
    let grant = world.granted(&event).await;
    world
        .catalog
        .store(&grant.lease, &proven(&grant))
        .await
        .unwrap();
    refused_in("stored").await;
}

#[tokio::test]
async fn a_claim_of_a_path_that_another_recording_has_is_still_a_conflict_for_a_known_id() {
    let world = World::settled().await;
    world.granted(&announced("rec-1")).await;
    world.granted(&announced("rec-2")).await;
    let moved = at_path(announced("rec-2"), "acme/2024/rec-1.wav");
    match world.catalog.claim(&moved).await.unwrap() {
        Claimed::Conflict(field) => assert_eq!(field, "original.path"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_claim_for_an_unknown_account_writes_nothing() {
    let world = World::settled().await;
    let event = announced_of("nobody", "rec-1");
    assert!(matches!(
        world.catalog.claim(&event).await.unwrap(),
        Claimed::AccountUnknown
    ));
    assert!(matches!(
        world.catalog.claim_due(&event.key).await.unwrap(),
        Claimed::NoRow
    ));
    assert_eq!(world.sql("select count(*) from recordings").await, "0");
}

#[tokio::test]
async fn a_granted_claim_carries_everything_the_event_said_to_the_microsecond() {
    let world = World::settled().await;
    let event = announced("rec-1");
    let grant = world.granted(&event).await;
    let kept = grant.staged.announced();
    assert_eq!(kept.started_at, at("2024-05-01T09:58:00.123456Z"));
    assert_eq!(kept.completed_at, at("2024-05-01T10:00:00.987654Z"));
    let same = Announced {
        started_at: event.started_at,
        completed_at: event.completed_at,
        ..kept.clone()
    };
    assert_eq!(same, event);
    assert!(grant.staged.retain_until().is_some());
    assert!(!grant.tried_before);
    assert_eq!(
        (grant.rungs, grant.unclean_claims, grant.upload),
        (0, 0, None)
    );
    assert_eq!(grant.lease.fence.check(), Ok(()));
}

#[tokio::test]
async fn a_lease_that_ran_out_fences_every_write_and_is_counted() {
    let world = World::settled_with(|settings| settings.lease = Duration::from_millis(50)).await;
    let event = announced("rec-1");
    let late = world.granted(&event).await;
    let stored = proven(&late);
    tokio::time::sleep(Duration::from_millis(60)).await;
    let (catalog, key, lease) = (&world.catalog, &event.key, &late.lease);
    assert_eq!(catalog.renew(key, lease).await.unwrap(), Err(LeaseLost));
    assert_eq!(
        catalog
            .upload_begun(key, lease, &upload("u-1"))
            .await
            .unwrap(),
        Advance::Overtaken
    );
    assert_eq!(
        catalog.store(lease, &stored).await.unwrap(),
        Advance::Overtaken
    );
    let busy = parking(ParkReason::Throttled);
    assert_eq!(
        catalog.park(key, lease, &busy).await.unwrap(),
        Advance::Overtaken
    );
    assert_eq!(
        catalog.give_back(key, lease).await.unwrap(),
        Advance::Overtaken
    );
    assert_eq!(lease.fence.check(), Err(LeaseLost));
    assert_eq!(world.column(key, "unclean_claims").await, "0");

    let next = world.granted(&event).await;
    assert!(next.tried_before);
    assert_eq!(next.unclean_claims, 1);
    assert_ne!(next.lease.token, late.lease.token);
    assert_eq!(world.column(key, "unclean_claims, claims").await, "1|2");
    // A live lease, but not this one's.
    assert_eq!(
        catalog.store(lease, &stored).await.unwrap(),
        Advance::Overtaken
    );
    world.force(key, "lease_until = now() + '1 min'").await;
    assert_eq!(
        catalog.store(&next.lease, &stored).await.unwrap(),
        Advance::Done(())
    );
    assert_eq!(world.column(key, "unclean_claims").await, "0");
}

#[tokio::test]
async fn a_lease_given_back_is_no_suspicion_and_the_row_is_due_at_once() {
    let world = World::settled().await;
    let event = announced("rec-1");
    let grant = world.granted(&event).await;
    let (catalog, key) = (&world.catalog, &event.key);
    assert_eq!(
        catalog
            .upload_begun(key, &grant.lease, &upload("u-1"))
            .await
            .unwrap(),
        Advance::Done(())
    );
    for _ in 0..2 {
        let given = catalog.give_back(key, &grant.lease).await.unwrap();
        assert_eq!(given, Advance::Done(()));
    }
    let due = catalog.due(recording::Queue::Transfer, 10).await.unwrap();
    assert_eq!(due, std::slice::from_ref(key));
    let next = world.granted_due(key).await;
    assert!(next.tried_before);
    assert_eq!(next.upload, Some(upload("u-1")));
    assert_eq!(world.column(key, "unclean_claims").await, "0");
}

#[tokio::test]
async fn a_renewal_moves_the_lease_and_its_fence() {
    let world = World::settled().await;
    let event = announced("rec-1");
    let grant = world.granted(&event).await;
    world.force(&event.key, "lease_until = now() + '1 s'").await;
    let renewed = world.catalog.renew(&event.key, &grant.lease).await;
    assert_eq!(renewed.unwrap(), Ok(()));
    let long = world.column(&event.key, "lease_until > now() + '20 s'");
    assert_eq!(long.await, "t");
}

#[tokio::test]
async fn stored_and_released_recordings_answer_a_claim_as_they_were_proven() {
    let world = World::settled().await;
    let event = announced("rec-1");
    let stored = world.stored(&event).await;
    match world.catalog.claim(&event).await.unwrap() {
        Claimed::Beyond(Recording::Stored(known)) => {
            assert_eq!(known.receipt(), stored.receipt());
            assert_eq!(known.identity(), stored.identity());
            assert_eq!(known.acknowledgment_id(), stored.acknowledgment_id());
            assert_eq!(known.object_key(), stored.object_key());
            assert_eq!(known.destination(), stored.destination());
        }
        other => panic!("{other:?}"),
    }
    let grant = world.release_granted(&event.key).await;
    world
        .catalog
        .release(&event.key, &grant.lease, "deleted")
        .await
        .unwrap();
    for claimed in [
        world.catalog.claim(&event).await.unwrap(),
        world.catalog.claim_due(&event.key).await.unwrap(),
    ] {
        match claimed {
            Claimed::Beyond(Recording::Released(known)) => {
                assert_eq!(known.stored().receipt(), stored.receipt());
            }
            other => panic!("{other:?}"),
        }
    }
    world
        .force(
            &event.key,
            "retain_until = now(), expiry_attempts = 1, expiry_began_at = now()",
        )
        .await;
    world
        .force(
            &event.key,
            "state = 'expired', expired_at = now(), expiry_proof = 'nothing_at_the_key', \
             due_at = null, due_queue = null",
        )
        .await;
    assert!(matches!(
        world.catalog.claim(&event).await.unwrap(),
        Claimed::Beyond(Recording::Expired(_))
    ));
}

#[tokio::test]
async fn what_completed_long_ago_is_kept_as_if_it_had_been_a_month() {
    let world = World::settled().await;
    let event = announced("rec-1");
    world.granted(&event).await;
    let in_days = "extract(epoch from retain_until - now()) / 86400";
    let left: f64 = world.column(&event.key, in_days).await.parse().unwrap();
    assert!((149.0..150.1).contains(&left), "{left}");
}
