//! What only staging in a bucket has: a marker as an object, answers that are lost, denials,
//! versions, stores that do not keep their word, and lists.

use callferry_tests::s3::{Fault, FaultRule, Operation, Quirks, S3Lab};
use recording::{Moved, StagingFault, TrashEntry};
use storage::{BucketOriginals, BucketTrash, MarkerFault, Unproven};
use uuid::Uuid;

use super::kinds::{BUCKET, CLEANUP_MAY, Copied, Kind, PREFIX, Yard, allow, s3};
use super::setting::{STAGING, staging_path};

const PATH: &str = "acme/rec.wav";
const BYTES: &[u8] = b"RIFF the whole call";
const MARKER: &str = "in/box/.callferry/staging";

fn key(path: &str) -> String {
    format!("{PREFIX}/{path}")
}

fn keys(lab: &S3Lab) -> Vec<String> {
    let objects = lab.objects(BUCKET).into_iter();
    objects.map(|object| object.key).collect()
}

async fn moved(it: &Yard, copied: &Copied) -> TrashEntry {
    let permission = copied.permission(1);
    match it.trash.move_in(permission.path(), &permission).await {
        Ok(Moved::Moved(entry)) => entry,
        other => panic!("not moved: {other:?}"),
    }
}

async fn unlink(it: &Yard, copied: &Copied) -> Result<(), StagingFault> {
    let entry = moved(it, copied).await;
    it.trash.unlink(entry, copied.permission(1)).await
}

#[tokio::test]
async fn what_was_compared_by_its_bytes_is_not_read_again_to_be_deleted() {
    for kind in [Kind::S3, Kind::Versioned] {
        let it = Yard::start(kind).await.unwrap();
        it.put(PATH, BYTES).await;
        let copied = it.copied(PATH).await;
        // The same bytes, put there again at another time.
        it.put(PATH, BYTES).await;
        it.lab()
            .age_objects(BUCKET, std::time::Duration::from_secs(60));
        let read = || {
            let seen = it.lab().history().into_iter();
            let seen = seen.filter(|seen| seen.operation == Operation::GetObject);
            seen.filter(|seen| seen.key.as_deref() == Some(&key(PATH)))
                .count()
        };
        let before = read();
        let entry = moved(&it, &copied).await;
        let compared = it.trash.compare(&entry, &copied.permission(1)).await;
        assert_eq!(compared, Ok(Some(entry.clone())));
        it.trash.unlink(entry, copied.permission(1)).await.unwrap();
        assert_eq!(read() - before, 2, "{kind:?}: once for each comparison");
        assert_eq!(it.read(PATH).await, None);
    }
}

fn denied(operation: Operation) -> FaultRule {
    let fault = Fault::ErrorBefore {
        status: 403,
        code: "AccessDenied".to_owned(),
    };
    FaultRule::on(operation, fault)
}

#[tokio::test]
async fn the_marker_is_written_once_and_never_over_another() {
    let (lab, staging) = s3(false).await;
    assert!(BucketOriginals::open(&staging, STAGING).await.is_err());
    assert_eq!(staging.read_marker().await, Ok(None));
    staging.write_marker(STAGING).await.unwrap();
    staging.write_marker(STAGING).await.unwrap();
    assert_eq!(staging.read_marker().await, Ok(Some(STAGING)));
    let other = staging.write_marker(Uuid::from_u128(9)).await;
    assert_eq!(other, Err(MarkerFault::OtherStaging(STAGING)));
    assert!(
        BucketTrash::open(&staging, Uuid::from_u128(9))
            .await
            .is_err()
    );
    lab.overwrite_object(BUCKET, MARKER, b"garbage").unwrap();
    let garbage = staging.write_marker(STAGING).await;
    assert_eq!(garbage, Err(MarkerFault::Malformed));
    assert!(staging.read_marker().await.is_err());
    assert_eq!(keys(&lab), [MARKER]);
}

#[tokio::test]
async fn a_bucket_that_is_gone_or_denied_is_no_absence() {
    let it = Yard::start(Kind::S3).await.unwrap();
    it.put(PATH, BYTES).await;
    let copied = it.copied(PATH).await;
    let path = staging_path(PATH);
    // One object is denied, and staging answers: that one object's trouble, and no absence.
    let one = it
        .lab()
        .arm(denied(Operation::HeadObject).key_prefix(&key("acme")));
    let opened = it.originals.open(&path).await;
    assert!(matches!(opened.err(), Some(StagingFault::Unreadable(_))));
    let there = it.trash.in_place(&path, &copied.identity).await;
    assert!(
        matches!(there, Err(StagingFault::Unreadable(_))),
        "{there:?}"
    );
    it.lab().clear_fault(one);
    // Nobody may list: then S3 says of what is missing that it is forbidden.
    let none = staging_path("acme/none.wav");
    it.lab().put_identity(
        callferry_tests::s3::Identity::new("AKIDPLATFORM", "platform-secret")
            .named("callferry")
            .allowed(
                callferry_tests::s3::Policy::none()
                    .allow(&["s3:GetObject"], &["arn:aws:s3:::incoming/*"]),
            ),
    );
    let opened = it.originals.open(&none).await;
    assert!(matches!(opened.err(), Some(StagingFault::Unreadable(_))));
    // Everything is denied: staging itself.
    allow(it.lab(), &[]);
    let opened = it.originals.open(&path).await;
    assert!(matches!(opened.err(), Some(StagingFault::Unavailable(_))));
    allow(it.lab(), &CLEANUP_MAY);
    assert!(it.originals.open(&path).await.is_ok());
    it.lab().delete_bucket(BUCKET).unwrap();
    let opened = it.originals.open(&path).await;
    assert!(matches!(opened.err(), Some(StagingFault::Unavailable(_))));
}

#[tokio::test]
async fn a_deletion_whose_answer_is_lost_is_followed_by_a_look() {
    for kind in [Kind::S3, Kind::Versioned] {
        let it = Yard::start(kind).await.unwrap();
        for (fault, gone) in [
            (Fault::CloseAfter, true),
            (Fault::CloseBefore, false),
            (
                Fault::ErrorAfter {
                    status: 409,
                    code: "ConditionalRequestConflict".to_owned(),
                },
                true,
            ),
        ] {
            it.put(PATH, BYTES).await;
            let copied = it.copied(PATH).await;
            let rule = FaultRule::on(Operation::DeleteObject, fault.clone()).times(1);
            it.lab().arm(rule);
            let unlinked = unlink(&it, &copied).await;
            assert_eq!(unlinked.is_ok(), gone, "{kind:?} {fault:?}: {unlinked:?}");
            assert_eq!(it.read(PATH).await.is_none(), gone, "{kind:?} {fault:?}");
            it.lab().clear_faults();
            if !gone {
                // Not known, hence not repeated here: a new look at the copy comes first.
                assert!(matches!(unlinked, Err(StagingFault::Unreadable(_))));
                unlink(&it, &copied).await.unwrap();
            }
        }
        // A store that is busy says that it did nothing: asked again.
        it.put(PATH, BYTES).await;
        let copied = it.copied(PATH).await;
        let busy = Fault::ErrorBefore {
            status: 503,
            code: "SlowDown".to_owned(),
        };
        it.lab()
            .arm(FaultRule::on(Operation::DeleteObject, busy).times(1));
        unlink(&it, &copied).await.unwrap();
        assert_eq!(it.read(PATH).await, None);
    }
}

#[tokio::test]
async fn a_denied_deletion_deletes_nothing_and_is_that_recordings_trouble() {
    let it = Yard::start(Kind::S3).await.unwrap();
    it.put(PATH, BYTES).await;
    let copied = it.copied(PATH).await;
    allow(it.lab(), &["s3:GetObject"]);
    let unlinked = unlink(&it, &copied).await;
    assert!(
        matches!(&unlinked, Err(StagingFault::Unreadable(why)) if why.contains("AccessDenied")),
        "{unlinked:?}"
    );
    assert_eq!(it.read(PATH).await.as_deref(), Some(BYTES));
}

#[tokio::test]
async fn a_version_is_deleted_by_its_id_and_no_other_is_touched() {
    let it = Yard::start(Kind::Versioned).await.unwrap();
    it.put(PATH, b"an older attempt").await;
    it.put(PATH, BYTES).await;
    let copied = it.copied(PATH).await;
    assert!(copied.identity.entity.as_ref().unwrap().contains("\" "));
    unlink(&it, &copied).await.unwrap();
    // Nobody copied the older one: it stays, and shows.
    assert_eq!(
        it.read(PATH).await.as_deref(),
        Some(&b"an older attempt"[..])
    );
    // The copied version is provably gone, whatever lies at its key.
    let permission = copied.permission(2);
    let moved = it.trash.move_in(permission.path(), &permission).await;
    assert_eq!(moved, Ok(Moved::Absent));
    // While it lies beneath another one it is not gone, and is not what shows.
    it.put(PATH, BYTES).await;
    let beneath = it.copied(PATH).await;
    it.put(PATH, b"a newer attempt").await;
    let permission = beneath.permission(3);
    let moved = it.trash.move_in(permission.path(), &permission).await;
    assert_eq!(moved, Ok(Moved::NotTheSame));
}

#[tokio::test]
async fn a_bucket_must_show_that_it_deletes_only_what_is_named() {
    for versioned in [false, true] {
        let (lab, staging) = s3(versioned).await;
        staging.write_marker(STAGING).await.unwrap();
        let trash = BucketTrash::open(&staging, STAGING).await.unwrap();
        assert_eq!(trash.prove_conditions().await, Ok(()), "{versioned}");
        // The trial leaves nothing behind.
        assert_eq!(keys(&lab), [MARKER]);
        let careless = Quirks {
            deletes_unconditionally: true,
            ..Quirks::default()
        };
        lab.set_quirks(BUCKET, careless);
        let proof = trash.prove_conditions().await;
        assert!(matches!(proof, Err(Unproven::Ignored(_))), "{proof:?}");
        lab.set_quirks(BUCKET, Quirks::default());
        allow(&lab, &["s3:GetObject", "s3:GetObjectVersion"]);
        let proof = trash.prove_conditions().await;
        assert!(matches!(proof, Err(Unproven::Refused(_))), "{proof:?}");
        allow(&lab, &CLEANUP_MAY);
        lab.stop().await;
        let proof = trash.prove_conditions().await;
        assert!(matches!(proof, Err(Unproven::Unreachable(_))), "{proof:?}");
    }
}

#[tokio::test]
async fn what_stands_for_a_folder_is_no_original() {
    let it = Yard::start(Kind::S3).await.unwrap();
    let client = super::client::Client {
        http: reqwest::Client::new(),
        endpoint: it.lab().endpoint(),
        key: "AKIDPLATFORM".to_owned(),
        secret: "platform-secret".to_owned(),
        token: None,
    };
    let ask = super::client::Ask::new("PUT", &format!("/{BUCKET}/{}", key("acme/day")))
        .header("content-type", "application/x-directory");
    assert_eq!(client.send(ask).await.status, 200);
    let opened = it.open("acme/day").await;
    assert!(matches!(opened.err(), Some(StagingFault::NotAPlainFile(_))));
}

#[tokio::test]
async fn staging_is_listed_whole_and_without_what_is_ours() {
    for kind in [Kind::S3, Kind::Azure] {
        let Some(it) = Yard::start(kind).await else {
            continue;
        };
        let staging = it.bucket.as_ref().unwrap();
        assert_eq!(staging.list("").await, Ok(vec![]));
        let many = if kind == Kind::S3 { 1_203 } else { 3 };
        for number in 0..many {
            it.put(&format!("acme/day/{number:05}.wav"), b"x").await;
        }
        it.put("acme/day2/rec.wav", b"xyz").await;
        let listed = staging.list("acme/day").await.unwrap();
        assert_eq!(listed.len(), many, "{kind:?}");
        assert_eq!(listed[1].path, "acme/day/00001.wav");
        assert_eq!((listed[1].size_bytes, listed[1].is_folder), (1, false));
        let opened = it.open("acme/day/00001.wav").await.unwrap();
        let seconds = listed[1].modified.timestamp();
        assert_eq!(opened.identity().mtime_ns, seconds * 1_000_000_000);
        let one = staging.list("acme/day2/rec.wav").await.unwrap();
        assert_eq!((one.len(), one[0].size_bytes), (1, 3));
        assert_eq!(staging.list("").await.unwrap().len(), many + 1);
        assert_eq!(staging.list("acme/da").await, Ok(vec![]));
    }
}
