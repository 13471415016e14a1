//! How fast bodies move: each at a rate of its own, or all together over one narrow line.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use http_body_util::StreamBody;
use hyper::body::{Body as _, Frame, SizeHint};
use s3s::Body;
use tokio::time::{Instant, sleep_until};

use super::clock::locked;

/// So much passes at once, so that the wait is spread over the body.
const SLICE_BYTES: usize = 16 * 1024;
/// A line that was idle, or whose users woke late, makes up for so much time at most.
const CREDIT: Duration = Duration::from_millis(20);

/// A line to which bodies keep; clones are the same line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pace {
    line: Arc<Line>,
}

#[derive(Debug, Default)]
struct Line {
    /// Zero: as fast as it goes.
    bytes_per_second: AtomicU64,
    /// When what was let on so far has passed.
    free: Mutex<Option<Instant>>,
}

impl Pace {
    /// A line of this rate; zero is none.
    pub(crate) fn of(bytes_per_second: u64) -> Self {
        let pace = Self::default();
        pace.set(bytes_per_second);
        pace
    }

    /// Changes the rate, also for what is on its way.
    pub(crate) fn set(&self, bytes_per_second: u64) {
        let rate = &self.line.bytes_per_second;
        rate.store(bytes_per_second, Ordering::Relaxed);
    }

    /// Whether anything is held up at all.
    pub(crate) fn is_slow(&self) -> bool {
        self.line.bytes_per_second.load(Ordering::Relaxed) > 0
    }

    /// Waits until so many bytes more have passed.
    async fn pass(&self, bytes: u64) {
        let rate = self.line.bytes_per_second.load(Ordering::Relaxed);
        let Some(micros) = bytes.saturating_mul(1_000_000).checked_div(rate) else {
            return;
        };
        let passed = {
            let mut free = locked(&self.line.free);
            let now = Instant::now();
            let least = now.checked_sub(CREDIT).unwrap_or(now);
            let begins = free.map_or(least, |free| free.max(least));
            let passed = begins + Duration::from_micros(micros);
            *free = Some(passed);
            passed
        };
        sleep_until(passed).await;
    }

    /// Passes a body on no faster than the line lets it.
    pub(crate) fn keep(&self, body: Body) -> Body {
        let whole = body.size_hint().exact();
        let state = (body, Bytes::new(), self.clone());
        let frames = stream::unfold(state, |(mut body, mut rest, pace)| async move {
            while rest.is_empty() {
                match body.next().await? {
                    Ok(bytes) => rest = bytes,
                    Err(error) => return Some((Err(error), (body, rest, pace))),
                }
            }
            let slice = rest.split_to(rest.len().min(SLICE_BYTES));
            let count = u64::try_from(slice.len()).unwrap_or_default();
            pace.pass(count).await;
            Some((Ok(Frame::data(slice)), (body, rest, pace)))
        });
        let slow = StreamBody::new(frames.boxed());
        match whole {
            Some(size) => Body::http_body_unsync(Sized { slow, size }),
            None => Body::http_body_unsync(slow),
        }
    }
}

type Frames = stream::BoxStream<'static, Result<Frame<Bytes>, s3s::StdError>>;

/// A slowed body that still knows how long it is.
struct Sized {
    slow: StreamBody<Frames>,
    size: u64,
}

impl hyper::body::Body for Sized {
    type Data = Bytes;
    type Error = s3s::StdError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.get_mut().slow).poll_frame(cx)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_line_is_shared_by_all_who_use_it() {
        let pace = Pace::of(1_000_000);
        let began = Instant::now();
        let users = (0..4).map(|_| async {
            for _ in 0..25 {
                pace.pass(10_000).await;
            }
        });
        futures::future::join_all(users).await;
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(980), "{took:?}");
        assert!(took <= Duration::from_millis(1_010), "{took:?}");
        pace.set(0);
        assert!(!pace.is_slow());
        pace.pass(u64::MAX).await;
        assert_eq!(began.elapsed(), took);
    }
}
