//! What new objects are given besides their bytes, in one piece and in parts; and buckets that lock
//! what is stored there.

use recording::{Encryption, ObjectTags, ParkReason, S3Options};

use super::client::{Ask, Client};
use super::setting::{BUCKET, GRANTED, MIB, OWNER, ROLE, Setting, noise, refused, s3, sent};
use callferry_tests::s3::{Identity, Policy};

/// In one piece, and in parts.
const SIZES: [usize; 2] = [1000, 11 * MIB];

fn tags(pairs: &[(&str, &str)]) -> ObjectTags {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    ObjectTags::new(pairs.iter().map(owned)).unwrap()
}

fn everything() -> S3Options {
    S3Options {
        sse: Some(Encryption::Kms),
        bucket_key: true,
        tags: tags(&[
            ("team", "sales & service".replace('&', "+").as_str()),
            ("Büro", ""),
        ]),
        bucket_owner_full_control: true,
    }
}

#[tokio::test]
async fn new_objects_are_given_what_the_destination_says() {
    let mut it = Setting::start().await;
    let more = [&GRANTED[..], &["s3:PutObjectTagging", "s3:PutObjectAcl"]].concat();
    let more = Policy::bucket(BUCKET, "", &more);
    assert!(it.lab.change_role(ROLE, |role| role.permissions = more));
    let key = Some("alias/recordings".to_owned());
    let own = S3Options {
        sse: Some(Encryption::S3),
        ..S3Options::default()
    };
    let table = [
        (S3Options::default(), None, "AES256", None, None),
        (own, None, "AES256", None, None),
        (
            everything(),
            None,
            "aws:kms",
            Some("B%C3%BCro=&team=sales%20%2B%20service"),
            Some("bucket-owner-full-control"),
        ),
        (S3Options::default(), key, "aws:kms", None, None),
    ];
    for (number, (options, kms_key, encryption, tagging, acl)) in table.into_iter().enumerate() {
        it.destination.revision += 1;
        s3(&mut it.destination).options = options.clone();
        s3(&mut it.destination).kms_key.clone_from(&kms_key);
        for size in SIZES {
            let recording = format!("rec-{number}-{size}");
            let bytes = noise(size, 7);
            let digests = sent(it.send(&recording, &bytes).await);
            it.prove(&recording, digests).await.unwrap();
            let key = it.key(&recording);
            let object = it.lab.object(BUCKET, key.as_str()).unwrap();
            assert_eq!(object.encryption, encryption, "{recording}");
            assert_eq!(object.kms_key_id, kms_key, "{recording}");
            assert_eq!(object.bucket_key.unwrap_or_default(), options.bucket_key);
            assert_eq!(object.tagging.as_deref(), tagging, "{recording}");
            assert_eq!(object.acl.as_deref(), acl, "{recording}");
        }
    }
}

#[tokio::test]
async fn a_role_that_may_not_tag_or_give_away_stops_it_before_anything_is_stored() {
    let mut it = Setting::start().await;
    let tagged = S3Options {
        tags: tags(&[("team", "sales")]),
        ..S3Options::default()
    };
    let given = S3Options {
        bucket_owner_full_control: true,
        ..S3Options::default()
    };
    for options in [tagged, given] {
        it.destination.revision += 1;
        s3(&mut it.destination).options = options;
        for size in SIZES {
            let fault = refused(it.send("rec", &noise(size, 7)).await);
            assert_eq!(fault.reason, ParkReason::AccessDenied, "{fault}");
            assert_eq!(it.stored("rec"), None);
        }
    }
    assert_eq!(it.lab.open_uploads(BUCKET), Vec::new());
}

#[tokio::test]
async fn a_bucket_that_locks_takes_what_carries_its_checksum_and_keeps_it() {
    let mut it = Setting::start().await;
    it.lab.create_locking_bucket("locked", OWNER).unwrap();
    s3(&mut it.destination).bucket = "locked".to_owned();
    let role = Policy::bucket("locked", "", &GRANTED);
    assert!(it.lab.change_role(ROLE, |role_| role_.permissions = role));
    for size in SIZES {
        let recording = format!("rec-{size}");
        let digests = sent(it.send(&recording, &noise(size, 7)).await);
        it.prove(&recording, digests).await.unwrap();
        // A copy that is there is not written over, by a version neither.
        super::setting::unclear(it.send(&recording, &noise(size, 7)).await);
    }
    // It does refuse what comes without.
    let owner = Identity::new("AKIDOWNER", "owner-secret").allowed(Policy::everything());
    it.lab.put_identity(owner);
    let owner = Client::new(&it.lab.endpoint(), "AKIDOWNER", "owner-secret");
    let answer = owner.put("/locked/bare", b"x").await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.element("Code").as_deref(), Some("InvalidRequest"));
    let begun = owner
        .send(Ask::new("POST", "/locked/parts").query("uploads", ""))
        .await;
    let upload = begun.element("UploadId").unwrap();
    let part = Ask::new("PUT", "/locked/parts")
        .query("partNumber", "1")
        .query("uploadId", &upload);
    assert_eq!(owner.send(part).await.status, 400);
    // And nobody can delete a version, though anybody may hide it.
    let path = format!("/locked/{}", it.key("rec-1000"));
    let key = it.key("rec-1000");
    let version = it.lab.object("locked", key.as_str()).unwrap().version_id;
    let delete = || Ask::new("DELETE", &path);
    let answer = owner.send(delete().query("versionId", &version)).await;
    assert_eq!(answer.status, 403);
    assert_eq!(owner.send(delete()).await.status, 204);
    let version = Ask::new("GET", &path).query("versionId", &version);
    assert_eq!(owner.send(version).await.status, 200);
}
