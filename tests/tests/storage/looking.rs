//! Looking and reading back.

use recording::{Expected, Look, Lookers, Method, Mismatch, ParkReason};

use super::setting::{BUCKET, GRANTED, ROLE, Setting, announced, noise, sent};
use callferry_tests::s3::{Fault, FaultRule, Operation, Policy, Quirks};

#[tokio::test]
async fn absence_is_said_by_the_store_and_never_inferred() {
    let it = Setting::start().await;
    assert_eq!(it.look("rec").await, Ok(Look::Absent));
    // Another key that begins with it is not it.
    let longer = format!("{}.bak", it.key("rec"));
    it.lab.overwrite_object(BUCKET, &longer, b"x").unwrap();
    assert_eq!(it.look("rec").await, Ok(Look::Absent));
    // Whoever may not list may not know.
    let blind = Policy::none().allow(&GRANTED, &["arn:aws:s3:::calls/*"]);
    assert!(it.lab.change_role(ROLE, |role| role.permissions = blind));
    let fault = it.look("rec").await.unwrap_err();
    assert_eq!(fault.reason, ParkReason::AccessDenied);
    // An error is no absence, wherever it strikes.
    for operation in [Operation::HeadObject, Operation::ListObjectsV2] {
        let all = Policy::bucket(BUCKET, "", &GRANTED);
        assert!(it.lab.change_role(ROLE, |role| role.permissions = all));
        for (status, code) in [(500, "InternalError"), (503, "SlowDown")] {
            let fault = Fault::ErrorBefore {
                status,
                code: code.to_owned(),
            };
            let rule = it.lab.arm(FaultRule::on(operation, fault));
            assert!(it.look("rec").await.is_err(), "{operation:?} {code}");
            it.lab.clear_fault(rule);
        }
        let rule = it.lab.arm(FaultRule::on(operation, Fault::CloseBefore));
        let fault = it.look("rec").await.unwrap_err();
        assert_eq!(fault.reason, ParkReason::DestinationUnreachable);
        it.lab.clear_fault(rule);
    }
}

#[tokio::test]
async fn a_missing_bucket_is_no_missing_copy() {
    let it = Setting::start().await;
    sent(it.send("rec", b"x").await);
    it.lab.delete_bucket(BUCKET).unwrap();
    let fault = it.look("rec").await.unwrap_err();
    assert_eq!(fault.reason, ParkReason::BucketMissing);
    let fault = super::setting::refused(it.send("rec", b"x").await);
    assert_eq!(fault.reason, ParkReason::BucketMissing);
}

#[tokio::test]
async fn a_denied_look_is_neither_present_nor_absent() {
    let it = Setting::start().await;
    sent(it.send("rec", b"x").await);
    let denied = Policy::bucket(BUCKET, "", &["s3:PutObject"]);
    assert!(it.lab.change_role(ROLE, |role| role.permissions = denied));
    let fault = it.look("rec").await.unwrap_err();
    assert_eq!(fault.reason, ParkReason::AccessDenied);
}

#[tokio::test]
async fn an_expired_session_costs_a_look_one_renewal() {
    let it = Setting::start().await;
    let digests = sent(it.send("rec", b"x").await);
    it.prove("rec", digests).await.unwrap();
    it.lab.clear_history();
    it.lab.expire_sessions();
    it.prove("rec", digests).await.unwrap();
    assert_eq!(it.lab.count(Operation::AssumeRole), 1);
}

#[tokio::test]
async fn a_store_that_reports_no_checksum_is_read_back() {
    let it = Setting::start().await;
    let quirks = Quirks {
        reports_no_checksum: true,
        ..Quirks::default()
    };
    it.lab.set_quirks(BUCKET, quirks);
    let bytes = noise(700_000, 31);
    let digests = sent(it.send("rec", &bytes).await);
    assert_eq!(it.prove("rec", digests).await, Err(Mismatch::NeedsReadBack));
    let Ok(Look::Present(observed)) = it.look("rec").await else {
        panic!("nothing to see");
    };
    let account = "acme".parse().unwrap();
    let key = it.key("rec");
    let lookers = it.stores.lookers();
    let read = lookers
        .read_back(&it.destination, &account, &key, observed.clone())
        .await
        .unwrap();
    assert_eq!(read.read_back, Some(digests));
    let expected = Expected {
        digests,
        sent: None,
        first_look: None,
    };
    let proof = expected
        .verify(&announced("rec", bytes.len()), read)
        .unwrap();
    assert_eq!(proof.method(), Method::ReadBack);
    // Changed since the look: not the object that was looked at.
    it.lab
        .overwrite_object(BUCKET, key.as_str(), &bytes)
        .unwrap();
    it.lab
        .overwrite_object(BUCKET, key.as_str(), b"other")
        .unwrap();
    let read = lookers.read_back(&it.destination, &account, &key, observed);
    assert_eq!(read.await.unwrap_err().reason, ParkReason::OutcomeUnknown);
}

#[tokio::test]
async fn a_version_is_reported_where_the_bucket_keeps_versions() {
    let mut it = Setting::start().await;
    it.lab
        .create_versioned_bucket("kept", super::setting::OWNER)
        .unwrap();
    let both = Policy::bucket("kept", "", &GRANTED);
    assert!(it.lab.change_role(ROLE, |role| role.permissions = both));
    super::setting::s3(&mut it.destination).bucket = "kept".to_owned();
    let digests = sent(it.send("rec", b"x").await);
    let proof = it.prove("rec", digests).await.unwrap();
    assert!(proof.observed().version_id.is_some());
    // Deleted by the customer: a marker is no copy.
    it.lab
        .delete_object("kept", it.key("rec").as_str())
        .unwrap();
    assert_eq!(it.look("rec").await, Ok(Look::Absent));
}
