//! Multipart: what arrives, what is left behind, and what is never begun.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::Duration;

use recording::{ParkReason, SendFault, Sha256, StagingFault};

use super::setting::{BUCKET, MIB, Setting, Wish, announced, noise, refused, sent, unclear};
use callferry_tests::s3::{Fault, FaultRule, LabOptions, Operation};
use storage::StoreSettings;

/// Three parts, the last one short.
const LARGE: usize = 11 * MIB + 12_345;

fn open_uploads(it: &Setting) -> usize {
    it.lab.open_uploads(BUCKET).len()
}

#[tokio::test]
async fn a_large_original_arrives_byte_for_byte_in_parts() {
    let it = Setting::start().await;
    let bytes = noise(LARGE, 11);
    let wish = Wish::default();
    let digests = sent(it.send_as("rec", &bytes, &wish).await);
    assert!(it.stored("rec").unwrap() == bytes);
    assert_eq!(wish.progress.bytes(), u64::try_from(LARGE).unwrap());
    assert_eq!(wish.uploads.ids.lock().unwrap().len(), 1);
    let proof = it.prove("rec", digests).await.unwrap();
    assert_eq!(proof.method(), recording::Method::ReportedChecksum);
    assert_eq!(it.lab.count(Operation::UploadPart), 3);
    assert_eq!(open_uploads(&it), 0);
}

#[tokio::test]
async fn up_to_a_part_goes_in_one_put_and_one_byte_more_in_two_parts() {
    let it = Setting::start().await;
    let bytes = noise(5 * MIB + 1, 2);
    sent(it.send("less", &bytes[..5 * MIB - 1]).await);
    assert!(it.stored("less").unwrap() == bytes[..5 * MIB - 1]);
    sent(it.send("whole", &bytes[..5 * MIB]).await);
    let puts = it.lab.count(Operation::PutObject);
    assert_eq!(it.lab.count(Operation::UploadPart), 0);
    sent(it.send("parts", &bytes).await);
    assert_eq!(it.lab.count(Operation::PutObject), puts);
    assert_eq!(it.lab.count(Operation::UploadPart), 2);
    assert!(it.stored("parts").unwrap() == bytes);
}

#[tokio::test]
async fn completing_never_overwrites_and_leaves_no_upload_behind() {
    let it = Setting::start().await;
    sent(it.send("rec", b"first").await);
    unclear(it.send("rec", &noise(LARGE, 1)).await);
    assert_eq!(it.stored("rec").unwrap(), b"first");
    assert_eq!(open_uploads(&it), 0);
}

#[tokio::test]
async fn a_lost_or_broken_answer_to_complete_is_unclear_and_a_look_finds_the_copy() {
    let it = Setting::start().await;
    let bytes = noise(LARGE, 4);
    let in_body = |code: &str| Fault::ErrorInBodyAfter {
        code: code.to_owned(),
    };
    let faults = [
        Fault::CloseAfter,
        in_body("InternalError"),
        in_body("SlowDown"),
        in_body("SomethingNew"),
    ];
    for (number, fault) in faults.into_iter().enumerate() {
        let recording = format!("rec-{number}");
        let rule = FaultRule::on(Operation::CompleteMultipartUpload, fault);
        it.lab.arm(rule.once());
        let digests = unclear(it.send(&recording, &bytes).await);
        it.prove(&recording, digests).await.unwrap();
        assert!(it.stored(&recording).unwrap() == bytes);
    }
}

#[tokio::test]
async fn a_200_with_an_error_that_did_nothing_is_repeated() {
    let it = Setting::start().await;
    let fault = Fault::ErrorInBodyBefore {
        code: "InternalError".to_owned(),
    };
    let rule = FaultRule::on(Operation::CompleteMultipartUpload, fault);
    it.lab.arm(rule.times(2));
    let digests = sent(it.send("rec", &noise(LARGE, 6)).await);
    it.prove("rec", digests).await.unwrap();
}

#[tokio::test]
async fn a_token_that_expires_midway_costs_one_renewal_and_the_same_upload_goes_on() {
    let it = Setting::start().await;
    let bytes = noise(LARGE, 8);
    let expired = || Fault::ErrorBefore {
        status: 400,
        code: "ExpiredToken".to_owned(),
    };
    let steps = [
        Operation::CreateMultipartUpload,
        Operation::UploadPart,
        Operation::CompleteMultipartUpload,
    ];
    for (number, step) in steps.into_iter().enumerate() {
        it.lab.clear_history();
        it.lab.arm(FaultRule::on(step, expired()).once());
        let recording = format!("rec-{number}");
        let wish = Wish::default();
        let digests = sent(it.send_as(&recording, &bytes, &wish).await);
        it.prove(&recording, digests).await.unwrap();
        assert!(it.stored(&recording).unwrap() == bytes);
        assert_eq!(wish.uploads.ids.lock().unwrap().len(), 1);
        // The first round also opens the two sessions.
        let most = if number == 0 { 3 } else { 1 };
        assert_eq!(it.lab.count(Operation::AssumeRole), most, "{step:?}");
    }
    it.lab.clear_history();
    it.lab.expire_sessions();
    let digests = sent(it.send("ended", &bytes).await);
    it.prove("ended", digests).await.unwrap();
    assert_eq!(it.lab.count(Operation::AssumeRole), 2);
}

#[tokio::test]
async fn a_part_whose_answer_is_lost_is_sent_again() {
    let it = Setting::start().await;
    let rule = FaultRule::on(Operation::UploadPart, Fault::CloseAfter);
    it.lab.arm(rule.after(1).once());
    let bytes = noise(LARGE, 9);
    let digests = sent(it.send("rec", &bytes).await);
    it.prove("rec", digests).await.unwrap();
    assert!(it.stored("rec").unwrap() == bytes);
    assert_eq!(it.lab.count(Operation::UploadPart), 4);
}

#[tokio::test]
async fn what_is_of_no_use_to_anybody_leaves_neither_object_nor_upload() {
    let it = Setting::start().await;
    let bytes = noise(LARGE, 10);
    let impossible = Fault::ErrorBefore {
        status: 507,
        code: "InsufficientCapacity".to_owned(),
    };
    let rule = FaultRule::on(Operation::UploadPart, impossible).after(2);
    it.lab.arm(rule);
    let fault = refused(it.send("impossible", &bytes).await);
    assert_eq!(fault.reason, ParkReason::DestinationRefused);
    it.lab.clear_faults();

    let wish = Wish {
        sha256: Some(Sha256::new([7; 32])),
        ..Wish::default()
    };
    let outcome = it.send_as("mismatch", &bytes, &wish).await;
    assert_eq!(outcome, Err(SendFault::DigestMismatch));

    let mut wish = Wish::default();
    wish.uploads.refusing = true;
    let before = it.lab.count(Operation::UploadPart);
    let outcome = it.send_as("forgotten", &bytes, &wish).await;
    assert!(
        matches!(outcome, Err(SendFault::LeaseLost(_))),
        "{outcome:?}"
    );
    assert_eq!(
        it.lab.count(Operation::UploadPart),
        before,
        "sent before remembered"
    );

    assert_eq!(it.lab.count(Operation::CompleteMultipartUpload), 0);
    assert_eq!(it.lab.objects(BUCKET).len(), 0);
    assert_eq!(open_uploads(&it), 0);
}

#[tokio::test]
async fn an_original_that_changes_while_it_is_sent_is_not_completed() {
    let it = Setting::start().await;
    let bytes = noise(LARGE, 13);
    let path = it.staging.put("rec.wav", &bytes);
    let announced = announced("rec", LARGE);
    let opened = recording::Originals::open(&it.staging.originals, &announced.original.path).await;
    let original = opened.unwrap();
    // Same size, other content, after it was opened: no read fails, only the comparison does.
    std::fs::write(&path, noise(LARGE, 14)).unwrap();
    let wish = Wish::default();
    let outcome = it.send_from(&announced, &*original, &wish).await;
    assert_eq!(outcome, Err(SendFault::Staging(StagingFault::Changed)));
    assert_eq!(it.lab.objects(BUCKET).len(), 0);
    assert_eq!(open_uploads(&it), 0);
}

#[tokio::test]
async fn originals_larger_than_the_whole_budget_share_it_in_turn() {
    let it = Setting::start().await;
    let endpoint = it.lab.endpoint();
    let mut small = super::setting::settings(&endpoint);
    small.byte_budget = 6 * 1024 * 1024;
    let stores = super::setting::stores(small);
    let writers = stores.writers();
    let recordings = ["rec-1", "rec-2", "rec-3"];
    let sends = recordings.map(|recording| {
        let (it, writers) = (&it, &writers);
        async move {
            it.staging
                .put(&format!("{recording}.wav"), &noise(LARGE, 15));
            let announced = announced(recording, LARGE);
            let path = &announced.original.path;
            let original = recording::Originals::open(&it.staging.originals, path).await;
            let original = original.unwrap();
            let wish = Wish::default();
            let to = &it.destination;
            super::setting::send(writers, to, &announced, &*original, &wish).await
        }
    });
    for outcome in futures::future::join_all(sends).await {
        sent(outcome);
    }
    for recording in recordings {
        assert!(it.stored(recording).unwrap() == noise(LARGE, 15));
    }
}

/// Two GiB of which all but a few bytes are zeros: neither the file nor the copy takes room.
#[tokio::test]
async fn a_huge_sparse_original_arrives_in_two_attempts_without_being_sent_twice() {
    const SIZE: usize = 2048 * MIB;
    const PARTS: u64 = 128;
    let options = LabOptions {
        opaque_etags: true,
        ..LabOptions::default()
    };
    let mut it = Setting::start_with(options).await;
    it.stores = super::setting::stores(StoreSettings {
        part_size_bytes: 16 << 20,
        ..super::setting::settings(&it.lab.endpoint())
    });
    let path = it.staging.put("huge.wav", b"RIFF");
    let file = File::options().write(true).open(&path).unwrap();
    for (at, mark) in [
        (1 << 30, b"half"),
        (u64::try_from(SIZE).unwrap() - 4, b"end."),
    ] {
        file.write_all_at(mark, at).unwrap();
    }
    let announced = announced("huge", SIZE);
    let originals = &it.staging.originals;
    let original = recording::Originals::open(originals, &announced.original.path).await;
    let original = original.unwrap();
    let long = || Wish {
        lease: Some(Duration::from_secs(3600)),
        ..Wish::default()
    };
    let first = long();
    let landed = || first.uploads.remembered().map_or(0, |it| it.parts.len());
    tokio::select! {
        outcome = it.send_from(&announced, &*original, &first) => panic!("{outcome:?}"),
        () = async {
            while landed() < 50 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        } => {}
    }
    let mut second = long();
    second.earlier = first.uploads.remembered();
    *second.uploads.known.lock().unwrap() = second.earlier.clone();
    let digests = sent(it.send_from(&announced, &*original, &second).await);
    let kept = it.lab.sha256_of(BUCKET, it.key("huge").as_str()).unwrap();
    assert_eq!(kept.unwrap(), digests.sha256.to_string());
    it.prove("huge", digests).await.unwrap();
    let sent = it.lab.count(Operation::UploadPart);
    // What was on its way when the first one crashed: four parts at most.
    assert!((PARTS..=PARTS + 4).contains(&sent), "{sent}");
    assert!(second.progress.resumed_bytes() >= 50 << 24);
    let blobs = std::fs::read_dir(it.lab.data_dir().join("blobs")).unwrap();
    let on_disk: u64 = blobs
        .map(|it| it.unwrap().metadata().unwrap().blocks() * 512)
        .sum();
    assert!(
        on_disk < 1 << 20,
        "{on_disk} bytes of a copy that is all holes"
    );
}
