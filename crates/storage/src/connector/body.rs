//! A request body that counts what is taken from it, so that the keeper of a lease sees bytes
//! move while a large body is on its way.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use recording::Progress;

/// How much is handed over at a time, in bytes: at the slowest rate that is waited for (1 MiB/s)
/// four times a second.
const SLICE: usize = 256 * 1024;

/// Bytes, and who is told.
#[derive(Debug)]
pub(super) struct Counted {
    left: Bytes,
    progress: Progress,
}

impl Counted {
    pub(super) fn new(bytes: Bytes, progress: Progress) -> Self {
        Self {
            left: bytes,
            progress,
        }
    }
}

impl Body for Counted {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left.is_empty() {
            return Poll::Ready(None);
        }
        let len = self.left.len().min(SLICE);
        let slice = self.left.split_to(len);
        self.progress.moved(u64::try_from(len).unwrap_or(u64::MAX));
        Poll::Ready(Some(Ok(Frame::data(slice))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::try_from(self.left.len()).unwrap_or(u64::MAX))
    }
}
