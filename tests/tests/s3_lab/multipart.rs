//! Objects in parts.

use super::client::{Answer, Ask, Client, crc64_base64, md5_hex, sha256_base64};
use super::{BUCKET, Fixture, noise};
use callferry_tests::s3::OpenUpload;

const MIB: usize = 1024 * 1024;
const PATH: &str = "/calls/call/big.wav";
const KEY: &str = "call/big.wav";

async fn create(client: &Client, headers: &[(&str, &str)]) -> String {
    let mut ask = Ask::new("POST", PATH).query("uploads", "");
    for (name, value) in headers {
        ask = ask.header(name, value);
    }
    let answer = client.send(ask).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.element("UploadId").unwrap()
}

fn part(id: &str, number: usize, bytes: &[u8]) -> Ask {
    let ask = Ask::new("PUT", PATH).query("uploadId", id);
    ask.query("partNumber", &number.to_string()).body(bytes)
}

/// Uploads the parts; returns their `ETags`.
async fn upload(client: &Client, id: &str, parts: &[&[u8]]) -> Vec<String> {
    let mut etags = Vec::new();
    for (index, bytes) in parts.iter().enumerate() {
        let answer = client.send(part(id, index + 1, bytes)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        etags.push(answer.etag());
    }
    etags
}

fn completion(id: &str, etags: &[String]) -> Ask {
    let numbered = etags.iter().enumerate();
    let parts: String = numbered
        .map(|(index, etag)| {
            let number = index + 1;
            format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
        })
        .collect();
    let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
    let ask = Ask::new("POST", PATH).query("uploadId", id);
    ask.body(body.as_bytes())
}

fn code(answer: &Answer) -> (u16, String) {
    answer.refusal()
}

#[tokio::test]
async fn parts_become_one_object_with_the_checksum_of_the_whole() {
    let it = Fixture::start().await;
    let (first, second) = (noise(6 * MIB, 6), noise(5 * MIB + 17, 7));
    let whole = [first.clone(), second.clone()].concat();
    let headers = [
        ("content-type", "audio/wav"),
        ("x-amz-meta-account", "acme"),
        ("x-amz-checksum-algorithm", "CRC64NVME"),
        ("x-amz-checksum-type", "FULL_OBJECT"),
        ("x-amz-storage-class", "STANDARD_IA"),
    ];
    let id = create(&it.owner, &headers).await;
    let etags = upload(&it.owner, &id, &[&first, &second]).await;
    assert_eq!(etags[0], format!("\"{}\"", md5_hex(&first)));
    // Not an object before it is complete.
    assert_eq!(it.owner.get(PATH).await.status, 404);
    let crc = crc64_base64(&whole);
    let ask = completion(&id, &etags)
        .header("x-amz-checksum-crc64nvme", &crc)
        .header("x-amz-checksum-type", "FULL_OBJECT")
        .header("x-amz-mp-object-size", &whole.len().to_string())
        .header("if-none-match", "*");
    let completed = it.owner.send(ask).await;
    assert_eq!(completed.status, 200, "{}", completed.text());
    assert_eq!(completed.element("ChecksumCRC64NVME").unwrap(), crc);

    let head = it.owner.head(PATH).await;
    assert_eq!(head.header("x-amz-checksum-crc64nvme"), Some(crc.as_str()));
    assert_eq!(head.header("x-amz-checksum-type"), Some("FULL_OBJECT"));
    assert_eq!(head.header("content-type"), Some("audio/wav"));
    assert_eq!(head.header("x-amz-meta-account"), Some("acme"));
    assert_eq!(head.header("x-amz-storage-class"), Some("STANDARD_IA"));
    let md5s = [md5_hex(&first), md5_hex(&second)].concat();
    let expected = format!("\"{}-2\"", md5_hex(&hex::decode(md5s).unwrap()));
    assert_eq!(head.etag(), expected);
    assert!(it.owner.get(PATH).await.body == whole);
    let range = Ask::new("GET", PATH).header("range", "bytes=6291450-6291465");
    assert_eq!(
        it.owner.send(range).await.body,
        whole[6_291_450..=6_291_465]
    );
    // Completed uploads are no uploads.
    let again = it.owner.send(completion(&id, &etags)).await;
    assert_eq!(code(&again), (404, "NoSuchUpload".into()));
}

#[tokio::test]
async fn a_completion_that_does_not_fit_is_refused_and_the_upload_stays() {
    let it = Fixture::start().await;
    let (first, second) = (noise(5 * MIB, 8), noise(1000, 9));
    let id = create(&it.owner, &[]).await;
    let etags = upload(&it.owner, &id, &[&first, &second]).await;
    let wrong_etags = vec![etags[0].clone(), etags[0].clone()];
    let missing = vec![etags[0].clone(), etags[1].clone(), etags[1].clone()];
    let crc = crc64_base64(b"other");
    let refused = [
        (completion(&id, &wrong_etags), 400, "InvalidPart"),
        (completion(&id, &missing), 400, "InvalidPart"),
        (completion("none", &etags), 404, "NoSuchUpload"),
        (
            completion(&id, &etags).header("x-amz-checksum-crc64nvme", &crc),
            400,
            "BadDigest",
        ),
        (
            completion(&id, &etags).header("x-amz-mp-object-size", "1"),
            400,
            "InvalidRequest",
        ),
    ];
    for (ask, status, expected) in refused {
        assert_eq!(code(&it.owner.send(ask).await), (status, expected.into()));
    }
    let backwards = format!(
        "<CompleteMultipartUpload><Part><PartNumber>2</PartNumber><ETag>{}</ETag></Part>\
         <Part><PartNumber>1</PartNumber><ETag>{}</ETag></Part></CompleteMultipartUpload>",
        etags[1], etags[0]
    );
    let ask = Ask::new("POST", PATH)
        .query("uploadId", &id)
        .body(backwards.as_bytes());
    let answer = it.owner.send(ask).await;
    assert_eq!(code(&answer), (400, "InvalidPartOrder".into()));

    it.owner.put(PATH, b"somebody was here").await;
    let ask = completion(&id, &etags).header("if-none-match", "*");
    let answer = it.owner.send(ask).await;
    assert_eq!(code(&answer), (412, "PreconditionFailed".into()));
    assert_eq!(it.owner.get(PATH).await.body, b"somebody was here");
    it.owner.delete(PATH).await;
    let ask = completion(&id, &etags).header("if-none-match", "*");
    assert_eq!(it.owner.send(ask).await.status, 200);
    assert_eq!(it.lab.objects(BUCKET)[0].size_bytes, 5 * 1024 * 1024 + 1000);
}

#[tokio::test]
async fn small_parts_are_refused_when_completing_unless_they_are_last() {
    let it = Fixture::start().await;
    let id = create(&it.owner, &[]).await;
    let etags = upload(&it.owner, &id, &[b"small", b"last"]).await;
    let answer = it.owner.send(completion(&id, &etags)).await;
    assert_eq!(code(&answer), (400, "EntityTooSmall".into()));
    // A part sent again replaces the one before.
    let big = noise(5 * MIB, 10);
    let etags = [upload(&it.owner, &id, &[&big]).await, etags[1..].to_vec()].concat();
    assert_eq!(it.owner.send(completion(&id, &etags)).await.status, 200);
    let kept = it.lab.read_object(BUCKET, KEY).unwrap().unwrap();
    assert!(kept.bytes == [big, b"last".to_vec()].concat());
}

#[tokio::test]
async fn false_claims_about_a_part_are_refused() {
    let it = Fixture::start().await;
    let id = create(&it.owner, &[("x-amz-checksum-algorithm", "CRC64NVME")]).await;
    let wrong = [
        (
            "x-amz-checksum-crc64nvme",
            crc64_base64(b"other"),
            "BadDigest",
        ),
        (
            "x-amz-checksum-sha256",
            sha256_base64(b"bytes"),
            "InvalidRequest",
        ),
    ];
    for (name, value, expected) in wrong {
        let answer = it
            .owner
            .send(part(&id, 1, b"bytes").header(name, &value))
            .await;
        assert_eq!(code(&answer), (400, expected.into()));
    }
    let right = crc64_base64(b"bytes");
    let ask = part(&id, 1, b"bytes").header("x-amz-checksum-crc64nvme", &right);
    assert_eq!(it.owner.send(ask).await.status, 200);
    // An upload created for no checksum in particular takes parts with any.
    let any = create(&it.owner, &[]).await;
    let ask = part(&any, 1, b"bytes").header("x-amz-checksum-sha256", &sha256_base64(b"bytes"));
    assert_eq!(it.owner.send(ask).await.status, 200);
    let orphan = it.owner.send(part("none", 1, b"bytes")).await;
    assert_eq!(code(&orphan), (404, "NoSuchUpload".into()));
}

#[tokio::test]
async fn a_composite_sha256_is_not_a_checksum_of_the_object() {
    let it = Fixture::start().await;
    let (first, second) = (noise(5 * MIB, 11), noise(10, 12));
    let id = create(&it.owner, &[("x-amz-checksum-algorithm", "SHA256")]).await;
    let mut etags = Vec::new();
    for (number, bytes) in [(1, &first), (2, &second)] {
        let value = sha256_base64(bytes);
        let ask = part(&id, number, bytes).header("x-amz-checksum-sha256", &value);
        etags.push(it.owner.send(ask).await.etag());
    }
    assert_eq!(it.owner.send(completion(&id, &etags)).await.status, 200);
    let head = it.owner.head(PATH).await;
    assert_eq!(head.header("x-amz-checksum-type"), Some("COMPOSITE"));
    assert!(
        head.header("x-amz-checksum-sha256")
            .unwrap()
            .ends_with("-2")
    );
    assert_eq!(head.header("x-amz-checksum-crc64nvme"), None);
}

#[tokio::test]
async fn open_uploads_and_their_parts_are_listed_until_aborted() {
    let it = Fixture::start().await;
    let id = create(&it.owner, &[]).await;
    let other = create(&it.owner, &[]).await;
    upload(&it.owner, &id, &[&noise(1000, 13), b"x"]).await;
    let list = |query: &[(&str, &str)]| {
        let mut ask = Ask::new("GET", "/calls").query("uploads", "");
        for (name, value) in query {
            ask = ask.query(name, value);
        }
        it.owner.send(ask)
    };
    assert_eq!(list(&[]).await.elements("Upload"), 2);
    assert_eq!(
        list(&[("prefix", "voicemail/")]).await.elements("Upload"),
        0
    );
    let page = list(&[("max-uploads", "1"), ("prefix", "call/")]).await;
    assert_eq!(page.element("IsTruncated").unwrap(), "true");
    let key = page.element("NextKeyMarker").unwrap();
    let upload_id = page.element("NextUploadIdMarker").unwrap();
    let markers = [
        ("key-marker", key.as_str()),
        ("upload-id-marker", &upload_id),
    ];
    let rest = list(&markers).await;
    assert_eq!(rest.elements("Upload"), 1);
    assert_ne!(rest.element("UploadId").unwrap(), upload_id);

    let parts = it
        .owner
        .send(Ask::new("GET", PATH).query("uploadId", &id))
        .await;
    assert_eq!(parts.elements("Part"), 2);
    assert_eq!(parts.element("Size").unwrap(), "1000");
    let open = OpenUpload {
        id: id.clone(),
        key: KEY.into(),
        parts: [(1, 1000), (2, 1)].into(),
    };
    assert!(it.lab.open_uploads(BUCKET).contains(&open));

    let abort = Ask::new("DELETE", PATH).query("uploadId", &id);
    assert_eq!(it.owner.send(abort).await.status, 204);
    assert_eq!(list(&[]).await.element("UploadId").unwrap(), other);
    let abort = Ask::new("DELETE", PATH).query("uploadId", &id);
    assert_eq!(
        code(&it.owner.send(abort).await),
        (404, "NoSuchUpload".into())
    );
    // The aborted parts leave nothing behind.
    let blobs = std::fs::read_dir(it.lab.data_dir().join("blobs")).unwrap();
    assert_eq!(blobs.count(), 0);
}

#[tokio::test]
async fn listings_of_uploads_escape_keys_when_asked_and_continue_after_them() {
    let it = Fixture::start().await;
    let hour = std::time::Duration::from_secs(3600);
    let odd = "call/a b+\u{1}ü";
    let first = it.lab.begin_upload(BUCKET, odd, hour).unwrap();
    let second = it.lab.begin_upload(BUCKET, "call/z", hour).unwrap();
    let list = |marker: Option<(&str, &str)>| {
        let mut ask = Ask::new("GET", "/calls").query("uploads", "");
        ask = ask.query("encoding-type", "url").query("max-uploads", "1");
        if let Some((key, id)) = marker {
            ask = ask.query("key-marker", key).query("upload-id-marker", id);
        }
        it.owner.send(ask)
    };
    let page = list(None).await;
    assert_eq!(page.element("EncodingType").unwrap(), "url");
    let key = page.element("Key").unwrap();
    assert_eq!(key, "call/a%20b%2B%01%C3%BC");
    assert_eq!(page.element("NextKeyMarker").unwrap(), key);
    let page = list(Some((odd, &first))).await;
    assert_eq!(page.element("UploadId").unwrap(), second);
    assert_eq!(page.element("IsTruncated").unwrap(), "false");
    let begun = page.element("Initiated").unwrap();
    let begun: chrono::DateTime<chrono::Utc> = begun.parse().unwrap();
    assert!(begun < super::client::now() - chrono::TimeDelta::minutes(59));
}

#[tokio::test]
async fn parts_and_uploads_can_be_lost_behind_the_clients_back() {
    let it = Fixture::start().await;
    let id = create(&it.owner, &[]).await;
    let etags = upload(&it.owner, &id, &[&noise(5 * MIB, 14), b"last"]).await;
    assert!(it.lab.lose_part(BUCKET, &id, 1).unwrap());
    assert!(!it.lab.lose_part(BUCKET, &id, 1).unwrap());
    let answer = it.owner.send(completion(&id, &etags)).await;
    assert_eq!(code(&answer), (400, "InvalidPart".into()));
    it.lab.stop().await;
    it.lab.start_again().await.unwrap();
    assert_eq!(it.lab.open_uploads(BUCKET)[0].parts, [(2, 4)].into());
    assert!(it.lab.lose_upload(BUCKET, &id).unwrap());
    assert!(!it.lab.lose_upload(BUCKET, &id).unwrap());
    let answer = it.owner.send(completion(&id, &etags)).await;
    assert_eq!(code(&answer), (404, "NoSuchUpload".into()));
    let numbers = it.lab.history().into_iter().filter_map(|seen| seen.part);
    assert_eq!(numbers.collect::<Vec<_>>(), [1, 2]);
}
