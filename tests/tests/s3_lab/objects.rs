//! Objects in one request, and lists of them.

use super::client::{Ask, crc64_base64, md5_base64, md5_hex, sha256_base64};
use super::{BUCKET, Fixture, OWNER, noise};
use callferry_tests::s3::Quirks;

#[tokio::test]
async fn an_object_comes_back_as_it_was_put() {
    let it = Fixture::start().await;
    let bytes = noise(480_000, 1);
    let key = "call/2026/11/22/rec 7ü+f3a.wav";
    let path = &format!("/calls/{key}");
    let ask = Ask::new("PUT", path)
        .header("content-type", "audio/wav")
        .header("x-amz-meta-callferry-recording", "rec-7f3a")
        .header("x-amz-storage-class", "STANDARD_IA")
        .header("x-amz-server-side-encryption", "AES256")
        .header("x-amz-tagging", "kind=call")
        .header("x-amz-acl", "bucket-owner-full-control")
        .body(&bytes);
    let put = it.owner.send(ask).await;
    assert_eq!(put.status, 200, "{}", put.text());
    assert_eq!(put.etag(), format!("\"{}\"", md5_hex(&bytes)));
    assert_eq!(put.header("x-amz-checksum-type"), Some("FULL_OBJECT"));

    let got = it.owner.get(path).await;
    assert_eq!((got.status, got.body == bytes), (200, true));
    let head = it.owner.head(path).await;
    assert_eq!(head.status, 200);
    for answer in [&got, &head] {
        assert_eq!(answer.header("content-length"), Some("480000"));
        assert_eq!(answer.header("content-type"), Some("audio/wav"));
        let recording = answer.header("x-amz-meta-callferry-recording");
        assert_eq!(recording, Some("rec-7f3a"));
        assert_eq!(answer.header("x-amz-storage-class"), Some("STANDARD_IA"));
        let encryption = answer.header("x-amz-server-side-encryption");
        assert_eq!(encryption, Some("AES256"));
        assert_eq!(answer.etag(), put.etag());
        assert!(answer.header("last-modified").is_some());
    }
    let crc = crc64_base64(&bytes);
    assert_eq!(head.header("x-amz-checksum-crc64nvme"), Some(crc.as_str()));
    assert_eq!(head.header("x-amz-checksum-type"), Some("FULL_OBJECT"));
    // Reported only to those who ask.
    assert_eq!(got.header("x-amz-checksum-crc64nvme"), None);

    let seen = it.lab.object(BUCKET, key).unwrap();
    assert_eq!(seen.size_bytes, 480_000);
    assert_eq!(seen.crc64nvme, crc);
    assert_eq!(seen.tagging.as_deref(), Some("kind=call"));
    assert_eq!(seen.acl.as_deref(), Some("bucket-owner-full-control"));
    let kept = it.lab.read_object(BUCKET, key).unwrap().unwrap();
    assert_eq!(kept.bytes, bytes);
}

#[tokio::test]
async fn kms_is_echoed_and_hides_the_md5() {
    let it = Fixture::start().await;
    let ask = Ask::new("PUT", "/calls/k")
        .header("x-amz-server-side-encryption", "aws:kms")
        .header("x-amz-server-side-encryption-aws-kms-key-id", "key-1")
        .header("x-amz-server-side-encryption-bucket-key-enabled", "true")
        .body(b"x");
    let put = it.owner.send(ask).await;
    let head = it.owner.head("/calls/k").await;
    for answer in [&put, &head] {
        let header = |name: &str| answer.header(&format!("x-amz-server-side-encryption{name}"));
        assert_eq!(header(""), Some("aws:kms"));
        assert_eq!(header("-aws-kms-key-id"), Some("key-1"));
        assert_eq!(header("-bucket-key-enabled"), Some("true"));
        assert_ne!(answer.etag(), format!("\"{}\"", md5_hex(b"x")));
    }
}

#[tokio::test]
async fn ranges_and_conditions_on_reading_are_obeyed() {
    let it = Fixture::start().await;
    let bytes = noise(2_500_000, 2);
    let etag = it.owner.put("/calls/k", &bytes).await.etag();
    let range = |range: &str| Ask::new("GET", "/calls/k").header("range", range);
    let middle = it.owner.send(range("bytes=1000000-1999999")).await;
    assert_eq!(middle.status, 206);
    assert!(middle.body == bytes[1_000_000..2_000_000]);
    let told = middle.header("content-range");
    assert_eq!(told, Some("bytes 1000000-1999999/2500000"));
    let tail = it.owner.send(range("bytes=-7")).await;
    assert!(tail.body == bytes[2_499_993..]);
    let beyond = it.owner.send(range("bytes=2500000-")).await;
    assert_eq!(beyond.refusal(), (416, "InvalidRange".into()));

    for method in ["GET", "HEAD"] {
        let ask = |name: &str, value: &str| Ask::new(method, "/calls/k").header(name, value);
        assert_eq!(it.owner.send(ask("if-match", &etag)).await.status, 200);
        assert_eq!(it.owner.send(ask("if-match", "\"0\"")).await.status, 412);
        let same = it.owner.send(ask("if-none-match", &etag)).await;
        assert_eq!(same.status, 304);
    }
}

#[tokio::test]
async fn false_claims_about_the_bytes_are_refused_and_nothing_is_stored() {
    let it = Fixture::start().await;
    let sent = noise(300_000, 3);
    let other = noise(300_000, 4);
    let claims = [
        ("x-amz-checksum-crc64nvme", crc64_base64(&other)),
        ("x-amz-checksum-sha256", sha256_base64(&other)),
        ("content-md5", md5_base64(&other)),
    ];
    for (name, value) in &claims {
        let ask = Ask::new("PUT", "/calls/k").header(name, value).body(&sent);
        let answer = it.owner.send(ask).await;
        assert_eq!(answer.refusal(), (400, "BadDigest".into()), "{name}");
    }
    let hash = it
        .owner
        .send(Ask::new("PUT", "/calls/k").signed_payload().body(&sent));
    let expected = (400, "XAmzContentSHA256Mismatch".into());
    assert_eq!(hash.await.refusal(), expected);
    let malformed = Ask::new("PUT", "/calls/k")
        .header("content-md5", "!")
        .body(&sent);
    let answer = it.owner.send(malformed).await;
    assert_eq!(answer.refusal(), (400, "InvalidDigest".into()));
    assert!(it.lab.objects(BUCKET).is_empty());

    let truths = [
        ("x-amz-checksum-crc64nvme", crc64_base64(&sent)),
        ("x-amz-checksum-sha256", sha256_base64(&sent)),
        ("content-md5", md5_base64(&sent)),
    ];
    for (name, value) in &truths {
        let ask = Ask::new("PUT", "/calls/k").header(name, value).body(&sent);
        assert_eq!(it.owner.send(ask.signed_payload()).await.status, 200);
        if name.starts_with("x-amz") {
            let head = it.owner.head("/calls/k").await;
            assert_eq!(head.header(name), Some(value.as_str()));
        }
    }
}

#[tokio::test]
async fn a_checksum_after_the_body_counts_like_one_before_it() {
    let it = Fixture::start().await;
    let bytes = noise(100_000, 5);
    for (value, status) in [(crc64_base64(&bytes), 200), (crc64_base64(b"other"), 400)] {
        let mut body = format!("{:x}\r\n", bytes.len()).into_bytes();
        body.extend_from_slice(&bytes);
        let end = format!("\r\n0\r\nx-amz-checksum-crc64nvme:{value}\r\n\r\n");
        body.extend_from_slice(end.as_bytes());
        let ask = Ask::new("PUT", "/calls/k")
            .header("content-encoding", "aws-chunked")
            .header("x-amz-decoded-content-length", "100000")
            .header("x-amz-trailer", "x-amz-checksum-crc64nvme")
            .payload("STREAMING-UNSIGNED-PAYLOAD-TRAILER")
            .body(&body);
        let answer = it.owner.send(ask).await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
    let kept = it.lab.read_object(BUCKET, "k").unwrap().unwrap();
    assert_eq!(kept.bytes, bytes);
}

#[tokio::test]
async fn writes_happen_only_under_their_condition() {
    let it = Fixture::start().await;
    let create = |body: &[u8]| {
        let ask = Ask::new("PUT", "/calls/k").header("if-none-match", "*");
        it.owner.send(ask.body(body))
    };
    let first = create(b"first").await;
    assert_eq!(first.status, 200);
    let second = create(b"second").await;
    assert_eq!(second.refusal(), (412, "PreconditionFailed".into()));
    let replace = |etag: &str, body: &[u8]| {
        let ask = Ask::new("PUT", "/calls/k").header("if-match", etag);
        it.owner.send(ask.body(body))
    };
    assert_eq!(replace("\"0\"", b"third").await.status, 412);
    assert_eq!(replace(&first.etag(), b"fourth").await.status, 200);
    assert_eq!(it.owner.get("/calls/k").await.body, b"fourth");

    let careless = Quirks {
        ignores_conditions: true,
        reports_no_checksum: true,
        ..Quirks::default()
    };
    it.lab.set_quirks(BUCKET, careless);
    assert_eq!(create(b"fifth").await.status, 200);
    let head = it.owner.head("/calls/k").await;
    assert_eq!(head.header("x-amz-checksum-crc64nvme"), None);
}

#[tokio::test]
async fn deletions_happen_only_under_their_condition() {
    let it = Fixture::start().await;
    it.lab.create_versioned_bucket("kept", OWNER).unwrap();
    for path in ["/calls/k", "/kept/k"] {
        let etag = it.owner.put(path, b"first").await.etag();
        let delete = |etag: &str| {
            it.owner
                .send(Ask::new("DELETE", path).header("if-match", etag))
        };
        let refused = delete("\"0\"").await.refusal();
        assert_eq!(refused, (412, "PreconditionFailed".into()), "{path}");
        assert_eq!(it.owner.get(path).await.body, b"first");
        assert_eq!(delete(&etag).await.status, 204, "{path}");
        assert_eq!(it.owner.head(path).await.status, 404, "{path}");
        let again = delete(&etag).await.refusal();
        assert_eq!(again, (404, "NoSuchKey".into()), "{path}");
    }
    let careless = Quirks {
        deletes_unconditionally: true,
        ..Quirks::default()
    };
    it.lab.set_quirks(BUCKET, careless);
    it.owner.put("/calls/k", b"second").await;
    let ask = Ask::new("DELETE", "/calls/k").header("if-match", "\"0\"");
    assert_eq!(it.owner.send(ask).await.status, 204);
    assert_eq!(it.owner.head("/calls/k").await.status, 404);
}

#[tokio::test]
async fn simultaneous_creations_have_one_winner() {
    let it = Fixture::start().await;
    let attempts = (0..16_u8).map(|number| {
        let ask = Ask::new("PUT", "/calls/k").header("if-none-match", "*");
        it.owner.send(ask.body(&[number; 200_000]))
    });
    let answers = futures::future::join_all(attempts).await;
    let won: Vec<usize> = (0..16).filter(|i| answers[*i].status == 200).collect();
    assert_eq!(won.len(), 1);
    assert_eq!(answers.iter().filter(|it| it.status == 412).count(), 15);
    let kept = it.owner.get("/calls/k").await.body;
    assert!(kept.iter().all(|byte| usize::from(*byte) == won[0]));
}

#[tokio::test]
async fn the_owner_expected_must_be_the_owner() {
    let it = Fixture::start().await;
    for (owner, status) in [(OWNER, 200), ("999999999999", 403)] {
        let ask = Ask::new("PUT", "/calls/k").header("x-amz-expected-bucket-owner", owner);
        let answer = it.owner.send(ask.body(b"x")).await;
        assert_eq!(answer.status, status);
        let ask = Ask::new("HEAD", "/calls/k").header("x-amz-expected-bucket-owner", owner);
        assert_eq!(it.owner.send(ask).await.status, status);
    }
}

#[tokio::test]
async fn lists_come_page_by_page_and_rolled_up() {
    let it = Fixture::start().await;
    for key in ["a/1", "a/2", "a/3", "b/1", "c"] {
        it.owner.put(&format!("/calls/{key}"), b"x").await;
    }
    let list = || Ask::new("GET", "/calls").query("list-type", "2");
    let first = it
        .owner
        .send(list().query("max-keys", "2").query("prefix", "a/"))
        .await;
    assert_eq!(first.elements("Contents"), 2);
    assert_eq!(first.element("IsTruncated").unwrap(), "true");
    let token = first.element("NextContinuationToken").unwrap();
    let rest = list()
        .query("prefix", "a/")
        .query("continuation-token", &token);
    let rest = it.owner.send(rest).await;
    assert_eq!(rest.elements("Contents"), 1);
    assert_eq!(rest.element("Key").unwrap(), "a/3");
    assert_eq!(rest.element("IsTruncated").unwrap(), "false");

    let folders = it.owner.send(list().query("delimiter", "/")).await;
    assert_eq!(folders.elements("CommonPrefixes"), 2);
    assert_eq!(folders.elements("Contents"), 1);
    let after = it.owner.send(list().query("start-after", "a/3")).await;
    assert_eq!(after.elements("Contents"), 2);
    let head = it.owner.send(Ask::new("HEAD", "/calls")).await;
    assert_eq!(head.status, 200);
    let location = it
        .owner
        .send(Ask::new("GET", "/calls").query("location", ""));
    assert!(location.await.text().contains("LocationConstraint"));
}

#[tokio::test]
async fn deleting_takes_one_or_many_and_forgives_what_is_missing() {
    let it = Fixture::start().await;
    for key in ["a", "b", "c"] {
        it.owner.put(&format!("/calls/{key}"), b"x").await;
    }
    assert_eq!(it.owner.delete("/calls/a").await.status, 204);
    assert_eq!(it.owner.delete("/calls/a").await.status, 204);
    let list = "<Delete><Object><Key>b</Key></Object><Object><Key>none</Key></Object></Delete>";
    let ask = Ask::new("POST", "/calls")
        .query("delete", "")
        .body(list.as_bytes());
    let ask = ask.header("content-md5", &md5_base64(list.as_bytes()));
    let answer = it.owner.send(ask).await;
    assert_eq!((answer.status, answer.elements("Deleted")), (200, 2));
    let left: Vec<String> = it
        .lab
        .objects(BUCKET)
        .into_iter()
        .map(|it| it.key)
        .collect();
    assert_eq!(left, ["c"]);
    assert_eq!(
        it.owner.get("/calls/a").await.refusal(),
        (404, "NoSuchKey".into())
    );
    let nowhere = it.owner.put("/nowhere/a", b"x").await;
    assert_eq!(nowhere.refusal(), (404, "NoSuchBucket".into()));
}

#[tokio::test]
async fn a_versioned_bucket_hides_what_is_deleted_and_keeps_it() {
    let it = Fixture::start().await;
    it.lab.create_versioned_bucket("kept", OWNER).unwrap();
    let first = it.owner.put("/kept/k", b"first").await;
    let version = first.header("x-amz-version-id").unwrap().to_owned();
    it.owner.put("/kept/k", b"second").await;
    let deleted = it.owner.delete("/kept/k").await;
    assert_eq!(deleted.header("x-amz-delete-marker"), Some("true"));
    assert_eq!(it.owner.get("/kept/k").await.status, 404);
    let old = Ask::new("GET", "/kept/k").query("versionId", &version);
    assert_eq!(it.owner.send(old).await.body, b"first");
    let list = || {
        it.owner
            .send(Ask::new("GET", "/kept").query("versions", ""))
    };
    let listed = list().await;
    assert_eq!(
        (listed.elements("Version"), listed.elements("DeleteMarker")),
        (2, 1)
    );
    let gone = Ask::new("DELETE", "/kept/k").query("versionId", &version);
    assert_eq!(it.owner.send(gone).await.status, 204);
    assert_eq!(list().await.elements("Version"), 1);
}

#[tokio::test]
async fn zeros_take_no_room_on_the_disk_and_come_back_as_zeros() {
    use std::os::unix::fs::MetadataExt;
    let it = Fixture::start().await;
    let mut bytes = vec![0; 8 * 1024 * 1024];
    for at in [0, 4095, 4096, 1_000_001, 5_000_000] {
        bytes[at] = 7;
    }
    it.owner.put("/calls/holes", &bytes).await;
    it.owner.put("/calls/zeros", &bytes[6_000_000..]).await;
    it.owner.put("/calls/none", b"").await;
    let room = |file: std::io::Result<std::fs::DirEntry>| {
        let known = file.unwrap().metadata().unwrap();
        (known.size(), known.blocks() * 512)
    };
    let blobs = std::fs::read_dir(it.lab.data_dir().join("blobs")).unwrap();
    let (sizes, rooms): (Vec<u64>, Vec<u64>) = blobs.map(room).unzip();
    let all = 8 * 1024 * 1024 + 8 * 1024 * 1024 - 6_000_000;
    assert_eq!(sizes.into_iter().sum::<u64>(), all);
    assert!(rooms.iter().sum::<u64>() < 256 * 1024, "{rooms:?}");
    assert!(it.owner.get("/calls/holes").await.body == bytes);
    assert!(it.owner.get("/calls/zeros").await.body == bytes[6_000_000..]);
    let head = it.owner.head("/calls/holes").await;
    let crc = crc64_base64(&bytes);
    assert_eq!(head.header("x-amz-checksum-crc64nvme"), Some(crc.as_str()));
    let kept = it.lab.read_object(BUCKET, "holes").unwrap().unwrap();
    let sha256 = it.lab.sha256_of(BUCKET, "holes").unwrap();
    assert_eq!(sha256, Some(kept.sha256));
    assert_eq!(it.lab.sha256_of(BUCKET, "missing").unwrap(), None);
}
