//! The work of a tick and of a recording's life does not grow with the table: counted in buffers
//! that the catalog's own statements touch, not in time.

use std::time::Duration;

use callferry_tests::patience;
use catalog::{Catalog, Settings};
use recording::{Ledger, Note, Queue};

use super::world::{Watch, World, announced, granted, proven};

/// Rows as a ledger in service has them: most released, some in each open state.
const ROWS: [&str; 4] = [
    "insert into recordings (account_id, recording_id, state, interaction_id, kind, \
       media_type, started_at, completed_at, path, size_bytes, attributes, \
       destination_revision, created_by, due_at, due_queue) \
     select 'acme', 'bulk-' || n, 'staged', 'i', 'call', 'audio/wav', now(), now(), \
       'acme/bulk/' || n, 1, '{}', 1, gen_random_uuid(), now() + '1 day', 'transfer' \
       from generate_series({from}, {to}) n",
    "update recordings set state = 'stored', object_key = 'k', receipt_size_bytes = 1, \
       receipt_sha256 = sha256('x'), receipt_etag = 'e', receipt_checksum = 'c', \
       receipt_method = 'read_back', stored_at = now(), original_size_bytes = 1, \
       original_mtime_ns = 1, original_inode = 1, acknowledgment_id = gen_random_uuid() \
      where state = 'staged' and recording_id like 'bulk-%' and right(recording_id, 2) <> '00'",
    "update recordings set state = 'released', due_at = null, released_at = now() \
      where state = 'stored' and recording_id like 'bulk-%' and right(recording_id, 2) <> '01'",
    "vacuum analyze recordings",
];

/// Buffers that `work` touches in the tables that grow.
async fn buffers(world: &World, work: impl AsyncFn(&Catalog)) -> u64 {
    let sum = "select sum(coalesce(heap_blks_hit, 0) + coalesce(heap_blks_read, 0) \
          + coalesce(idx_blks_hit, 0) + coalesce(idx_blks_read, 0)) \
          from pg_statio_user_tables where relname in \
          ('recordings', 'recording_history', 'recording_upload_parts')";
    counted(world, sum, work).await
}

/// What `work` adds to a count that the server keeps. A connection reports when it ends, so the
/// work has a catalog of its own.
pub(crate) async fn counted(world: &World, sum: &str, work: impl AsyncFn(&Catalog)) -> u64 {
    let touched = async || -> u64 { world.sql(sum).await.parse().unwrap() };
    let mut settings = Settings::new(&world.url);
    settings.application_name = "measured".to_owned();
    settings.pool_size = 1;
    let catalog = Catalog::connect(settings, Watch::new()).unwrap();
    // The plans are made before.
    catalog.probe().await.unwrap();
    let before = touched().await;
    work(&catalog).await;
    catalog.close().await;
    let there = "select count(*) from pg_stat_activity \
        where application_name = 'measured' and datname = current_database()";
    patience::until("the connection ends", Duration::from_secs(30), async || {
        Ok((world.sql(there).await == "0").then_some(()))
    })
    .await
    .unwrap();
    touched().await - before
}

async fn live(catalog: &Catalog, round: u32) {
    for n in 0..50 {
        let event = announced(&format!("life-{round}-{n}"));
        let grant = granted(catalog.claim(&event).await.unwrap());
        let stored = proven(&grant);
        catalog.store(&grant.lease, &stored).await.unwrap();
        let id = stored.acknowledgment_id();
        catalog.note(Note::Acknowledged(event.key.clone(), id));
        let claim = catalog.claim_release(&event.key, Some(stored.receipt()));
        let recording::ReleaseClaim::Granted(grant) = claim.await.unwrap() else {
            panic!("not granted");
        };
        let released = catalog.release(&event.key, &grant.lease, "deleted").await;
        released.unwrap();
    }
}

async fn tick(catalog: &Catalog) {
    assert_eq!(catalog.due(Queue::Transfer, 500).await.unwrap().len(), 40);
    for _ in 0..10 {
        assert!(catalog.due(Queue::Transfer, 500).await.unwrap().is_empty());
        assert!(catalog.due(Queue::Cleanup, 500).await.unwrap().is_empty());
        assert!(catalog.announcements(100).await.unwrap().is_empty());
        assert!(catalog.requeues(100).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_recordings_life_and_a_tick_touch_as_little_in_a_large_table_as_in_a_small_one() {
    let world = World::settled().await;
    world
        .sql("alter table recordings set (autovacuum_enabled = false)")
        .await;
    let mut measured = Vec::new();
    for (from, to) in [(1, 2_000), (2_001, 40_000)] {
        for statement in ROWS {
            let statement = statement.replace("{from}", &from.to_string());
            world.sql(&statement.replace("{to}", &to.to_string())).await;
        }
        let lives = buffers(&world, async |catalog| live(catalog, from).await).await;
        for n in 0..40 {
            let event = announced(&format!("due-{from}-{n}"));
            let grant = world.granted(&event).await;
            let given = world.catalog.give_back(&event.key, &grant.lease).await;
            given.unwrap();
        }
        let ticks = buffers(&world, async |catalog| tick(catalog).await).await;
        measured.push((lives, ticks));
    }
    println!("buffers touched in a small and a large table (50 lives, 11 ticks): {measured:?}");
    let fits = |small: u64, large: u64| large <= small + small / 2;
    assert!(fits(measured[0].0, measured[1].0), "{measured:?}");
    assert!(fits(measured[0].1, measured[1].1), "{measured:?}");
}
