//! One session of a consumer, from its first delivery to its last ack. One task does everything
//! that is written to the channel, so the order of settlements is the order of this code.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions,
    BasicRejectOptions,
};
use lapin::types::FieldTable;
use recording::Probe;
use retry::{Delays, Policy};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::Consumer;
use super::coalescer::Coalescer;
use super::handling::{Handling, Outcome, Place};
use crate::fault::Lost;
use crate::health::{ConsumerHealth, ConsumerState};
use crate::session::{Session, Signal, answered};
use crate::stats::{count, count_many};

/// The longest that an ack waits for company.
const ACK_DELAY: Duration = Duration::from_millis(5);
/// Acks that wait for company at most, so that it never is a large part of the prefetch.
const ACKS_WAITING: usize = 32;
/// The longest that buffered deliveries may take to come after the consumer was cancelled.
const LEFTOVERS: Duration = Duration::from_secs(5);
/// The waits between probes of what is down.
const PROBING: Policy = Policy {
    initial: Duration::from_millis(200),
    cap: Duration::from_secs(5),
    jitter: 0.5,
    attempts: None,
    patience: None,
};

/// How a session ended.
#[derive(Debug)]
pub(super) enum End {
    /// As asked, drained.
    Stopped,
    /// Otherwise.
    Lost(Lost),
}

/// A session with a consumer on it, or with one that waits to be there again.
pub(super) struct Subscription<'a> {
    /// Whose it is.
    consumer: &'a Consumer,
    /// Connection and channel.
    session: Session,
    /// The handlers.
    handling: &'a mut Handling,
    /// Ends with this session.
    alive: CancellationToken,
    /// The number of this session.
    number: u64,
    /// Subscriptions of this session so far.
    subscriptions: u64,
    /// The deliveries; `None` while everything is given back.
    stream: Option<lapin::Consumer>,
    /// Acks to come.
    acks: Coalescer,
    /// When they must go.
    flush_at: Option<Instant>,
    /// Ends when what is down is up again; `None` while consuming.
    recovery: Option<BoxFuture<'static, Delays>>,
    /// The waits between probes: they grow from one outage to the next until a delivery is done.
    probing: Option<Delays>,
}

/// What happened next.
enum Happened {
    Stop,
    Signal(Signal),
    Ended(Option<(Place, Outcome)>),
    FlushDue,
    Recovered(Delays),
    Delivered(Option<lapin::Result<Box<Delivery>>>),
}

impl<'a> Subscription<'a> {
    pub(super) fn new(
        consumer: &'a Consumer,
        session: Session,
        handling: &'a mut Handling,
    ) -> Self {
        Self {
            consumer,
            session,
            number: handling.begin_session(),
            handling,
            alive: CancellationToken::new(),
            subscriptions: 0,
            stream: None,
            acks: Coalescer::default(),
            flush_at: None,
            recovery: None,
            probing: None,
        }
    }

    /// Consumes until the session or the consumer ends.
    pub(super) async fn run(&mut self, stop: &CancellationToken) -> End {
        let ended = match self.consume(stop).await {
            Ok(()) => self.drain().await,
            Err(lost) => Err(lost),
        };
        self.alive.cancel();
        match ended {
            Ok(()) => End::Stopped,
            Err(lost) => End::Lost(lost),
        }
    }

    /// Closes the session.
    pub(super) async fn close(self) {
        self.session.close().await;
    }

    async fn consume(&mut self, stop: &CancellationToken) -> Result<(), Lost> {
        let prefetch = self.consumer.settings.prefetch;
        let qos = self
            .session
            .channel
            .basic_qos(prefetch, BasicQosOptions::default());
        answered("setting the prefetch", qos).await?;
        self.subscribe().await?;
        loop {
            match self.next(Some(stop)).await {
                Happened::Stop => return Ok(()),
                Happened::Signal(signal) => heed(signal)?,
                Happened::Ended(ended) => self.settle(ended).await?,
                Happened::FlushDue => self.flush().await?,
                Happened::Recovered(delays) => {
                    self.probing = Some(delays);
                    self.recovery = None;
                    self.subscribe().await?;
                }
                Happened::Delivered(Some(Ok(delivery))) => self.begin(*delivery),
                Happened::Delivered(Some(Err(error))) => return Err(Lost(error.to_string())),
                // The queue was deleted, or the broker moved us away: the connection is fine and
                // nothing else would ever tell.
                Happened::Delivered(None) => {
                    return Err(Lost("the broker ended the consumer".to_owned()));
                }
            }
        }
    }

    /// Waits for what happens next. Settlements go before new deliveries.
    async fn next(&mut self, stop: Option<&CancellationToken>) -> Happened {
        let room = self.handling.held() < usize::from(self.consumer.settings.prefetch);
        let flush_at = self.flush_at;
        tokio::select! {
            biased;
            () = stopped(stop) => Happened::Stop,
            signal = self.session.signal() => Happened::Signal(signal),
            ended = self.handling.next(), if self.handling.len() > 0 => Happened::Ended(ended),
            () = at(flush_at), if flush_at.is_some() => Happened::FlushDue,
            delays = recovered(&mut self.recovery) => Happened::Recovered(delays),
            // Handlers of an earlier session count: there are never more than the prefetch, and
            // as many again that were handed off.
            item = delivered(&mut self.stream), if room => Happened::Delivered(item),
        }
    }

    async fn subscribe(&mut self) -> Result<(), Lost> {
        self.subscriptions += 1;
        let consuming = self.session.channel.basic_consume(
            self.consumer.settings.queue.name().into(),
            format!("callferry-{}", self.subscriptions).into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        self.stream = Some(answered("consuming", consuming).await?);
        self.consumer.health.set(ConsumerState::Consuming);
        let queue = self.consumer.settings.queue.name();
        tracing::info!(queue, "consuming");
        Ok(())
    }

    fn begin(&mut self, delivery: Delivery) {
        // Deliveries of a channel that has died meanwhile are still handed out. They come again.
        if !delivery.acker.usable() {
            return;
        }
        let place = Place {
            session: self.number,
            subscription: self.subscriptions,
            tag: delivery.delivery_tag,
        };
        self.acks.started(place.tag);
        self.consumer.stats.unsettled(self.acks.unsettled());
        self.handling.begin(place, delivery, self.alive.clone());
    }

    async fn settle(&mut self, ended: Option<(Place, Outcome)>) -> Result<(), Lost> {
        let Some((place, outcome)) = ended else {
            return Ok(());
        };
        let stats = &self.consumer.stats;
        if place.session != self.number {
            count(&stats.settled_too_late);
            return Ok(());
        }
        match outcome {
            // A committed row carries it; whatever the handler returns later is only counted.
            Outcome::Done | Outcome::HandedOff => self.done(place.tag).await,
            Outcome::AfterHandOff(outcome) => self.after_hand_off(place, *outcome).await,
            Outcome::Quarantined => {
                count(&stats.quarantined);
                self.done(place.tag).await
            }
            // For the broker a reject is a failed attempt and a nack is none at all.
            Outcome::Panicked => self.reject(place.tag).await,
            Outcome::TooLate => self.nack(place.tag).await,
            // The consumer ends first: one that is still there is sent the delivery again at once.
            Outcome::Down(why) => {
                self.down(place, &why).await?;
                self.nack(place.tag).await
            }
        }
    }

    /// Those that were under way when everything was given back say the same again.
    async fn down(&mut self, place: Place, why: &str) -> Result<(), Lost> {
        if place.subscription == self.subscriptions && self.stream.is_some() {
            self.pause(why).await?;
        }
        Ok(())
    }

    /// Its delivery was acked long ago; only what it says of the outside still matters.
    async fn after_hand_off(&mut self, place: Place, outcome: Outcome) -> Result<(), Lost> {
        match outcome {
            Outcome::Down(why) => self.down(place, &why).await,
            Outcome::Done
            | Outcome::Quarantined
            | Outcome::Panicked
            | Outcome::TooLate
            | Outcome::HandedOff
            | Outcome::AfterHandOff(_) => Ok(()),
        }
    }

    async fn done(&mut self, tag: u64) -> Result<(), Lost> {
        self.probing = None;
        self.acks.done(tag);
        if self.acks.waiting() >= ACKS_WAITING {
            return self.flush().await;
        }
        self.flush_at.get_or_insert(Instant::now() + ACK_DELAY);
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Lost> {
        self.flush_at = None;
        let acks = self.acks.take();
        let channel = &self.session.channel;
        if let Some(tag) = acks.up_to {
            let options = BasicAckOptions { multiple: true };
            answered("acking", channel.basic_ack(tag, options)).await?;
        }
        for tag in acks.single {
            let options = BasicAckOptions::default();
            answered("acking", channel.basic_ack(tag, options)).await?;
        }
        count_many(&self.consumer.stats.acks, acks.count);
        self.consumer.stats.unsettled(self.acks.unsettled());
        Ok(())
    }

    async fn nack(&mut self, tag: u64) -> Result<(), Lost> {
        let options = BasicNackOptions {
            multiple: false,
            requeue: true,
        };
        let nack = self.session.channel.basic_nack(tag, options);
        answered("giving a delivery back", nack).await?;
        self.given_back(tag);
        Ok(())
    }

    async fn reject(&mut self, tag: u64) -> Result<(), Lost> {
        let options = BasicRejectOptions { requeue: true };
        let reject = self.session.channel.basic_reject(tag, options);
        answered("rejecting a delivery", reject).await?;
        self.given_back(tag);
        Ok(())
    }

    fn given_back(&mut self, tag: u64) {
        self.acks.given_back(tag);
        count(&self.consumer.stats.requeues);
        self.consumer.stats.unsettled(self.acks.unsettled());
    }

    /// Gives everything back that was not begun, and waits for what is down. What was begun goes
    /// on, and is settled as it ends.
    async fn pause(&mut self, why: &str) -> Result<(), Lost> {
        tracing::warn!(
            queue = self.consumer.settings.queue.name(),
            why,
            "everything is given back; consuming again when this is repaired"
        );
        count(&self.consumer.stats.give_backs);
        self.consumer
            .health
            .set(ConsumerState::Waiting(why.to_owned()));
        self.unsubscribe().await?;
        let delays = self.probing.take().unwrap_or_else(|| PROBING.delays());
        let (probe, health) = (
            Arc::clone(&self.consumer.probe),
            self.consumer.health.clone(),
        );
        self.recovery = Some(Box::pin(recover(probe, health, delays)));
        Ok(())
    }

    /// Ends the consumer and gives back what it has been sent and nobody has begun.
    async fn unsubscribe(&mut self) -> Result<(), Lost> {
        let Some(mut stream) = self.stream.take() else {
            return Ok(());
        };
        let cancelling = self
            .session
            .channel
            .basic_cancel(stream.tag(), BasicCancelOptions::default());
        answered("cancelling the consumer", cancelling).await?;
        loop {
            match timeout(LEFTOVERS, stream.next()).await {
                Ok(Some(Ok(delivery))) => self.nack(delivery.delivery_tag).await?,
                Ok(Some(Err(error))) => return Err(Lost(error.to_string())),
                Ok(None) => return Ok(()),
                Err(_) => return Err(Lost("the cancelled consumer does not end".to_owned())),
            }
        }
    }

    /// The end of an orderly life.
    async fn drain(&mut self) -> Result<(), Lost> {
        let deadline = self.handling.deadline(self.consumer.settings.drain);
        self.recovery = None;
        self.unsubscribe().await?;
        while self.handling.len() > 0 {
            let next = tokio::time::timeout_at(deadline, self.next(None)).await;
            match next {
                Ok(Happened::Signal(signal)) => heed(signal)?,
                Ok(Happened::Ended(ended)) => self.settle(ended).await?,
                Ok(Happened::FlushDue) => self.flush().await?,
                Ok(Happened::Stop | Happened::Recovered(_) | Happened::Delivered(_)) => {}
                Err(_) => {
                    self.handling.drop_rest().await;
                    break;
                }
            }
        }
        self.flush().await
    }
}

fn heed(signal: Signal) -> Result<(), Lost> {
    match signal {
        // A broker blocks connections that publish, and this one never does.
        Signal::Blocked(reason) => {
            tracing::warn!(broker.why = reason, "the broker blocks a consumer");
            Ok(())
        }
        Signal::Unblocked => Ok(()),
        Signal::Ended(lost) => Err(lost),
    }
}

async fn stopped(stop: Option<&CancellationToken>) {
    match stop {
        Some(stop) => stop.cancelled().await,
        None => std::future::pending().await,
    }
}

async fn at(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => std::future::pending().await,
    }
}

async fn recovered(recovery: &mut Option<BoxFuture<'static, Delays>>) -> Delays {
    match recovery {
        Some(recovery) => recovery.await,
        None => std::future::pending().await,
    }
}

async fn delivered(stream: &mut Option<lapin::Consumer>) -> Option<lapin::Result<Box<Delivery>>> {
    match stream {
        Some(stream) => Some(stream.next().await?.map(Box::new)),
        None => std::future::pending().await,
    }
}

/// Asks until the answer is good. The first question comes after a wait, too: a handler that
/// says "down" while the probe says "up" would otherwise turn deliveries around without a pause.
async fn recover(probe: Arc<dyn Probe>, health: ConsumerHealth, mut delays: Delays) -> Delays {
    loop {
        sleep(delays.next_delay().unwrap_or(PROBING.cap)).await;
        match probe.probe().await {
            Ok(()) => return delays,
            Err(why) => health.set(ConsumerState::Waiting(why)),
        }
    }
}
