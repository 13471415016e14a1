//! What the database refuses to any statement, ours or not.

use recording::{Ledger, ParkReason, RecordingKey};

use super::world::{World, announced, parking};

/// Columns that a row must lose to look as if it had never been stored.
const WITHOUT_RECEIPT: &str = "object_key = null, receipt_size_bytes = null, \
    receipt_sha256 = null, receipt_etag = null, receipt_version_id = null, \
    receipt_checksum = null, receipt_method = null, stored_at = null, \
    original_size_bytes = null, original_mtime_ns = null, original_inode = null, \
    original_entity = null, acknowledgment_id = null, acknowledged_at = null, released_at = null";
const WITH_RECEIPT: &str = "object_key = 'k', receipt_size_bytes = 1, \
    receipt_sha256 = sha256('x'), receipt_etag = 'e', receipt_checksum = 'c', \
    receipt_method = 'read_back', stored_at = now(), original_size_bytes = 1, \
    original_mtime_ns = 1, original_inode = 1, acknowledgment_id = gen_random_uuid()";
const NO_LEASE: &str = "lease_token = null, lease_until = null";

/// A row in each state, and what would bring it there from anywhere else.
async fn one_in_each_state(world: &World) -> Vec<(&'static str, RecordingKey)> {
    let mut rows = Vec::new();
    for state in ["staged", "parked", "stored", "released", "expired"] {
        let event = announced(state);
        let grant = world.granted(&event).await;
        let key = event.key.clone();
        if state == "parked" {
            let parking = parking(ParkReason::AccessDenied);
            let parked = world.catalog.park(&key, &grant.lease, &parking).await;
            parked.unwrap();
        } else if state != "staged" {
            let stored = super::world::proven(&grant);
            world.catalog.store(&grant.lease, &stored).await.unwrap();
        }
        if matches!(state, "released" | "expired") {
            let grant = world.release_granted(&key).await;
            let released = world.catalog.release(&key, &grant.lease, "deleted").await;
            released.unwrap();
        }
        if state == "expired" {
            let begun = "retain_until = now(), expiry_attempts = 1, expiry_began_at = now()";
            world.force(&key, begun).await;
            let expired = "state = 'expired', expiry_proof = 'nothing_at_the_key', \
                 due_at = null, due_queue = null";
            world.force(&key, expired).await;
        }
        rows.push((state, key));
    }
    rows
}

fn becoming(state: &str) -> String {
    match state {
        "staged" => {
            format!("state = 'staged', due_at = now(), due_queue = 'transfer', {WITHOUT_RECEIPT}")
        }
        "parked" => format!(
            "state = 'parked', reason = 'access_denied', next_attempt_at = now(), \
             due_at = now(), due_queue = 'transfer', {NO_LEASE}, {WITHOUT_RECEIPT}"
        ),
        "stored" => format!(
            "state = 'stored', due_at = now(), due_queue = 'transfer', {NO_LEASE}, {WITH_RECEIPT}"
        ),
        other => format!("state = '{other}', due_at = null, {NO_LEASE}, {WITH_RECEIPT}"),
    }
}

#[tokio::test]
async fn the_database_refuses_every_transition_that_the_domain_does_not_know() {
    let world = World::settled().await;
    let rows = one_in_each_state(&world).await;
    let legal = [
        ("staged", "stored"),
        ("staged", "parked"),
        ("parked", "staged"),
        ("stored", "released"),
        ("released", "expired"),
    ];
    for (from, key) in &rows {
        for (to, _) in &rows {
            if from == to || legal.contains(&(*from, *to)) {
                continue;
            }
            let mut change = becoming(to);
            // A receipt may not change either; that is tested by itself.
            if !["staged", "parked"].contains(from) {
                change = change.replace(WITH_RECEIPT, "updated_at = now()");
            }
            let error = world.try_force(key, &change).await;
            let error = format!("{:#}", error.unwrap_err());
            assert!(error.contains("may not go from"), "{from} to {to}: {error}");
        }
    }
}

#[tokio::test]
async fn the_database_lets_stored_go_back_to_parked_only_because_the_copy_is_lost() {
    let world = World::settled().await;
    let event = announced("rec-1");
    world.stored(&event).await;
    let back = becoming("parked");
    let error = world.try_force(&event.key, &back).await.unwrap_err();
    assert!(format!("{error:#}").contains("may not go from"));
    world
        .force(&event.key, &back.replace("access_denied", "copy_lost"))
        .await;
}

#[tokio::test]
async fn the_database_refuses_a_change_of_content_or_of_a_proof() {
    let world = World::settled().await;
    let (staged, stored) = (announced("rec-1"), announced("rec-2"));
    world.granted(&staged).await;
    world.stored(&stored).await;
    for change in [
        "path = 'acme/x'",
        "size_bytes = 1",
        "sha256 = null",
        "kind = 'screen'",
        "recording_id = 'rec-3'",
        "completed_at = now()",
    ] {
        assert!(
            world.try_force(&staged.key, change).await.is_err(),
            "{change}"
        );
    }
    for change in [
        "receipt_etag = 'other'",
        "object_key = 'other'",
        "destination_revision = 99",
        "original_inode = 1",
        "original_entity = 'other'",
        "upload_entity = 'x'",
        "acknowledgment_id = gen_random_uuid()",
        "receipt_content_md5 = 'x'",
        "upload_id = 'u', upload_part_bytes = 1, upload_size_bytes = 1, upload_mtime_ns = 1, \
         upload_inode = 1",
        "lent_at_claim = 1",
    ] {
        assert!(
            world.try_force(&stored.key, change).await.is_err(),
            "{change}"
        );
    }
}

#[tokio::test]
async fn the_database_refuses_rows_that_nobody_would_drive_on() {
    let world = World::settled().await;
    let (staged, parked, stored) = (announced("rec-1"), announced("rec-2"), announced("rec-3"));
    world.granted(&staged).await;
    world.stored(&stored).await;
    let grant = world.granted(&parked).await;
    let parking = parking(ParkReason::Throttled);
    world
        .catalog
        .park(&parked.key, &grant.lease, &parking)
        .await
        .unwrap();
    for event in [&staged, &parked, &stored] {
        for change in ["due_at = null", "due_queue = null"] {
            let error = world.try_force(&event.key, change).await.unwrap_err();
            assert!(format!("{error:#}").contains("nothing_is_forgotten"));
        }
    }
    let forgotten = "release_reason = 'copy_differs', due_at = null";
    assert!(world.try_force(&stored.key, forgotten).await.is_err());
    assert!(
        world
            .try_force(&staged.key, "lease_token = null")
            .await
            .is_err()
    );
    assert!(
        world
            .try_force(&staged.key, "destination_revision = null")
            .await
            .is_err()
    );
    // An upload without its part size and original cannot be gone on with.
    assert!(
        world
            .try_force(&staged.key, "upload_id = 'u-1'")
            .await
            .is_err()
    );
}

#[tokio::test]
async fn the_database_keeps_history_accounts_destinations_and_open_recordings() {
    let world = World::settled().await;
    world.granted(&announced("rec-1")).await;
    for statement in [
        "delete from recordings",
        "delete from recording_history",
        "update recording_history set why = 'x'",
        "delete from accounts",
        "update accounts set external_id = 'x'",
        "update destinations set bucket = 'theirs'",
        "delete from destinations",
        "insert into recordings select (jsonb_populate_record(r, '{\"recording_id\": \"rec-2\", \
         \"path\": \"acme/y\", \"state\": \"released\", \"due_at\": null}')).* from recordings r",
    ] {
        assert!(world.try_sql(statement).await.is_err(), "{statement}");
    }
}
