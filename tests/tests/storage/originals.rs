//! Opening and reading originals.

use std::os::unix::fs::symlink;

use recording::{Originals, StagingFault};
use storage::{LocalStaging, MarkerFault, read_marker, write_marker};
use uuid::Uuid;

use super::setting::{STAGING, Staging, noise, staging_path};

async fn open(it: &Staging, path: &str) -> Result<(), StagingFault> {
    let opened = it.originals.open(&staging_path(path)).await;
    opened.map(|_| ())
}

fn is_odd(found: &Result<(), StagingFault>) -> bool {
    matches!(found, Err(StagingFault::NotAPlainFile(_)))
}

fn is_down<T>(found: &Result<T, StagingFault>) -> bool {
    matches!(found, Err(StagingFault::Unavailable(_)))
}

#[tokio::test]
async fn a_plain_file_is_read_exactly_wherever_it_lies() {
    let it = Staging::new();
    let bytes = noise(300_000, 1);
    it.put("2026/11/22/rec.wav", &bytes);
    let path = staging_path("acme/2026/11/22/rec.wav");
    let original = it.originals.open(&path).await.unwrap();
    assert_eq!(original.identity().size_bytes, 300_000);
    assert_eq!(original.read(0, 300_000).await.unwrap(), bytes);
    assert_eq!(original.read(299_999, 1).await.unwrap(), bytes[299_999..]);
    assert_eq!(original.read(7, 0).await.unwrap(), b""[..]);
    assert_eq!(original.read(299_999, 2).await, Err(StagingFault::Changed));
    assert_eq!(original.still_same().await, Ok(()));
    let digests = original.digests().await.unwrap();
    assert_eq!(digests.size_bytes, 300_000);
}

#[tokio::test]
async fn links_fifos_sockets_and_folders_are_odd_and_never_followed() {
    let it = Staging::new();
    let secret = it.at("secret");
    std::fs::write(&secret, b"somebody else's").unwrap();
    let real = it.put("real/rec.wav", b"x");
    symlink(&secret, it.at("acme/link.wav")).unwrap();
    symlink("real/rec.wav", it.at("acme/inside.wav")).unwrap();
    symlink("nowhere", it.at("acme/dangling.wav")).unwrap();
    symlink(it.at("acme/real"), it.at("acme/folder")).unwrap();
    std::fs::hard_link(&secret, it.at("acme/hard.wav")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        it.at("acme/fifo.wav"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(it.at("acme/socket.wav")).unwrap();
    for odd in [
        "link",
        "inside",
        "dangling",
        "folder/rec",
        "hard",
        "fifo",
        "socket",
    ] {
        let found = open(&it, &format!("acme/{odd}.wav")).await;
        assert!(is_odd(&found), "{odd}: {found:?}");
    }
    assert!(is_odd(&open(&it, "acme/real").await));
    assert!(is_odd(&open(&it, "acme/real/rec.wav/x").await));
    assert_eq!(open(&it, "acme/real/rec.wav").await, Ok(()));
    std::fs::hard_link(&real, it.at("acme/second.wav")).unwrap();
    assert!(is_odd(&open(&it, "acme/real/rec.wav").await));
    // The account's folder itself may not be a link into another's either.
    std::fs::create_dir(it.at("beta")).unwrap();
    std::fs::write(it.at("beta/rec.wav"), b"y").unwrap();
    std::fs::remove_dir_all(it.at("acme")).unwrap();
    symlink("beta", it.at("acme")).unwrap();
    assert!(is_odd(&open(&it, "acme/rec.wav").await));
}

#[tokio::test]
async fn a_file_that_changes_after_it_was_opened_is_noticed() {
    let it = Staging::new();
    let changes: [fn(&std::path::Path); 3] = [
        |path| std::fs::write(path, b"12345678901234567890 more").unwrap(),
        |path| std::fs::write(path, b"short").unwrap(),
        |path| std::fs::write(path, b"same length, other!!").unwrap(),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let path = it.put("rec.wav", b"12345678901234567890");
        let opened = it.originals.open(&staging_path("acme/rec.wav")).await;
        let original = opened.unwrap();
        assert_eq!(original.still_same().await, Ok(()));
        change(&path);
        let same = original.still_same().await;
        assert_eq!(same, Err(StagingFault::Changed), "{number}");
        assert!(original.digests().await.is_err());
    }
}

#[tokio::test]
async fn absence_is_believed_only_with_the_marker() {
    let it = Staging::new();
    assert_eq!(open(&it, "acme/none.wav").await, Err(StagingFault::Absent));
    it.put("rec.wav", b"x");
    assert_eq!(open(&it, "acme/none.wav").await, Err(StagingFault::Absent));
    assert_eq!(it.originals.probe().await, Ok(()));
    // What an unmounted root looks like: the same path, another, empty folder.
    let away = it.folder.path().with_extension("away");
    std::fs::rename(it.folder.path(), &away).unwrap();
    std::fs::create_dir(it.folder.path()).unwrap();
    assert!(is_down(&open(&it, "acme/rec.wav").await));
    assert!(is_down(&it.originals.probe().await));
    std::fs::remove_dir(it.folder.path()).unwrap();
    assert!(is_down(&open(&it, "acme/rec.wav").await));
    std::fs::rename(&away, it.folder.path()).unwrap();
    assert_eq!(open(&it, "acme/rec.wav").await, Ok(()));
    std::fs::write(it.at(".callferry-staging"), Uuid::from_u128(9).to_string()).unwrap();
    assert!(is_down(&open(&it, "acme/none.wav").await));
}

#[test]
fn the_marker_is_written_once_and_never_over_another() {
    let folder = tempfile::tempdir().unwrap();
    assert!(LocalStaging::open(folder.path(), STAGING).is_err());
    assert_eq!(read_marker(folder.path()), Ok(None));
    write_marker(folder.path(), STAGING).unwrap();
    write_marker(folder.path(), STAGING).unwrap();
    assert_eq!(read_marker(folder.path()), Ok(Some(STAGING)));
    let other = write_marker(folder.path(), Uuid::from_u128(9));
    assert_eq!(other, Err(MarkerFault::OtherStaging(STAGING)));
    assert_eq!(read_marker(folder.path()), Ok(Some(STAGING)));
    assert!(LocalStaging::open(folder.path(), Uuid::from_u128(9)).is_err());
    std::fs::write(folder.path().join(".callferry-staging"), b"garbage").unwrap();
    let garbage = write_marker(folder.path(), STAGING);
    assert_eq!(garbage, Err(MarkerFault::Malformed));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
