//! Trying again: how long to wait between attempts, and when to stop. The only crate that knows
//! `backoff`, which is unmaintained upstream; what it does badly is done here.
//!
//! **Decision.** `backoff` grows the interval, and nothing else. **Because** its own elapsed-time
//! limit reads the system clock and is bypassed by "retry after", it has no limit of attempts,
//! its jitter exceeds the cap, `?` on its error type retries permanent faults, and its `retry`
//! calls the next attempt's closure *before* it sleeps. **Instead of** working around each of
//! these at every caller, [`run`] and [`Delays`] have none of them. Time is tokio's, so a paused
//! clock in a test or the simulation is obeyed.

use std::future::Future;
use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;
use tokio::time::{Instant, sleep};

/// How much longer each wait is than the one before it.
const GROWTH: f64 = 2.0;

/// How to try again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// The first wait. A longer one than `cap` counts as `cap`.
    pub initial: Duration,
    /// No wait is longer, jitter included, unless the other side asked for it.
    pub cap: Duration,
    /// The share of each wait that is random, 0 to 1: 0 is exact, 1 is full jitter.
    pub jitter: f64,
    /// Attempts at most, the first included. `None`: no limit.
    pub attempts: Option<u32>,
    /// No attempt begins later than this after the first. `None`: no limit.
    pub patience: Option<Duration>,
}

impl Policy {
    /// The waits between attempts, counted from now.
    #[must_use]
    pub fn delays(&self) -> Delays {
        let initial = self.initial.min(self.cap);
        Delays {
            policy: *self,
            growing: ExponentialBackoff {
                current_interval: initial,
                initial_interval: initial,
                randomization_factor: 0.0,
                multiplier: GROWTH,
                max_interval: self.cap,
                max_elapsed_time: None,
                ..ExponentialBackoff::default()
            },
            given: 0,
            since: Instant::now(),
        }
    }
}

/// The waits between the attempts at one thing.
#[derive(Debug)]
pub struct Delays {
    /// What was asked for.
    policy: Policy,
    /// Where the interval has got to.
    growing: ExponentialBackoff,
    /// Waits given out since the last reset: one less than the attempts they allow.
    given: u32,
    /// When the first attempt began.
    since: Instant,
}

impl Delays {
    /// How long to wait before the next attempt, or `None` if there shall not be one.
    pub fn next_delay(&mut self) -> Option<Duration> {
        self.next_after(Duration::ZERO)
    }

    /// The same, but not shorter than `asked`: the other side's wish.
    fn next_after(&mut self, asked: Duration) -> Option<Duration> {
        let attempts = self.given.saturating_add(1);
        if self.policy.attempts.is_some_and(|most| attempts >= most) {
            return None;
        }
        // The interval is read rather than taken from the answer: even without jitter the answer
        // has a random fraction of a nanosecond in it, which can round up.
        let grown = self.growing.current_interval;
        self.growing.next_backoff()?;
        let wait = jittered(grown, self.policy.jitter).max(asked);
        let patience = self.policy.patience;
        if patience.is_some_and(|patience| self.since.elapsed().saturating_add(wait) > patience) {
            return None;
        }
        self.given = attempts;
        Some(wait)
    }

    /// Begins anew: the interval, the attempts and the patience. For use after a success.
    pub fn reset(&mut self) {
        self.growing.reset();
        self.given = 0;
        self.since = Instant::now();
    }
}

/// What to do about a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Another attempt would fail as well.
    GiveUp,
    /// Another attempt may succeed.
    Retry,
    /// Another attempt may succeed, but not before this long. If patience ends earlier, that is
    /// giving up: an attempt that is known to be too early helps nobody.
    RetryAfter(Duration),
}

/// Runs `op` until it succeeds, `verdict` gives up, or the policy allows no further attempt.
///
/// `op` is called only when its attempt begins, never before or during a wait, so what it takes
/// (permits, clones, connections) is not held while waiting. An attempt that hangs is not ended
/// here: give `op` a timeout of its own.
///
/// # Errors
/// The last attempt's error.
pub async fn run<T, E, Fut>(
    policy: &Policy,
    mut op: impl FnMut() -> Fut,
    verdict: impl Fn(&E) -> Verdict,
) -> Result<T, E>
where
    Fut: Future<Output = Result<T, E>>,
{
    let mut delays = policy.delays();
    loop {
        let error = match op().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let wait = match verdict(&error) {
            Verdict::GiveUp => None,
            Verdict::Retry => delays.next_delay(),
            Verdict::RetryAfter(asked) => delays.next_after(asked),
        };
        match wait {
            Some(wait) => sleep(wait).await,
            None => return Err(error),
        }
    }
}

/// A random wait of at most `wait` and at least `wait * (1 - jitter)`. A jitter of 0 (or one that
/// is not a number) is exact and asks no random source.
#[must_use]
pub fn jittered(wait: Duration, jitter: f64) -> Duration {
    if jitter > 0.0 {
        let less = jitter.min(1.0) * rand::random::<f64>();
        wait.mul_f64(1.0 - less).min(wait)
    } else {
        wait
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const EXACT: Policy = Policy {
        initial: Duration::from_millis(100),
        cap: Duration::from_millis(500),
        jitter: 0.0,
        attempts: None,
        patience: None,
    };

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[tokio::test(start_paused = true)]
    async fn waits_double_up_to_the_cap_and_stay_there() {
        let mut delays = EXACT.delays();
        for expected in [100, 200, 400, 500, 500, 500] {
            assert_eq!(delays.next_delay(), Some(ms(expected)));
        }
        delays.reset();
        assert_eq!(delays.next_delay(), Some(ms(100)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_wait_above_the_cap_counts_as_the_cap() {
        let policy = Policy {
            initial: ms(900),
            ..EXACT
        };
        assert_eq!(policy.delays().next_delay(), Some(ms(500)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_attempt_counts_as_an_attempt() {
        let three = Policy {
            attempts: Some(3),
            ..EXACT
        };
        let mut delays = three.delays();
        assert_eq!(delays.next_delay(), Some(ms(100)));
        assert_eq!(delays.next_delay(), Some(ms(200)));
        assert_eq!(delays.next_delay(), None);
        delays.reset();
        assert_eq!(delays.next_delay(), Some(ms(100)));
        for few in [0, 1] {
            let policy = Policy {
                attempts: Some(few),
                ..EXACT
            };
            assert_eq!(policy.delays().next_delay(), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_attempt_begins_after_patience_has_ended() {
        let policy = Policy {
            patience: Some(ms(350)),
            ..EXACT
        };
        let began = Instant::now();
        let tried = Cell::new(0);
        let attempt = || {
            tried.set(tried.get() + 1);
            async { Err::<(), _>("no") }
        };
        assert_eq!(run(&policy, attempt, |_| Verdict::Retry).await, Err("no"));
        assert_eq!(tried.get(), 3);
        assert_eq!(began.elapsed(), ms(300));
    }

    #[tokio::test(start_paused = true)]
    async fn jitter_only_ever_shortens_and_never_below_its_share() {
        for _ in 0..1000 {
            let wait = jittered(ms(1000), 0.3);
            assert!(wait >= ms(699) && wait <= ms(1000), "{wait:?}");
        }
        assert_eq!(jittered(ms(1000), 0.0), ms(1000));
        assert_eq!(jittered(ms(1000), f64::NAN), ms(1000));
        assert_eq!(jittered(ms(1000), -1.0), ms(1000));
        assert!(jittered(ms(1000), 7.0) <= ms(1000));
        assert!(jittered(Duration::MAX, 1.0) <= Duration::MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn giving_up_is_immediate() {
        let tried = Cell::new(0);
        let attempt = || {
            tried.set(tried.get() + 1);
            async { Err::<(), _>("denied") }
        };
        let began = Instant::now();
        let ended = run(&EXACT, attempt, |_| Verdict::GiveUp).await;
        assert_eq!((ended, tried.get()), (Err("denied"), 1));
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn the_other_sides_wish_is_kept_within_attempts_and_patience() {
        let policy = Policy {
            patience: Some(ms(2500)),
            ..EXACT
        };
        let began = Instant::now();
        let fail = || async { Err::<(), _>("slow down") };
        let verdict = |_: &&str| Verdict::RetryAfter(ms(1000));
        assert!(run(&policy, fail, verdict).await.is_err());
        assert_eq!(began.elapsed(), ms(2000));
        let policy = Policy {
            attempts: Some(2),
            ..EXACT
        };
        let began = Instant::now();
        assert!(run(&policy, fail, verdict).await.is_err());
        assert_eq!(began.elapsed(), ms(1000));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_of_the_next_attempt_is_evaluated_before_its_wait_is_over() {
        let began = Instant::now();
        let called_at = Cell::new(Vec::new());
        let attempt = || {
            let mut seen = called_at.take();
            seen.push(began.elapsed());
            let done = seen.len() == 3;
            called_at.set(seen);
            async move { if done { Ok(()) } else { Err("again") } }
        };
        assert_eq!(run(&EXACT, attempt, |_| Verdict::Retry).await, Ok(()));
        assert_eq!(called_at.take(), vec![ms(0), ms(100), ms(300)]);
    }
}
