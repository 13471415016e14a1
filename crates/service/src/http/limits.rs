//! How often one subject, and all subjects of one account, may ask, and how often what they cause
//! is done: in each process by itself.

use std::hash::Hash;
use std::num::NonZeroU32;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use telemetry::HttpDenial;

use super::token::Caller;

/// How many seconds' worth may come at once.
const BURST_S: u32 = 5;

/// What is done at most once a minute for each key, however often it is asked for.
pub(super) struct EachMinute<K: Hash + Eq + Clone>(DefaultKeyedRateLimiter<K>);

impl<K: Hash + Eq + Clone> EachMinute<K> {
    /// Nothing was done yet.
    pub(super) fn new() -> Self {
        Self(RateLimiter::keyed(Quota::per_minute(NonZeroU32::MIN)))
    }

    /// Whether it may be done now; then not again for a minute.
    pub(super) fn may(&self, key: &K) -> bool {
        self.0.check_key(key).is_ok()
    }

    /// Forgets keys whose minute is over.
    pub(super) fn forget_idle(&self) {
        self.0.retain_recent();
    }
}

/// Both limits. Only who has a good token has an entry, and idle entries are forgotten.
pub(super) struct Limits {
    subjects: DefaultKeyedRateLimiter<String>,
    accounts: DefaultKeyedRateLimiter<String>,
    clock: DefaultClock,
}

impl Limits {
    /// So many requests in a second, five times as many at once.
    pub(super) fn new(subject_rate: u32, account_rate: u32) -> Self {
        let quota = |rate: u32| {
            let rate = NonZeroU32::new(rate).unwrap_or(NonZeroU32::MIN);
            let burst = rate.saturating_mul(NonZeroU32::new(BURST_S).unwrap_or(rate));
            Quota::per_second(rate).allow_burst(burst)
        };
        Self {
            subjects: RateLimiter::keyed(quota(subject_rate)),
            accounts: RateLimiter::keyed(quota(account_rate)),
            clock: DefaultClock::default(),
        }
    }

    /// Counts a request of this caller.
    ///
    /// # Errors
    /// It is one too many: whose limit, and after how many seconds there is room again.
    pub(super) fn count(&self, caller: &Caller) -> Result<(), (HttpDenial, u64)> {
        let wait = |limiter: &DefaultKeyedRateLimiter<String>, key: &String| {
            let refused = limiter.check_key(key).err()?;
            let wait = refused.wait_time_from(self.clock.now());
            Some(wait.as_secs().saturating_add(1))
        };
        if let Some(seconds) = wait(&self.subjects, &caller.subject) {
            return Err((HttpDenial::SubjectRate, seconds));
        }
        let account = caller.account.as_ref().map(ToString::to_string);
        if let Some(seconds) = account.and_then(|account| wait(&self.accounts, &account)) {
            return Err((HttpDenial::AccountRate, seconds));
        }
        Ok(())
    }

    /// Forgets who has not asked for a while.
    pub(super) fn forget_idle(&self) {
        self.subjects.retain_recent();
        self.accounts.retain_recent();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_own_minute() {
        let each = EachMinute::new();
        assert!(each.may(&"a"));
        assert!(!each.may(&"a") && each.may(&"b") && !each.may(&"b"));
        each.forget_idle();
        assert!(!each.may(&"a"), "its minute is not over");
    }
}
