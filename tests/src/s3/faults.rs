//! Misbehaviour to order: rules that match requests, and what then goes wrong.

use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::watch;

use super::clock::locked;
use super::operation::{Operation, Target};

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Answers this error; nothing was done.
    ErrorBefore {
        /// HTTP status, for example 503.
        status: u16,
        /// S3's or STS's error code, for example `SlowDown`.
        code: String,
    },
    /// Does what was asked, then answers this error.
    ErrorAfter {
        /// HTTP status, for example 500.
        status: u16,
        /// S3's or STS's error code.
        code: String,
    },
    /// Closes the connection without an answer; nothing was done.
    CloseBefore,
    /// Does what was asked, then closes the connection without an answer.
    CloseAfter,
    /// Waits before doing anything.
    DelayBefore(Duration),
    /// Does what was asked, then waits before answering.
    DelayAfter(Duration),
    /// Does nothing until the rule is released or cleared, then goes on as if nothing had been.
    HangBefore,
    /// Does what was asked, then keeps the answer until the rule is released or cleared.
    HangAfter,
    /// Answers 200 with an error document in the body, as complete may; nothing was done.
    ErrorInBodyBefore {
        /// The code in the document.
        code: String,
    },
    /// Does what was asked, then answers 200 with an error document in the body.
    ErrorInBodyAfter {
        /// The code in the document.
        code: String,
    },
    /// Keeps only the first bytes and answers as if all had been kept. `PutObject`, `UploadPart`,
    /// `CompleteMultipartUpload`.
    StoreTruncated {
        /// How many bytes are kept at most.
        keep_bytes: u64,
    },
    /// Flips one bit of what it keeps and answers as if it had not. Same operations.
    StoreCorrupted,
    /// Reads the request's body and sends the answer's body no faster than this.
    SlowBody {
        /// Bytes per second, for this request alone.
        bytes_per_second: u64,
    },
}

/// Which requests go wrong, and how.
#[derive(Clone, Debug)]
pub struct FaultRule {
    operation: Option<Operation>,
    bucket: Option<String>,
    key_prefix: Option<String>,
    after: u64,
    times: Option<u64>,
    every: u64,
    chance: Option<(u64, u64)>,
    fault: Fault,
}

/// An armed rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultId(u64);

impl FaultRule {
    /// The fault, for every request of this operation.
    #[must_use]
    pub fn on(operation: Operation, fault: Fault) -> Self {
        Self {
            operation: Some(operation),
            ..Self::always(fault)
        }
    }

    /// The fault, for every request.
    #[must_use]
    pub fn always(fault: Fault) -> Self {
        Self {
            operation: None,
            bucket: None,
            key_prefix: None,
            after: 0,
            times: None,
            every: 1,
            chance: None,
            fault,
        }
    }

    /// Only requests that name this bucket.
    #[must_use]
    pub fn bucket(mut self, bucket: &str) -> Self {
        self.bucket = Some(bucket.to_owned());
        self
    }

    /// Only requests whose key (for STS: whose role ARN) starts so.
    #[must_use]
    pub fn key_prefix(mut self, prefix: &str) -> Self {
        self.key_prefix = Some(prefix.to_owned());
        self
    }

    /// Lets the first `n` matching requests pass.
    #[must_use]
    pub fn after(mut self, n: u64) -> Self {
        self.after = n;
        self
    }

    /// Strikes at most `n` times.
    #[must_use]
    pub fn times(mut self, n: u64) -> Self {
        self.times = Some(n);
        self
    }

    /// Strikes once: the common case.
    #[must_use]
    pub fn once(self) -> Self {
        self.times(1)
    }

    /// Of those not let pass, strikes the first, and then every `n`-th.
    #[must_use]
    pub fn every(mut self, n: u64) -> Self {
        self.every = n.max(1);
        self
    }

    /// Strikes this many of a thousand, decided by the seed and the request's number alone.
    #[must_use]
    pub fn per_mille(mut self, chance: u64, seed: u64) -> Self {
        self.chance = Some((chance, seed));
        self
    }

    fn covers(&self, target: &Target) -> bool {
        let named =
            |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || wanted == found;
        let prefix = match (&self.key_prefix, &target.key) {
            (None, _) => true,
            (Some(prefix), Some(key)) => key.starts_with(prefix),
            (Some(_), None) => false,
        };
        self.operation.is_none_or(|it| it == target.operation)
            && named(&self.bucket, &target.bucket)
            && prefix
    }

    /// Whether the `number`-th matching request (from 0) is struck.
    fn strikes(&self, number: u64, struck: u64) -> bool {
        if self.times.is_some_and(|times| struck >= times) {
            return false;
        }
        let Some(since) = number.checked_sub(self.after) else {
            return false;
        };
        let by_chance = |(chance, seed): (u64, u64)| scatter(seed, number) % 1000 < chance;
        since % self.every == 0 && self.chance.is_none_or(by_chance)
    }
}

/// The finalizer of splitmix64: well-spread bits from a seed and a number.
fn scatter(seed: u64, number: u64) -> u64 {
    let step = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut z = seed.wrapping_add(step);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What is to happen to one request.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// In the order of the rules: what happens before the effect.
    pub(crate) before: Vec<Step>,
    /// In the order of the rules: what happens after it.
    pub(crate) after: Vec<Step>,
    /// What happens to the bytes that are kept.
    pub(crate) damage: Option<Damage>,
    /// How fast bodies move.
    pub(crate) bytes_per_second: Option<u64>,
}

/// One thing that happens before or after the effect.
#[derive(Debug)]
pub(crate) enum Step {
    /// Time passes.
    Wait(Duration),
    /// Until the gate opens.
    Hang(watch::Receiver<bool>),
    /// The connection is closed.
    Close,
    /// An error is answered.
    Refuse(u16, String),
    /// 200 is answered, with an error document.
    RefuseInBody(String),
}

/// What happens to bytes on their way to the disk.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Damage {
    /// Only the first so many are kept.
    Truncate(u64),
    /// One bit is flipped.
    Flip,
}

/// All armed rules.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    board: Mutex<Board>,
}

#[derive(Debug, Default)]
struct Board {
    next: u64,
    latency: Duration,
    armed: Vec<Armed>,
}

#[derive(Debug)]
struct Armed {
    id: FaultId,
    rule: FaultRule,
    matched: u64,
    struck: u64,
    gate: watch::Sender<bool>,
}

impl Faults {
    pub(crate) fn arm(&self, rule: FaultRule) -> FaultId {
        let mut board = locked(&self.board);
        let id = FaultId(board.next);
        board.next += 1;
        board.armed.push(Armed {
            id,
            rule,
            matched: 0,
            struck: 0,
            gate: watch::Sender::new(false),
        });
        id
    }

    /// Removes a rule; what hangs on it goes on.
    pub(crate) fn clear(&self, id: FaultId) {
        let mut board = locked(&self.board);
        board.armed.retain(|armed| {
            if armed.id == id {
                armed.gate.send_replace(true);
            }
            armed.id != id
        });
    }

    /// Removes every rule and the latency; what hangs goes on.
    pub(crate) fn clear_all(&self) {
        let mut board = locked(&self.board);
        for armed in board.armed.drain(..) {
            armed.gate.send_replace(true);
        }
        board.latency = Duration::ZERO;
    }

    /// Lets go what hangs on the rule now; what comes later hangs again.
    pub(crate) fn release(&self, id: FaultId) {
        let mut board = locked(&self.board);
        for armed in board.armed.iter_mut().filter(|armed| armed.id == id) {
            armed.gate.send_replace(true);
            armed.gate = watch::Sender::new(false);
        }
    }

    /// How often the rule struck; a cleared rule is forgotten.
    pub(crate) fn struck(&self, id: FaultId) -> u64 {
        let board = locked(&self.board);
        let armed = board.armed.iter().find(|armed| armed.id == id);
        armed.map_or(0, |armed| armed.struck)
    }

    /// Every request takes at least this long.
    pub(crate) fn set_latency(&self, latency: Duration) {
        locked(&self.board).latency = latency;
    }

    /// What happens to this request.
    pub(crate) fn plan(&self, target: &Target) -> Plan {
        let mut board = locked(&self.board);
        let mut plan = Plan::default();
        if board.latency > Duration::ZERO {
            plan.before.push(Step::Wait(board.latency));
        }
        for armed in &mut board.armed {
            if !armed.rule.covers(target) {
                continue;
            }
            let number = armed.matched;
            armed.matched += 1;
            if armed.rule.strikes(number, armed.struck) {
                armed.struck += 1;
                plan.add(armed);
            }
        }
        plan
    }
}

impl Plan {
    fn add(&mut self, armed: &Armed) {
        match armed.rule.fault.clone() {
            Fault::ErrorBefore { status, code } => self.before.push(Step::Refuse(status, code)),
            Fault::ErrorAfter { status, code } => self.after.push(Step::Refuse(status, code)),
            Fault::CloseBefore => self.before.push(Step::Close),
            Fault::CloseAfter => self.after.push(Step::Close),
            Fault::DelayBefore(time) => self.before.push(Step::Wait(time)),
            Fault::DelayAfter(time) => self.after.push(Step::Wait(time)),
            Fault::HangBefore => self.before.push(Step::Hang(armed.gate.subscribe())),
            Fault::HangAfter => self.after.push(Step::Hang(armed.gate.subscribe())),
            Fault::ErrorInBodyBefore { code } => self.before.push(Step::RefuseInBody(code)),
            Fault::ErrorInBodyAfter { code } => self.after.push(Step::RefuseInBody(code)),
            Fault::StoreTruncated { keep_bytes } => {
                self.damage = Some(Damage::Truncate(keep_bytes));
            }
            Fault::StoreCorrupted => self.damage = Some(Damage::Flip),
            Fault::SlowBody { bytes_per_second } => {
                self.bytes_per_second = Some(bytes_per_second.max(1));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn struck(rule: &FaultRule, requests: u64) -> Vec<u64> {
        let mut numbers = Vec::new();
        for number in 0..requests {
            let already = u64::try_from(numbers.len()).unwrap();
            if rule.strikes(number, already) {
                numbers.push(number);
            }
        }
        numbers
    }

    #[test]
    fn rules_count_the_requests_they_match() {
        let rule = FaultRule::always(Fault::CloseBefore);
        assert_eq!(struck(&rule.clone().after(2).times(2), 9), [2, 3]);
        assert_eq!(struck(&rule.clone().every(3), 9), [0, 3, 6]);
        assert_eq!(struck(&rule.once(), 9), [0]);
    }

    #[test]
    fn chance_repeats_itself_under_the_same_seed() {
        let rule = |seed| FaultRule::always(Fault::CloseBefore).per_mille(250, seed);
        let first = struck(&rule(7), 4000);
        assert_eq!(first, struck(&rule(7), 4000));
        assert_ne!(first, struck(&rule(8), 4000));
        assert!((800..1200).contains(&first.len()), "{}", first.len());
    }
}
