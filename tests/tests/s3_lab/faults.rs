//! Misbehaviour to order, and the record of it.

use std::time::{Duration, Instant};

use super::client::{Ask, crc64_base64};
use super::sts::assume_role;
use super::{BUCKET, Fixture, noise};
use callferry_tests::s3::{Fault, FaultRule, Operation, S3Lab};

fn slow_down() -> Fault {
    Fault::ErrorBefore {
        status: 503,
        code: "SlowDown".into(),
    }
}

async fn until(lab: &S3Lab, condition: impl Fn(&S3Lab) -> bool) {
    while !condition(lab) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn rules_choose_by_operation_bucket_prefix_and_count() {
    let it = Fixture::start().await;
    it.lab.create_bucket("other", "444455556666").unwrap();
    let rule = FaultRule::on(Operation::PutObject, slow_down());
    let id = it
        .lab
        .arm(rule.bucket(BUCKET).key_prefix("a/").after(1).times(2));
    let mut statuses = Vec::new();
    for path in [
        "/calls/b/1",
        "/other/a/1",
        "/calls/a/1",
        "/calls/a/2",
        "/calls/a/3",
        "/calls/a/4",
    ] {
        statuses.push(it.owner.put(path, &noise(100_000, 1)).await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 503, 503, 200]);
    assert_eq!(it.lab.struck(id), 2);
    assert!(it.lab.object(BUCKET, "a/2").is_none());
    let seen = it.lab.history();
    assert_eq!(seen[3].code.as_deref(), Some("SlowDown"));
    assert_eq!(seen[3].status, Some(503));
    assert_eq!(seen[0].bytes_in, 100_000);

    it.lab.clear_faults();
    it.lab
        .arm(FaultRule::on(Operation::GetObject, slow_down()).every(2));
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(it.owner.get("/calls/a/1").await.status);
    }
    assert_eq!(statuses, [503, 200, 503, 200]);
    it.lab.clear_faults();
    assert_eq!(it.owner.get("/calls/a/1").await.status, 200);
    assert_eq!(it.lab.count(Operation::GetObject), 5);
}

#[tokio::test]
async fn an_answer_can_be_lost_after_the_deed() {
    let it = Fixture::start().await;
    let error = Fault::ErrorAfter {
        status: 500,
        code: "InternalError".into(),
    };
    it.lab
        .arm(FaultRule::on(Operation::PutObject, error).once());
    let answer = it.owner.put("/calls/1", b"one").await;
    assert_eq!(answer.refusal(), (500, "InternalError".into()));
    assert!(it.lab.object(BUCKET, "1").is_some());

    it.lab
        .arm(FaultRule::on(Operation::PutObject, Fault::CloseAfter).once());
    let ask = Ask::new("PUT", "/calls/2").body(b"two");
    assert!(it.owner.try_send(ask).await.is_err());
    assert!(it.lab.object(BUCKET, "2").is_some());
    assert_eq!(it.lab.history()[1].status, None);

    it.lab
        .arm(FaultRule::on(Operation::PutObject, Fault::CloseBefore).once());
    let ask = Ask::new("PUT", "/calls/3").body(b"three");
    assert!(it.owner.try_send(ask).await.is_err());
    assert!(it.lab.object(BUCKET, "3").is_none());
}

#[tokio::test]
async fn a_completion_can_fail_with_status_200() {
    let it = Fixture::start().await;
    let code = || "InternalError".to_owned();
    let mut kept = Vec::new();
    for fault in [
        Fault::ErrorInBodyBefore { code: code() },
        Fault::ErrorInBodyAfter { code: code() },
    ] {
        let created = it
            .owner
            .send(Ask::new("POST", "/calls/k").query("uploads", ""))
            .await;
        let id = created.element("UploadId").unwrap();
        let part = Ask::new("PUT", "/calls/k").query("uploadId", &id);
        let etag = it
            .owner
            .send(part.query("partNumber", "1").body(b"x"))
            .await
            .etag();
        let body = format!(
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>\
             </CompleteMultipartUpload>"
        );
        it.lab
            .arm(FaultRule::on(Operation::CompleteMultipartUpload, fault).once());
        let ask = Ask::new("POST", "/calls/k").query("uploadId", &id);
        let answer = it.owner.send(ask.body(body.as_bytes())).await;
        assert_eq!(answer.refusal(), (200, "InternalError".into()));
        kept.push(it.lab.object(BUCKET, "k").is_some());
    }
    assert_eq!(kept, [false, true]);
}

#[tokio::test]
async fn stored_bytes_can_be_spoiled_behind_a_friendly_answer() {
    let it = Fixture::start().await;
    let bytes = noise(200_000, 2);
    let cut = Fault::StoreTruncated {
        keep_bytes: 150_000,
    };
    it.lab.arm(FaultRule::on(Operation::PutObject, cut).once());
    let sent = crc64_base64(&bytes);
    let ask = Ask::new("PUT", "/calls/cut").header("x-amz-checksum-crc64nvme", &sent);
    let answer = it.owner.send(ask.body(&bytes)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("x-amz-checksum-crc64nvme"),
        Some(sent.as_str())
    );
    let head = it.owner.head("/calls/cut").await;
    assert_eq!(head.header("content-length"), Some("150000"));
    let kept = crc64_base64(&bytes[..150_000]);
    assert_eq!(head.header("x-amz-checksum-crc64nvme"), Some(kept.as_str()));

    it.lab
        .arm(FaultRule::on(Operation::PutObject, Fault::StoreCorrupted).once());
    assert_eq!(it.owner.put("/calls/bad", &bytes).await.status, 200);
    let got = it.owner.get("/calls/bad").await.body;
    assert_eq!(got.len(), bytes.len());
    let different = got.iter().zip(&bytes).filter(|(a, b)| a != b).count();
    assert_eq!(different, 1);
    let head = it.owner.head("/calls/bad").await;
    let kept = crc64_base64(&got);
    assert_eq!(head.header("x-amz-checksum-crc64nvme"), Some(kept.as_str()));
}

#[tokio::test]
async fn multipart_objects_can_be_spoiled_too() {
    let it = Fixture::start().await;
    let parts = [noise(5 * 1024 * 1024, 3), noise(1000, 4)];
    let whole = parts.concat();
    let cases = [
        (Operation::CompleteMultipartUpload, Fault::StoreCorrupted),
        (
            Operation::CompleteMultipartUpload,
            Fault::StoreTruncated { keep_bytes: 1000 },
        ),
        (
            Operation::UploadPart,
            Fault::StoreTruncated { keep_bytes: 1000 },
        ),
    ];
    for (operation, fault) in cases {
        it.lab.arm(FaultRule::on(operation, fault).once());
        let created = it
            .owner
            .send(Ask::new("POST", "/calls/k").query("uploads", ""))
            .await;
        let id = created.element("UploadId").unwrap();
        let mut list = String::new();
        for (number, bytes) in (1..).zip(&parts) {
            let ask = Ask::new("PUT", "/calls/k").query("uploadId", &id);
            let ask = ask.query("partNumber", &format!("{number}")).body(bytes);
            let etag = it.owner.send(ask).await.etag();
            list += &format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>");
        }
        let body = format!("<CompleteMultipartUpload>{list}</CompleteMultipartUpload>");
        let ask = Ask::new("POST", "/calls/k").query("uploadId", &id);
        assert_eq!(it.owner.send(ask.body(body.as_bytes())).await.status, 200);
        let kept = it.lab.read_object(BUCKET, "k").unwrap().unwrap();
        assert!(kept.bytes != whole);
        let head = it.owner.head("/calls/k").await;
        let crc = crc64_base64(&kept.bytes);
        assert_eq!(head.header("x-amz-checksum-crc64nvme"), Some(crc.as_str()));
    }
}

#[tokio::test]
async fn requests_hang_until_they_are_released() {
    let it = Fixture::start().await;
    for (fault, stored) in [(Fault::HangBefore, false), (Fault::HangAfter, true)] {
        it.lab.delete_object(BUCKET, "k").unwrap();
        let id = it
            .lab
            .arm(FaultRule::on(Operation::PutObject, fault).once());
        let owner = it.owner.clone();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move { owner.put("/calls/k", b"x").await.status });
        until(&it.lab, |lab| {
            lab.struck(id) == 1 && lab.object(BUCKET, "k").is_some() == stored
        })
        .await;
        // Others are not held up.
        assert_eq!(it.owner.put("/calls/other", b"x").await.status, 200);
        assert!(tasks.try_join_next().is_none());
        it.lab.release(id);
        assert_eq!(tasks.join_next().await.unwrap().unwrap(), 200);
        assert!(it.lab.object(BUCKET, "k").is_some());
    }
}

#[tokio::test]
async fn who_gives_up_waiting_is_in_the_record() {
    let it = Fixture::start().await;
    it.lab
        .arm(FaultRule::on(Operation::PutObject, Fault::HangBefore));
    let wait = Duration::from_millis(200);
    let ask = Ask::new("PUT", "/calls/k").body(b"x");
    let gave_up = tokio::time::timeout(wait, it.owner.try_send(ask)).await;
    assert!(gave_up.is_err());
    until(&it.lab, |lab| !lab.history().is_empty()).await;
    assert_eq!(it.lab.history()[0].status, None);
    it.lab.clear_faults();
    assert!(it.lab.object(BUCKET, "k").is_none());
}

#[tokio::test]
async fn time_can_be_made_to_pass() {
    let it = Fixture::start().await;
    let time = Duration::from_millis(120);
    let slow = Fault::SlowBody {
        bytes_per_second: 500_000,
    };
    let bytes = noise(100_000, 5);
    it.owner.put("/calls/k", &bytes).await;
    for fault in [Fault::DelayBefore(time), Fault::DelayAfter(time), slow] {
        let id = it.lab.arm(FaultRule::always(fault));
        let began = Instant::now();
        assert_eq!(it.owner.put("/calls/k", &bytes).await.status, 200);
        assert!(began.elapsed() >= time);
        let began = Instant::now();
        assert!(it.owner.get("/calls/k").await.body == bytes);
        assert!(began.elapsed() >= time);
        it.lab.clear_fault(id);
    }
    it.lab.set_latency(time);
    let began = Instant::now();
    assert_eq!(it.owner.head("/calls/k").await.status, 200);
    assert!(began.elapsed() >= time);
    assert!(it.lab.history().last().unwrap().took >= time);
}

#[tokio::test]
async fn sts_can_misbehave_as_well() {
    let it = Fixture::start().await;
    it.lab
        .arm(FaultRule::on(Operation::AssumeRole, slow_down()).once());
    let answer = it.platform.sts(&assume_role()).await;
    assert_eq!(answer.refusal(), (503, "SlowDown".into()));
    assert!(answer.text().starts_with("<ErrorResponse"));
    assert_eq!(it.platform.sts(&assume_role()).await.status, 200);
    assert_eq!(it.lab.counts()[&Operation::AssumeRole], 2);
    it.lab.clear_history();
    assert!(it.lab.history().is_empty());
}

#[tokio::test]
async fn all_bodies_together_can_be_kept_to_a_bandwidth() {
    let it = Fixture::start().await;
    let bytes = noise(100_000, 6);
    it.lab.set_bandwidth(Some(1_000_000));
    let began = Instant::now();
    let ways = ["/calls/1", "/calls/2", "/calls/3"];
    let puts = ways.map(|path| it.owner.put(path, &bytes));
    for answer in futures::future::join_all(puts).await {
        assert_eq!(answer.status, 200);
    }
    assert!(it.owner.get("/calls/1").await.body == bytes);
    // 400 kB, but for what an idle line lends.
    assert!(began.elapsed() >= Duration::from_millis(340));
    it.lab.set_bandwidth(None);
    assert!(it.owner.get("/calls/2").await.body == bytes);
}
