//! Where leftovers of uploads are looked for: once, by one replica, and again only for a reason.

use std::fs;
use std::time::Duration;

use callferry_tests::environment::repository;
use catalog::Settings;
use recording::{Ledger, Sweep};

use super::uploads::upload;
use super::world::{World, announced, announced_of};

async fn begin(world: &World, account: &str, recording: &str) {
    let event = announced_of(account, recording);
    let grant = world.granted(&event).await;
    let upload = upload(recording);
    let begun = world
        .catalog
        .upload_begun(&event.key, &grant.lease, &upload);
    begun.await.unwrap();
}

async fn sweeps(world: &World) -> Vec<Sweep> {
    world.catalog.sweeps(10).await.unwrap()
}

async fn count(world: &World) -> String {
    world.sql("select count(*) from upload_sweeps").await
}

fn at_once(settings: &mut Settings) {
    settings.sweep_after = Duration::ZERO;
}

#[tokio::test]
async fn a_sweep_is_due_an_hour_after_uploads_were_begun_and_never_without_one() {
    let world = World::settled().await;
    world.granted(&announced("rec-0")).await;
    assert_eq!(count(&world).await, "0");
    begin(&world, "acme", "rec-1").await;
    begin(&world, "acme", "rec-2").await;
    assert!(sweeps(&world).await.is_empty());
    assert_eq!(count(&world).await, "1");
    let due = "select due_at - begun_at <= '1 h' and due_at > now() from upload_sweeps";
    assert_eq!(world.sql(due).await, "t");
    // An account that always uploads is looked through all the same.
    world
        .sql("update upload_sweeps set due_at = now() - interval '1 s'")
        .await;
    begin(&world, "acme", "rec-3").await;
    let handed = sweeps(&world).await;
    assert_eq!(handed.len(), 1);
    assert_eq!(handed[0].account.as_str(), "acme");
    assert_eq!(handed[0].destination.store.name(), "acme-bucket");
    assert!(sweeps(&world).await.is_empty());
    world.catalog.swept(&handed[0], false).await.unwrap();
    assert_eq!(count(&world).await, "0");
}

#[tokio::test]
async fn accounts_that_share_the_platforms_bucket_are_swept_apart() {
    let world = World::with(at_once).await;
    world.destination("default", "platform").await;
    for account in ["acme", "beta"] {
        world.account(account).await;
        begin(&world, account, "rec-1").await;
    }
    let mut accounts: Vec<_> = sweeps(&world)
        .await
        .into_iter()
        .map(|sweep| (sweep.account.to_string(), sweep.destination.revision))
        .collect();
    accounts.sort();
    assert_eq!(accounts, [("acme".to_owned(), 1), ("beta".to_owned(), 1)]);
}

#[tokio::test]
async fn two_replicas_do_not_sweep_the_same_and_a_sweep_that_never_ended_is_due_again() {
    let world = World::settled().await;
    begin(&world, "acme", "rec-1").await;
    world.sql("update upload_sweeps set due_at = now()").await;
    let (one, two) = tokio::join!(world.catalog.sweeps(10), world.catalog.sweeps(10));
    assert_eq!(one.unwrap().len() + two.unwrap().len(), 1);
    let due = "select due_at - handed_at = '1 h' from upload_sweeps";
    assert_eq!(world.sql(due).await, "t");
    world.sql("update upload_sweeps set due_at = now()").await;
    assert_eq!(sweeps(&world).await.len(), 1);
}

#[tokio::test]
async fn a_sweep_is_due_again_if_it_saw_something_younger_or_something_was_begun_meanwhile() {
    let world = World::settled_with(at_once).await;
    begin(&world, "acme", "rec-1").await;
    let handed = sweeps(&world).await;
    world.catalog.swept(&handed[0], true).await.unwrap();
    let handed = sweeps(&world).await;
    assert_eq!(handed.len(), 1);
    begin(&world, "acme", "rec-2").await;
    world.catalog.swept(&handed[0], false).await.unwrap();
    let handed = sweeps(&world).await;
    assert_eq!(handed.len(), 1);
    world.catalog.swept(&handed[0], false).await.unwrap();
    assert_eq!(count(&world).await, "0");
    // One that ends late, after another replica's, says so all the same.
    world.catalog.swept(&handed[0], false).await.unwrap();
    assert_eq!(count(&world).await, "0");
    world.catalog.swept(&handed[0], true).await.unwrap();
    assert_eq!(sweeps(&world).await.len(), 1);
}

#[tokio::test]
async fn an_upload_that_an_older_release_left_open_is_a_leftover() {
    let world = World::empty(|_| {}).await;
    let folder = repository().join("schemas/postgres");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    for (number, file) in files.iter().enumerate() {
        // What the release before the fourth migration had.
        if number == 3 {
            world.sql(OF_AN_OLDER_RELEASE).await;
        }
        world.sql(&fs::read_to_string(file).unwrap()).await;
    }
    let left = "select count(*) from recordings where upload_id is not null";
    assert_eq!(world.sql(left).await, "0");
    world.sql("update upload_sweeps set due_at = now()").await;
    let handed = sweeps(&world).await;
    assert_eq!(handed.len(), 1);
    assert_eq!(handed[0].destination.store.name(), "old");
    let grant = world.granted_due(&announced("rec-1").key).await;
    assert_eq!(grant.upload, None);
}

/// An account, its bucket, and three uploads that were begun and not completed.
const OF_AN_OLDER_RELEASE: &str = "insert into accounts (account_id) values ('acme'); \
    insert into destinations (account_id, bucket, region, prefix, place, \
      account_leads_key, external_id, in_force_from) \
      values ('acme', 'old', 'r', '', 'aws old', false, 'x', '-infinity'); \
    insert into recordings (account_id, recording_id, state, interaction_id, kind, \
      media_type, started_at, completed_at, path, size_bytes, attributes, \
      destination_revision, created_by, upload_id, due_at, due_queue) \
      select 'acme', 'rec-' || n, 'staged', 'i', 'call', 'audio/wav', now(), now(), \
        'acme/' || n, 1, '{}', 1, gen_random_uuid(), 'u-' || n, now(), 'transfer' \
        from generate_series(1, 3) n";
