//! Counters that the service scrapes: this crate does not know how they are shown.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// What one publisher or consumer has done since the process began.
        #[derive(Debug, Default)]
        pub struct BrokerStats {
            $($(#[$doc])* pub(crate) $name: AtomicU64,)+
            /// Deliveries in hand that are not settled, now.
            pub(crate) unsettled: AtomicU64,
            /// Whether there is a session at present.
            pub(crate) live: AtomicBool,
            /// Whether the broker blocks publishing at present.
            pub(crate) blocked: AtomicBool,
        }

        /// [`BrokerStats`] at one moment.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct BrokerCounts {
            $($(#[$doc])* pub $name: u64,)+
            /// Deliveries in hand that are not settled, now.
            pub unsettled: u64,
            /// Whether there is a session at present.
            pub live: bool,
            /// Whether the broker blocks publishing at present.
            pub blocked: bool,
        }

        impl BrokerStats {
            /// The counts now. They are read one after another, so sums may be one off.
            #[must_use]
            pub fn snapshot(&self) -> BrokerCounts {
                BrokerCounts {
                    $($name: self.$name.load(Ordering::Relaxed),)+
                    unsettled: self.unsettled.load(Ordering::Relaxed),
                    live: self.live.load(Ordering::Relaxed),
                    blocked: self.blocked.load(Ordering::Relaxed),
                }
            }
        }
    };
}

counters! {
    /// Sessions opened with the broker.
    sessions_opened,
    /// Sessions that ended without being asked to.
    sessions_lost,
    /// Deliveries handed to the handler.
    deliveries,
    /// Deliveries acked.
    acks,
    /// Deliveries given back to the broker, for whatever reason.
    requeues,
    /// Deliveries published to quarantine and then acked.
    quarantined,
    /// Handlers that panicked.
    handler_panics,
    /// Settlements that came after their session had ended; the broker delivers those again.
    settled_too_late,
    /// Times that everything was given back because a handler said its outside is down.
    give_backs,
    /// Messages confirmed by the broker.
    publishes_confirmed,
    /// Messages returned as unroutable.
    publishes_returned,
    /// Messages refused by the broker, or impossible to send.
    publishes_nacked,
    /// Messages whose outcome is unknown: no confirm in time, or publishing is blocked.
    publishes_unconfirmed,
    /// Messages for which there was no session, or whose session ended.
    publishes_disconnected,
}

impl BrokerStats {
    /// A session began.
    pub(crate) fn session_opened(&self) {
        count(&self.sessions_opened);
        self.live.store(true, Ordering::Relaxed);
    }

    /// It ended, and with it everything that holds within it. `lost`: nobody asked it to.
    pub(crate) fn session_ended(&self, lost: bool) {
        self.live.store(false, Ordering::Relaxed);
        self.blocked.store(false, Ordering::Relaxed);
        self.unsettled.store(0, Ordering::Relaxed);
        if lost {
            count(&self.sessions_lost);
        }
    }

    /// So many deliveries are in hand.
    pub(crate) fn unsettled(&self, deliveries: usize) {
        let deliveries = u64::try_from(deliveries).unwrap_or(u64::MAX);
        self.unsettled.store(deliveries, Ordering::Relaxed);
    }
}

/// One more.
pub(crate) fn count(counter: &AtomicU64) {
    count_many(counter, 1);
}

/// Several more.
pub(crate) fn count_many(counter: &AtomicU64, more: usize) {
    counter.fetch_add(u64::try_from(more).unwrap_or(u64::MAX), Ordering::Relaxed);
}
