//! What a store must show once before it is believed, asked by one request at a time: the others
//! wait a moment for its answer instead of asking the same.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;

/// A store that hangs must not have one after the other hang with it: whoever waited as long asks
/// by himself. Well below the time after which a lease is let go for want of progress.
const WAIT: Duration = Duration::from_secs(5);

/// Whether it was shown.
#[derive(Debug)]
pub(crate) struct ShownOnce {
    shown: AtomicBool,
    turn: Mutex<()>,
}

/// The caller asks now. Dropping it lets the next one.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    _turn: Option<MutexGuard<'a, ()>>,
}

impl ShownOnce {
    /// Known from the beginning, or to be shown.
    pub(crate) fn new(shown: bool) -> Self {
        Self {
            shown: AtomicBool::new(shown),
            turn: Mutex::default(),
        }
    }

    /// Waits for the turn to ask. `None`: it was shown, there is nothing to ask.
    pub(crate) async fn turn(&self) -> Option<Turn<'_>> {
        if self.is_shown() {
            return None;
        }
        let turn = timeout(WAIT, self.turn.lock()).await.ok();
        (!self.is_shown()).then_some(Turn { _turn: turn })
    }

    /// It was shown.
    pub(crate) fn shown(&self) {
        self.shown.store(true, Ordering::Relaxed);
    }

    fn is_shown(&self) -> bool {
        self.shown.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_asks_and_the_others_wait_for_what_it_hears_but_not_for_ever() {
        let once = ShownOnce::new(false);
        let first = once.turn().await;
        assert!(first.is_some());
        let mut second = Box::pin(once.turn());
        assert!(second.as_mut().now_or_never().is_none());
        // The first hangs: the second asks by himself.
        assert!(second.await.is_some());
        let third = once.turn();
        once.shown();
        drop(first);
        assert!(third.await.is_none());
        assert!(ShownOnce::new(true).turn().await.is_none());
    }
}
