//! Reading what a person names: documents, and a recording's bytes.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::Result;
use recording::{MAX_EVENT_BYTES, Sha256};
use sha2::Digest;

use crate::failure::Failure;

/// Bytes read at once.
const PIECE: usize = 256 * 1024;

fn unreadable(what: &str, path: &Path, error: &io::Error) -> anyhow::Error {
    Failure::usage(format!("{what} {}: {error}", path.display()))
        .hint("name a file that can be read, or - for standard input")
        .into()
}

/// The bytes of a document, and one more than there may be if it is too large.
pub(super) fn document(what: &str, path: &Path) -> Result<Vec<u8>> {
    let most = u64::try_from(MAX_EVENT_BYTES).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        let input = io::stdin().lock();
        input.take(most.saturating_add(1)).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(most.saturating_add(1)).read_to_end(&mut bytes))
    };
    read.map_err(|error| unreadable(what, path, &error))?;
    Ok(bytes)
}

/// Size and SHA-256 of a recording.
pub(super) fn digest(path: &Path) -> Result<(u64, Sha256)> {
    let failed = |error: io::Error| unreadable("the recording", path, &error);
    let mut file = File::open(path).map_err(failed)?;
    let mut hash = sha2::Sha256::new();
    let mut size = 0_u64;
    let mut piece = vec![0; PIECE];
    loop {
        let read = match file.read(&mut piece) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(error)),
        };
        let Some(bytes) = piece.get(..read).filter(|bytes| !bytes.is_empty()) else {
            return Ok((size, Sha256::new(hash.finalize().into())));
        };
        hash.update(bytes);
        size = size.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    }
}
