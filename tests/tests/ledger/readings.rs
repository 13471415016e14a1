//! The ledger in numbers: right, and without a look at what is released or expired.

use std::time::Duration;

use recording::{Ledger, Note, ParkReason, QuarantineEntry, Queue, RefusalReason, State, Tally};

use super::world::{World, announced, announced_of, bucket, parking};

fn counts<K: Clone + Ord>(tallies: &std::collections::BTreeMap<K, Tally>) -> Vec<(K, u64)> {
    let pairs = tallies
        .iter()
        .map(|(key, tally)| (key.clone(), tally.count));
    pairs.collect()
}

fn about(tally: Tally, age: u64) {
    let expected = Duration::from_secs(age)..Duration::from_secs(age + 3600);
    assert!(expected.contains(&tally.oldest), "{tally:?} {age}");
}

#[tokio::test]
async fn an_empty_ledger_reads_as_nothing_at_all() {
    let world = World::new().await;
    let reading = world.catalog.reading().await.unwrap();
    assert_eq!(reading, recording::LedgerReading::default());
}

/// Three parked, one suspected, and one of another account.
async fn unproven(world: &World) {
    let catalog = &world.catalog;
    for (id, reason) in [
        ("parked-1", ParkReason::AccessDenied),
        ("parked-2", ParkReason::AccessDenied),
        ("parked-3", ParkReason::SecretLocked),
    ] {
        let event = announced(id);
        let grant = world.granted(&event).await;
        let refused = parking(reason);
        catalog
            .park(&event.key, &grant.lease, &refused)
            .await
            .unwrap();
    }
    let suspected = announced("staged-1");
    for _ in 0..4 {
        world.granted(&suspected).await;
        world.run_out(&suspected.key).await;
    }
    world.account("beta").await;
    world.set("beta", &bucket("beta-bucket")).await.unwrap();
    world.granted(&announced_of("beta", "staged-1")).await;
}

/// Stored, refused its release, and released with and without its acknowledgment.
async fn stored_and_beyond(world: &World) {
    let catalog = &world.catalog;
    for id in ["stored-1", "refused-1", "released-1", "released-2"] {
        let event = announced(id);
        let stored = world.stored(&event).await;
        if id != "stored-1" {
            let grant = world.release_granted(&event.key).await;
            if id == "refused-1" {
                let refused = parking(ParkReason::CopyDiffers);
                let kept = catalog
                    .refuse_release(&event.key, &grant.lease, &refused)
                    .await;
                kept.unwrap();
            } else {
                let released = catalog.release(&event.key, &grant.lease, "deleted").await;
                released.unwrap();
            }
        }
        if id != "released-1" {
            let id = stored.acknowledgment_id();
            catalog.note(Note::Acknowledged(event.key.clone(), id));
        }
    }
}

async fn quarantined(world: &World) {
    let catalog = &world.catalog;
    for (reason, body) in [
        (RefusalReason::NotJson, "a"),
        (RefusalReason::NotJson, "b"),
        (RefusalReason::NotJson, "a"),
    ] {
        let entry = QuarantineEntry {
            reason,
            detail: String::new(),
            queue: Queue::Transfer,
            body: body.as_bytes().to_vec().into(),
            content_type: None,
            names: None,
        };
        catalog.quarantine(&entry).await.unwrap();
    }
}

#[tokio::test]
async fn everything_that_is_open_is_counted_with_its_age() {
    let world = World::settled_with(|settings| {
        settings.note_every = Duration::from_millis(5);
        settings.lease = Duration::from_secs(3600);
    })
    .await;
    unproven(&world).await;
    stored_and_beyond(&world).await;
    quarantined(&world).await;
    for (id, change) in [
        ("parked-1", "created_at = now() - interval '1 h'"),
        ("staged-1", "created_at = now() - interval '2 h'"),
        ("stored-1", "created_at = now() - interval '3 h'"),
    ] {
        world.force(&announced(id).key, change).await;
    }
    // Its notes are written.
    world.catalog.close().await;

    let reader = world.another(|_| {});
    let reading = reader.reading().await.unwrap();
    assert_eq!(
        counts(&reading.states),
        [(State::Staged, 2), (State::Parked, 3), (State::Stored, 2)]
    );
    about(reading.states[&State::Staged], 7200);
    about(reading.states[&State::Parked], 3600);
    about(reading.states[&State::Stored], 3 * 3600);
    assert_eq!(
        counts(&reading.parked),
        [(ParkReason::SecretLocked, 1), (ParkReason::AccessDenied, 2)]
    );
    about(reading.parked[&ParkReason::AccessDenied], 3600);
    assert_eq!(
        counts(&reading.release_refused),
        [(ParkReason::CopyDiffers, 1)]
    );
    assert_eq!(counts(&reading.quarantined), [(RefusalReason::NotJson, 2)]);
    assert!((7200..10_800).contains(&reading.unproven_oldest.as_secs()));
    // The stale lease; the other's lives on.
    assert_eq!(reading.due.get(&Queue::Transfer), Some(&1));
    assert_eq!(reading.suspected, 1);
    let accounts: Vec<_> = reading
        .accounts
        .iter()
        .map(|(a, n)| (a.as_str(), *n))
        .collect();
    assert_eq!(accounts, [("acme", 6), ("beta", 1)]);
    reader.close().await;
}

#[tokio::test]
async fn an_acknowledgment_is_owed_until_it_is_confirmed_also_for_what_is_released() {
    let world = World::settled().await;
    stored_and_beyond(&world).await;
    world.catalog.close().await;
    let reader = world.another(|_| {});
    // The clock of the tests stores everything on a day in 2024.
    let owed = reader.reading().await.unwrap().unacknowledged_oldest;
    assert!(owed > Duration::from_secs(3600), "{owed:?}");
    world
        .force(
            &announced("released-1").key,
            "acknowledged_at = now(), due_at = null, due_queue = null",
        )
        .await;
    let reading = reader.reading().await.unwrap();
    assert_eq!(reading.unacknowledged_oldest, Duration::ZERO);
    let status = reader.status().await.unwrap();
    assert_eq!(status.recordings["released"], 2);
    assert_eq!((status.suspected, status.busiest_accounts.len()), (0, 1));
    reader.close().await;
}

#[tokio::test]
async fn a_word_of_a_newer_release_blinds_nobody() {
    let world = World::settled().await;
    let event = announced("rec-1");
    let grant = world.granted(&event).await;
    let refused = parking(ParkReason::AccessDenied);
    world
        .catalog
        .park(&event.key, &grant.lease, &refused)
        .await
        .unwrap();
    world.force(&event.key, "reason = 'from_tomorrow'").await;
    let reading = world.catalog.reading().await.unwrap();
    assert_eq!(counts(&reading.states), [(State::Parked, 1)]);
    assert!(reading.parked.is_empty());
}

#[tokio::test]
async fn at_most_fifty_accounts_are_named_and_those_with_most() {
    let world = World::settled().await;
    world.destination("default", "platform").await;
    world
        .sql(
            "insert into recordings (account_id, recording_id, state, interaction_id, kind, \
               media_type, started_at, completed_at, path, size_bytes, attributes, \
               destination_revision, created_by, due_at, due_queue) \
             select 'a-' || lpad(a::text, 3, '0'), 'r-' || n, 'staged', 'i', 'call', \
               'audio/wav', now(), now(), 'p/' || n, 1, '{}', 1, gen_random_uuid(), now(), \
               'transfer' from generate_series(1, 60) a, generate_series(1, a) n",
        )
        .await;
    let reading = world.catalog.reading().await.unwrap();
    assert_eq!(reading.accounts.len(), 50);
    assert_eq!(
        (reading.accounts[0].0.as_str(), reading.accounts[0].1),
        ("a-060", 60)
    );
    assert_eq!(reading.accounts[49].1, 11);
    assert_eq!(reading.due[&Queue::Transfer], 60 * 61 / 2);
}

/// How many rows a node of a plan returned.
fn actual_rows(node: &str) -> u64 {
    let (_, rows) = node.split_once("actual rows=").unwrap();
    rows.split(' ').next().unwrap().parse().unwrap()
}

/// The rows and buffers of the statement's own plan say what it looked at.
#[tokio::test]
async fn a_reading_looks_at_open_rows_only_however_many_are_released() {
    let world = World::settled().await;
    world
        .sql("alter table recordings set (autovacuum_enabled = false)")
        .await;
    world
        .sql(
            "insert into recordings (account_id, recording_id, state, interaction_id, kind, \
               media_type, started_at, completed_at, path, size_bytes, attributes, \
               destination_revision, created_by, due_at, due_queue) \
             select 'acme', 'bulk-' || n, 'staged', 'i', 'call', 'audio/wav', now(), now(), \
               'acme/bulk/' || n, 1, '{}', 1, gen_random_uuid(), now() + '1 day', 'transfer' \
               from generate_series(1, 30000) n; \
             update recordings set state = 'stored', object_key = 'k', receipt_size_bytes = 1, \
               receipt_sha256 = sha256('x'), receipt_etag = 'e', receipt_checksum = 'c', \
               receipt_method = 'read_back', stored_at = now(), original_size_bytes = 1, \
               original_mtime_ns = 1, original_inode = 1, \
               acknowledgment_id = gen_random_uuid(), acknowledged_at = now() \
              where right(recording_id, 2) <> '00'; \
             update recordings set state = 'released', due_at = null, released_at = now() \
              where state = 'stored'",
        )
        .await;
    world.sql("vacuum analyze recordings").await;
    let statement = include_str!("../../../crates/catalog/src/reading.sql");
    let explain = format!("explain (analyze, buffers, costs off, timing off) {statement}");
    let plan = world.sql(&explain).await;
    println!("{plan}");
    assert!(!plan.contains("Seq Scan on recordings"), "{plan}");
    // Whatever is read from the table is an open row: the index's condition is the statement's.
    let scans = plan.lines().filter(|line| line.contains(" on recordings"));
    let rows: Vec<u64> = scans.map(actual_rows).collect();
    assert_eq!(rows.iter().sum::<u64>(), 300, "{plan}");
    assert!(plan.contains("recordings_open_paths"), "{plan}");
    let reading = world.catalog.reading().await.unwrap();
    assert_eq!(counts(&reading.states), [(State::Staged, 300)]);
    let released = "select count(*) from recordings where state = 'released'";
    assert_eq!(world.sql(released).await, "29700");
}
