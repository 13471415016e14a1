//! Put Blob: what arrives, and what is said when it does not.

use recording::{DestinationOwner, Method, Mismatch, ParkReason, SendFault, Sha256};

use super::setting::{CONTAINER, PART, STORAGE_ACCOUNT, Setting, azure, sent};
use super::staged::{Wish, noise, refused, unclear};
use super::tap::{Act, What};

#[tokio::test]
async fn originals_of_every_size_up_to_the_part_arrive_byte_for_byte_in_one_put() {
    let Some(it) = Setting::start("azure-sizes").await else {
        return;
    };
    let sizes = [0, 1, 480_000, PART - 1, PART];
    for size in sizes {
        let (bytes, wish) = (noise(size, 3), Wish::default());
        let recording = format!("rec-{size}");
        let (digests, checked) = sent(it.send_as(&recording, &bytes, &wish).await);
        assert_eq!(it.stored(&recording).await.unwrap(), bytes, "{size}");
        assert_eq!(wish.progress.bytes(), u64::try_from(size).unwrap());
        let proof = it.prove(&recording, digests, checked).await.unwrap();
        assert_eq!(proof.method(), Method::SentChecksum);
        assert!(proof.observed().content_md5.is_some());
    }
    // The first is put again, and once more with a checksum that cannot be right: neither is taken.
    assert_eq!(it.tap.count(What::Put), sizes.len() + 2);
    assert_eq!(it.tap.count(What::Head), sizes.len());
    assert_eq!(it.tap.count(What::List) + it.tap.count(What::Block), 0);
    let listed = it.azurite.list(STORAGE_ACCOUNT, CONTAINER).await.unwrap();
    assert_eq!(listed.len(), sizes.len());
}

#[tokio::test]
async fn metadata_type_and_keys_with_odd_characters_arrive() {
    let Some(mut it) = Setting::start("azure-metadata").await else {
        return;
    };
    azure(&mut it.destination).prefix = "in box/ü+%41~#&=".to_owned();
    for (recording, size) in [("small", 9), ("large", PART + 9)] {
        let (digests, checked) = sent(it.send(recording, &noise(size, 3)).await);
        let proof = it.prove(recording, digests, checked).await.unwrap();
        let metadata = &proof.observed().metadata;
        assert_eq!(metadata["callferry-account"], "acme");
        assert_eq!(metadata["callferry-recording"], recording);
        assert_eq!(metadata["callferry-sha256"], digests.sha256.to_string());
        let key = it.key(recording);
        let listed = it.azurite.list(STORAGE_ACCOUNT, CONTAINER).await.unwrap();
        let escaped = key.as_str().replace('&', "&amp;");
        assert!(listed.contains(&escaped), "{listed:?}");
    }
    azure(&mut it.destination).prefix = String::new();
    it.destination.revision += 1;
    sent(it.send("plain", b"x").await);
    let key = it.key("plain");
    let headers = it.azurite.headers(STORAGE_ACCOUNT, CONTAINER, key.as_str());
    let headers = headers.await.unwrap();
    assert_eq!(headers["content-type"], "audio/wav");
    assert_eq!(headers["x-ms-meta-callferry_kind"], "call");
}

#[tokio::test]
async fn what_is_at_the_key_is_never_overwritten() {
    let Some(it) = Setting::start("azure-taken").await else {
        return;
    };
    for (recording, size) in [("small", 9), ("large", PART + 9)] {
        sent(it.send(recording, &noise(size, 1)).await);
        let digests = unclear(it.send(recording, &noise(size, 2)).await);
        assert_eq!(it.stored(recording).await.unwrap(), noise(size, 1));
        let read = it.prove_by_reading(recording, digests).await;
        assert_eq!(read, Err(Mismatch::Content));
    }
    for size in [9, PART + 9] {
        let (recording, bytes) = (format!("foreign-{size}"), noise(size, 4));
        let key = it.key(&recording);
        let put = it
            .azurite
            .overwrite(STORAGE_ACCOUNT, CONTAINER, key.as_str(), &bytes);
        put.await.unwrap();
        let digests = unclear(it.send(&recording, &bytes).await);
        let looked = it.prove(&recording, digests, None).await;
        assert_eq!(looked, Err(Mismatch::Foreign));
    }
}

#[tokio::test]
async fn a_store_that_ignores_the_condition_is_refused_before_it_can_overwrite_anything() {
    let Some(it) = Setting::start("azure-condition").await else {
        return;
    };
    // Somebody in between says yes to the repetition.
    it.tap.arm(What::Put, Act::Answer(201, ""), (1, 1));
    let fault = refused(it.send("rec", b"first").await);
    assert_eq!(fault.reason, ParkReason::DestinationRefused);
    assert!(fault.detail.contains("If-None-Match"), "{fault}");
}

#[tokio::test]
async fn bytes_that_change_on_the_wire_are_refused_by_their_checksum() {
    let Some(it) = Setting::start("azure-damage").await else {
        return;
    };
    for (what, size) in [(What::Put, 100_000), (What::Block, PART + 9)] {
        it.tap.arm(what, Act::Flip, (0, 1));
        let fault = refused(it.send("rec", &noise(size, 6)).await);
        assert_eq!(fault.reason, ParkReason::OutcomeUnknown);
        assert!(fault.detail.contains("Crc64Mismatch"), "{fault}");
        assert_eq!(it.stored("rec").await, None);
    }
    it.tap.disarm();
    let bytes = noise(PART + 9, 6);
    let (digests, checked) = sent(it.send("rec", &bytes).await);
    it.prove("rec", digests, checked).await.unwrap();
}

#[tokio::test]
async fn a_lost_answer_is_unclear_and_a_look_finds_the_copy() {
    let Some(it) = Setting::start("azure-lost").await else {
        return;
    };
    for (what, size) in [(What::Put, 1000), (What::Commit, PART + 9)] {
        it.tap.arm(what, Act::Lose, (0, 1));
        let (recording, bytes) = (format!("rec-{size}"), noise(size, 5));
        let digests = unclear(it.send(&recording, &bytes).await);
        assert_eq!(it.stored(&recording).await.unwrap(), bytes);
        // Found, not sent: only its bytes prove it.
        let looked = it.prove(&recording, digests, None).await;
        assert_eq!(looked, Err(Mismatch::NeedsReadBack));
        let proof = it.prove_by_reading(&recording, digests).await.unwrap();
        assert_eq!(proof.method(), Method::ReadBack);
    }
    // A block may be sent twice, so its lost answer is nobody's business.
    it.tap.arm(What::Block, Act::Lose, (0, 1));
    let (digests, checked) = sent(it.send("again", &noise(PART + 9, 5)).await);
    let proof = it.prove("again", digests, checked).await.unwrap();
    assert_eq!(proof.method(), Method::BlockList);
}

#[tokio::test]
async fn passing_refusals_are_overcome_and_lasting_ones_are_named() {
    let Some(it) = Setting::start("azure-refusals").await else {
        return;
    };
    it.tap
        .arm(What::Put, Act::Answer(503, "ServerBusy"), (0, 2));
    sent(it.send("rec-1", b"x").await);
    let table = [
        (503, "ServerBusy", ParkReason::Throttled),
        (404, "ContainerNotFound", ParkReason::BucketMissing),
        (409, "ContainerBeingDeleted", ParkReason::BucketMissing),
        (403, "AuthenticationFailed", ParkReason::CredentialRefused),
        (403, "AuthorizationFailure", ParkReason::AccessDenied),
        (403, "AccountIsDisabled", ParkReason::AccessDenied),
        (400, "InvalidHeaderValue", ParkReason::DestinationRefused),
    ];
    for (status, code, reason) in table {
        it.tap.disarm();
        it.tap.arm(What::Put, Act::Answer(status, code), (0, 9));
        let fault = refused(it.send("rec-2", b"x").await);
        assert_eq!(fault.reason, reason, "{code}");
        assert!(fault.detail.contains(code) && fault.detail.contains("put"));
    }
    for (status, code) in [
        (500, "OperationTimedOut"),
        (502, ""),
        (409, "BlobImmutableDueToPolicy"),
        (412, "LeaseIdMissing"),
        (403, "UnauthorizedBlobOverwrite"),
    ] {
        it.tap.disarm();
        it.tap.arm(What::Put, Act::Answer(status, code), (0, 9));
        unclear(it.send("rec-3", b"x").await);
    }
    it.tap.disarm();
    assert_eq!(it.look("rec-3").await, Ok(recording::Look::Absent));
}

#[tokio::test]
async fn nothing_is_sent_of_other_bytes_or_after_the_lease_or_for_another_account() {
    let Some(mut it) = Setting::start("azure-unsent").await else {
        return;
    };
    let other = Wish {
        sha256: Some(Sha256::new([7; 32])),
        ..Wish::default()
    };
    let outcome = it.send_as("rec", b"other", &other).await;
    assert_eq!(outcome, Err(SendFault::DigestMismatch));
    let late = Wish {
        lease_lost: true,
        ..Wish::default()
    };
    let outcome = it.send_as("rec", b"x", &late).await;
    assert_eq!(outcome, Err(SendFault::LeaseLost(recording::LeaseLost)));
    it.destination.owner = DestinationOwner::Account("beta".parse().unwrap());
    let fault = refused(it.send("rec", b"x").await);
    assert_eq!(fault.class(), recording::Class::Permanent);
    assert!(it.look("rec").await.is_err());
    assert!(it.tap.seen().is_empty());
}
