//! A race against the real staging code: threads swap what is at a path, and the folders on the
//! way, for links, special files and another account's files, while it is opened and read.
//!
//! Every byte that comes out must be of the account's own files, every refusal must be of a kind
//! that parks one recording, and nothing may wait. The same race against a naive reader must give
//! it another account's bytes: a race that nobody can lose proves nothing. It is bounded by swaps,
//! not by time.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use recording::{Originals, StagingFault, StagingPath};
use rustix::fs::{CWD, FileType, Mode, OFlags, RenameFlags, mknodat, renameat_with};
use storage::{LocalStaging, write_marker};
use uuid::Uuid;

const STAGING: Uuid = Uuid::from_u128(0x0bad);
/// Swaps of the file, and half as many of the folder above it.
const SWAPS: u64 = 100_000;
/// The size of every file: several reads' worth.
const SIZE: usize = 40_000;
/// Opening or reading may not wait; a minute is no speed.
const HANG: Duration = Duration::from_secs(60);

/// The files: acme's are of `a`, what is nobody's business is of `X`.
struct Arena {
    root: tempfile::TempDir,
}

impl Arena {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        write_marker(root.path(), STAGING).unwrap();
        let arena = Self { root };
        for folder in ["acme/day/deep", "globex/deep", "spare"] {
            fs::create_dir_all(arena.at(folder)).unwrap();
        }
        for foreign in ["globex/rec.wav", "globex/deep/rec.wav", "outside"] {
            fs::write(arena.at(foreign), vec![b'X'; SIZE]).unwrap();
        }
        fs::write(arena.at("acme/day/deep/rec.wav"), vec![b'a'; SIZE]).unwrap();
        arena
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    /// What takes its turn at the file's path.
    fn decoys(&self) -> Vec<PathBuf> {
        let spare = |name: &str| self.at("spare").join(name);
        symlink(self.at("globex/rec.wav"), spare("link")).unwrap();
        symlink("../../../outside", spare("climbing")).unwrap();
        symlink("nowhere", spare("dangling")).unwrap();
        fs::hard_link(self.at("globex/rec.wav"), spare("hard")).unwrap();
        for name in ["fifo", "second-fifo"] {
            mknodat(CWD, spare(name), FileType::Fifo, Mode::RWXU, 0).unwrap();
        }
        let socket = std::os::unix::net::UnixListener::bind(spare("socket")).unwrap();
        drop(socket);
        fs::create_dir(spare("folder")).unwrap();
        fs::write(spare("own"), vec![b'a'; SIZE]).unwrap();
        fs::write(spare("shorter"), vec![b'a'; SIZE / 2]).unwrap();
        let names = [
            "link", "climbing", "dangling", "hard", "fifo", "socket", "folder",
        ];
        let plain = ["own", "shorter", "second-fifo"];
        names.into_iter().chain(plain).map(spare).collect()
    }
}

/// Swaps two paths in one step, so that one of the two is always there.
fn exchange(one: &Path, other: &Path) {
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
}

/// Swaps the file for every decoy in turn.
fn swap_files(file: &Path, decoys: &[PathBuf], swaps: &AtomicU64) {
    while swaps.load(Ordering::Relaxed) < SWAPS {
        for decoy in decoys {
            exchange(file, decoy);
            swaps.fetch_add(1, Ordering::Relaxed);
            // For a moment nothing at all is there.
            let away = file.with_extension("away");
            if swaps.load(Ordering::Relaxed).is_multiple_of(7) {
                fs::rename(file, &away).unwrap();
                fs::rename(&away, file).unwrap();
            }
            exchange(file, decoy);
            swaps.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Swaps a folder on the way for a link to another account's, a file and a pipe.
fn swap_folders(folder: &Path, decoys: &[PathBuf], done: &AtomicBool, swaps: &AtomicU64) {
    while !done.load(Ordering::Relaxed) {
        for decoy in decoys {
            exchange(folder, decoy);
            exchange(folder, decoy);
            swaps.fetch_add(2, Ordering::Relaxed);
        }
        thread::yield_now();
    }
}

/// What one attempt came to; panics if it was anything that must not be.
async fn attempt(staging: &LocalStaging, path: &StagingPath, whole: bool) -> &'static str {
    let work = async {
        let original = staging.open(path).await?;
        let size = usize::try_from(original.identity().size_bytes).unwrap();
        if whole {
            let digests = original.digests().await?;
            assert_eq!(digests.size_bytes, original.identity().size_bytes);
        }
        for (offset, len) in [(0, size / 2), (size / 2, size - size / 2)] {
            let bytes = original.read(u64::try_from(offset).unwrap(), len).await?;
            assert_eq!(bytes.len(), len);
            let foreign = bytes.iter().find(|byte| **byte != b'a');
            assert_eq!(foreign, None, "a byte of somebody else's");
        }
        original.still_same().await
    };
    let outcome = tokio::time::timeout(HANG, work).await.expect("it hangs");
    match outcome {
        Ok(()) => "read",
        Err(StagingFault::Absent) => "absent",
        Err(StagingFault::NotAPlainFile(_)) => "not a plain file",
        Err(StagingFault::Changed) => "changed",
        // Neither the disk nor staging is in trouble here.
        Err(fault @ (StagingFault::Unreadable(_) | StagingFault::Unavailable(_))) => {
            panic!("blamed on staging: {fault}")
        }
    }
}

/// Whoever opens by name gets whatever is there.
fn naive(path: &Path) -> bool {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK;
    let Ok(file) = rustix::fs::open(path, flags, Mode::empty()) else {
        return false;
    };
    let mut bytes = Vec::new();
    let read = fs::File::from(file).read_to_end(&mut bytes);
    read.is_ok() && bytes.contains(&b'X')
}

#[tokio::test(flavor = "multi_thread")]
async fn no_swap_at_the_path_or_above_it_yields_a_byte_of_another_account_or_a_wait() {
    let arena = Arena::new();
    let staging = LocalStaging::open(arena.root.path(), STAGING).unwrap();
    let path = "acme/day/deep/rec.wav";
    let path = StagingPath::new(&"acme".parse().unwrap(), path).unwrap();
    let file = arena.at(path.as_str());
    // The file swapper works in the folder itself, which the other one moves about: it reaches
    // the file by the folder's descriptor, as it is not beneath any name for long.
    let folder = fs::File::open(arena.at("acme/day/deep")).unwrap();
    let reached = PathBuf::from(format!(
        "/proc/self/fd/{}/rec.wav",
        std::os::fd::AsRawFd::as_raw_fd(&folder)
    ));
    let decoys = arena.decoys();
    let folders =
        ["link-above", "file-above", "fifo-above"].map(|name| arena.at("spare").join(name));
    symlink(arena.at("globex"), &folders[0]).unwrap();
    fs::write(&folders[1], "no folder").unwrap();
    mknodat(CWD, &folders[2], FileType::Fifo, Mode::RWXU, 0).unwrap();

    let (swaps, above) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (done, fooled) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let swapper = {
        let (swaps, reached) = (Arc::clone(&swaps), reached);
        thread::spawn(move || swap_files(&reached, &decoys, &swaps))
    };
    let mover = {
        let (above, done) = (Arc::clone(&above), Arc::clone(&done));
        let day = arena.at("acme/day");
        thread::spawn(move || swap_folders(&day, &folders, &done, &above))
    };
    let victim = {
        let (done, fooled, file) = (Arc::clone(&done), Arc::clone(&fooled), file.clone());
        thread::spawn(move || {
            while !done.load(Ordering::Relaxed) {
                fooled.fetch_add(u64::from(naive(&file)), Ordering::Relaxed);
            }
        })
    };
    let mut outcomes: BTreeMap<&str, u64> = BTreeMap::new();
    let mut tried = 0_u64;
    while !swapper.is_finished() {
        let whole = tried.is_multiple_of(5);
        *outcomes
            .entry(attempt(&staging, &path, whole).await)
            .or_default() += 1;
        tried += 1;
    }
    done.store(true, Ordering::Relaxed);
    for thread in [swapper, mover, victim] {
        thread.join().unwrap();
    }
    let (swaps, above) = (swaps.load(Ordering::Relaxed), above.load(Ordering::Relaxed));
    let fooled = fooled.load(Ordering::Relaxed);
    println!("{swaps} swaps, {above} above; {tried} tried: {outcomes:?}; naive: {fooled} fooled");
    assert!(swaps >= SWAPS && above > 0, "{swaps} {above}");
    assert!(outcomes.contains_key("read"), "{outcomes:?}");
    assert!(outcomes.contains_key("not a plain file"), "{outcomes:?}");
    assert!(
        fooled > 0,
        "the naive reader was never fooled: there was no race"
    );
    assert_eq!(
        attempt(&staging, &path, true).await,
        "read",
        "at rest it is the file again"
    );
}
