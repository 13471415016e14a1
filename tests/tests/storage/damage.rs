//! Stores that say yes and keep something else: the look must find out.

use recording::Mismatch;

use super::setting::{BUCKET, MIB, Setting, noise, sent};
use callferry_tests::s3::{Fault, FaultRule, Operation};

#[tokio::test]
async fn a_truncated_or_corrupted_copy_is_never_proven() {
    let it = Setting::start().await;
    let cases = [
        (Operation::PutObject, 100_000),
        (Operation::CompleteMultipartUpload, 6 * MIB),
    ];
    for (operation, size) in cases {
        let bytes = noise(size, 21);
        let cut = Fault::StoreTruncated { keep_bytes: 1000 };
        it.lab.arm(FaultRule::on(operation, cut).once());
        let name = format!("cut-{size}");
        let digests = sent(it.send(&name, &bytes).await);
        let mismatch = it.prove(&name, digests).await.unwrap_err();
        assert!(matches!(mismatch, Mismatch::Size { .. }), "{mismatch}");

        let flipped = FaultRule::on(operation, Fault::StoreCorrupted);
        it.lab.arm(flipped.once());
        let name = format!("flip-{size}");
        let digests = sent(it.send(&name, &bytes).await);
        let mismatch = it.prove(&name, digests).await.unwrap_err();
        assert_eq!(mismatch, Mismatch::Content);
        assert!(it.stored(&name).unwrap() != bytes);
    }
}

#[tokio::test]
async fn a_corrupted_part_is_never_proven() {
    let it = Setting::start().await;
    let rule = FaultRule::on(Operation::UploadPart, Fault::StoreCorrupted);
    it.lab.arm(rule.once());
    // Either the store finds out when it completes, or the look does.
    match it.send("rec", &noise(6 * MIB, 22)).await {
        Ok(
            recording::SendOutcome::Sent(digests, _) | recording::SendOutcome::Unclear(digests, _),
        ) => {
            it.prove("rec", digests).await.unwrap_err();
        }
        Err(_) => assert!(it.lab.objects(BUCKET).is_empty()),
    }
}

#[tokio::test]
async fn somebody_elses_object_at_the_key_is_foreign() {
    let it = Setting::start().await;
    let bytes = noise(1000, 23);
    let key = it.key("rec");
    it.lab
        .overwrite_object(BUCKET, key.as_str(), &bytes)
        .unwrap();
    let digests = super::setting::unclear(it.send("rec", &bytes).await);
    assert_eq!(it.prove("rec", digests).await, Err(Mismatch::Foreign));
}
