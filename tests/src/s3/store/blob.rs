//! Bytes on their way to the disk and back.
//!
//! Zeros are not written: they become holes, so that a huge object of a few bytes needs neither
//! the disk nor its time.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use bytes::Bytes;

use super::Store;
use super::records::{ObjectRecord, Segment};
use crate::s3::checksum::{Algorithm, Digests, Hashing, crc64_joined, length};
use crate::s3::faults::Damage;

/// So much is gathered in memory before a thread is asked to write it.
const GATHER_BYTES: usize = 1 << 20;
/// Zeros are looked for in pieces of this size, the file system's own.
const BLOCK_BYTES: usize = 4096;
static ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];
/// So much is read for one chunk of an answer.
const CHUNK_BYTES: u64 = 512 * 1024;

/// A file being written. Dropped before it is kept, the file goes away.
pub(crate) struct BlobWriter {
    number: u64,
    path: PathBuf,
    file: Option<File>,
    /// Bytes of the file so far, holes included.
    position: u64,
    hashing: Hashing,
    pending: Vec<Bytes>,
    pending_bytes: usize,
    kept: bool,
}

impl BlobWriter {
    /// Takes bytes into memory.
    pub(crate) fn push(&mut self, bytes: Bytes) {
        self.pending_bytes += bytes.len();
        self.pending.push(bytes);
    }

    /// Whether it is time to flush.
    pub(crate) fn is_full(&self) -> bool {
        self.pending_bytes >= GATHER_BYTES
    }

    /// Hashes and writes what is in memory. Blocks.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(File::create(&self.path)?),
        };
        for bytes in self.pending.drain(..) {
            self.hashing.update(&bytes);
            write_sparsely(file, self.position, &bytes)?;
            self.position += length(&bytes);
        }
        self.pending_bytes = 0;
        Ok(())
    }

    /// Writes the rest and says what it was. Blocks. The file still goes away with the writer.
    pub(crate) fn finish(&mut self) -> io::Result<(Segment, Digests)> {
        self.flush()?;
        if let Some(file) = &self.file {
            // What ends in a hole ends there all the same.
            file.set_len(self.position)?;
        }
        let hashing = std::mem::replace(&mut self.hashing, Hashing::new(false, None));
        let digests = hashing.finish();
        let segment = Segment {
            blob: self.number,
            size: digests.size,
        };
        Ok((segment, digests))
    }

    /// The index knows the file now.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        if !self.kept
            && self.file.is_some()
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(blob = self.number, %error, "an unused blob could not be removed");
        }
    }
}

/// Writes bytes that were never written before, but for the zeros among them.
fn write_sparsely(file: &File, mut at: u64, bytes: &[u8]) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        // As long as neighbours are alike, they go together.
        let (mut count, mut hole) = (0, None);
        for block in rest.chunks(BLOCK_BYTES) {
            let zero = ZEROS.get(..block.len()) == Some(block);
            if *hole.get_or_insert(zero) != zero {
                break;
            }
            count += block.len();
        }
        let (run, after) = rest.split_at(count);
        if hole == Some(false) {
            file.write_all_at(run, at)?;
        }
        at += length(run);
        rest = after;
    }
    Ok(())
}

/// Reads a range of an object. Its files stay readable when the object is deleted meanwhile.
pub(crate) struct BlobReader {
    files: Vec<(File, u64)>,
    position: u64,
    end: u64,
}

impl BlobReader {
    /// Limits what is read to this range.
    pub(crate) fn limit(&mut self, from: u64, to: u64) {
        self.position = from;
        self.end = to;
    }

    /// The next bytes; none at the end. Blocks.
    pub(crate) fn next(&mut self) -> io::Result<Option<Bytes>> {
        let mut start = 0;
        for (file, size) in &self.files {
            let within = self.position.saturating_sub(start);
            start += size;
            if self.position >= start {
                continue;
            }
            let left = (size - within).min(self.end.saturating_sub(self.position));
            if left == 0 {
                break;
            }
            let count = usize::try_from(left.min(CHUNK_BYTES)).unwrap_or_default();
            let mut bytes = vec![0; count];
            file.read_exact_at(&mut bytes, within)?;
            self.position += length(&bytes);
            return Ok(Some(Bytes::from(bytes)));
        }
        Ok(None)
    }
}

impl Store {
    /// A new file for bytes to come.
    pub(crate) fn writer(&self, md5: bool, algorithm: Option<Algorithm>) -> BlobWriter {
        let number = self.new_blob();
        BlobWriter {
            number,
            path: self.blob_path(number),
            file: None,
            position: 0,
            hashing: Hashing::new(md5, algorithm),
            pending: Vec::new(),
            pending_bytes: 0,
            kept: false,
        }
    }

    /// Opens an object's files. Call under the lock that guards the record.
    pub(crate) fn reader(&self, segments: &[Segment]) -> io::Result<BlobReader> {
        let mut files = Vec::new();
        let mut end = 0;
        for segment in segments {
            files.push((File::open(self.blob_path(segment.blob))?, segment.size));
            end += segment.size;
        }
        Ok(BlobReader {
            files,
            position: 0,
            end,
        })
    }

    /// Spoils one file; returns what is left of it and its true CRC64NVME.
    pub(crate) fn spoil(&self, segment: Segment, damage: Damage) -> io::Result<(Segment, u64)> {
        let mut segment = segment;
        let path = self.blob_path(segment.blob);
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        match damage {
            Damage::Truncate(keep) => {
                segment.size = segment.size.min(keep);
                file.set_len(segment.size)?;
            }
            Damage::Flip if segment.size > 0 => {
                let middle = segment.size / 2;
                let mut byte = [0_u8];
                file.read_exact_at(&mut byte, middle)?;
                let [bits] = byte;
                file.write_all_at(&[bits ^ 1], middle)?;
            }
            Damage::Flip => {}
        }
        let mut hashing = Hashing::new(false, None);
        let mut reader = self.reader(&[segment])?;
        while let Some(bytes) = reader.next()? {
            hashing.update(&bytes);
        }
        Ok((segment, hashing.finish().crc64))
    }

    /// Spoils an object that is about to be kept: its record says what is kept, its `ETag` and the
    /// sender's own checksum stay as they were answered.
    pub(crate) fn spoil_object(&self, object: &mut ObjectRecord, damage: Damage) -> io::Result<()> {
        let mut left = match damage {
            Damage::Truncate(keep) => keep,
            Damage::Flip => u64::MAX,
        };
        let segments = std::mem::take(&mut object.segments);
        let (mut crc64, mut size) = (0, 0);
        for (index, segment) in segments.into_iter().enumerate() {
            let damage = match damage {
                Damage::Truncate(_) => Damage::Truncate(left),
                // Elsewhere nothing is cut: this only hashes.
                Damage::Flip if index > 0 => Damage::Truncate(u64::MAX),
                Damage::Flip => Damage::Flip,
            };
            let (kept, crc) = self.spoil(segment, damage)?;
            crc64 = if index == 0 {
                crc
            } else {
                crc64_joined(crc64, crc, kept.size)
            };
            left = left.saturating_sub(kept.size);
            size += kept.size;
            object.segments.push(kept);
        }
        object.crc64 = crc64;
        object.size = size;
        Ok(())
    }
}
