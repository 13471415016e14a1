//! The work of a tick and of a claim does not grow with the table: counted in buffers, not in
//! time.

use recording::Ledger;

use super::world::{World, announced};

/// Rows as a ledger in service has them: most released, some of each open state.
fn rows(from: u32, to: u32) -> String {
    format!(
        "insert into recordings (account_id, recording_id, state, interaction_id, kind, \
           media_type, started_at, completed_at, path, size_bytes, attributes, \
           destination_revision, created_by, due_at, due_queue) \
         select 'acme', 'bulk-' || n, 'staged', 'i', 'call', 'audio/wav', now(), now(), \
           'acme/bulk/' || n, 1, '{{}}', 1, gen_random_uuid(), now() + '1 day', 'transfer' \
           from generate_series({from}, {to}) n; \
         update recordings set state = 'stored', object_key = 'k', receipt_size_bytes = 1, \
           receipt_sha256 = sha256('x'), receipt_etag = 'e', receipt_checksum = 'c', \
           receipt_method = 'read_back', stored_at = now(), original_size_bytes = 1, \
           original_mtime_ns = 1, original_inode = 1, acknowledgment_id = gen_random_uuid() \
          where state = 'staged' and recording_id like 'bulk-%' \
            and right(recording_id, 2) <> '00'; \
         update recordings set state = 'released', due_at = null, released_at = now() \
          where state = 'stored' and recording_id like 'bulk-%' \
            and right(recording_id, 2) <> '01'; \
         vacuum analyze recordings"
    )
}

/// Buffers that a statement touches, by the server's own count.
async fn buffers(world: &World, statement: &str) -> u64 {
    let explained = world
        .sql(&format!(
            "begin; explain (analyze, buffers, format json) {statement}; rollback"
        ))
        .await;
    let plan: serde_json::Value = serde_json::from_str(&explained).unwrap();
    let plan = &plan[0]["Plan"];
    let read = plan["Shared Read Blocks"].as_u64().unwrap();
    plan["Shared Hit Blocks"].as_u64().unwrap() + read
}

#[tokio::test]
async fn finding_what_is_due_and_claiming_touch_as_little_in_a_large_table_as_in_a_small_one() {
    let world = World::settled().await;
    let drive = "with due as materialized (select account_id, recording_id, due_at \
          from recordings where due_queue = 'transfer' and due_at <= now() \
          order by due_at limit 500 for update skip locked), \
        driven as (update recordings r set driven_at = now(), due_at = now() + '10 min' \
          from due where r.account_id = due.account_id and r.recording_id = due.recording_id \
          returning r.account_id) select count(*) from driven";
    let announce = "select account_id from recordings where announce_after <= now() \
        and state in ('parked', 'released') order by announce_after limit 100";
    let path = "select true from recordings where account_id = 'acme' \
        and path = 'acme/bulk/500' and state not in ('released', 'expired') \
        and recording_id <> 'x' limit 1";
    let waiting = "select account_id from recordings where destination_revision is null";
    let mut measured = Vec::new();
    for (from, to) in [(1, 10_000), (10_001, 200_000)] {
        for part in rows(from, to).split("; ") {
            world.sql(part).await;
        }
        for n in 0..50 {
            let event = announced(&format!("due-{from}-{n}"));
            let grant = world.granted(&event).await;
            let given = world.catalog.give_back(&event.key, &grant.lease).await;
            given.unwrap();
        }
        let mut each = Vec::new();
        for statement in [drive, announce, path, waiting] {
            each.push(buffers(&world, statement).await);
        }
        measured.push(each);
        world
            .sql("update recordings set due_at = now() + '1 day' where due_at <= now()")
            .await;
    }
    println!("buffers at 10,000 and 200,000 rows: {measured:?}");
    for (small, large) in measured[0].iter().zip(&measured[1]) {
        assert!(*large <= small + small / 2 + 16, "{measured:?}");
    }
}
