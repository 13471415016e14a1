//! Refusals: why a message is not believed. It is kept in quarantine with one of these reasons.

use std::fmt;
use std::str::FromStr;

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident $word:literal,)+) => {
        /// Why a message is in quarantine: a closed set, the same words in headers, in the
        /// ledger, on the command line and in metrics.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
        }
    };
}

refusals! {
    /// Larger than 256 KiB; not parsed.
    TooLarge "too_large",
    /// Content type or encoding is not ours.
    ContentType "content_type",
    /// Not JSON, or bytes after it.
    NotJson "not_json",
    /// The same key twice in one object.
    DuplicateKey "duplicate_key",
    /// Nested deeper than 16.
    TooDeep "too_deep",
    /// A required field is missing.
    MissingField "missing_field",
    /// A field has the wrong type or an impossible value.
    WrongField "wrong_field",
    /// An event type, or a version of one, that this release does not know.
    UnknownType "unknown_type",
    /// The path leads outside the account's folder, or is no plain relative path.
    UnsafePath "unsafe_path",
    /// No such account (yet).
    AccountUnknown "account_unknown",
    /// The same id was announced with other content before.
    Conflict "conflict",
    /// Another unreleased recording has the same path.
    PathInUse "path_in_use",
    /// An acknowledgment without a row, or with another receipt than the row's.
    ReceiptUnknown "receipt_unknown",
    /// Delivered too often without being settled; returned by itself on the ladder.
    DeliveryLimit "delivery_limit",
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
