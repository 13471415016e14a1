//! Erasing originals in staging of every kind: exactly the original goes, and whatever may be
//! another recording's stays, since that may be its only one.

use recording::{
    AtPath, Clock, Doubt, ErasingOriginal, Fence, KnownBy, LEASE, Lease, OriginalRemains,
    RecordingKey, Sha256, SoughtOriginal, StagingFault,
};
use uuid::Uuid;

use super::kinds::{Copied, Hand, Kind, Yard};
use super::setting::{Clocks, clocks, staging_path};

const PATH: &str = "acme/line-1.wav";
const BYTES: &[u8] = b"RIFF the whole call";
/// As long as the other.
const OTHERS: &[u8] = b"RIFF another call..";
const KINDS: [Kind; 4] = [Kind::Folder, Kind::S3, Kind::Versioned, Kind::Azure];

fn key() -> RecordingKey {
    RecordingKey {
        account_id: "acme".parse().unwrap(),
        recording_id: "rec".parse().unwrap(),
    }
}

fn sought(known_by: KnownBy) -> SoughtOriginal {
    SoughtOriginal {
        key: key(),
        path: staging_path(PATH),
        known_by,
    }
}

/// One that a copy was proven of.
fn copied(of: &Copied) -> SoughtOriginal {
    sought(KnownBy::Copy {
        identity: of.identity.clone(),
        sha256: of.digests.sha256,
    })
}

/// One that was only announced.
fn announced(size: usize, sha256: Option<Sha256>, path_is_wanted: bool) -> SoughtOriginal {
    sought(KnownBy::Event {
        size_bytes: u64::try_from(size).unwrap(),
        sha256,
        path_is_wanted,
    })
}

async fn erase(it: &Yard, sought: &SoughtOriginal) -> Result<u32, StagingFault> {
    let lease = Lease {
        token: Uuid::from_u128(7),
        fence: Fence::new(clocks(), Clocks.boot(), LEASE),
    };
    let erasing = ErasingOriginal::new(sought.clone(), None, lease, (1, true));
    it.erasers.erase(erasing.erasable().unwrap()).await
}

async fn at_path(it: &Yard, sought: &SoughtOriginal) -> AtPath {
    let left = it.erasers.left(sought).await.unwrap();
    assert_eq!(left.in_trash, 0, "{left:?}");
    left.at_path
}

#[tokio::test]
async fn what_took_the_path_of_a_copied_one_stays_and_the_original_is_called_gone() {
    for kind in KINDS {
        let Some(it) = Yard::start(kind).await else {
            continue;
        };
        it.put(PATH, BYTES).await;
        let original = copied(&it.copied(PATH).await);
        for others in [OTHERS, b"longer than the other call"] {
            it.put(PATH, others).await;
            // Where versions are kept, the copied one still lies below.
            let below = u32::from(kind == Kind::Versioned && others == OTHERS);
            let before = match below {
                0 => AtPath::Another,
                _ => AtPath::It,
            };
            assert_eq!(at_path(&it, &original).await, before, "{kind:?}");
            assert_eq!(erase(&it, &original).await, Ok(below), "{kind:?}");
            assert_eq!(at_path(&it, &original).await, AtPath::Another, "{kind:?}");
            let left = it.erasers.left(&original).await.unwrap();
            let gone = left.gone().unwrap();
            assert!(gone.seen().contains("another file"), "{}", gone.seen());
            assert_eq!(it.read(PATH).await.as_deref(), Some(others), "{kind:?}");
        }
    }
}

#[tokio::test]
async fn the_copied_one_goes_also_where_its_bytes_were_put_there_again() {
    for kind in KINDS {
        let Some(it) = Yard::start(kind).await else {
            continue;
        };
        it.put(PATH, BYTES).await;
        let original = copied(&it.copied(PATH).await);
        assert_eq!(at_path(&it, &original).await, AtPath::It, "{kind:?}");
        it.put(PATH, BYTES).await;
        let many = 1 + u32::from(kind == Kind::Versioned);
        assert_eq!(erase(&it, &original).await, Ok(many), "{kind:?}");
        assert_eq!(at_path(&it, &original).await, AtPath::Nothing, "{kind:?}");
        assert_eq!(it.read(PATH).await, None, "{kind:?}");
        // Again: nothing there is fine.
        assert_eq!(erase(&it, &original).await, Ok(0), "{kind:?}");
    }
}

#[tokio::test]
async fn of_an_announced_one_nothing_goes_that_may_be_anothers() {
    for kind in KINDS {
        let Some(it) = Yard::start(kind).await else {
            continue;
        };
        it.put(PATH, BYTES).await;
        let digest = it.copied(PATH).await.digests.sha256;
        let other = Sha256::new([7; 32]);
        for (sought, doubt) in [
            (announced(BYTES.len(), None, true), Doubt::PathIsWanted),
            (
                announced(BYTES.len(), Some(digest), true),
                Doubt::PathIsWanted,
            ),
            (announced(BYTES.len() + 1, None, false), Doubt::Size),
            (announced(BYTES.len(), Some(other), false), Doubt::Digest),
        ] {
            assert_eq!(erase(&it, &sought).await, Ok(0), "{kind:?} {doubt:?}");
            let left = it.erasers.left(&sought).await.unwrap();
            let doubtful = OriginalRemains {
                at_path: AtPath::Doubtful(doubt),
                in_trash: 0,
            };
            assert_eq!(left, doubtful, "{kind:?}");
            assert!(left.gone().is_none());
            assert_eq!(it.read(PATH).await.as_deref(), Some(BYTES), "{kind:?}");
        }
        // Nothing speaks against it, by its size or by its bytes.
        for digest in [None, Some(digest)] {
            it.put(PATH, BYTES).await;
            let sought = announced(BYTES.len(), digest, false);
            let gone = erase(&it, &sought).await.unwrap();
            assert!(gone > 0, "{kind:?}");
            assert_eq!(at_path(&it, &sought).await, AtPath::Nothing, "{kind:?}");
            assert_eq!(it.read(PATH).await, None, "{kind:?}");
        }
        // One whose path is empty is gone, whoever waits for it.
        let wanted = announced(BYTES.len(), None, true);
        assert_eq!(erase(&it, &wanted).await, Ok(0));
        assert_eq!(at_path(&it, &wanted).await, AtPath::Nothing);
    }
}

/// As a process that died left it there.
#[tokio::test]
async fn what_lies_in_the_trash_under_its_name_goes_only_if_it_is_it() {
    let it = Yard::start(Kind::Folder).await.unwrap();
    let Hand::Folder(staging) = &it.hand else {
        panic!("a folder");
    };
    it.put(PATH, BYTES).await;
    let original = copied(&it.copied(PATH).await);
    let entry = |token: u128| {
        let token = Uuid::from_u128(token);
        staging.at(&format!(".callferry-trash/acme/rec~{token}"))
    };
    std::fs::create_dir_all(entry(1).parent().unwrap()).unwrap();
    std::fs::rename(staging.at(PATH), entry(1)).unwrap();
    std::fs::write(entry(2), OTHERS).unwrap();
    assert_eq!(erase(&it, &original).await, Ok(1));
    assert_eq!(at_path(&it, &original).await, AtPath::Another);
    assert_eq!(it.read(PATH).await.as_deref(), Some(OTHERS), "put back");
    assert!(!entry(1).exists() && !entry(2).exists());
    // A second one: its path is taken, so that it stays, and is not called gone.
    std::fs::write(entry(3), b"a third call").unwrap();
    assert_eq!(erase(&it, &original).await, Ok(0));
    let left = it.erasers.left(&original).await.unwrap();
    assert_eq!((left.at_path, left.in_trash), (AtPath::Another, 1));
    assert!(left.gone().is_none());
    assert!(entry(3).exists());
}
