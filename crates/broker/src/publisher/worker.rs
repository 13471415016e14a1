//! The one task that publishes: opens sessions, sends batches, tells everybody how they ended.
//!
//! Crashes: whoever waits gets "disconnected", which everybody treats as unknown. Shutdown: what
//! is in the mailbox is still sent; stop it after everything that publishes has ended.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lapin::options::ConfirmSelectOptions;
use recording::PublishFault;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{Job, Link, batch};
use crate::dial::Dialer;
use crate::fault::Lost;
use crate::pace::Pace;
use crate::session::{Session, Signal, answered};
use crate::stats::BrokerStats;
use crate::{BrokerFault, Settings};

/// How long the confirms of a batch under way may still take once the broker blocks publishing:
/// what it had read before that, it confirms.
const GRACE: Duration = Duration::from_secs(1);

/// Publishes what its [`Publisher`](super::Publisher)s are given.
#[derive(Debug)]
pub struct PublisherWorker {
    /// How to reach the broker.
    settings: Settings,
    /// What to publish.
    mailbox: mpsc::Receiver<Job>,
    /// Tells publishers whether there is a session.
    link: watch::Sender<Link>,
    /// What has happened.
    stats: Arc<BrokerStats>,
}

/// Why a session was left.
#[derive(Debug)]
enum End {
    /// We are asked to stop, and the mailbox is empty.
    Stopped,
    /// It is of no more use.
    Lost(Lost),
}

impl PublisherWorker {
    pub(super) fn new(
        settings: &Settings,
        mailbox: mpsc::Receiver<Job>,
        link: watch::Sender<Link>,
        stats: Arc<BrokerStats>,
    ) -> Self {
        Self {
            settings: settings.clone(),
            mailbox,
            link,
            stats,
        }
    }

    /// Publishes until `stop`, or until every publisher is dropped.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut dialer = Dialer::new(&self.settings, "publisher");
        let mut pace = Pace::new(&self.settings.reconnect);
        loop {
            let opened = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                opened = open(&mut dialer) => opened,
                () = refuse(&mut self.mailbox) => break,
            };
            let why = match opened {
                Ok(session) => match self.keep(session, &mut pace, &stop).await {
                    End::Stopped => break,
                    End::Lost(why) => why.to_string(),
                },
                Err(fault) => fault.to_string(),
            };
            pace.complain(dialer.purpose(), &why);
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = sleep(pace.wait()) => {}
                () = refuse(&mut self.mailbox) => break,
            }
        }
        self.mailbox.close();
        refuse(&mut self.mailbox).await;
    }

    /// Serves one session from its beginning to its end.
    async fn keep(&mut self, session: Session, pace: &mut Pace, stop: &CancellationToken) -> End {
        let opened = Instant::now();
        self.stats.session_opened();
        self.link
            .send_replace(Link::Live(Arc::clone(&session.connection)));
        tracing::info!("publishing session open");
        let mut serving = Serving {
            session,
            worker: self,
            waiting: Vec::new(),
            blocked: false,
            spoilt: false,
        };
        let end = serving.serve(stop).await;
        let Serving {
            session, waiting, ..
        } = serving;
        self.link.send_replace(Link::Down);
        self.stats.session_ended(matches!(end, End::Lost(_)));
        end_all(waiting, &PublishFault::Disconnected);
        pace.ended(opened);
        session.close().await;
        end
    }
}

async fn open(dialer: &mut Dialer) -> Result<Session, BrokerFault> {
    let session = Session::open(dialer).await?;
    let confirming = session
        .channel
        .confirm_select(ConfirmSelectOptions::default());
    answered("asking for confirms", confirming)
        .await
        .map_err(|lost| BrokerFault::Unreachable(lost.to_string()))?;
    Ok(session)
}

/// Turns everything away, as there is no session. Ends when nobody can publish any more.
async fn refuse(mailbox: &mut mpsc::Receiver<Job>) {
    while let Some(job) = mailbox.recv().await {
        job.end(Err(PublishFault::Disconnected));
    }
}

fn end_all(jobs: Vec<Job>, fault: &PublishFault) {
    for job in jobs {
        job.end(Err(fault.clone()));
    }
}

/// A session in use.
struct Serving<'a> {
    /// The session.
    session: Session,
    /// Whose it is.
    worker: &'a mut PublisherWorker,
    /// Taken from the mailbox, not yet sent.
    waiting: Vec<Job>,
    /// Whether the broker reads nothing from us.
    blocked: bool,
    /// Whether confirms are outstanding that nobody waits for. A late one could be taken for
    /// another message's, so nothing more is published here.
    spoilt: bool,
}

impl Serving<'_> {
    async fn serve(&mut self, stop: &CancellationToken) -> End {
        let mut stopping = false;
        loop {
            if self.blocked {
                end_all(
                    std::mem::take(&mut self.waiting),
                    &PublishFault::Unconfirmed,
                );
            } else if self.spoilt {
                return End::Lost(Lost("a confirm did not come in time".to_owned()));
            } else if !self.waiting.is_empty() {
                if let Err(lost) = self.deliver().await {
                    return End::Lost(lost);
                }
                continue;
            }
            tokio::select! {
                biased;
                signal = self.session.signal() => {
                    if let Err(lost) = self.heed(signal) {
                        return End::Lost(lost);
                    }
                }
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    self.worker.mailbox.close();
                }
                taken = self.worker.mailbox.recv_many(&mut self.waiting, batch::BATCH) => {
                    if taken == 0 {
                        return End::Stopped;
                    }
                }
            }
        }
    }

    fn heed(&mut self, signal: Signal) -> Result<(), Lost> {
        match signal {
            Signal::Blocked(reason) => {
                tracing::warn!(broker.why = reason, "the broker blocks publishing");
                self.blocked = true;
                self.worker.link.send_replace(Link::Blocked);
            }
            Signal::Unblocked => {
                tracing::info!("the broker lets us publish again");
                self.blocked = false;
                if !self.spoilt {
                    let connection = Arc::clone(&self.session.connection);
                    self.worker.link.send_replace(Link::Live(connection));
                }
            }
            Signal::Ended(lost) => return Err(lost),
        }
        let stats = &self.worker.stats;
        stats.blocked.store(self.blocked, Ordering::Relaxed);
        Ok(())
    }

    /// Sends one batch and tells everybody in it what became of it.
    async fn deliver(&mut self) -> Result<(), Lost> {
        let mut jobs = batch::take(&mut self.waiting);
        // Who has given up waiting would never learn the outcome; not sending is then better.
        jobs.retain(|job| !job.reply.is_closed());
        match self.attempt(&jobs).await {
            Sent::Answered(answers) => {
                let ids: Vec<&str> = jobs.iter().map(|job| job.message.id.as_str()).collect();
                let verdicts = batch::judge(&ids, &answers);
                for (job, verdict) in jobs.into_iter().zip(verdicts) {
                    job.end(verdict);
                }
                Ok(())
            }
            Sent::Overdue => {
                self.spoilt = true;
                end_all(jobs, &PublishFault::Unconfirmed);
                Ok(())
            }
            Sent::Lost(lost) => {
                end_all(jobs, &PublishFault::Disconnected);
                Err(lost)
            }
        }
    }

    async fn attempt(&mut self, jobs: &[Job]) -> Sent {
        let overdue = Instant::now() + self.worker.settings.confirm_timeout;
        let mut cutoff = overdue;
        let channel = self.session.channel.clone();
        let sending = batch::send(&channel, jobs);
        tokio::pin!(sending);
        loop {
            tokio::select! {
                biased;
                answers = &mut sending => return match answers {
                    Ok(answers) => Sent::Answered(answers),
                    Err(error) => Sent::Lost(Lost(format!("publishing: {error}"))),
                },
                () = sleep_until(cutoff) => return Sent::Overdue,
                signal = self.session.signal() => {
                    if let Err(lost) = self.heed(signal) {
                        return Sent::Lost(lost);
                    }
                    let soon = Instant::now() + GRACE;
                    cutoff = if self.blocked { cutoff.min(soon) } else { overdue };
                }
            }
        }
    }
}

/// How a batch ended.
enum Sent {
    /// Every message of it has an answer.
    Answered(Vec<batch::Answer>),
    /// At least one has none, and will not be waited for.
    Overdue,
    /// The session ended first.
    Lost(Lost),
}
