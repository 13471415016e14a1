//! A signed URL, made as playback does and followed as a browser does.

use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use recording::{Capability, Fault, ParkReason};

use super::book::Book;
use super::parcel::SMALL;
use super::unsigned::{self, Understand};
use crate::exchange::{Line, Trouble, unusable};
use crate::signed::SignedUrl;

/// How long a signed URL is good, and how many bytes it is followed for.
pub(super) const LIFE: Duration = Duration::from_secs(60);
const BYTES: usize = 4;

/// Follows it for the first few bytes.
///
/// # Errors
/// It plays nothing.
pub(super) async fn follow(
    line: &Line,
    signed: &SignedUrl,
    understand: Understand,
) -> Result<Bytes, Trouble> {
    let uri = Uri::try_from(signed.reveal());
    let uri = uri.map_err(|_| Trouble::Never(unusable("the URL is none")))?;
    let answer = unsigned::follow(line, uri, BYTES, understand).await?;
    Ok(answer.body)
}

/// Notes what it played, answered with this status.
///
/// # Errors
/// Other bytes than were stored.
pub(super) fn judge(book: &Book, status: u16, bytes: &Bytes) -> Result<(), Fault> {
    if status != 206 {
        let detail = "a signed URL reads, and the store ignores ranges: players cannot seek";
        book.warned(Capability::SignedRead, detail, None);
        return Ok(());
    }
    if SMALL.as_bytes().starts_with(bytes) && bytes.len() == BYTES {
        book.passed(Capability::SignedRead, "a signed URL plays a range");
        return Ok(());
    }
    let detail = "signed read: other bytes than were stored";
    Err(Fault::new(ParkReason::DestinationRefused, detail))
}
