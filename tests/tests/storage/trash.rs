//! The trash: what may be deleted, what is put back, and what survives any mix-up.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use chrono::Utc;
use recording::{
    Digests, Expected, Fence, Identity, LEASE, Lease, Location, Method, Moved, ObjectKey, Observed,
    Originals, Receipt, Record, Recording, Releasable, StagingFault, Trash, TrashEntry,
};
use storage::LocalTrash;
use uuid::Uuid;

use super::setting::{Clocks, STAGING, Staging, announced, clocks, destination, staging_path};

const BYTES: &[u8] = b"RIFF the whole call";

struct Case {
    staging: Staging,
    trash: LocalTrash,
    identity: Identity,
    digests: Digests,
}

impl Case {
    /// An original that was copied: `acme/day/rec.wav`.
    async fn new() -> Self {
        let staging = Staging::new();
        staging.put("day/rec.wav", BYTES);
        let path = staging_path("acme/day/rec.wav");
        let original = staging.originals.open(&path).await.unwrap();
        Self {
            trash: LocalTrash::open(staging.folder.path(), STAGING).unwrap(),
            identity: original.identity(),
            digests: original.digests().await.unwrap(),
            staging,
        }
    }

    /// The permission that a good second look under this token gives.
    fn permission(&self, token: u128) -> Releasable {
        let destination = destination("http://127.0.0.1:1");
        let key = ObjectKey::remembered("call/2026/11/22/rec.wav".to_owned());
        let _location = Location::new(&destination, &key);
        let mut announced = announced("rec", BYTES.len());
        announced.original.path = staging_path("acme/day/rec.wav");
        let receipt = Receipt {
            size_bytes: self.digests.size_bytes,
            sha256: self.digests.sha256,
            etag: "\"e\"".to_owned(),
            version_id: None,
            checksum: format!("crc64nvme:{}", self.digests.crc64nvme),
            content_md5: None,
            method: Method::ReportedChecksum,
            stored_at: chrono::DateTime::<Utc>::UNIX_EPOCH,
        };
        let record = Record::Stored {
            announced: announced.clone(),
            destination,
            key,
            receipt,
            identity: self.identity.clone(),
            acknowledgment_id: Uuid::nil(),
            released: false,
        };
        #[expect(clippy::disallowed_methods, reason = "a test plays the ledger")]
        let recalled = Recording::recall(record);
        let Recording::Stored(stored) = recalled else {
            panic!("not stored");
        };
        let observed = Observed {
            size_bytes: self.digests.size_bytes,
            crc64nvme: Some(self.digests.crc64nvme),
            etag: "\"e\"".to_owned(),
            version_id: None,
            content_md5: None,
            blocks: None,
            metadata: BTreeMap::from([
                ("callferry-account".to_owned(), "acme".to_owned()),
                ("callferry-recording".to_owned(), "rec".to_owned()),
            ]),
            read_back: None,
        };
        let expected = Expected {
            digests: self.digests,
            sent: None,
            first_look: None,
        };
        let proof = expected.verify(&announced, observed).unwrap();
        let lease = Lease {
            token: Uuid::from_u128(token),
            fence: Fence::new(clocks(), recording::Clock::boot(&Clocks), LEASE),
        };
        stored.releasable(&proof, &lease).unwrap()
    }

    async fn move_in(&self, token: u128) -> Result<Moved, StagingFault> {
        let permission = self.permission(token);
        let path = staging_path("acme/day/rec.wav");
        self.trash.move_in(&path, &permission).await
    }

    async fn moved(&self, token: u128) -> TrashEntry {
        match self.move_in(token).await {
            Ok(Moved::Moved(entry)) => entry,
            other => panic!("not moved: {other:?}"),
        }
    }

    fn original(&self) -> std::path::PathBuf {
        self.staging.at("acme/day/rec.wav")
    }

    fn in_trash(&self, token: u128) -> std::path::PathBuf {
        let token = Uuid::from_u128(token);
        self.staging
            .at(&format!(".callferry-trash/acme/rec~{token}"))
    }

    async fn find(&self) -> Vec<TrashEntry> {
        let key = announced("rec", 0).key;
        self.trash.find(&key).await.unwrap()
    }
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

fn is_down<T>(found: &Result<T, StagingFault>) -> bool {
    matches!(found, Err(StagingFault::Unavailable(_)))
}

fn is_refused<T>(found: &Result<T, StagingFault>) -> bool {
    matches!(found, Err(StagingFault::Unreadable(_)))
}

#[tokio::test]
async fn an_original_goes_by_way_of_the_trash() {
    let it = Case::new().await;
    assert!(it.find().await.is_empty());
    let path = staging_path("acme/day/rec.wav");
    assert_eq!(it.trash.in_place(&path, &it.identity).await, Ok(true));
    let entry = it.moved(1).await;
    assert!(!it.original().exists());
    assert_eq!(read(&it.in_trash(1)), BYTES);
    assert_eq!(it.find().await, std::slice::from_ref(&entry));
    assert_eq!(it.trash.in_place(&path, &it.identity).await, Ok(false));
    let listed = it.trash.list(0, 10).await.unwrap();
    assert_eq!(listed, std::slice::from_ref(&entry));
    assert_eq!(it.trash.list(0, 0).await.unwrap(), []);
    assert_eq!(it.trash.list(3600, 10).await.unwrap(), []);
    let private = std::fs::metadata(it.staging.at(".callferry-trash/acme")).unwrap();
    assert_eq!(private.permissions().mode() & 0o777, 0o700);
    assert_eq!(
        it.trash.compare(&entry, &it.permission(1)).await,
        Ok(Some(entry.clone()))
    );
    it.trash
        .unlink(entry.clone(), it.permission(1))
        .await
        .unwrap();
    assert!(!it.in_trash(1).exists());
    // Deleting what is no longer there is success.
    it.trash.unlink(entry, it.permission(1)).await.unwrap();
    assert_eq!(it.move_in(2).await, Ok(Moved::Absent));
    assert!(it.find().await.is_empty());
}

#[tokio::test]
async fn only_the_permission_for_this_entry_deletes_it() {
    let it = Case::new().await;
    let entry = it.moved(1).await;
    assert!(is_refused(
        &it.trash.unlink(entry.clone(), it.permission(2)).await
    ));
    let mut foreign = entry.clone();
    foreign.key.recording_id = "other".parse().unwrap();
    assert!(is_refused(
        &it.trash.unlink(foreign, it.permission(1)).await
    ));
    assert_eq!(read(&it.in_trash(1)), BYTES);
    // Somebody with the run of the file system swapped what lies in the trash.
    std::fs::write(it.in_trash(1), b"RIFF another call..").unwrap();
    assert_eq!(it.trash.compare(&entry, &it.permission(1)).await, Ok(None));
    assert!(is_refused(&it.trash.unlink(entry, it.permission(1)).await));
    assert!(it.in_trash(1).exists());
}

#[tokio::test]
async fn a_successor_takes_an_entry_over_and_the_predecessor_cannot_delete_it() {
    let it = Case::new().await;
    let entry = it.moved(1).await;
    let taken = it.trash.take_over(entry.clone(), Uuid::from_u128(2)).await;
    let taken = taken.unwrap().unwrap();
    assert_eq!(taken.token, Uuid::from_u128(2));
    // Who comes second finds nothing to take over.
    let late = it.trash.take_over(entry.clone(), Uuid::from_u128(3)).await;
    assert_eq!(late, Ok(None));
    let again = it.trash.take_over(taken.clone(), Uuid::from_u128(2)).await;
    assert_eq!(again, Ok(Some(taken.clone())));
    it.trash.unlink(entry, it.permission(1)).await.unwrap();
    assert_eq!(read(&it.in_trash(2)), BYTES);
    it.trash.unlink(taken, it.permission(2)).await.unwrap();
    assert!(!it.in_trash(2).exists());
}

#[tokio::test]
async fn the_same_bytes_in_another_file_may_go_and_other_bytes_are_put_back() {
    let it = Case::new().await;
    // Restored from a backup: another inode and time, the same bytes.
    let copy = it.staging.at("acme/day/copy");
    std::fs::write(&copy, BYTES).unwrap();
    std::fs::rename(&copy, it.original()).unwrap();
    let entry = it.moved(1).await;
    it.trash.unlink(entry, it.permission(1)).await.unwrap();
    assert!(!it.original().exists());
    // Other bytes of the same size, and of another.
    for other in [&b"RIFF some other sum"[..], b"RIFF"] {
        std::fs::write(it.original(), other).unwrap();
        assert_eq!(it.move_in(2).await, Ok(Moved::NotTheSame));
        assert_eq!(read(&it.original()), other);
        assert!(it.find().await.is_empty());
    }
}

#[tokio::test]
async fn what_is_no_plain_file_is_not_even_moved() {
    let it = Case::new().await;
    std::fs::remove_file(it.original()).unwrap();
    let target = it.staging.put("target", BYTES);
    symlink(&target, it.original()).unwrap();
    let inode = std::fs::symlink_metadata(it.original()).unwrap().ino();
    assert_eq!(it.move_in(1).await, Ok(Moved::NotTheSame));
    let link = std::fs::symlink_metadata(it.original()).unwrap();
    assert_eq!(link.ino(), inode);
    assert_eq!(read(&target), BYTES);
    std::fs::remove_file(it.original()).unwrap();
    std::fs::create_dir(it.original()).unwrap();
    assert_eq!(it.move_in(1).await, Ok(Moved::NotTheSame));
    assert!(it.original().is_dir());
    // A folder on the way became a link.
    std::fs::remove_dir_all(it.staging.at("acme/day")).unwrap();
    std::fs::create_dir(it.staging.at("elsewhere")).unwrap();
    std::fs::write(it.staging.at("elsewhere/rec.wav"), BYTES).unwrap();
    symlink("../elsewhere", it.staging.at("acme/day")).unwrap();
    assert_eq!(it.move_in(1).await, Ok(Moved::NotTheSame));
    assert_eq!(read(&it.staging.at("elsewhere/rec.wav")), BYTES);
}

#[tokio::test]
async fn an_entry_goes_back_to_its_path_but_never_over_another_file() {
    let it = Case::new().await;
    let path = staging_path("acme/day/rec.wav");
    let entry = it.moved(1).await;
    std::fs::write(it.original(), b"a newer recording").unwrap();
    assert_eq!(it.trash.put_back(&entry, &path).await, Ok(false));
    assert_eq!(read(&it.original()), b"a newer recording");
    assert_eq!(read(&it.in_trash(1)), BYTES);
    std::fs::remove_file(it.original()).unwrap();
    // The recorder tidied its empty folders meanwhile.
    std::fs::remove_dir(it.staging.at("acme/day")).unwrap();
    assert_eq!(it.trash.put_back(&entry, &path).await, Ok(true));
    assert_eq!(read(&it.original()), BYTES);
    assert_eq!(it.trash.in_place(&path, &it.identity).await, Ok(true));
    assert!(it.find().await.is_empty());
    // It is back and nothing is left to put back.
    let again = it.trash.put_back(&entry, &path).await;
    assert_eq!(again, Err(StagingFault::Absent));
}

#[tokio::test]
async fn two_names_of_one_file_left_by_a_crash_are_healed() {
    let it = Case::new().await;
    let entry = it.moved(1).await;
    // A file system without RENAME_NOREPLACE: linked, not yet unlinked.
    std::fs::hard_link(it.in_trash(1), it.original()).unwrap();
    let path = staging_path("acme/day/rec.wav");
    assert_eq!(it.trash.put_back(&entry, &path).await, Ok(true));
    assert_eq!(read(&it.original()), BYTES);
    assert!(it.find().await.is_empty());
}

#[tokio::test]
async fn an_unmounted_root_is_an_outage_and_not_an_empty_trash() {
    let it = Case::new().await;
    let entry = it.moved(1).await;
    let root = it.staging.folder.path();
    let away = root.with_extension("away");
    std::fs::rename(root, &away).unwrap();
    std::fs::create_dir(root).unwrap();
    let path = staging_path("acme/day/rec.wav");
    assert!(is_down(&it.trash.find(&entry.key).await));
    assert!(is_down(&it.trash.list(0, 10).await));
    assert!(is_down(&it.move_in(2).await));
    assert!(is_down(&it.trash.in_place(&path, &it.identity).await));
    assert!(is_down(&it.trash.put_back(&entry, &path).await));
    assert!(is_down(
        &it.trash.take_over(entry.clone(), Uuid::from_u128(2)).await
    ));
    assert!(is_down(&it.trash.compare(&entry, &it.permission(1)).await));
    assert!(is_down(&it.trash.unlink(entry, it.permission(1)).await));
    assert!(is_down(&it.trash.probe().await));
    assert_eq!(std::fs::read_dir(root).unwrap().count(), 0);
    std::fs::remove_dir(root).unwrap();
    std::fs::rename(&away, root).unwrap();
    assert_eq!(read(&it.in_trash(1)), BYTES);
}

#[tokio::test]
async fn what_cleanup_did_not_put_into_the_trash_is_left_alone() {
    let it = Case::new().await;
    let entry = it.moved(1).await;
    let bin = it.staging.at(".callferry-trash/acme");
    std::fs::write(bin.join("rec~no-token"), b"x").unwrap();
    std::fs::write(it.staging.at(".callferry-trash/stray"), b"x").unwrap();
    std::fs::create_dir(it.staging.at(".callferry-trash/lost+found")).unwrap();
    symlink(&bin, it.staging.at(".callferry-trash/beta")).unwrap();
    let listed = it.trash.list(0, 10).await.unwrap();
    assert_eq!(listed, std::slice::from_ref(&entry));
    assert_eq!(it.find().await, [entry]);
}
