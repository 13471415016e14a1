//! Starting, stopping, starting again; buckets coming and going; the customer's own hand.

use super::client::{Ask, Client, crc64_base64};
use super::sts::{assume_role, session};
use super::{BUCKET, Fixture, OWNER, noise, register};
use callferry_tests::s3::{LabOptions, S3Lab};

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let it = Fixture::start().await;
    let answer = it.platform.sts(&assume_role()).await;
    let session = session(&it.platform, &answer);
    let bytes = noise(480_000, 1);
    for number in 0..20 {
        session.put(&format!("/calls/{number}"), &bytes).await;
    }
    it.owner.delete("/calls/7").await;
    let created = it
        .owner
        .send(Ask::new("POST", "/calls/big").query("uploads", ""))
        .await;
    let id = created.element("UploadId").unwrap();
    let part = Ask::new("PUT", "/calls/big").query("uploadId", &id);
    let etag = it
        .owner
        .send(part.query("partNumber", "1").body(&bytes))
        .await
        .etag();

    let address = it.lab.address();
    it.lab.stop().await;
    assert!(
        it.owner
            .try_send(Ask::new("GET", "/calls/1"))
            .await
            .is_err()
    );
    it.lab.start_again().await.unwrap();
    assert_eq!(it.lab.address(), address);
    assert!(it.lab.start_again().await.is_err());
    assert_eq!(it.lab.objects(BUCKET).len(), 19);
    // The session begun before goes on.
    let head = session.head("/calls/3").await;
    let crc = crc64_base64(&bytes);
    assert_eq!(head.header("x-amz-checksum-crc64nvme"), Some(crc.as_str()));
    assert!(session.get("/calls/19").await.body == bytes);
    let body = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>\
         </CompleteMultipartUpload>"
    );
    let ask = Ask::new("POST", "/calls/big").query("uploadId", &id);
    assert_eq!(it.owner.send(ask.body(body.as_bytes())).await.status, 200);
    assert!(it.owner.get("/calls/big").await.body == bytes);
}

#[tokio::test]
async fn another_process_could_open_the_same_directory() {
    let scratch = tempfile::tempdir().unwrap();
    let options = LabOptions {
        data_dir: Some(scratch.path().to_owned()),
        ..LabOptions::default()
    };
    let first = S3Lab::start_with(options.clone()).await.unwrap();
    first.create_bucket(BUCKET, OWNER).unwrap();
    register(&first);
    let owner = Client::new(&first.endpoint(), "AKIDOWNER", "owner-secret");
    owner.put("/calls/k", b"bytes").await;
    first.stop().await;
    drop(first);
    // A process killed while it wrote leaves half a line and a file nobody knows.
    let journal = scratch.path().join("journal.jsonl");
    let mut text = std::fs::read(&journal).unwrap();
    text.extend_from_slice(b"{\"Put\":{\"buck");
    std::fs::write(&journal, text).unwrap();
    std::fs::write(scratch.path().join("blobs/99"), b"lost").unwrap();

    let second = S3Lab::start_with(options).await.unwrap();
    assert_eq!(second.objects(BUCKET).len(), 1);
    assert!(!scratch.path().join("blobs/99").exists());
    let kept = second.read_object(BUCKET, "k").unwrap().unwrap();
    assert_eq!(kept.bytes, b"bytes");
}

#[tokio::test]
async fn dropping_the_handle_ends_the_server() {
    let it = Fixture::start().await;
    assert_eq!(it.owner.put("/calls/k", b"x").await.status, 200);
    let directory = it.lab.data_dir().to_owned();
    drop(it.lab);
    assert!(!directory.exists());
    while it.owner.try_send(Ask::new("GET", "/calls/k")).await.is_ok() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn buckets_come_and_go() {
    let it = Fixture::start().await;
    it.owner.put("/calls/k", b"x").await;
    assert!(it.lab.create_bucket(BUCKET, OWNER).is_err());
    assert!(it.lab.create_bucket("odd", "not twelve").is_err());
    assert!(it.lab.delete_bucket(BUCKET).unwrap());
    assert!(!it.lab.delete_bucket(BUCKET).unwrap());
    let refusal = it.owner.put("/calls/k", b"x").await.refusal();
    assert_eq!(refusal, (404, "NoSuchBucket".into()));
    it.lab.create_bucket(BUCKET, "444455556666").unwrap();
    assert!(it.lab.objects(BUCKET).is_empty());
    let owner = |id: &str| {
        let ask = Ask::new("HEAD", "/calls").header("x-amz-expected-bucket-owner", id);
        it.owner.send(ask)
    };
    assert_eq!(owner(OWNER).await.status, 403);
    assert_eq!(owner("444455556666").await.status, 200);
}

#[tokio::test]
async fn the_customer_can_lay_hands_on_the_bucket() {
    let it = Fixture::start().await;
    it.owner.put("/calls/k", b"the recording").await;
    it.lab
        .overwrite_object(BUCKET, "k", b"something else")
        .unwrap();
    let head = it.owner.head("/calls/k").await;
    let crc = crc64_base64(b"something else");
    assert_eq!(head.header("x-amz-checksum-crc64nvme"), Some(crc.as_str()));
    let kept = it.lab.read_object(BUCKET, "k").unwrap().unwrap();
    assert_eq!(kept.bytes, b"something else");
    assert_eq!(kept.sha256.len(), 64);
    assert!(it.lab.delete_object(BUCKET, "k").unwrap());
    assert!(!it.lab.delete_object(BUCKET, "k").unwrap());
    assert!(it.lab.read_object(BUCKET, "k").unwrap().is_none());
    assert_eq!(it.owner.head("/calls/k").await.status, 404);
}

#[tokio::test]
async fn many_objects_at_once_all_arrive() {
    let lab = S3Lab::start_with(LabOptions {
        opaque_etags: true,
        ..LabOptions::default()
    });
    let lab = lab.await.unwrap();
    lab.create_bucket(BUCKET, OWNER).unwrap();
    register(&lab);
    let owner = Client::new(&lab.endpoint(), "AKIDOWNER", "owner-secret");
    let bytes = noise(480_000, 2);
    for batch in 0..8 {
        let puts = (0..32).map(|number| {
            let ask = Ask::new("PUT", &format!("/calls/{batch}/{number}"));
            owner.send(ask.header("if-none-match", "*").body(&bytes))
        });
        let answers = futures::future::join_all(puts).await;
        assert!(answers.iter().all(|answer| answer.status == 200));
    }
    let stored = lab.objects(BUCKET);
    let crc = crc64_base64(&bytes);
    assert_eq!(stored.len(), 256);
    assert!(stored.iter().all(|object| object.crc64nvme == crc));
}
