//! How often to try again, and how often to say so: both loops that open sessions share this.

use std::time::Duration;

use retry::{Delays, Policy};
use tokio::time::Instant;

/// A session that lived at least this long was a good one: the next wait is short again. A
/// shorter one (a broker that accepts and then refuses the queue) keeps the waits growing.
const GOOD: Duration = Duration::from_secs(20);

/// The waits between sessions.
#[derive(Debug)]
pub(crate) struct Pace {
    /// The waits.
    delays: Delays,
    /// The longest wait, should the policy say that there shall be no further attempt.
    longest: Duration,
    /// What was said last: a broker that is down for an hour is one warning, not a thousand.
    said: Option<String>,
}

impl Pace {
    pub(crate) fn new(policy: &Policy) -> Self {
        Self {
            delays: policy.delays(),
            longest: policy.cap,
            said: None,
        }
    }

    /// A session that was opened at `opened` has ended.
    pub(crate) fn ended(&mut self, opened: Instant) {
        if opened.elapsed() >= GOOD {
            self.delays.reset();
            self.said = None;
        }
    }

    /// How long to wait now.
    pub(crate) fn wait(&mut self) -> Duration {
        self.delays.next_delay().unwrap_or(self.longest)
    }

    /// Says why there is no session, once per reason.
    pub(crate) fn complain(&mut self, purpose: &str, why: &str) {
        if self.said.as_deref() == Some(why) {
            tracing::debug!(
                broker.purpose = purpose,
                broker.why = why,
                "still no session"
            );
        } else {
            tracing::warn!(
                broker.purpose = purpose,
                broker.why = why,
                "no session with the broker"
            );
            self.said = Some(why.to_owned());
        }
    }
}
