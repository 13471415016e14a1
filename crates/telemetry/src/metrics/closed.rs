//! Closed sets of label values. A label can be nothing else, so that no text from outside ever
//! becomes a time series, and every series is there, as zero, before anything happens.

use recording::{Cloud, Method, Operation, ParkReason, Queue, RefusalReason, RequestResult, State};

/// One label of a family, as the documentation shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Label {
    /// Its name.
    pub(crate) name: &'static str,
    /// What its values are.
    pub(crate) what: &'static str,
    /// All of them; empty where they are not known beforehand.
    pub(crate) values: Vec<&'static str>,
}

/// A closed set of label values, or of combinations of several labels' values.
pub(crate) trait Closed: Copy + Eq + Send + Sync + 'static {
    /// The labels.
    fn labels() -> Vec<Label>;
    /// Every combination that can occur.
    fn every() -> Vec<Self>;
    /// The values, in the order of the labels.
    fn values(self) -> Vec<&'static str>;
}

/// No label at all: a family with a single series.
impl Closed for () {
    fn labels() -> Vec<Label> {
        Vec::new()
    }

    fn every() -> Vec<Self> {
        vec![()]
    }

    fn values(self) -> Vec<&'static str> {
        Vec::new()
    }
}

/// Makes a type with `ALL` and `as_str` a closed set of one label's values.
macro_rules! closed {
    ($($type:ty: $label:literal, $what:literal;)+) => {
        $(impl $crate::metrics::closed::Closed for $type {
            fn labels() -> Vec<$crate::metrics::closed::Label> {
                vec![$crate::metrics::closed::Label {
                    name: $label,
                    what: $what,
                    values: Self::ALL.iter().map(|value| value.as_str()).collect(),
                }]
            }

            fn every() -> Vec<Self> {
                Self::ALL.to_vec()
            }

            fn values(self) -> Vec<&'static str> {
                vec![self.as_str()]
            }
        })+
    };
}
pub(crate) use closed;

closed! {
    ParkReason: "reason", "why a recording is parked or its release refused";
    RefusalReason: "reason", "why a message is quarantined";
    Method: "method", "how a copy was proven";
    Cloud: "cloud", "whom a request went to";
    Operation: "operation", "what a request does";
    RequestResult: "result", "how a request ended";
}

/// The word for a queue, without our prefix.
fn queue_word(queue: Queue) -> &'static str {
    match queue {
        Queue::Transfer => "transfer",
        Queue::Cleanup => "cleanup",
        Queue::Quarantine => "quarantine",
    }
}

impl Closed for Queue {
    fn labels() -> Vec<Label> {
        vec![Label {
            name: "queue",
            what: "one of our queues",
            values: Self::ALL.into_iter().map(queue_word).collect(),
        }]
    }

    fn every() -> Vec<Self> {
        Self::ALL.to_vec()
    }

    fn values(self) -> Vec<&'static str> {
        vec![queue_word(self)]
    }
}

/// A queue to which the ledger's rows are driven: nothing is ever due for quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Driven(pub(crate) Queue);

impl Driven {
    const ALL: [Self; 2] = [Self(Queue::Transfer), Self(Queue::Cleanup)];

    fn as_str(self) -> &'static str {
        queue_word(self.0)
    }
}

/// A state in which a recording is open: the fleet still has something to do for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Open(pub(crate) State);

impl Open {
    const ALL: [Self; 3] = [
        Self(State::Staged),
        Self(State::Parked),
        Self(State::Stored),
    ];

    fn as_str(self) -> &'static str {
        self.0.as_str()
    }
}

closed! {
    Driven: "queue", "a queue that the ledger's rows are driven to";
    Open: "state", "a state in which a recording is open";
}

/// A request: to whom, for what. Token services are asked for tokens only, stores for all else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Request(pub(crate) Cloud, pub(crate) Operation);

/// Whether this is a service that gives out tokens rather than a store.
pub(crate) fn gives_tokens(cloud: Cloud) -> bool {
    match cloud {
        Cloud::Sts | Cloud::Entra => true,
        Cloud::S3 | Cloud::Azure | Cloud::Staging => false,
    }
}

impl Closed for Request {
    fn labels() -> Vec<Label> {
        [Cloud::labels(), Operation::labels()].concat()
    }

    fn every() -> Vec<Self> {
        let pairs = Cloud::ALL
            .into_iter()
            .flat_map(|cloud| Operation::ALL.map(|operation| Self(cloud, operation)));
        pairs
            .filter(|Self(cloud, operation)| {
                gives_tokens(*cloud) == (*operation == Operation::Token)
            })
            .collect()
    }

    fn values(self) -> Vec<&'static str> {
        vec![self.0.as_str(), self.1.as_str()]
    }
}

/// Two sets side by side: every combination of their values.
impl<A: Closed, B: Closed> Closed for (A, B) {
    fn labels() -> Vec<Label> {
        [A::labels(), B::labels()].concat()
    }

    fn every() -> Vec<Self> {
        let firsts = A::every().into_iter();
        firsts
            .flat_map(|first| B::every().into_iter().map(move |second| (first, second)))
            .collect()
    }

    fn values(self) -> Vec<&'static str> {
        [self.0.values(), self.1.values()].concat()
    }
}
