//! Migrations, accounts, retention, and what people are shown.

use std::fs;

use callferry_tests::environment::repository;
use catalog::{AdminFault, Catalog, Settings};
use recording::{Announced, Kind, Ledger, ParkReason, State};

use super::world::{Watch, World, announced, announced_of, at, parking};

#[tokio::test]
async fn eight_processes_that_migrate_at_once_apply_each_migration_once() {
    let world = World::empty(|_| {}).await;
    assert!(!world.catalog.schema_is_current().await.unwrap());
    let catalogs: Vec<_> = (0..8)
        .map(|_| Catalog::connect(Settings::new(&world.url), Watch::new()).unwrap())
        .collect();
    let runs = catalogs.iter().map(Catalog::migrate);
    let mut applied = Vec::new();
    for run in futures::future::join_all(runs).await {
        applied.extend(run.unwrap());
    }
    applied.sort();
    let files = fs::read_dir(repository().join("schemas/postgres")).unwrap();
    let mut names: Vec<_> = files
        .map(|file| file.unwrap().path())
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(applied, names);
    assert!(world.catalog.schema_is_current().await.unwrap());
    let id = world.catalog.staging_id().await.unwrap();
    assert!(world.catalog.migrate().await.unwrap().is_empty());
    assert_eq!(world.catalog.staging_id().await.unwrap(), id);
    assert_eq!(world.sql("select count(*) from installation").await, "1");
}

#[tokio::test]
async fn a_migration_that_was_edited_after_it_was_applied_is_refused() {
    let world = World::new().await;
    world
        .sql("update schema_migrations set checksum = 'x' where version = 2")
        .await;
    let refused = world.catalog.migrate().await.unwrap_err();
    assert!(refused.to_string().contains("0002_recordings"), "{refused}");
    assert!(world.catalog.schema_is_current().await.is_err());
}

#[tokio::test]
async fn a_newer_releases_migrations_do_no_harm() {
    let world = World::settled().await;
    world.granted(&announced("rec-1")).await;
    world
        .sql(
            "insert into schema_migrations values (99, 'later', 'x'); \
             alter table recordings add column later text default 'x'; \
             alter table accounts add column later text",
        )
        .await;
    assert!(world.catalog.schema_is_current().await.unwrap());
    // On the very connections that prepared their statements before.
    world.granted(&announced("rec-2")).await;
    world.catalog.list_accounts().await.unwrap();
    assert!(world.catalog.migrate().await.unwrap().is_empty());
}

#[tokio::test]
async fn accounts_are_made_once_and_have_external_ids_of_their_own() {
    let world = World::new().await;
    let (acme, beta) = ("acme".parse().unwrap(), "beta".parse().unwrap());
    let made = world
        .catalog
        .create_account(&acme, Some("Acme"))
        .await
        .unwrap();
    let again = world.catalog.create_account(&acme, None).await;
    assert!(matches!(again, Err(AdminFault::Exists { .. })));
    let other = world.catalog.create_account(&beta, None).await.unwrap();
    assert_ne!(made.external_id, other.external_id);
    assert_eq!(world.catalog.show_account(&acme).await.unwrap(), made);
    assert_eq!(world.catalog.list_accounts().await.unwrap(), [made, other]);
    let nobody = world.catalog.show_account(&"nobody".parse().unwrap()).await;
    assert!(matches!(nobody, Err(AdminFault::NotFound { .. })));
}

#[tokio::test]
async fn the_retention_policy_in_force_at_completion_is_stamped_at_the_claim() {
    let world = World::settled().await;
    let acme = "acme".parse().unwrap();
    world
        .catalog
        .set_retention(&acme, Kind::Call, Some(10))
        .await
        .unwrap();
    // Completed before the policy: the default.
    let before = Announced {
        completed_at: super::retention::now() - chrono::TimeDelta::days(1),
        ..announced("rec-1")
    };
    let grant = world.granted(&before).await;
    let until = grant.staged.retain_until().unwrap() - before.completed_at;
    // The database keeps microseconds.
    let besides = until - chrono::TimeDelta::days(180);
    assert!(
        besides.abs() < chrono::TimeDelta::milliseconds(1),
        "{until}"
    );
    let now = |id: &str, kind: Kind| {
        let mut event = announced(id);
        event.completed_at = at("2199-01-01T00:00:00Z");
        event.kind = kind;
        event
    };
    world.granted(&now("rec-2", Kind::Call)).await;
    let days = "round(extract(epoch from retain_until - created_at) / 86400)";
    assert_eq!(world.column(&announced("rec-2").key, days).await, "10");
    world.granted(&now("rec-3", Kind::Screen)).await;
    assert_eq!(world.column(&announced("rec-3").key, days).await, "180");
    world
        .catalog
        .set_retention(&acme, Kind::Call, None)
        .await
        .unwrap();
    let grant = world.granted(&now("rec-4", Kind::Call)).await;
    assert_eq!(grant.staged.retain_until(), None);
    assert_eq!(world.column(&announced("rec-2").key, days).await, "10");
    let zero = world
        .catalog
        .set_retention(&acme, Kind::Call, Some(0))
        .await;
    assert!(matches!(zero, Err(AdminFault::Refused { .. })));
}

#[tokio::test]
async fn a_recording_is_shown_with_the_fields_that_scripts_rely_on() {
    let world = World::settled().await;
    world.account("beta").await;
    world.destination("default", "platform").await;
    let event = announced("rec-1");
    let stored = world.stored(&event).await;
    world.granted(&announced_of("beta", "rec-1")).await;
    let id = event.key.recording_id.clone();
    assert_eq!(
        world.catalog.show_recording(None, &id).await.unwrap().len(),
        2
    );
    let shown = world
        .catalog
        .show_recording(Some(&event.key.account_id), &id)
        .await
        .unwrap();
    let json = serde_json::to_value(&shown[0]).unwrap();
    assert_eq!(json["state"], "stored");
    assert_eq!(
        json["location"],
        "s3://acme-bucket/call/2024/05/01/rec-1.wav"
    );
    assert_eq!(
        json["receipt"],
        serde_json::to_value(stored.receipt()).unwrap()
    );
    assert_eq!(json["history"][1]["from"], "staged");
    assert_eq!(json["history"][1]["to"], "stored");
    assert_eq!(json["history"][1]["by"], "transfer");
    assert_eq!(json["destination_revision"], stored.destination().revision);
    assert_eq!(json["reason"], serde_json::Value::Null);
    let none = world
        .catalog
        .show_recording(None, &"none".parse().unwrap())
        .await;
    assert!(none.unwrap().is_empty());
}

#[tokio::test]
async fn listings_page_and_filter_and_the_status_counts() {
    let world = World::settled().await;
    for n in 0..5 {
        let event = announced(&format!("rec-{n}"));
        let grant = world.granted(&event).await;
        if n > 2 {
            let denied = parking(ParkReason::AccessDenied);
            let parked = world.catalog.park(&event.key, &grant.lease, &denied).await;
            parked.unwrap();
        }
    }
    let acme = "acme".parse().unwrap();
    let ids = async |state, limit, after: Option<&str>| {
        let after = after.map(|after| after.parse().unwrap());
        let listed = world
            .catalog
            .list_recordings(&acme, state, limit, after.as_ref());
        let listed = listed.await.unwrap();
        let ids = listed.into_iter().map(|view| view.recording_id.to_string());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(ids(None, 2, None).await, ["rec-0", "rec-1"]);
    assert_eq!(
        ids(None, 9, Some("rec-1")).await,
        ["rec-2", "rec-3", "rec-4"]
    );
    assert_eq!(ids(Some(State::Parked), 9, None).await, ["rec-3", "rec-4"]);
    let status = world.catalog.status().await.unwrap();
    assert_eq!(status.recordings["staged"], 3);
    assert_eq!(status.parked["access_denied"], 2);
    assert_eq!((status.due_transfer, status.waiting_for_a_person), (0, 0));
    assert!(status.oldest_staged_s.is_some() && status.oldest_stored_s.is_none());
    assert!(status.oldest_unproven_s > 0.0 && status.oldest_unacknowledged_s == 0.0);
    assert_eq!(status.suspected, 0);
    let busiest = &status.busiest_accounts;
    assert_eq!((busiest.len(), busiest[0].recordings), (1, 5));
}
