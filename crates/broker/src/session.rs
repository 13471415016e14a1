//! A session: one connection and one channel, opened and thrown away together, and what the
//! broker says about them.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use lapin::{Channel, Connection, Event};
use tokio::time::{sleep, timeout};

use crate::BrokerFault;
use crate::dial::Dialer;
use crate::fault::Lost;

/// The longest that one question on an open channel may go without an answer.
const ANSWER: Duration = Duration::from_secs(10);
/// The longest that saying goodbye may take. The broker gets on without it.
const GOODBYE: Duration = Duration::from_secs(2);
/// How often to look whether the session still stands, should an event be missed.
const LOOK: Duration = Duration::from_secs(1);

/// One connection with one channel.
pub(crate) struct Session {
    /// The channel; one task only may publish on it.
    pub(crate) channel: Channel,
    /// The connection; shared so that passive declares can have channels of their own.
    pub(crate) connection: Arc<Connection>,
    /// What the broker says about the connection. There may be one listener only.
    events: BoxStream<'static, Event>,
    /// The last error among the events.
    said: Option<String>,
}

/// What changed about a session.
#[derive(Debug)]
pub(crate) enum Signal {
    /// The broker reads nothing from this connection until further notice.
    Blocked(String),
    /// It reads again.
    Unblocked,
    /// Nothing can be done with it any more.
    Ended(Lost),
}

impl Session {
    /// Opens a connection and a channel on it.
    pub(crate) async fn open(dialer: &mut Dialer) -> Result<Self, BrokerFault> {
        let connection = dialer.connect().await?;
        let events = connection.events_listener().boxed();
        let opening = timeout(ANSWER, connection.create_channel()).await;
        let channel = opening
            .map_err(|_| BrokerFault::Silent("opening a channel".to_owned()))?
            .map_err(|error| BrokerFault::of("opening a channel", &error))?;
        Ok(Self {
            channel,
            connection: Arc::new(connection),
            events,
            said: None,
        })
    }

    fn stands(&self) -> bool {
        self.connection.status().connected() && self.channel.status().connected()
    }

    /// The next change. Cancel safe.
    pub(crate) async fn signal(&mut self) -> Signal {
        loop {
            // Errors are events also when they concern a throw-away channel, so what counts is
            // how the two that we need are.
            if !self.stands() {
                let why = self.said.take();
                return Signal::Ended(Lost(why.unwrap_or_else(|| "the channel is closed".into())));
            }
            tokio::select! {
                event = self.events.next() => match event {
                    Some(Event::ConnectionBlocked(reason)) => return Signal::Blocked(reason),
                    Some(Event::ConnectionUnblocked) => return Signal::Unblocked,
                    Some(Event::Error(error)) => self.said = Some(error.to_string()),
                    Some(_) => {}
                    None => return Signal::Ended(Lost("the connection is gone".to_owned())),
                },
                () = sleep(LOOK) => {}
            }
        }
    }

    /// Says goodbye, briefly.
    pub(crate) async fn close(self) {
        let Self {
            channel,
            connection,
            ..
        } = self;
        let goodbye = async {
            if channel.status().connected() {
                channel.close(200, "OK".into()).await?;
            }
            if connection.status().connected() {
                connection.close(200, "OK".into()).await?;
            }
            Ok::<(), lapin::Error>(())
        };
        match timeout(GOODBYE, goodbye).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the session did not close cleanly"),
            Err(_) => tracing::debug!("the session did not close in time"),
        }
    }
}

/// Waits for `question`, but not for ever.
pub(crate) async fn answered<T>(
    what: &str,
    question: impl Future<Output = lapin::Result<T>>,
) -> Result<T, Lost> {
    match timeout(ANSWER, question).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Lost(format!("{what}: {error}"))),
        Err(_) => Err(Lost(format!("{what}: no answer"))),
    }
}
