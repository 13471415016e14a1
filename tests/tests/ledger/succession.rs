//! A new role or secret for a place serves what lies or waits there under earlier revisions.

use chrono::Duration;
use recording::{
    Advance, AzureIdentity, DestinationOwner, Ledger, ParkReason, S3Bucket, Secret, Store,
};

use super::clouds::{SAS, access_key, container, principal, sas, world_with_keys};
use super::health::{fails, quick};
use super::world::{UNCHECKED, World, announced, announced_of, at, bucket, owner};

/// A bucket with another role.
fn with_role(name: &str, role: &str) -> S3Bucket {
    S3Bucket {
        role_arn: Some(format!("arn:aws:iam::123456789012:role/{role}")),
        ..bucket(name)
    }
}

fn s3(store: &Store) -> &S3Bucket {
    match store {
        Store::S3(s3) => s3,
        Store::Azure(azure) => panic!("{azure:?}"),
    }
}

/// Which revision's credential reaches a revision, as the fleet sees it.
async fn credential_of(world: &World, revision: i64) -> i64 {
    let reached = world.catalog.reached(revision).await.unwrap();
    assert_eq!(reached.revision, revision);
    reached.credential_revision
}

#[tokio::test]
async fn whoever_works_on_a_recording_has_the_newest_role_for_its_place() {
    let world = World::settled().await;
    let event = announced("rec-1");
    let stored = world.stored(&event).await;
    let first = stored.destination().revision;
    world.force(&event.key, "acknowledged_at = now()").await;
    let renewed = S3Bucket {
        storage_class: Some("STANDARD_IA".to_owned()),
        region: "eu-west-1".to_owned(),
        ..with_role("acme-bucket", "renewed")
    };
    let second = world.set("acme", &renewed).await.unwrap().revision;

    let grant = world.release_granted(&event.key).await;
    let reached = grant.stored.destination();
    assert_eq!(
        (reached.revision, reached.credential_revision),
        (first, second)
    );
    let how = s3(&reached.store);
    assert_eq!(how.role_arn, renewed.role_arn);
    assert_eq!(how.region, "eu-west-1");
    // What was stamped on it stays: where it lies, and how it was written.
    assert_eq!(
        (how.bucket.as_str(), &how.storage_class),
        ("acme-bucket", &None)
    );
    let shown = world
        .catalog
        .show_recording(None, &event.key.recording_id)
        .await;
    let shown = shown.unwrap();
    assert_eq!(shown.first().unwrap().destination_revision, Some(first));
    // A list says so of each revision, and shows each as it was set.
    let listed = world
        .catalog
        .list_destinations(&owner("acme"))
        .await
        .unwrap();
    let told: Vec<_> = listed
        .iter()
        .map(|view| (view.credential_revision, s3(&view.store).role_arn.clone()))
        .collect();
    let roles = [bucket("acme-bucket").role_arn, renewed.role_arn];
    assert_eq!(told, roles.map(|role| (second, role)));
}

#[tokio::test]
async fn only_the_same_owner_and_keys_in_the_same_place_count() {
    let world = World::settled().await;
    world.account("globex").await;
    let first = credential_of(&world, 1).await;
    assert_eq!(first, 1);
    let elsewhere = [
        with_role("other-bucket", "r1"),
        S3Bucket {
            prefix: "calls".to_owned(),
            ..with_role("acme-bucket", "r2")
        },
        S3Bucket {
            endpoint: Some("https://s3.example.com".to_owned()),
            ..with_role("acme-bucket", "r3")
        },
    ];
    for bucket in &elsewhere {
        world.set("acme", bucket).await.unwrap();
        assert_eq!(credential_of(&world, 1).await, 1, "{bucket:?}");
    }
    // Another account in the same bucket leads its keys, and so does acme from then on.
    let within = |prefix: &str, role: &str| S3Bucket {
        prefix: prefix.to_owned(),
        ..with_role("shared", role)
    };
    let ours = world.set("acme", &within("ours", "r4")).await.unwrap();
    assert!(!ours.account_leads_key);
    let theirs = world.set("globex", &within("theirs", "r5")).await;
    assert!(theirs.unwrap().account_leads_key);
    assert_eq!(
        credential_of(&world, ours.revision).await,
        ours.revision,
        "it is another owner's"
    );
    let led = world.set("acme", &within("ours", "r6")).await.unwrap();
    assert!(led.account_leads_key);
    assert_eq!(
        credential_of(&world, ours.revision).await,
        ours.revision,
        "its role may be allowed other keys alone"
    );
    // The platform's own revisions are one owner's too.
    let platform = world
        .set("default", &with_role("platform", "p1"))
        .await
        .unwrap();
    let renewed = world
        .set("default", &with_role("platform", "p2"))
        .await
        .unwrap();
    assert_eq!(
        credential_of(&world, platform.revision).await,
        renewed.revision
    );
    assert_eq!(credential_of(&world, 1).await, 1);
    // AWS has one name space, by whatever address.
    let by_address = S3Bucket {
        endpoint: Some("https://s3.eu-central-1.amazonaws.com".to_owned()),
        ..with_role("other-bucket", "by-address")
    };
    let by_address = world.set("acme", &by_address).await.unwrap().revision;
    let other = world
        .catalog
        .list_destinations(&owner("acme"))
        .await
        .unwrap();
    let other = other.get(1).unwrap().revision;
    assert_eq!(credential_of(&world, other).await, by_address);
}

#[tokio::test]
async fn a_credential_counts_from_when_its_revision_is_in_force() {
    let world = World::settled().await;
    let acme = DestinationOwner::Account("acme".parse().unwrap());
    let set = async |role: &str, from| {
        let store = Store::S3(with_role("acme-bucket", role));
        let set = world
            .catalog
            .set_destination(&acme, &store, from, &UNCHECKED);
        set.await.unwrap().revision
    };
    // The database keeps its own time.
    let now = at(&world
        .sql("select to_char(now() at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")
        .await);
    let next_week = set("next", Some(now + Duration::days(7))).await;
    assert_eq!(credential_of(&world, 1).await, 1);
    assert_eq!(credential_of(&world, next_week).await, 1);
    let second = set("second", None).await;
    assert_eq!(credential_of(&world, 1).await, second);
    // What is set for the past comes before what is in force since.
    set("past", Some(now - Duration::days(7))).await;
    assert_eq!(credential_of(&world, 1).await, second);
}

#[tokio::test]
async fn a_secret_opens_wherever_it_is_the_newest() {
    let (world, _ring) = world_with_keys(&["acme"]).await;
    let mut first = None;
    let identities = [
        sas(SAS),
        principal("hunter2-of-a-test"),
        access_key("a2V5"),
        AzureIdentity::ManagedIdentity { client_id: None },
        sas(&SAS.replace("c2FzLWNhbmFyeQ", "bmV3")),
    ];
    for identity in identities {
        let store = container("acmestore", "calls", identity);
        let set = world.set_store("acme", &store).await.unwrap();
        let first = *first.get_or_insert(set.revision);
        let reached = world.catalog.reached(first).await.unwrap();
        assert_eq!((reached.revision, &reached.store), (first, &store));
        let secret = match &reached.store {
            Store::Azure(azure) => azure.identity.secret(),
            Store::S3(s3) => panic!("{s3:?}"),
        };
        assert!(secret.is_none_or(|secret| Secret::reveal(secret).is_ok()));
    }
    // Its end is told of the earlier one too.
    let health = world
        .catalog
        .destination_health(&[first.unwrap()])
        .await
        .unwrap();
    let ends = health.values().next().unwrap().secret_expires_at;
    assert_eq!(ends, Some(at("2030-01-01T00:00:00Z")));
}

#[tokio::test]
async fn what_waited_for_a_credential_is_tried_as_soon_as_there_is_a_new_one() {
    let world = quick().await;
    // One that is held back by an open breaker, and one of another place that waits its hour.
    let held = fails(&world, "rec-1", ParkReason::RoleNotAssumable).await;
    world.account("globex").await;
    world.destination("globex", "globex-bucket").await;
    let event = announced_of("globex", "rec-2");
    let grant = world.granted(&event).await;
    let parking = super::world::parking(ParkReason::AccessDenied);
    let park = world.catalog.park(&event.key, &grant.lease, &parking).await;
    assert!(matches!(park.unwrap(), Advance::Done(_)));
    world
        .sql("update destination_health set probe_at = now() + '1 day' where holds")
        .await;
    assert!(world.catalog.tend_breakers(9).await.unwrap().is_empty());

    world
        .set("acme", &with_role("acme-bucket", "renewed"))
        .await
        .unwrap();
    let probes = world.catalog.tend_breakers(9).await.unwrap();
    let probes: Vec<_> = probes.into_iter().map(|(_, key)| key).collect();
    assert_eq!(probes.as_slice(), std::slice::from_ref(&held));
    let grant = world.granted_due(&held).await;
    assert_eq!(grant.shut, None);
    let reached = grant.staged.destination();
    assert_eq!(
        s3(&reached.store).role_arn,
        with_role("x", "renewed").role_arn
    );

    // Without a breaker the ladder alone held it: an hour, and now it is due.
    let waits = "due_at > now() + interval '45 minutes'";
    assert_eq!(world.column(&event.key, waits).await, "t");
    world
        .set("globex", &with_role("globex-bucket", "renewed"))
        .await
        .unwrap();
    world.catalog.tend_breakers(9).await.unwrap();
    assert_eq!(world.column(&event.key, waits).await, "f");
}
