//! One table of cases for staging of every kind: a folder, a bucket, a bucket that keeps versions,
//! a container. What holds of files holds of objects.

use std::time::Duration;

use recording::{Moved, StagingFault, TrashEntry};
use uuid::Uuid;

use super::kinds::{Copied, Hand, Kind, Yard};
use super::setting::{noise, staging_path};

const PATH: &str = "acme/2026/11/22/rec.wav";
const BYTES: &[u8] = b"RIFF the whole call";
/// As long as the others.
const OTHER: &[u8] = b"RIFF another call..";

/// Every case, in a staging of its own.
macro_rules! cases {
    ($($name:ident)+) => {
        $(
            mod $name {
                use super::*;

                #[tokio::test]
                async fn in_a_folder() {
                    on(Kind::Folder).await;
                }

                #[tokio::test]
                async fn in_a_bucket() {
                    on(Kind::S3).await;
                }

                #[tokio::test]
                async fn in_a_bucket_that_keeps_versions() {
                    on(Kind::Versioned).await;
                }

                #[tokio::test]
                async fn in_a_container() {
                    on(Kind::Azure).await;
                }

                async fn on(kind: Kind) {
                    if let Some(yard) = Yard::start(kind).await {
                        super::cases::$name(kind, yard).await;
                    }
                }
            }
        )+
    };
}

cases! {
    an_original_is_read_exactly
    absence_is_believed_only_with_the_marker
    a_change_after_opening_is_noticed
    what_was_copied_is_deleted_and_then_absent
    what_took_its_place_is_never_deleted
    what_took_its_place_after_the_comparison_is_never_deleted
    the_same_bytes_put_there_again_may_go
    only_the_permission_for_it_deletes_it
    nothing_is_deleted_without_the_marker
}

mod cases {
    use super::*;

    pub(super) async fn an_original_is_read_exactly(_: Kind, it: Yard) {
        let large = noise(3_000_000, 1);
        for (path, bytes) in [
            ("acme/a/large.wav", &large[..]),
            ("acme/empty.wav", &b""[..]),
        ] {
            it.put(path, bytes).await;
            let original = it.open(path).await.unwrap();
            let size = u64::try_from(bytes.len()).unwrap();
            assert_eq!(original.identity().size_bytes, size);
            assert!(original.read(0, bytes.len()).await.unwrap() == bytes);
            assert_eq!(original.still_same().await, Ok(()));
            assert_eq!(original.digests().await.unwrap().size_bytes, size);
            assert_eq!(original.read(size, 1).await, Err(StagingFault::Changed));
            assert_eq!(it.open(path).await.unwrap().identity(), original.identity());
        }
        let original = it.open("acme/a/large.wav").await.unwrap();
        for (from, to) in [(7, 8), (1_000_000, 2_500_001), (2_999_999, 3_000_000)] {
            let read = original.read(u64::try_from(from).unwrap(), to - from).await;
            assert!(read.unwrap() == large[from..to], "{from}..{to}");
        }
    }

    pub(super) async fn absence_is_believed_only_with_the_marker(_: Kind, it: Yard) {
        it.put(PATH, BYTES).await;
        let copied = it.copied(PATH).await;
        let none = staging_path("acme/none.wav");
        assert_eq!(
            it.originals.open(&none).await.err(),
            Some(StagingFault::Absent)
        );
        assert_eq!(it.originals.probe().await, Ok(()));
        assert_eq!(it.trash.in_place(&none, &copied.identity).await, Ok(false));
        it.unmark().await;
        assert!(is_down(&it.originals.open(&none).await));
        assert!(is_down(&it.originals.probe().await));
        assert!(is_down(&it.trash.probe().await));
        assert!(is_down(&it.trash.in_place(&none, &copied.identity).await));
    }

    pub(super) async fn a_change_after_opening_is_noticed(kind: Kind, it: Yard) {
        for (number, change) in [&b"short"[..], b"RIFF the whole call and more", OTHER]
            .into_iter()
            .enumerate()
        {
            it.put(PATH, BYTES).await;
            let original = it.open(PATH).await.unwrap();
            it.put(PATH, change).await;
            let same = original.still_same().await;
            assert_eq!(same, Err(StagingFault::Changed), "{number}");
            assert!(original.digests().await.is_err(), "{number}");
            // A bucket never mixes bytes of two objects.
            match kind {
                Kind::Folder => {}
                Kind::Versioned => assert_eq!(original.read(0, 19).await.unwrap(), BYTES),
                Kind::S3 | Kind::Azure => {
                    assert_eq!(original.read(0, 19).await, Err(StagingFault::Changed));
                }
            }
        }
        let original = it.open(PATH).await.unwrap();
        it.remove(PATH).await;
        if kind != Kind::Folder {
            assert_eq!(original.still_same().await, Err(StagingFault::Changed));
        }
    }

    pub(super) async fn what_was_copied_is_deleted_and_then_absent(kind: Kind, it: Yard) {
        it.put(PATH, BYTES).await;
        it.put("acme/2026/11/22/rec.wav.other", OTHER).await;
        let copied = it.copied(PATH).await;
        let path = staging_path(PATH);
        assert_eq!(it.trash.in_place(&path, &copied.identity).await, Ok(true));
        let entry = moved(&it, &copied, 1).await;
        if kind != Kind::Folder {
            // Nothing lies anywhere else, so nobody can find, take over or put back anything.
            assert_eq!(it.trash.find(&entry.key).await, Ok(vec![]));
            assert_eq!(it.trash.list(0, 10).await, Ok(vec![]));
            let taken = it.trash.take_over(entry.clone(), Uuid::from_u128(2)).await;
            assert_eq!(taken, Ok(None));
            assert_eq!(it.trash.put_back(&entry, &path).await, Ok(true));
            assert_eq!(it.read(PATH).await.as_deref(), Some(BYTES));
        }
        let permission = copied.permission(1);
        let compared = it.trash.compare(&entry, &permission).await;
        assert_eq!(compared, Ok(Some(entry.clone())));
        it.trash.unlink(entry.clone(), permission).await.unwrap();
        assert_eq!(it.read(PATH).await, None);
        // A crash before that is recorded: it is gone already, and deleting it again is success.
        it.trash.unlink(entry, copied.permission(1)).await.unwrap();
        assert_eq!(move_in(&it, &copied, 2).await, Ok(Moved::Absent));
        assert_eq!(it.trash.in_place(&path, &copied.identity).await, Ok(false));
        let opened = it.open(PATH).await;
        assert_eq!(opened.err(), Some(StagingFault::Absent));
        let other = it.read("acme/2026/11/22/rec.wav.other").await;
        assert_eq!(other.as_deref(), Some(OTHER));
    }

    pub(super) async fn what_took_its_place_is_never_deleted(_: Kind, it: Yard) {
        for other in [OTHER, b"longer than it was before", b""] {
            it.put(PATH, BYTES).await;
            let copied = it.copied(PATH).await;
            it.put(PATH, other).await;
            let path = staging_path(PATH);
            assert_eq!(it.trash.in_place(&path, &copied.identity).await, Ok(false));
            assert_eq!(move_in(&it, &copied, 1).await, Ok(Moved::NotTheSame));
            assert_eq!(it.read(PATH).await.as_deref(), Some(other));
        }
    }

    pub(super) async fn what_took_its_place_after_the_comparison_is_never_deleted(
        kind: Kind,
        it: Yard,
    ) {
        it.put(PATH, BYTES).await;
        let copied = it.copied(PATH).await;
        let entry = moved(&it, &copied, 1).await;
        it.put(PATH, OTHER).await;
        let unlinked = it.trash.unlink(entry, copied.permission(1)).await;
        match kind {
            // The one that was copied lay in the trash by then.
            Kind::Folder => assert_eq!(unlinked, Ok(())),
            Kind::S3 | Kind::Versioned | Kind::Azure => {
                assert_eq!(unlinked, Err(StagingFault::Changed));
            }
        }
        assert_eq!(it.read(PATH).await.as_deref(), Some(OTHER));
    }

    pub(super) async fn the_same_bytes_put_there_again_may_go(_: Kind, it: Yard) {
        it.put(PATH, BYTES).await;
        let mut copied = it.copied(PATH).await;
        it.put(PATH, BYTES).await;
        let entry = moved(&it, &copied, 1).await;
        it.trash.unlink(entry, copied.permission(1)).await.unwrap();
        assert_eq!(it.read(PATH).await, None);
        // Remembered when staging was of another kind: only the bytes can tell.
        it.put(PATH, BYTES).await;
        copied.identity.entity = match copied.identity.entity {
            Some(_) => None,
            None => Some("\"another-kind\"".to_owned()),
        };
        let entry = moved(&it, &copied, 2).await;
        it.trash.unlink(entry, copied.permission(2)).await.unwrap();
        assert_eq!(it.read(PATH).await, None);
    }

    pub(super) async fn only_the_permission_for_it_deletes_it(kind: Kind, it: Yard) {
        it.put(PATH, BYTES).await;
        let copied = it.copied(PATH).await;
        let entry = moved(&it, &copied, 1).await;
        let mut foreign = entry.clone();
        foreign.key.recording_id = "other".parse().unwrap();
        for (entry, token) in [(entry.clone(), 2), (foreign, 1)] {
            let refused = it.trash.unlink(entry, copied.permission(token)).await;
            assert!(
                matches!(refused, Err(StagingFault::Unreadable(_))),
                "{refused:?}"
            );
        }
        if kind == Kind::Folder {
            return;
        }
        let elsewhere = staging_path("acme/elsewhere.wav");
        let refused = it.trash.move_in(&elsewhere, &copied.permission(1)).await;
        assert!(
            matches!(refused, Err(StagingFault::Unreadable(_))),
            "{refused:?}"
        );
        // The lease has ended: the request is not even signed.
        let late = copied.permission_for(1, Duration::from_secs(1));
        let refused = it.trash.unlink(entry, late).await;
        assert!(
            matches!(refused, Err(StagingFault::Unreadable(_))),
            "{refused:?}"
        );
        assert_eq!(it.read(PATH).await.as_deref(), Some(BYTES));
    }

    pub(super) async fn nothing_is_deleted_without_the_marker(_: Kind, it: Yard) {
        it.put(PATH, BYTES).await;
        let copied = it.copied(PATH).await;
        let entry = moved(&it, &copied, 1).await;
        if let Hand::Folder(_) = it.hand {
            return;
        }
        // It is gone, and so is the marker: then nobody knows where it is gone.
        it.remove(PATH).await;
        it.unmark().await;
        assert!(is_down(&move_in(&it, &copied, 2).await));
        assert!(is_down(&it.trash.unlink(entry, copied.permission(1)).await));
    }
}

async fn move_in(it: &Yard, copied: &Copied, token: u128) -> Result<Moved, StagingFault> {
    let permission = copied.permission(token);
    it.trash.move_in(permission.path(), &permission).await
}

async fn moved(it: &Yard, copied: &Copied, token: u128) -> TrashEntry {
    match move_in(it, copied, token).await {
        Ok(Moved::Moved(entry)) => entry,
        other => panic!("not moved: {other:?}"),
    }
}

fn is_down<T>(found: &Result<T, StagingFault>) -> bool {
    matches!(found, Err(StagingFault::Unavailable(_)))
}
