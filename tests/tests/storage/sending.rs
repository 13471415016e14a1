//! One PUT: what arrives, and what is said when it does not.

use recording::{ParkReason, SendFault, Sha256};

use super::setting::{BUCKET, Setting, Wish, noise, refused, sent, unclear};
use callferry_tests::s3::{Fault, FaultRule, Operation, Quirks};

#[tokio::test]
async fn a_small_original_arrives_byte_for_byte_in_one_put() {
    let it = Setting::start().await;
    for (recording, size) in [("empty", 0), ("one", 1), ("usual", 480_000)] {
        let bytes = noise(size, 3);
        let wish = Wish::default();
        let digests = sent(it.send_as(recording, &bytes, &wish).await);
        assert_eq!(it.stored(recording).unwrap(), bytes);
        assert_eq!(wish.progress.bytes(), u64::try_from(size).unwrap());
        let proof = it.prove(recording, digests).await.unwrap();
        assert_eq!(proof.method(), recording::Method::ReportedChecksum);
        let object = it.lab.object(BUCKET, it.key(recording).as_str()).unwrap();
        assert_eq!(object.content_type.as_deref(), Some("audio/wav"));
        assert_eq!(
            object.metadata["callferry-sha256"],
            digests.sha256.to_string()
        );
        assert_eq!(object.metadata["callferry-recording"], recording);
    }
    // The very first is put once more, to see that the store refuses it.
    assert_eq!(it.lab.count(Operation::PutObject), 4);
    assert_eq!(it.lab.count(Operation::HeadObject), 3);
    assert_eq!(
        it.lab.count(Operation::AssumeRole),
        2,
        "one for each purpose"
    );
    assert_eq!(it.lab.count(Operation::ListObjectsV2), 0);
}

#[tokio::test]
async fn what_is_at_the_key_is_never_overwritten() {
    let it = Setting::start().await;
    sent(it.send("rec", b"first").await);
    unclear(it.send("rec", b"second").await);
    assert_eq!(it.stored("rec").unwrap(), b"first");
}

#[tokio::test]
async fn a_store_that_ignores_the_condition_is_refused_before_it_can_overwrite_anything() {
    let it = Setting::start().await;
    let quirks = Quirks {
        ignores_conditions: true,
        ..Quirks::default()
    };
    it.lab.set_quirks(BUCKET, quirks);
    let fault = refused(it.send("rec", b"first").await);
    assert_eq!(fault.reason, ParkReason::DestinationRefused);
    assert!(fault.detail.contains("If-None-Match"), "{fault}");
    assert_eq!(it.stored("rec").unwrap(), b"first");
}

#[tokio::test]
async fn a_lost_answer_is_unclear_and_a_look_finds_the_copy() {
    let it = Setting::start().await;
    let faults = [
        Fault::CloseAfter,
        Fault::ErrorAfter {
            status: 500,
            code: "InternalError".to_owned(),
        },
        Fault::ErrorInBodyAfter {
            code: "InternalError".to_owned(),
        },
    ];
    for (number, fault) in faults.into_iter().enumerate() {
        let recording = format!("rec-{number}");
        it.lab
            .arm(FaultRule::on(Operation::PutObject, fault).once());
        let bytes = noise(1000, 5);
        let digests = unclear(it.send(&recording, &bytes).await);
        it.prove(&recording, digests).await.unwrap();
        assert_eq!(it.stored(&recording).unwrap(), bytes);
    }
}

#[tokio::test]
async fn a_passing_refusal_is_overcome_and_a_lasting_one_is_named() {
    let it = Setting::start().await;
    let busy = |status, code: &str| Fault::ErrorBefore {
        status,
        code: code.to_owned(),
    };
    let rule = FaultRule::on(Operation::PutObject, busy(503, "SlowDown"));
    it.lab.arm(rule.clone().times(2));
    sent(it.send("rec-1", b"x").await);
    let rule = it.lab.arm(rule);
    let fault = refused(it.send("rec-2", b"x").await);
    assert_eq!(fault.reason, ParkReason::Throttled);
    assert_eq!(it.lab.struck(rule), 3, "the request and two repetitions");
    let table = [
        (403, "AccessDenied", ParkReason::AccessDenied),
        (404, "NoSuchBucket", ParkReason::BucketMissing),
        (301, "PermanentRedirect", ParkReason::WrongRegion),
        (400, "AuthorizationHeaderMalformed", ParkReason::WrongRegion),
        (400, "KMS.DisabledException", ParkReason::KmsKeyUnusable),
        (501, "NotImplemented", ParkReason::DestinationRefused),
        (400, "BadDigest", ParkReason::OutcomeUnknown),
        (
            403,
            "RequestTimeTooSkewed",
            ParkReason::DestinationUnreachable,
        ),
    ];
    for (status, code, reason) in table {
        it.lab.clear_faults();
        it.lab
            .arm(FaultRule::on(Operation::PutObject, busy(status, code)));
        let fault = refused(it.send("rec-3", b"x").await);
        assert_eq!(fault.reason, reason, "{code}");
        assert!(fault.detail.contains(code), "{}", fault.detail);
    }
    assert!(it.stored("rec-2").is_none() && it.stored("rec-3").is_none());
}

#[tokio::test]
async fn a_server_that_breaks_leaves_the_outcome_unclear() {
    let it = Setting::start().await;
    for (number, status) in [500, 502, 504].into_iter().enumerate() {
        it.lab.clear_faults();
        let fault = Fault::ErrorBefore {
            status,
            code: "InternalError".to_owned(),
        };
        it.lab.arm(FaultRule::on(Operation::PutObject, fault));
        let recording = format!("rec-{number}");
        unclear(it.send(&recording, b"x").await);
        it.lab.clear_faults();
        assert_eq!(it.look(&recording).await, Ok(recording::Look::Absent));
    }
}

#[tokio::test]
async fn nothing_is_sent_of_bytes_that_were_not_announced() {
    let it = Setting::start().await;
    let wish = Wish {
        sha256: Some(Sha256::new([7; 32])),
        ..Wish::default()
    };
    let outcome = it.send_as("rec", b"other", &wish).await;
    assert_eq!(outcome, Err(SendFault::DigestMismatch));
    assert_eq!(it.lab.count(Operation::PutObject), 0);
}

#[tokio::test]
async fn nothing_is_sent_after_the_lease_was_lost() {
    let it = Setting::start().await;
    let wish = Wish {
        lease_lost: true,
        ..Wish::default()
    };
    let outcome = it.send_as("rec", b"x", &wish).await;
    assert_eq!(outcome, Err(SendFault::LeaseLost(recording::LeaseLost)));
    assert_eq!(it.lab.count(Operation::PutObject), 0);
}

#[tokio::test]
async fn storage_class_encryption_and_owner_are_asked_for() {
    let mut it = Setting::start().await;
    let s3 = super::setting::s3(&mut it.destination);
    s3.storage_class = Some("STANDARD_IA".to_owned());
    s3.kms_key = Some("arn:aws:kms:eu-central-1:111122223333:key/k".to_owned());
    s3.expected_owner = Some(super::setting::OWNER.to_owned());
    let digests = sent(it.send("rec", b"x").await);
    it.prove("rec", digests).await.unwrap();
    let object = it.lab.object(BUCKET, it.key("rec").as_str()).unwrap();
    assert_eq!(object.storage_class.as_deref(), Some("STANDARD_IA"));
    assert!(object.encryption.contains("kms"), "{}", object.encryption);
    super::setting::s3(&mut it.destination).expected_owner = Some("999999999999".to_owned());
    let fault = refused(it.send("other", b"x").await);
    assert_eq!(fault.reason, ParkReason::AccessDenied);
    assert!(it.stored("other").is_none());
}

#[tokio::test]
async fn a_destination_of_another_account_is_refused_before_anything_leaves() {
    let mut it = Setting::start().await;
    it.destination.owner = recording::DestinationOwner::Account("beta".parse().unwrap());
    let fault = refused(it.send("rec", b"x").await);
    assert_eq!(fault.class(), recording::Class::Permanent);
    assert!(it.lab.history().is_empty());
}
