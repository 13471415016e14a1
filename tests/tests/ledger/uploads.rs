//! Uploads in parts: remembered under the lease, gone on with by whoever claims next, forgotten
//! with the proof.

use std::time::Duration;

use recording::{
    Advance, Crc64Nvme, Identity, KnownUpload, Ledger, ObjectKey, ParkReason, Part, Upload,
    object_key,
};

use super::world::{World, announced, announced_of, bucket, parking, proven};

/// An upload without parts.
pub(crate) fn upload(id: &str) -> Upload {
    Upload {
        id: id.to_owned(),
        part_bytes: 16 << 20,
        identity: Identity {
            size_bytes: 20 << 30,
            mtime_ns: -1_714_557_600_000_000_001,
            inode: i64::MIN,
            entity: Some("\"u\" v-1".to_owned()),
        },
        parts: Vec::new(),
    }
}

fn part(number: u32) -> Part {
    Part {
        number,
        etag: format!("\"e-{number}\""),
        // The highest bit is one that a signed column must keep.
        crc64nvme: Crc64Nvme::new(u64::MAX - u64::from(number)),
    }
}

async fn parts(world: &World) -> String {
    let count = "select count(*) from recording_upload_parts";
    world.sql(count).await
}

#[tokio::test]
async fn the_next_claim_is_given_the_upload_with_its_parts_in_order() {
    let world = World::settled().await;
    let event = announced("rec-1");
    let (catalog, key) = (&world.catalog, &event.key);
    let first = world.granted(&event).await;
    let begun = catalog
        .upload_begun(key, &first.lease, &upload("u-1"))
        .await;
    assert_eq!(begun.unwrap(), Advance::Done(()));
    for batch in [[part(2), part(11), part(1)], [part(3), part(2), part(10)]] {
        let landed = catalog.upload_landed(key, &first.lease, &batch).await;
        assert_eq!(landed.unwrap(), Advance::Done(()));
    }
    world.run_out(key).await;
    let next = world.granted(&event).await;
    let whole = Upload {
        parts: [1, 2, 3, 10, 11].map(part).to_vec(),
        ..upload("u-1")
    };
    assert_eq!(next.upload.as_ref(), Some(&whole));
    world.run_out(key).await;
    assert_eq!(world.granted_due(key).await.upload, Some(whole));
}

#[tokio::test]
async fn the_same_part_again_replaces_what_was_known_of_it_also_within_one_batch() {
    let world = World::settled().await;
    let event = announced("rec-1");
    let (catalog, key) = (&world.catalog, &event.key);
    let grant = world.granted(&event).await;
    catalog
        .upload_begun(key, &grant.lease, &upload("u-1"))
        .await
        .unwrap();
    let again = Part {
        etag: "\"again\"".to_owned(),
        ..part(1)
    };
    for batch in [vec![part(1)], vec![part(1), again.clone()], vec![]] {
        let landed = catalog.upload_landed(key, &grant.lease, &batch).await;
        assert_eq!(landed.unwrap(), Advance::Done(()));
    }
    world.run_out(key).await;
    let next = world.granted(&event).await;
    assert_eq!(next.upload.unwrap().parts, [again]);
}

#[tokio::test]
async fn a_new_upload_takes_the_place_of_the_old_one_and_of_its_parts() {
    let world = World::settled().await;
    let event = announced("rec-1");
    let (catalog, key) = (&world.catalog, &event.key);
    let grant = world.granted(&event).await;
    for id in ["u-1", "u-2"] {
        catalog
            .upload_begun(key, &grant.lease, &upload(id))
            .await
            .unwrap();
        let batch = if id == "u-1" {
            vec![part(1), part(2)]
        } else {
            vec![]
        };
        catalog
            .upload_landed(key, &grant.lease, &batch)
            .await
            .unwrap();
    }
    world.run_out(key).await;
    assert_eq!(world.granted(&event).await.upload, Some(upload("u-2")));
}

#[tokio::test]
async fn nobody_without_the_live_lease_can_remember_an_upload_or_a_part() {
    let world = World::settled().await;
    let event = announced("rec-1");
    let (catalog, key) = (&world.catalog, &event.key);
    let late = world.granted(&event).await;
    // Parts without an upload would be nobody's.
    let landed = catalog.upload_landed(key, &late.lease, &[part(1)]).await;
    assert_eq!(landed.unwrap(), Advance::Overtaken);
    catalog
        .upload_begun(key, &late.lease, &upload("u-1"))
        .await
        .unwrap();
    world.run_out(key).await;
    let overtaken = async || {
        let other = upload("u-2");
        let begun = catalog.upload_begun(key, &late.lease, &other).await;
        assert_eq!(begun.unwrap(), Advance::Overtaken);
        let landed = catalog.upload_landed(key, &late.lease, &[part(1)]).await;
        assert_eq!(landed.unwrap(), Advance::Overtaken);
    };
    overtaken().await;
    let next = world.granted(&event).await;
    overtaken().await;
    assert_eq!(next.upload, Some(upload("u-1")));
    assert_eq!(parts(&world).await, "0");
    catalog.store(&next.lease, &proven(&next)).await.unwrap();
    let landed = catalog.upload_landed(key, &next.lease, &[part(1)]).await;
    assert_eq!(landed.unwrap(), Advance::Overtaken);
}

#[tokio::test]
async fn parking_and_giving_back_keep_the_upload_and_storing_forgets_it_with_its_parts() {
    let world = World::settled().await;
    let (event, other) = (announced("rec-1"), announced("rec-2"));
    let (catalog, key) = (&world.catalog, &event.key);
    for event in [&event, &other] {
        let grant = world.granted(event).await;
        catalog
            .upload_begun(&event.key, &grant.lease, &upload("u-1"))
            .await
            .unwrap();
        catalog
            .upload_landed(&event.key, &grant.lease, &[part(1), part(2)])
            .await
            .unwrap();
        let refused = parking(ParkReason::DestinationUnreachable);
        catalog
            .park(&event.key, &grant.lease, &refused)
            .await
            .unwrap();
    }
    catalog.retry_parked(None, None).await.unwrap();
    let grant = world.granted(&event).await;
    assert_eq!(grant.upload.as_ref().unwrap().parts.len(), 2);
    catalog.give_back(key, &grant.lease).await.unwrap();
    let grant = world.granted(&event).await;
    assert_eq!(grant.upload.as_ref().unwrap().parts.len(), 2);
    let stored = catalog.store(&grant.lease, &proven(&grant)).await;
    assert_eq!(stored.unwrap(), Advance::Done(()));
    let columns = "num_nonnulls(upload_id, upload_part_bytes, upload_size_bytes, \
                   upload_mtime_ns, upload_inode, upload_entity)";
    assert_eq!(world.column(key, columns).await, "0");
    // The other recording's are still there.
    assert_eq!(parts(&world).await, "2");
    assert_eq!(world.column(&other.key, columns).await, "6");
}

#[tokio::test]
async fn what_is_known_of_an_upload_is_its_key_and_its_id_while_the_copy_is_not_proven() {
    let world = World::settled().await;
    let event = announced("rec-1");
    let (catalog, key) = (&world.catalog, &event.key);
    assert_eq!(catalog.known_upload(key).await.unwrap(), None);
    let grant = world.granted(&event).await;
    let object_key: ObjectKey = object_key(&event, grant.staged.destination());
    let known = async || catalog.known_upload(key).await.unwrap();
    let expected = |upload_id: Option<&str>| {
        Some(KnownUpload {
            announced: grant.staged.announced().clone(),
            erased: false,
            object_key: object_key.clone(),
            upload_id: upload_id.map(str::to_owned),
        })
    };
    assert_eq!(known().await, expected(None));
    catalog
        .upload_begun(key, &grant.lease, &upload("u-1"))
        .await
        .unwrap();
    assert_eq!(known().await, expected(Some("u-1")));
    let refused = parking(ParkReason::AccessDenied);
    catalog.park(key, &grant.lease, &refused).await.unwrap();
    assert_eq!(known().await, expected(Some("u-1")));
    catalog.retry_parked(None, None).await.unwrap();
    world.stored(&event).await;
    assert_eq!(known().await, expected(None));

    // Without a destination nothing of it can be open anywhere.
    world.account("homeless").await;
    let homeless = announced_of("homeless", "rec-1");
    catalog.claim(&homeless).await.unwrap();
    assert_eq!(catalog.known_upload(&homeless.key).await.unwrap(), None);
    world.set("homeless", &bucket("home")).await.unwrap();
    let at_home = catalog.known_upload(&homeless.key).await.unwrap();
    assert!(at_home.is_some_and(|known| known.upload_id.is_none()));
}

#[tokio::test]
async fn a_claim_without_an_upload_asks_for_no_parts() {
    let world = World::settled_with(|settings| settings.lease = Duration::from_secs(30)).await;
    world.sql("drop table recording_upload_parts cascade").await;
    assert_eq!(world.granted(&announced("rec-1")).await.upload, None);
}
