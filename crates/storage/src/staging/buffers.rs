//! Memory for what is read of originals: small pieces from the allocator, large ones mapped.
//!
//! **Decision.** A large piece is an anonymous mapping of its own. **Because** the allocator keeps
//! freed pieces of this size for each of the threads that read, and no limit of ours knows of it:
//! six originals in parts of 16 MiB held 386 MiB where the byte budget was 128 MiB, and still
//! 370 MiB when all were sent. What is unmapped is gone, and so the byte budget is a bound again.
//! **Instead of** another allocator for the whole process, and settings that each installation
//! would have to make.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use memmap2::MmapMut;
use rustix::fd::AsFd;
use rustix::io::Errno;

use super::compare::{fill, read_exactly};

/// Pieces from here on are mapped, in bytes. Smaller ones come and go too often for it.
const MAPPED_MIN: usize = 1 << 20;
/// Pieces up to here may wait for their next use, in bytes.
const IDLE_BYTES_MAX: usize = 32 << 20;
/// So many at most: the next part of a large original finds one with its pages in place, and
/// little is held when nothing is read.
const IDLE_MAX: usize = 2;

/// The memory of one process's reading.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    idle: Mutex<Vec<MmapMut>>,
}

/// A mapping that is lent, and goes back or away.
struct Lent {
    /// There until it is dropped.
    mapping: Option<MmapMut>,
    home: Arc<Buffers>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        self.mapping.as_deref().unwrap_or_default()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(mapping) = self.mapping.take() {
            self.home.give_back(mapping);
        }
    }
}

/// A piece that is filled from its beginning, by what comes over a line.
pub(super) struct Filling {
    piece: Piece,
    len: usize,
    filled: usize,
}

enum Piece {
    Small(Vec<u8>),
    Mapped(Lent),
}

impl Filling {
    /// Adds bytes; `false` if they are more than the piece has room for.
    pub(super) fn push(&mut self, bytes: &[u8]) -> bool {
        let end = self.filled.saturating_add(bytes.len());
        if end > self.len {
            return false;
        }
        match &mut self.piece {
            Piece::Small(vector) => vector.extend_from_slice(bytes),
            Piece::Mapped(lent) => {
                let mapping = lent.mapping.as_deref_mut().unwrap_or_default();
                match mapping.get_mut(self.filled..end) {
                    Some(place) => place.copy_from_slice(bytes),
                    None => return false,
                }
            }
        }
        self.filled = end;
        true
    }

    /// All of it, or `None` if it is not full.
    pub(super) fn whole(self) -> Option<Bytes> {
        (self.filled == self.len).then(|| match self.piece {
            Piece::Small(vector) => Bytes::from(vector),
            Piece::Mapped(lent) => Bytes::from_owner(lent),
        })
    }
}

impl Buffers {
    /// A piece of `len` bytes to be filled.
    pub(super) fn begin(self: &Arc<Self>, len: usize) -> Result<Filling, Errno> {
        let piece = if len < MAPPED_MIN {
            Piece::Small(Vec::with_capacity(len))
        } else {
            let mapping = match self.take(len) {
                Some(mapping) => mapping,
                None => MmapMut::map_anon(len).map_err(|error| errno(&error))?,
            };
            Piece::Mapped(Lent {
                mapping: Some(mapping),
                home: Arc::clone(self),
            })
        };
        Ok(Filling {
            piece,
            len,
            filled: 0,
        })
    }

    /// Reads exactly `len` bytes at `offset`, or `None` if the file ends before that.
    pub(super) fn read(
        self: &Arc<Self>,
        file: impl AsFd,
        offset: u64,
        len: usize,
    ) -> Result<Option<Bytes>, Errno> {
        if len < MAPPED_MIN {
            return Ok(read_exactly(file, offset, len)?.map(Bytes::from));
        }
        let mut mapping = match self.take(len) {
            Some(mapping) => mapping,
            None => MmapMut::map_anon(len).map_err(|error| errno(&error))?,
        };
        let whole = fill(file, offset, &mut mapping);
        let lent = Lent {
            mapping: Some(mapping),
            home: Arc::clone(self),
        };
        Ok(whole?.then(|| Bytes::from_owner(lent)))
    }

    /// One of exactly this length: in one original all parts but the last are alike.
    fn take(&self, len: usize) -> Option<MmapMut> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let at = idle.iter().position(|mapping| mapping.len() == len)?;
        Some(idle.swap_remove(at))
    }

    fn give_back(&self, mapping: MmapMut) {
        if mapping.len() > IDLE_BYTES_MAX {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(mapping);
        // The oldest one: what is read now is likely to be read next.
        let surplus = (idle.len() > IDLE_MAX).then(|| idle.remove(0));
        drop(idle);
        drop(surplus);
    }
}

fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::NOMEM)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(bytes: &[u8]) -> std::fs::File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn pattern(len: usize) -> Vec<u8> {
        (0..len).map(|n| n.to_le_bytes()[1]).collect()
    }

    #[test]
    fn small_and_large_pieces_are_read_exactly_or_not_at_all() {
        let bytes = pattern(3 * MAPPED_MIN);
        let file = file(&bytes);
        let buffers = Arc::new(Buffers::default());
        for len in [1, MAPPED_MIN - 1, MAPPED_MIN, 2 * MAPPED_MIN + 1] {
            let read = buffers.read(&file, 7, len).unwrap().unwrap();
            assert!(read == bytes[7..7 + len]);
            let beyond = u64::try_from(bytes.len() - len + 1).unwrap();
            assert!(buffers.read(&file, beyond, len).unwrap().is_none());
        }
    }

    #[test]
    fn what_comes_over_a_line_fills_a_piece_exactly_or_not_at_all() {
        let bytes = pattern(2 * MAPPED_MIN);
        let buffers = Arc::new(Buffers::default());
        for len in [1, MAPPED_MIN - 1, MAPPED_MIN + 7] {
            let mut filling = buffers.begin(len).unwrap();
            for chunk in bytes[..len].chunks(100_001) {
                assert!(filling.push(chunk));
            }
            assert!(!filling.push(b"x"));
            assert!(filling.whole().unwrap() == bytes[..len]);
            let mut short = buffers.begin(len).unwrap();
            assert!(short.push(&bytes[..len - 1]));
            assert!(short.whole().is_none());
        }
    }

    #[test]
    fn a_piece_is_used_again_and_only_a_few_wait_for_it() {
        let bytes = pattern(2 * MAPPED_MIN);
        let file = file(&bytes);
        let buffers = Arc::new(Buffers::default());
        let idle = || buffers.idle.lock().unwrap().len();
        let read = |offset| buffers.read(&file, offset, MAPPED_MIN).unwrap().unwrap();
        let held: Vec<Bytes> = (0..4).map(read).collect();
        assert_eq!(idle(), 0);
        let kept = held[3].slice(1..2);
        drop(held);
        assert_eq!(idle(), IDLE_MAX);
        // What somebody still holds is not written over.
        assert!(read(9) == bytes[9..9 + MAPPED_MIN]);
        assert_eq!(kept, bytes[4..5]);
        assert_eq!(idle(), IDLE_MAX);
    }
}
