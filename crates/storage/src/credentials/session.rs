//! One session: cached, renewed by one asker at a time, given up when a store says it is stale.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use object_store::aws::AwsCredential;
use recording::{Class, Clock, Fault};
use tokio::sync::{Mutex, MutexGuard};

/// How long before its end a session is not used any more: what is signed with it may be on its
/// way for minutes.
const MARGIN: Duration = Duration::from_secs(300);
/// How long a refusal is remembered, and how long a failed early renewal is not repeated.
const PAUSE: Duration = Duration::from_secs(30);

/// The first asker renews a session at three quarters of its life, less up to a tenth of it.
const EARLIER_MAX: u32 = 10;

/// A credential and how long it is good, by the boot clock.
#[derive(Debug)]
pub(crate) struct Issued<C = AwsCredential> {
    /// What requests are signed with.
    pub(crate) credential: C,
    /// From here on the first asker renews it.
    soft: Duration,
    /// From here on it is not used.
    hard: Duration,
    /// When it ends; `None` for one that is only asked for again because it may change.
    end: Option<Duration>,
    /// How long it was good when it was new.
    life: Duration,
}

impl<C> Issued<C> {
    /// A credential asked for at `asked_at` that is good for `life` from then.
    ///
    /// SUBTLE: `asked_at` is the boot clock before the request was sent, so that neither a slow
    /// answer nor a suspended machine makes the credential seem younger than it is.
    pub(crate) fn new(credential: C, asked_at: Duration, life: Duration) -> Self {
        // Of a short session (a laboratory's) the margin would leave nothing.
        let margin = MARGIN.min(life / 4);
        // Sessions of many accounts that began together must not all be renewed together.
        let earlier = (life / EARLIER_MAX).mul_f64(rand::random_range(0.0..1.0));
        let soft = life.saturating_sub(life / 4).saturating_sub(earlier);
        Self {
            credential,
            soft: asked_at.saturating_add(soft),
            hard: asked_at.saturating_add(life.saturating_sub(margin)),
            end: Some(asked_at.saturating_add(life)),
            life,
        }
    }

    /// A credential without an end, that is asked for again after `reread`.
    pub(crate) fn without_end(credential: C, asked_at: Duration, reread: Duration) -> Self {
        Self {
            end: None,
            ..Self::new(credential, asked_at, reread)
        }
    }

    /// How long it is still good at `now`.
    fn left(&self, now: Duration) -> Duration {
        self.end
            .map_or(Duration::MAX, |end| end.saturating_sub(now))
    }
}

impl<C> Issued<C> {
    /// From when on it is not used, by the boot clock.
    pub(crate) fn ends_at(&self) -> Duration {
        self.hard
    }
}

/// Where credentials come from.
#[async_trait]
pub(crate) trait Source<C = AwsCredential>: std::fmt::Debug + Send + Sync {
    /// Asks for a new one.
    async fn issue(&self) -> Result<Issued<C>, Fault>;
}

/// A cached credential.
#[derive(Debug)]
pub(crate) struct Session<C = AwsCredential> {
    source: Box<dyn Source<C>>,
    clock: Arc<dyn Clock>,
    current: RwLock<Option<Arc<Issued<C>>>>,
    /// How often nothing could be issued.
    failures: AtomicU64,
    /// Held by whoever renews.
    renewing: Mutex<Renewing>,
}

#[derive(Debug, Default)]
struct Renewing {
    /// The last refusal, and until when it answers for the source.
    refused: Option<(Duration, Fault)>,
    /// The last failure of any kind, and the how-manieth it was.
    failed: Option<(u64, Fault)>,
    /// No early renewal before this.
    not_before: Duration,
}

impl<C> Session<C> {
    pub(crate) fn new(source: Box<dyn Source<C>>, clock: Arc<dyn Clock>) -> Self {
        Self {
            source,
            clock,
            current: RwLock::default(),
            failures: AtomicU64::new(0),
            renewing: Mutex::default(),
        }
    }

    /// Goes on with a credential that an earlier session of the same source was issued.
    pub(crate) fn go_on_with(&self, issued: Arc<Issued<C>>) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Some(issued);
    }

    /// The credential it has, if any.
    pub(crate) fn held(&self) -> Option<Arc<Issued<C>>> {
        self.current()
    }

    /// A credential that is good for at least the margin.
    pub(crate) async fn issued(&self) -> Result<Arc<Issued<C>>, Fault> {
        let now = self.clock.boot();
        if let Some(issued) = self.current() {
            if now < issued.soft {
                return Ok(issued);
            }
            if now < issued.hard {
                return Ok(match self.renewing.try_lock() {
                    Ok(renewing) => self.renew_early(renewing, now, issued).await,
                    Err(_) => issued,
                });
            }
        }
        let failures = self.failures.load(Ordering::Acquire);
        let mut renewing = self.renewing.lock().await;
        let now = self.clock.boot();
        // Somebody may have been here while we waited.
        if let Some(issued) = self.current()
            && now < issued.hard
        {
            return Ok(issued);
        }
        if let Some((until, fault)) = &renewing.refused
            && now < *until
        {
            return Err(fault.clone());
        }
        // SUBTLE: whoever waited for an attempt that failed shares its outcome. Were each to make
        // his own, the last of N would learn after N patiences that a service is down. Whoever
        // comes after it asks anew: a service that was down for a moment must not be for longer.
        if let Some((number, fault)) = &renewing.failed
            && *number > failures
        {
            return Err(fault.clone());
        }
        match self.source.issue().await {
            Ok(issued) => Ok(self.keep(issued)),
            Err(fault) => {
                let number = self
                    .failures
                    .fetch_add(1, Ordering::AcqRel)
                    .saturating_add(1);
                renewing.failed = Some((number, fault.clone()));
                if fault.class() == Class::Destination {
                    renewing.refused = Some((now.saturating_add(PAUSE), fault.clone()));
                }
                Err(fault)
            }
        }
    }

    /// A credential for what must be good for `wish` from now on, and how long it is. One that ends
    /// sooner is renewed first, unless it has more than half of its life left: a new one would
    /// hardly be better. Where it cannot be renewed, it serves for as long as it is good.
    pub(crate) async fn lasting(
        &self,
        wish: Duration,
    ) -> Result<(Arc<Issued<C>>, Duration), Fault> {
        let issued = self.issued().await?;
        let now = self.clock.boot();
        let left = issued.left(now);
        if left >= wish.min(issued.life / 2) {
            return Ok((issued, left));
        }
        let renewing = self.renewing.lock().await;
        let issued = self.renew_early(renewing, now, issued).await;
        let left = issued.left(self.clock.boot());
        Ok((issued, left))
    }

    /// The time of day, for what is signed by this session.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Notes that a store does not take this credential any more. Whoever noticed it of an older
    /// one changes nothing.
    pub(crate) fn invalidate(&self, stale: &Arc<Issued<C>>) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_some_and(|it| Arc::ptr_eq(it, stale)) {
            *current = None;
        }
    }

    /// Gives up whatever there is, because what was signed with it is refused.
    pub(crate) fn forget(&self) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = None;
    }

    async fn renew_early(
        &self,
        mut renewing: MutexGuard<'_, Renewing>,
        now: Duration,
        old: Arc<Issued<C>>,
    ) -> Arc<Issued<C>> {
        // Renewed between our look and our turn, or tried in vain a moment ago.
        if let Some(issued) = self.current()
            && !Arc::ptr_eq(&issued, &old)
        {
            return issued;
        }
        if now < renewing.not_before {
            return old;
        }
        match self.source.issue().await {
            Ok(issued) => self.keep(issued),
            Err(fault) => {
                renewing.not_before = now.saturating_add(PAUSE);
                tracing::info!(
                    reason = %fault.reason,
                    detail = fault.detail,
                    "session cannot be renewed yet, the old one still serves"
                );
                old
            }
        }
    }

    fn current(&self) -> Option<Arc<Issued<C>>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().map(Arc::clone)
    }

    fn keep(&self, issued: Issued<C>) -> Arc<Issued<C>> {
        let issued = Arc::new(issued);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Some(Arc::clone(&issued));
        issued
    }
}

#[cfg(test)]
mod tests;
