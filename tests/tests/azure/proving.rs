//! What proves a copy, at first and later, and what does not.

use recording::{FirstLook, Look, Lookers, Method, Mismatch, ParkReason};

use super::setting::{CONTAINER, PART, STORAGE_ACCOUNT, Setting, sent};
use super::staged::noise;
use super::tap::{Act, What};

#[tokio::test]
async fn a_second_look_finds_the_copy_unchanged_or_not() {
    let Some(mut it) = Setting::start("azure-second").await else {
        return;
    };
    for (size, method) in [(9, Method::SentChecksum), (PART + 9, Method::BlockList)] {
        let recording = format!("rec-{size}");
        let (digests, checked) = sent(it.send(&recording, &noise(size, 1)).await);
        let proof = it.prove(&recording, digests, checked).await.unwrap();
        assert_eq!(proof.method(), method);
        let seen = proof.observed();
        let first = FirstLook {
            etag: seen.etag.clone(),
            version_id: seen.version_id.clone(),
            content_md5: seen.content_md5.clone(),
            method,
        };
        // Cleanup is another process, and knows only what the ledger does. Azurite keeps what it
        // has when it is stopped in order.
        it.start_process_anew();
        it.azurite.stop().await.unwrap();
        it.azurite.restart().await.unwrap();
        let later = || it.prove_as(&recording, digests, (None, Some(first.clone())));
        assert_eq!(later().await.unwrap().method(), method);
        let (key, theirs) = (it.key(&recording), noise(size, 2));
        let put = it
            .azurite
            .overwrite(STORAGE_ACCOUNT, CONTAINER, key.as_str(), &theirs);
        put.await.unwrap();
        assert!(later().await.is_err());
    }
}

#[tokio::test]
async fn a_store_that_is_not_seen_to_check_is_read_back() {
    let Some(mut it) = Setting::start("azure-unchecked").await else {
        return;
    };
    // A proxy that passes checksums on in neither direction.
    for what in [What::Put, What::Block, What::Commit] {
        it.tap.arm(what, Act::Strip, (0, usize::MAX));
    }
    for size in [9, PART + 9] {
        let recording = format!("rec-{size}");
        let (digests, checked) = sent(it.send(&recording, &noise(size, 1)).await);
        assert_eq!(checked, None);
        let looked = it.prove(&recording, digests, checked).await;
        assert_eq!(looked, Err(Mismatch::NeedsReadBack));
        let proof = it.prove_by_reading(&recording, digests).await.unwrap();
        assert_eq!(proof.method(), Method::ReadBack);
    }
    // And that damages what passes: nobody notices until it is read.
    it.start_process_anew();
    it.tap.arm(What::Put, Act::Flip, (1, 1));
    it.tap.disarm();
    it.tap.arm(What::Get, Act::Flip, (0, 1));
    let (digests, _) = sent(it.send("rec", &noise(900, 1)).await);
    let read = it.prove_by_reading("rec", digests).await;
    assert_eq!(read, Err(Mismatch::Content));
}

#[tokio::test]
async fn absence_is_only_what_the_store_says_itself() {
    let Some(it) = Setting::start("azure-absence").await else {
        return;
    };
    assert_eq!(it.look("rec").await, Ok(Look::Absent));
    let table = [
        (404, "", ParkReason::OutcomeUnknown),
        (404, "ContainerNotFound", ParkReason::BucketMissing),
        (403, "AuthorizationFailure", ParkReason::AccessDenied),
        (403, "", ParkReason::AccessDenied),
        (301, "", ParkReason::WrongRegion),
        (500, "InternalError", ParkReason::DestinationUnreachable),
    ];
    for (status, code, reason) in table {
        it.tap.disarm();
        it.tap.arm(What::Head, Act::Answer(status, code), (0, 9));
        let fault = it.look("rec").await.unwrap_err();
        assert_eq!(fault.reason, reason, "{status} {code}");
    }
}

#[tokio::test]
async fn a_copy_that_changes_between_look_and_reading_is_not_believed() {
    let Some(it) = Setting::start("azure-changing").await else {
        return;
    };
    sent(it.send("rec", b"first").await);
    let Ok(Look::Present(observed)) = it.look("rec").await else {
        panic!("not there");
    };
    let key = it.key("rec");
    let put = it
        .azurite
        .overwrite(STORAGE_ACCOUNT, CONTAINER, key.as_str(), b"other");
    put.await.unwrap();
    let (lookers, account) = (it.stores.lookers(), "acme".parse().unwrap());
    let read = lookers.read_back(&it.destination, &account, &key, observed);
    let fault = read.await.unwrap_err();
    assert_eq!(fault.reason, ParkReason::OutcomeUnknown);
    assert!(fault.detail.contains("changed"), "{fault}");
}
