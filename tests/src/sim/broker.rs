//! The simulated broker: queues that deliver at least once. What a dead or cut-off consumer held
//! comes back, messages are delivered twice, and a message that comes back too often is
//! dead-lettered.

mod consume;
mod publish;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use recording::{Delivery, Queue};
use tokio::sync::Notify;

pub(crate) use consume::consume;
pub(crate) use publish::PublishPort;

/// One message in a queue.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    /// The body.
    pub(crate) body: Bytes,
    /// Text headers.
    pub(crate) headers: BTreeMap<String, String>,
    /// How often it came back.
    pub(crate) returns: u32,
    /// Queue and reason of its dead-lettering.
    pub(crate) dead_lettered: Option<(String, String)>,
    /// Its number, in the order of publishing, for the trace.
    pub(crate) number: u64,
}

impl Message {
    pub(crate) fn delivery(&self) -> Delivery {
        Delivery {
            body: self.body.clone(),
            redelivered: self.returns > 0,
            headers: self.headers.clone(),
            dead_lettered: self.dead_lettered.clone(),
            ..Delivery::default()
        }
    }
}

/// One of our queues.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// Ready messages.
    pub(crate) ready: VecDeque<Message>,
    /// Wakes consumers.
    pub(crate) arrived: Arc<Notify>,
}

/// A message that a consumer holds.
#[derive(Debug)]
pub(crate) struct Unacked {
    pub(crate) process: usize,
    pub(crate) queue: Queue,
    pub(crate) message: Message,
}

/// The broker.
#[derive(Debug)]
pub(crate) struct Broker {
    transfer: Line,
    cleanup: Line,
    quarantine: Line,
    /// What consumers hold, by delivery tag.
    pub(crate) unacked: BTreeMap<u64, Unacked>,
    delivery_limit: u32,
    tags: u64,
    numbers: u64,
}

impl Broker {
    pub(crate) fn new(delivery_limit: u32) -> Self {
        Self {
            transfer: Line::default(),
            cleanup: Line::default(),
            quarantine: Line::default(),
            unacked: BTreeMap::new(),
            delivery_limit,
            tags: 0,
            numbers: 0,
        }
    }

    pub(crate) fn line(&mut self, queue: Queue) -> &mut Line {
        match queue {
            Queue::Transfer => &mut self.transfer,
            Queue::Cleanup => &mut self.cleanup,
            Queue::Quarantine => &mut self.quarantine,
        }
    }

    /// Puts a message into a queue.
    pub(crate) fn enqueue(
        &mut self,
        queue: Queue,
        body: Bytes,
        headers: BTreeMap<String, String>,
    ) -> u64 {
        self.numbers = self.numbers.saturating_add(1);
        let number = self.numbers;
        self.put(
            queue,
            Message {
                body,
                headers,
                returns: 0,
                dead_lettered: None,
                number,
            },
        );
        number
    }

    fn put(&mut self, queue: Queue, message: Message) {
        let line = self.line(queue);
        line.ready.push_back(message);
        line.arrived.notify_waiters();
    }

    /// Hands out the next message; `early` takes it as settled at once.
    pub(crate) fn take(
        &mut self,
        queue: Queue,
        process: usize,
        early: bool,
    ) -> Option<(u64, Message)> {
        let message = self.line(queue).ready.pop_front()?;
        self.tags = self.tags.saturating_add(1);
        let tag = self.tags;
        if !early {
            let held = Unacked {
                process,
                queue,
                message: message.clone(),
            };
            self.unacked.insert(tag, held);
        }
        Some((tag, message))
    }

    /// Gives a message back to its queue, or to quarantine if it came back too often.
    pub(crate) fn give_back(&mut self, tag: u64) {
        let Some(Unacked { queue, message, .. }) = self.unacked.remove(&tag) else {
            return;
        };
        let mut message = message;
        message.returns = message.returns.saturating_add(1);
        if message.returns > self.delivery_limit && queue != Queue::Quarantine {
            message.returns = 0;
            message.dead_lettered = Some((queue.name().to_owned(), "delivery_limit".to_owned()));
            self.put(Queue::Quarantine, message);
        } else {
            self.put(queue, message);
        }
    }

    /// The session of a process ended: everything it held comes back.
    pub(crate) fn cut(&mut self, process: usize) {
        let held = self
            .unacked
            .iter()
            .filter(|(_, one)| one.process == process);
        let tags: Vec<u64> = held.map(|(tag, _)| *tag).collect();
        for tag in tags {
            self.give_back(tag);
        }
    }

    /// Whether no message is anywhere.
    pub(crate) fn is_empty(&self) -> bool {
        let lines = [&self.transfer, &self.cleanup, &self.quarantine];
        self.unacked.is_empty() && lines.iter().all(|line| line.ready.is_empty())
    }
}
