//! The record of every request, for tests that ask who did what to a bucket, and in what order.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use super::clock::{locked, now};
use super::operation::{Operation, Target};

/// Who signed a request, as far as the access key tells. Says nothing about whether it was let in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The access key id the request named.
    pub access_key_id: Option<String>,
    /// The base identity's name, when the key is one of a base identity.
    pub identity: Option<String>,
    /// The ARN of the role, when the key is one of a session.
    pub role_arn: Option<String>,
    /// The session's name, when the key is one of a session.
    pub session_name: Option<String>,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When its first line and headers had arrived.
    pub at: DateTime<Utc>,
    /// From then until the answer's headers were ready, or until it was given up.
    pub took: Duration,
    /// What it asked.
    pub operation: Operation,
    /// The bucket it named.
    pub bucket: Option<String>,
    /// The key it named; for `AssumeRole` the role's ARN.
    pub key: Option<String>,
    /// The number of the part, when a part was sent.
    pub part: Option<u32>,
    /// Who signed it.
    pub caller: Caller,
    /// The status answered; none when the connection was closed or the client went away first.
    pub status: Option<u16>,
    /// The error code answered, if any.
    pub code: Option<String>,
    /// The request's `Content-Length`, bytes.
    pub bytes_in: u64,
    /// The answer's `Content-Length`, bytes; zero for HEAD.
    pub bytes_out: u64,
}

/// All requests since the start or the last clearing.
#[derive(Debug, Default)]
pub(crate) struct History {
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    seen: Vec<Seen>,
    counts: BTreeMap<Operation, u64>,
}

impl History {
    /// Notes an arrival; the ticket notes the end, also when it is merely dropped.
    pub(crate) fn begin(&self, target: Target, caller: Caller, bytes_in: u64) -> Ticket<'_> {
        let seen = Seen {
            at: now(),
            took: Duration::ZERO,
            operation: target.operation,
            bucket: target.bucket,
            key: target.key,
            part: target.part,
            caller,
            status: None,
            code: None,
            bytes_in,
            bytes_out: 0,
        };
        Ticket {
            history: self,
            began: Instant::now(),
            seen: Some(seen),
        }
    }

    /// Everything seen, in the order in which the requests ended.
    pub(crate) fn all(&self) -> Vec<Seen> {
        locked(&self.log).seen.clone()
    }

    /// How many requests of each operation ended.
    pub(crate) fn counts(&self) -> BTreeMap<Operation, u64> {
        locked(&self.log).counts.clone()
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        *locked(&self.log) = Log::default();
    }
}

/// An unfinished request.
pub(crate) struct Ticket<'a> {
    history: &'a History,
    began: Instant,
    seen: Option<Seen>,
}

impl Ticket<'_> {
    /// What will be answered.
    pub(crate) fn answered(mut self, status: u16, code: Option<String>, bytes_out: u64) {
        if let Some(seen) = &mut self.seen {
            seen.status = Some(status);
            seen.code = code;
            seen.bytes_out = bytes_out;
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let Some(mut seen) = self.seen.take() else {
            return;
        };
        seen.took = self.began.elapsed();
        let mut log = locked(&self.history.log);
        *log.counts.entry(seen.operation).or_default() += 1;
        log.seen.push(seen);
    }
}
