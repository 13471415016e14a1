//! The journal file: one JSON line per change, appended with one write.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use super::records::Entry;
use crate::s3::checksum::length;

/// An open journal.
pub(crate) struct Journal {
    file: File,
    /// Bytes of whole lines.
    length: u64,
}

impl Journal {
    /// Replays what is there and opens it for appending. A last line without its end was never
    /// acknowledged and is cut off; any other line that cannot be read is an error.
    pub(crate) fn open(path: &Path, mut replay: impl FnMut(Entry)) -> io::Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .open(path)?;
        let mut reader = BufReader::new(&file);
        let mut good = 0_u64;
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line)?;
            if read == 0 || line.last() != Some(&b'\n') {
                break;
            }
            replay(serde_json::from_slice(&line)?);
            good += length(&line);
        }
        file.set_len(good)?;
        Ok(Self { file, length: good })
    }

    /// Adds a line. Half a line is taken back, or it would spoil the next one.
    pub(crate) fn append(&mut self, entry: &Entry) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        if let Err(error) = self.file.write_all(&line) {
            self.file.set_len(self.length)?;
            return Err(error);
        }
        self.length += length(&line);
        Ok(())
    }
}
