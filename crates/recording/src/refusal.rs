//! Refusals: why a message is not believed. It is kept in quarantine with one of these reasons.

use std::fmt;
use std::str::FromStr;

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident $word:literal $hint:literal,)+) => {
        /// Why a message is in quarantine: a closed set, the same words in headers, in the
        /// ledger, on the command line and in metrics.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum RefusalReason {
            $($(#[$doc])* $name,)+
        }

        impl RefusalReason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The word.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// What the person who reads it can do.
            #[must_use]
            pub fn hint(self) -> &'static str {
                match self { $(Self::$name => $hint,)+ }
            }
        }
    };
}

refusals! {
    /// Larger than 256 KiB; not parsed.
    TooLarge "too_large"
        "the producer must send the event alone, in at most 256 KiB, never the recording itself",
    /// Content type or encoding is not ours.
    ContentType "content_type"
        "the producer must publish application/cloudevents+json in UTF-8, uncompressed",
    /// Not JSON, or bytes after it.
    NotJson "not_json"
        "the producer must send one JSON document in UTF-8, with nothing before or after it",
    /// The same key twice in one object.
    DuplicateKey "duplicate_key"
        "the producer must write every key once; nothing says which of the two is meant",
    /// Nested deeper than 16.
    TooDeep "too_deep"
        "the producer must nest at most 16 deep",
    /// A required field is missing.
    MissingField "missing_field"
        "the producer must send the field that the detail names, then publish again",
    /// A field has the wrong type or an impossible value.
    WrongField "wrong_field"
        "the producer must correct the field that the detail names, then publish again",
    /// An event type, or a version of one, that this release does not know.
    UnknownType "unknown_type"
        "upgrade callferry and `callferry quarantine requeue` it, or correct the producer",
    /// The path leads outside the account's folder, or is no plain relative path.
    UnsafePath "unsafe_path"
        "find out who sent it: a path must be plain, and below the folder of its own account",
    /// No such account (yet).
    AccountUnknown "account_unknown"
        "`callferry account create` it and it goes on by itself, or correct the producer",
    /// The same id was announced with other content before.
    Conflict "conflict"
        "the first announcement stands; publish other content under an id of its own",
    /// Another unreleased recording has the same path.
    PathInUse "path_in_use"
        "it goes on by itself once the other recording is released; never reuse a path",
    /// An acknowledgment without a row, or with another receipt than the row's.
    ReceiptUnknown "receipt_unknown"
        "find out who sent it: only callferry acknowledges; nothing is deleted for it",
    /// Delivered too often without being settled; returned by itself on the ladder.
    DeliveryLimit "delivery_limit"
        "it returns by itself; if it comes again and again, see the worker's log",
}

impl RefusalReason {
    /// Whether somebody may be trying to reach what is not theirs.
    #[must_use]
    pub fn is_suspicious(self) -> bool {
        match self {
            Self::UnsafePath | Self::Conflict | Self::ReceiptUnknown => true,
            Self::TooLarge
            | Self::ContentType
            | Self::NotJson
            | Self::DuplicateKey
            | Self::TooDeep
            | Self::MissingField
            | Self::WrongField
            | Self::UnknownType
            | Self::AccountUnknown
            | Self::PathInUse
            | Self::DeliveryLimit => false,
        }
    }
}

impl fmt::Display for RefusalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RefusalReason {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL
            .iter()
            .copied()
            .find(|reason| reason.as_str() == text);
        known.ok_or_else(|| format!("`{text}` is not a reason that this version knows"))
    }
}

/// Why one message is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Refusal {
    /// Why, as a closed set.
    pub reason: RefusalReason,
    /// Names the field and what it must be; never repeats the body.
    pub detail: String,
}

impl Refusal {
    /// A refusal.
    #[must_use]
    pub fn new(reason: RefusalReason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
        }
    }
}
